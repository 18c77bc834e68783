"""Tracepoint arguments with kernel types -> variables, and paths into what they point to.

Comes in: BTF and an event's name. Goes out: `Variable`s read from a raw tracepoint, and an
implementation of `markers.Members` over them. Source of the rules: stapprobes(3stap), "kernel
tracepoint probe": `$name->field`, `$name[n]`, `&$name->field`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.markers import NoAccess, RawArgument, ValueType, Variable
from bridge.probes.btf import BtfKind
from bridge.probes.pretty import way
from bridge.probes.types import KnownValue, NoPathError, TypedSpot, Walker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.markers import Part, Result, Structure
    from bridge.probes.btf import Btf

_PREFIXES = {
    "struct": (BtfKind.STRUCT,),
    "union": (BtfKind.UNION,),
    "enum": (BtfKind.ENUM, BtfKind.ENUM64),
}
_BARE = (
    BtfKind.TYPEDEF,
    BtfKind.INT,
    BtfKind.STRUCT,
    BtfKind.UNION,
    BtfKind.ENUM,
    BtfKind.ENUM64,
)


def raw_variables(btf: Btf, event: str) -> tuple[Variable, ...]:
    """The arguments of a tracepoint that are numbers or pointers, in order."""
    variables = []
    for index, parameter in enumerate(btf.tracepoint(event) or ()):
        if parameter.name and btf.is_scalar(parameter.type):
            size = btf.size(parameter.type)
            operand = RawArgument(index, size, btf.is_signed(parameter.type))
            ctype = btf.name(parameter.type)
            variables.append(
                Variable(parameter.name, ValueType.LONG, (operand,), ctype, operand)
            )
    return tuple(variables)


@dataclass(frozen=True)
class TracepointMembers:
    """Paths into the arguments of one tracepoint."""

    btf: Btf
    event: str

    def access(
        self,
        name: str,
        path: Sequence[Part],
        *,
        address_of: bool = False,
        pretty: str = "",
    ) -> Result:
        """See `markers.Members.access`."""
        found = next((v for v in raw_variables(self.btf, self.event) if v.name == name), None)
        types = {p.name: p.type for p in self.btf.tracepoint(self.event) or ()}
        if found is None:
            return NoAccess(f"unable to find tracepoint variable '${name}'")
        walker = Walker(self.btf, "kernel")
        try:
            return way(
                walker,
                (found, TypedSpot(types[name])),
                path,
                address_of=address_of,
                pretty=pretty,
            )
        except NoPathError as error:
            return error.answer


def kernel_structure(btf: Btf, name: str) -> Structure | NoAccess:
    """The kernel's type of a name, as what a pointer points to."""
    word, _, rest = name.strip().partition(" ")
    kinds = _PREFIXES.get(word, ())
    wanted = rest.strip() if kinds else name.strip()
    for kind in kinds or _BARE:
        number = btf.find(kind, wanted)
        if number is not None:
            return KnownValue(Walker(btf, "kernel"), number, addressed=True)
    return NoAccess(f"type definition '{name}' not found in 'kernel'")
