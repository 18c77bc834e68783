"""Types in debug information: an implementation of `targets.types.Types`.

A type's number is the ref of its entry (0: void). Declarations are replaced by the definition
of the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.formats import debug_index as layout
from bridge.formats import dwarf as names
from bridge.probes.dwarf import die as entries
from bridge.probes.types import WORD, Member, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.probes.dwarf.debug import Die
    from bridge.probes.dwarf.image import DebugImage

_MODIFIERS = frozenset(
    f"DW_TAG_{word}_type"
    for word in ("const", "volatile", "restrict", "atomic", "immutable", "packed", "shared")
) | {"DW_TAG_typedef"}
_SHAPES = {
    "DW_TAG_enumeration_type": Shape.NUMBER,
    "DW_TAG_pointer_type": Shape.POINTER,
    "DW_TAG_reference_type": Shape.REFERENCE,
    "DW_TAG_rvalue_reference_type": Shape.REFERENCE,
    "DW_TAG_array_type": Shape.ARRAY,
    "DW_TAG_structure_type": Shape.STRUCT,
    "DW_TAG_union_type": Shape.UNION,
    "DW_TAG_class_type": Shape.CLASS,
    "DW_TAG_subroutine_type": Shape.FUNCTION,
}
# DW_ATE_*: DWARF 5, table 7.11.
_FLOATS = frozenset({3, 4, 9})
_CHARACTERS = frozenset({6, 8, 16})
_SIGNED = frozenset({5, 6})
_UNSIGNED = frozenset({7, 8})
_WORDS = {
    "DW_TAG_structure_type": "struct",
    "DW_TAG_union_type": "union",
    "DW_TAG_class_type": "class",
    "DW_TAG_enumeration_type": "enum",
}
_QUALIFIERS = {
    "DW_TAG_const_type": "const",
    "DW_TAG_volatile_type": "volatile",
    "DW_TAG_restrict_type": "restrict",
}
_POINTERS = {
    "DW_TAG_pointer_type": "*",
    "DW_TAG_reference_type": "&",
    "DW_TAG_rvalue_reference_type": "&&",
}


class DwarfTypes:
    """The types of an image."""

    def __init__(self, image: DebugImage) -> None:
        self._image = image
        self._definitions: dict[tuple[str, str], int] = {}
        self._stripped: dict[int, int] = {}
        self._shapes: dict[int, Shape] = {}
        self._names: dict[int, str] = {}

    # --- entries ---

    def number(self, die: Die | None) -> int:
        """The number of a type's entry."""
        return 0 if die is None else die.offset

    def of(self, die: Die) -> int:
        """The type that an entry has."""
        return self.number(entries.target(die, "DW_AT_type"))

    def die(self, number: int) -> Die:
        """The entry of a type."""
        return self._image.debug.entry(number)

    # --- targets.types.Types ---

    def strip(self, number: int) -> int:
        """The type below typedefs and qualifiers, defined if it is anywhere."""
        found = self._stripped.get(number)
        if found is None:
            found = self._stripped[number] = self._strip(number)
        return found

    def _strip(self, number: int) -> int:
        for _ in range(entries.MOST_LINKS * 4):
            if number == 0:
                return 0
            die = self.die(number)
            if die.tag not in _MODIFIERS:
                return self._defined(number)
            number = self.of(die)
        return 0

    def _defined(self, number: int) -> int:
        die = self.die(number)
        if entries.own(die, "DW_AT_signature") is not None:  # it is in a type unit
            return self.number(entries.target(die, "DW_AT_signature"))
        name = entries.name_of(die)
        if die.tag not in _WORDS or not name or not entries.flag(die, "DW_AT_declaration"):
            return number
        key = die.tag, name
        if key not in self._definitions:
            self._definitions[key] = self.find(name, (die.tag,)) or number
        return self._definitions[key]

    def find(self, name: str, tags: tuple[str, ...]) -> int:
        """The definition of a type by its name; 0 if there is none."""
        found = self._image.index.named(name, layout.NAME_TYPE)
        for tag in tags:
            for record in found:
                if names.TAGS.get(record.tag) == tag:
                    return record.ref
        return 0

    def shape(self, number: int) -> Shape:
        """What it is."""
        found = self._shapes.get(number)
        if found is None:
            found = self._shapes[number] = self._shape(number)
        return found

    def _shape(self, number: int) -> Shape:
        number = self.strip(number)
        if number == 0:
            return Shape.VOID
        die = self.die(number)
        if die.tag != "DW_TAG_base_type":
            return _SHAPES.get(die.tag, Shape.OTHER)
        encoding = self._encoding(die)
        if encoding in _FLOATS:
            return Shape.FLOAT
        return Shape.CHAR if encoding in _CHARACTERS else Shape.NUMBER

    def _encoding(self, die: Die) -> int:
        return entries.number(die, "DW_AT_encoding") or 0

    def pointee(self, number: int) -> int | None:
        """What a pointer or reference points to."""
        number = self.strip(number)
        if number == 0 or self.die(number).tag not in _POINTERS:
            return None
        return self.of(self.die(number))

    def element(self, number: int) -> int | None:
        """The element type of an array; of several dimensions, the first is followed."""
        number = self.strip(number)
        if number == 0 or self.die(number).tag != "DW_TAG_array_type":
            return None
        return self.of(self.die(number))

    def size(self, number: int) -> int:
        """Its size in bytes."""
        number = self.strip(number)
        if number == 0:
            return 0
        die = self.die(number)
        size = entries.number(die, "DW_AT_byte_size")
        if size is not None:
            return size
        if die.tag in _POINTERS:
            return WORD
        if die.tag == "DW_TAG_array_type":
            return self._array_size(die)
        return self.size(self.of(die)) if die.tag == "DW_TAG_enumeration_type" else 0

    def _array_size(self, die: Die) -> int:
        size = self.size(self.of(die))
        for child in die.iter_children():
            if child.tag == "DW_TAG_subrange_type":
                size *= _count(child)
        return size

    def is_signed(self, number: int) -> bool:
        """Whether it is a signed integer."""
        number = self.strip(number)
        if number == 0 or self.die(number).tag != "DW_TAG_base_type":
            return False
        return self._encoding(self.die(number)) in _SIGNED

    def is_decimal(self, number: int) -> bool:
        """Whether it is anything but an unsigned integer."""
        number = self.strip(number)
        return number == 0 or self._encoding(self.die(number)) not in _UNSIGNED

    def name(self, number: int, depth: int = 0) -> str:
        """Its C name, qualifiers behind what they qualify, as SystemTap writes it."""
        if number == 0 or depth > entries.MOST_LINKS:
            return "void"
        die = self.die(number)
        if die.tag in _QUALIFIERS:
            return f"{self.name(self.of(die), depth + 1)} {_QUALIFIERS[die.tag]}"
        if die.tag in _POINTERS:
            return self._pointer_name(die, depth)
        if die.tag == "DW_TAG_array_type":
            return f"{self.name(self.of(die), depth + 1)}[]"
        word = _WORDS.get(die.tag, "")
        name = entries.name_of(die) or "{...}"
        return f"{word} {name}" if word else name

    def _pointer_name(self, die: Die, depth: int) -> str:
        pointee = self.of(die)
        if pointee and self.die(pointee).tag == "DW_TAG_subroutine_type":
            return self._function_name(self.die(pointee), depth)
        return f"{self.name(pointee, depth + 1)}{_POINTERS[die.tag]}"

    def _function_name(self, die: Die, depth: int) -> str:
        parameters = ", ".join(
            self.name(self.of(child), depth + 1)
            for child in die.iter_children()
            if child.tag == "DW_TAG_formal_parameter"
        )
        return f"{self.name(self.of(die), depth + 1)} (*)({parameters})"

    def elsewhere(self, _number: int, _member: str) -> Sequence[tuple[str, ...]]:
        """Where a member may be today: a program's types are those that it was made with."""
        return ()

    def place(self, number: int) -> str:
        """Where it was declared."""
        number = self.strip(number)
        if number == 0:
            return ""
        die = self.die(number)
        file, line = self._image.unit_of(die).file(die)
        return f" ({file}:{line})" if file and line else ""

    def members(self, number: int) -> Iterator[Member]:
        """The direct members; base classes are marked."""
        if number == 0:
            return
        for child in entries.children(self.die(number)):
            if child.tag not in ("DW_TAG_member", "DW_TAG_inheritance"):
                continue
            if entries.flag(child, "DW_AT_declaration") or entries.flag(
                child, "DW_AT_external"
            ):
                continue  # a static member
            yield self._member(child)

    def _member(self, die: Die) -> Member:
        base = die.tag == "DW_TAG_inheritance"
        name = "" if base else entries.name_of(die)
        bits = entries.number(die, "DW_AT_bit_size") or 0
        return Member(name, self.of(die), self._offset_bits(die, bits), bits, base)

    def _offset_bits(self, die: Die, bits: int) -> int:
        direct = entries.number(die, "DW_AT_data_bit_offset")
        if direct is not None:
            return direct
        start = 8 * _location(die)
        from_the_top = entries.number(die, "DW_AT_bit_offset")
        if from_the_top is None:
            return start
        # DWARF 3: counted from the most significant bit of the storage unit
        size = entries.number(die, "DW_AT_byte_size") or self.size(self.of(die))
        return start + 8 * size - from_the_top - bits

    # --- constants ---

    def enumerators(self, die: Die) -> Iterator[tuple[str, int]]:
        """The constants of an enumeration."""
        for child in die.iter_children():
            value = entries.own(child, "DW_AT_const_value")
            if child.tag == "DW_TAG_enumerator" and value is not None:
                yield entries.name_of(child), int(value.value)


def _count(die: Die) -> int:
    """The elements of one dimension."""
    count = entries.number(die, "DW_AT_count")
    if count is not None:
        return count
    upper = entries.number(die, "DW_AT_upper_bound")
    lower = entries.number(die, "DW_AT_lower_bound") or 0
    return upper - lower + 1 if upper is not None else 0


def _location(die: Die) -> int:
    """The offset of a member in bytes; 0 in a union."""
    found = entries.own(die, "DW_AT_data_member_location")
    if found is None:
        return 0
    if isinstance(found.value, int):
        return int(found.value)
    # DWARF 2: the expression DW_OP_plus_uconst N
    code = bytes(found.value)
    if code[:1] == b"\x23":
        value = shift = 0
        for byte in code[1:]:
            value |= (byte & 0x7F) << shift
            shift += 7
        return value
    raise ValueError("the offset of a member is computed")
