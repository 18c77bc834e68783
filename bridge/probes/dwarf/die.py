"""What entries of debug information say: numbers, texts and other entries, or None.

Comes in: entries as `debug.DebugFile` reads them. One rule: what an entry inherits from its
abstract origin or its declaration counts as its own. Source: DWARF 5, sections 2 and 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.probes.dwarf.debug import ENTRY, SIGNATURE, DebugAttribute, Die
from bridge.probes.dwarf.sections import DebugError

if TYPE_CHECKING:
    from collections.abc import Iterator

FAULTS = (
    ValueError,  # `DebugError` is one
    LookupError,
    TypeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
)
"""What reading a damaged file can raise."""

_INHERITS = ("DW_AT_abstract_origin", "DW_AT_specification")
_NOT_INHERITED = frozenset({"DW_AT_sibling", "DW_AT_declaration", "DW_AT_inline"})
MOST_LINKS = 16
"""How long a chain of references between entries may be."""


def own(die: Die, name: str) -> DebugAttribute | None:
    """The attribute that stands in the entry itself."""
    return die.attributes.get(name)


def origins(die: Die) -> Iterator[Die]:
    """The entry and those that it inherits from."""
    for _ in range(MOST_LINKS):
        yield die
        link = next((name for name in _INHERITS if name in die.attributes), None)
        if link is None:
            return
        die = _referred(die, die.attributes[link])


def holder(die: Die, name: str) -> Die | None:
    """The entry that an attribute stands in: this one, or one that it inherits from."""
    if name in die.attributes:
        return die
    if name in _NOT_INHERITED:
        return None
    return next((one for one in origins(die) if name in one.attributes), None)


def number(die: Die, name: str) -> int | None:
    """A constant attribute."""
    found = holder(die, name)
    if found is None:
        return None
    value = found.attributes[name].value
    return value if isinstance(value, int) else None


def flag(die: Die, name: str) -> bool:
    """Whether a flag is set."""
    found = holder(die, name)
    return found is not None and bool(found.attributes[name].value)


def text(die: Die, name: str) -> str:
    """A string attribute; "" where it is not there."""
    found = holder(die, name)
    value = found.attributes[name].value if found is not None else b""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else ""


def name_of(die: Die) -> str:
    """The name of an entry; "" if it has none."""
    return text(die, "DW_AT_name")


def target(die: Die, name: str) -> Die | None:
    """The entry that an attribute refers to."""
    found = holder(die, name)
    return None if found is None else _referred(found, found.attributes[name])


def _referred(die: Die, attribute: DebugAttribute) -> Die:
    if attribute.kind == ENTRY:
        return die.file.entry(attribute.value)
    if attribute.kind == SIGNATURE:
        return die.file.of_signature(attribute.value)
    raise DebugError("an attribute is no reference to an entry")


def origin(die: Die) -> Die:
    """The entry at the end of the chain of abstract origins and declarations."""
    return list(origins(die))[-1]


def children(die: Die) -> Iterator[Die]:
    """The entries below; those of an imported unit stand for it."""
    yield from _children(die, set())


def _children(die: Die, above: set[int]) -> Iterator[Die]:
    for child in die.iter_children():
        if child.tag != "DW_TAG_imported_unit":
            yield child
            continue
        unit = target(child, "DW_AT_import")
        if unit is not None and unit.offset not in above:
            above.add(unit.offset)
            yield from _children(unit, above)


def decl_file(die: Die) -> tuple[Die, int] | None:
    """Whose unit's file table, and which entry of it, says where this was declared."""
    found = holder(die, "DW_AT_decl_file")
    if found is None:
        return None
    return found, number(found, "DW_AT_decl_file") or 0
