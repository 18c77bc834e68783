"""What can be named at a function of the kernel: `markers.Scope` from BTF.

Its parameters where it is entered, its result where it returns; types and constants; globals as
far as BTF has them. One rule: what BTF does not tell (locals, types of most globals) is a
`NoAccess` that says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bridge.markers import (
    Constant,
    Enumerator,
    Listed,
    Loaded,
    NoAccess,
    ValueType,
    Variable,
)
from bridge.probes.btf import BtfKind
from bridge.probes.kernel import calling, names
from bridge.probes.members import kernel_structure
from bridge.probes.pretty import way
from bridge.probes.types import COMPOSITES, NoPathError, Shape, TypedSpot, Walker
from bridge.suggest import similar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.markers import GlobalAccess, Part, Result, Structure
    from bridge.probes.btf import Btf
    from bridge.probes.kernel.calling import Passed
    from bridge.probes.kernel.symbols import KernelSymbol, Symbols

ZERO = Variable("%0", ValueType.LONG, (Constant(0),))
"""What the way to a global starts from."""
WHY_NO_LOCALS = (
    "BTF describes parameters only; a local variable needs the kernel's debug information"
    " (docs/kernels.md says where it is looked for)"
)


@dataclass(frozen=True)
class KernelScope:
    """What can be named where a function is entered or (`returns`) returns."""

    btf: Btf
    symbols: Symbols
    function: KernelSymbol
    number: int
    """Of the function in BTF."""
    machine: str
    returns: bool

    # --- the prototype ---

    @cached_property
    def _prototype(self) -> int:
        return self.btf.record(self.number).size_or_type

    @cached_property
    def passed(self) -> tuple[Passed, ...]:
        """The parameters, by how they are passed."""
        parameters = self.btf.parameters(self._prototype)
        named = tuple(p for p in parameters if p.type or p.name)  # the last of `...` is neither
        return calling.passed(self.btf, named, self.machine)

    @cached_property
    def is_plain(self) -> bool:
        """Whether a trampoline passes all its parameters on as words."""
        return calling.is_plain(self.btf, self.btf.parameters(self._prototype))

    @cached_property
    def value(self) -> Variable | None:
        """Its result, if that is a number."""
        type_ = self.btf.record(self._prototype).size_or_type
        return calling.result(self.btf, type_, "return", self.machine, plain=self.is_plain)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What a handler here can read as a number."""
        if self.returns:
            return (self.value,) if self.value is not None else ()
        return tuple(p.variable for p in self.passed if p.variable is not None)

    def has(self, name: str) -> bool:
        """Whether a variable of that name is a parameter or the result."""
        if self.returns:
            return name == "return"
        return any(p.parameter.name == name for p in self.passed)

    # --- markers.Scope ---

    def result(self) -> Sequence[Listed]:
        """See `markers.Scope`."""
        type_ = self.btf.record(self._prototype).size_or_type
        if not self.returns or not type_:
            return ()
        return (Listed("return", self.btf.name(type_), parameter=False),)

    def listed(self) -> Sequence[Listed]:
        """See `markers.Scope`."""
        return tuple(map(self._listed, self.passed))

    def _listed(self, item: Passed) -> Listed:
        shape = self.btf.shape(item.parameter.type)
        mark = "{...}" if shape in COMPOSITES else "[...]" if shape is Shape.ARRAY else ""
        name = self.btf.name(item.parameter.type)
        return Listed(item.parameter.name, name, parameter=True, mark=mark)

    def access(
        self,
        name: str,
        path: Sequence[Part],
        *,
        address_of: bool = False,
        pretty: str = "",
    ) -> Result:
        """See `markers.Members`."""
        try:
            spot, base = self._start(name)
            return way(
                self._walker,
                (base, spot),
                path,
                address_of=address_of,
                pretty=pretty,
            )
        except NoPathError as error:
            return error.answer

    @property
    def _walker(self) -> Walker:
        return Walker(self.btf, "kernel")

    def _start(self, name: str) -> tuple[TypedSpot, Variable]:
        if name == "return" and self.returns:
            return self._returned()
        for item in () if self.returns else self.passed:
            if item.parameter.name == name:
                if item.variable is None:
                    raise NoPathError("cannot access members of an object in a register")
                return TypedSpot(item.parameter.type), item.variable
        found = global_spot(self.btf, self.symbols, name)
        if found is not None:
            return found, ZERO
        raise NoPathError(self._unknown(name))

    def _returned(self) -> tuple[TypedSpot, Variable]:
        type_ = self.btf.record(self._prototype).size_or_type
        if not type_:
            raise NoPathError(f"function {self.function.name} has no return value")
        if self.value is None:
            raise NoPathError(
                f"failed to retrieve return value location for {self.function.name}"
                " [man error::dwarf]"
            )
        return TypedSpot(type_), self.value

    def _unknown(self, name: str) -> str:
        known = [p.parameter.name for p in self.passed]
        near = similar(name, known) or known
        alternatives = ", ".join(f"${n}" for n in near)
        more = f"alternatives: {alternatives}" if near else "no alternatives"
        return (
            f"unable to find local '{name}', [man error::dwarf] in function"
            f" {self.function.name} of {self.function.owner} ({more}); {WHY_NO_LOCALS}"
        )

    def static(self, wanted: GlobalAccess) -> Result:
        """See `markers.Scope`."""
        if wanted.module and not self._is_own(wanted.module):
            return wanted.missing()
        if not wanted.file and any(p.parameter.name == wanted.name for p in self.passed):
            return self.access(
                wanted.name, wanted.path, address_of=wanted.address_of, pretty=wanted.pretty
            )
        return KernelGlobals(self.btf, self.symbols).static(wanted)

    def structure(self, name: str, module: str) -> Structure | NoAccess:
        """See `markers.Scope`."""
        if module and not self._is_own(module):
            return NoAccess(f"type definition '{name}' not found in '{module}'")
        return kernel_structure(self.btf, name)

    def _is_own(self, module: str) -> bool:
        return module in ("kernel", self.function.owner)

    def enumerator(self, name: str) -> Enumerator | NoAccess:
        """See `markers.Scope`."""
        value = self.btf.enumerator(name)
        if value is None:
            return NoAccess(f"enumeration constant '{name}' not found")
        return Enumerator(value)


def global_spot(btf: Btf, symbols: Symbols, name: str) -> TypedSpot | None:
    """A global variable whose type BTF has, or our own table.

    Most kernels tell of those per CPU only.
    """
    number = btf.find(BtfKind.VAR, name)
    declared = names.global_type(name) if number is None else ""
    address = symbols.variable(name) if number is not None or declared else 0
    if not address:
        return None
    type_ = btf.declared(declared) if number is None else btf.record(number).size_or_type
    return None if type_ is None else TypedSpot(type_, (address,))


@dataclass(frozen=True)
class KernelGlobals:
    """The globals of the kernel, from a place that offers `base`: 0."""

    btf: Btf
    symbols: Symbols
    base: Variable | Loaded = ZERO

    def static(self, wanted: GlobalAccess) -> Result:
        """`@var("name")` of the kernel, `&@var("name")` for any symbol."""
        name, path, address_of = wanted.name, wanted.path, wanted.address_of
        spot = global_spot(self.btf, self.symbols, name)
        walker = Walker(self.btf, "kernel")
        try:
            if spot is not None:
                return way(
                    walker,
                    (self.base, spot),
                    path,
                    address_of=address_of,
                    pretty=wanted.pretty,
                )
            address = self.symbols.variable(name)
            if address and address_of and not path:
                return walker.access(self.base, TypedSpot(0, (address,)), address_of=True)
        except NoPathError as error:
            return error.answer
        if address:
            return NoAccess(
                f"the type of the global '{name}' is not known: BTF describes per-CPU"
                " variables only, and tapset/globals.toml does not have it. Name it,"
                f' as in @cast(&@var("{name}"), "TYPE", "kernel")'
            )
        return wanted.missing("kernel")
