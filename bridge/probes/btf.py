"""BTF of the running kernel -> the arguments of its tracepoints and the members of its types.

Comes in: the bytes of /sys/kernel/btf/vmlinux. Goes out: parameters with types, and for a path
like `next->signal->pids` the offsets to follow. One rule: nothing is decoded before it is asked
for, because the kernel has more than a hundred thousand types.
Source: Documentation/bpf/btf.rst.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING

from bridge.errors import BridgeError
from bridge.formats import btf as layout
from bridge.probes.types import Member, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from struct import Struct


class BtfKind(IntEnum):
    """The kinds of BTF types."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


_MODIFIERS = {
    BtfKind.TYPEDEF,
    BtfKind.VOLATILE,
    BtfKind.CONST,
    BtfKind.RESTRICT,
    BtfKind.TYPE_TAG,
}
_COMPOSITES = {BtfKind.STRUCT, BtfKind.UNION}
_SIGNED, _BOOL = 1 << 24, 1 << 26
_TRACEPOINT = "__traceiter_"
"""Before an event's name: the function that calls what is attached to it."""


_TAGGED = {
    "struct": (BtfKind.STRUCT,),
    "union": (BtfKind.UNION,),
    "enum": (BtfKind.ENUM, BtfKind.ENUM64),
}
"""What stands before the names of types that have a room of their own."""


_WORDS = {
    "long": "long int",
    "unsigned long": "long unsigned int",
    "short": "short int",
    "unsigned short": "short unsigned int",
    "long long": "long long int",
    "unsigned long long": "long long unsigned int",
}
"""What the compiler calls types that are words."""


class BtfError(BridgeError):
    """The bytes are not BTF that this reader knows."""


@dataclass(frozen=True, slots=True)
class Record:
    """One type record: its kind, name, element count, and `size` or referred `type`."""

    kind: BtfKind
    name: str
    count: int
    size_or_type: int
    flag: bool
    trailer: int
    """Offset of what follows the record."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a function prototype."""

    name: str
    type: int


class Btf:
    """The types of one BTF image, by number (1, 2, …; 0 is void)."""

    def __init__(self, data: bytes) -> None:
        magic = layout.MAGIC.to_bytes(2, "little")
        if len(data) < layout.HEADER.sizeof() or data[:2] != magic:
            raise BtfError("not BTF: no magic number 0xeb9f at the start")
        header = layout.HEADER.parse(data)
        self._data = data
        self._types_at = header.hdr_len + header.type_off
        self._types_end = self._types_at + header.type_len
        self._strings_at = header.hdr_len + header.str_off
        self._strings_end = self._strings_at + header.str_len
        self._offsets_of: dict[str, tuple[int, ...]] = {}
        self.moved: Mapping[str, Mapping[str, Sequence[tuple[str, ...]]]] = {}
        """Other names of members, by the structure: where they are today."""
        if max(self._types_end, self._strings_end) > len(data):
            raise BtfError("not BTF: the header describes more bytes than there are")

    def section(self, which: str) -> bytes:
        """The bytes of the types ("type") or of the strings ("string")."""
        if which == "type":
            return self._data[self._types_at : self._types_end]
        return self._data[self._strings_at : self._strings_end]

    @property
    def _offsets(self) -> list[int]:
        """Where the record of each type starts; entry 0 stands for void."""
        return self._index[0]

    @cached_property
    def _index(self) -> tuple[list[int], dict[int, int]]:
        """The offsets of the records, and the functions by the offset of their names."""
        offsets, at, end = [0], self._types_at, self._types_end
        functions: dict[int, int] = {}
        unpack, trailers = layout.TYPE_FAST.unpack_from, layout.TRAILER_BYTES
        function = BtfKind.FUNC.value
        while at < end:
            name, info, _ = unpack(self._data, at)
            kind = info >> 24 & 31
            if kind == function:
                functions.setdefault(name, len(offsets))
            if kind not in trailers:
                raise BtfError(f"byte {at:#x}: unknown kind {kind}")
            fixed, each = trailers[kind]
            offsets.append(at)
            at += 12 + fixed + each * (info & 0xFFFF)
        return offsets, functions

    def declared(self, text: str) -> int | None:
        """The type that C declares so: `struct list_head`, `char *`, `int[4]`."""
        head, bracket, counts = text.partition("[")
        base = head.rstrip("* ")
        word, _, tag = base.rpartition(" ")
        kinds = _TAGGED.get(word, (BtfKind.TYPEDEF, BtfKind.INT))
        named = tag if word in _TAGGED else _WORDS.get(base, base)
        number = next((n for kind in kinds if (n := self.find(kind, named)) is not None), None)
        for _ in range(head.count("*")):
            number = self._derived(BtfKind.PTR, number)
        for count in reversed(counts.rstrip("]").split("][") if bracket else []):
            number = self._derived(BtfKind.ARRAY, number, int(count))
        return number

    def _derived(self, kind: BtfKind, of: int | None, count: int = 0) -> int | None:
        """The pointer to a type, or the array of it, if the kernel has one."""
        unpack = layout.TYPE_FAST.unpack_from
        for number, at in enumerate(self._offsets[1:] if of is not None else (), 1):
            _, info, value = unpack(self._data, at)
            if info >> 24 & 31 != kind:
                continue
            if kind is BtfKind.PTR and value == of:
                return number
            if kind is BtfKind.ARRAY:
                element, _, length = layout.ARRAY_FAST.unpack_from(self._data, at + 12)
                if (element, length) == (of, count):
                    return number
        return None

    def _string(self, offset: int) -> str:
        start = self._strings_at + offset
        return self._data[start : self._data.index(b"\0", start)].decode()

    def record(self, number: int) -> Record:
        """The record of type `number`; IndexError if there is none."""
        if number == 0:
            return Record(BtfKind.VOID, "void", 0, 0, False, 0)
        at = self._offsets[number]
        name, info, value = layout.TYPE_FAST.unpack_from(self._data, at)
        return Record(
            BtfKind(info >> 24 & 31),
            self._string(name),
            info & 0xFFFF,
            value,
            bool(info >> 31),
            at + 12,
        )

    @cached_property
    def _named(self) -> dict[int, int]:
        """The first type of each kind and name, by both in one number."""
        found: dict[int, int] = {}
        unpack, data = layout.TYPE_FAST.unpack_from, self._data
        for number, at in enumerate(self._offsets[1:], 1):
            name, info, _ = unpack(data, at)
            if name:
                found.setdefault(name << 5 | info >> 24 & 31, number)
        return found

    def find(self, kind: BtfKind, name: str) -> int | None:
        """The number of the first type of a kind with a name."""
        offsets = self._name_offsets(name)
        if kind is BtfKind.FUNC:  # known without a look at all other names
            found: Iterator[int | None] = map(self._index[1].get, offsets)
        else:
            found = (self._named.get(offset << 5 | kind) for offset in offsets)
        return min((number for number in found if number is not None), default=None)

    def _name_offsets(self, name: str) -> tuple[int, ...]:
        """Where a name stands among the strings; those of modules repeat the kernel's."""
        known = self._offsets_of.get(name)
        if known is None:
            found, wanted, at = [], b"\0" + name.encode() + b"\0", self._strings_at
            while (at := self._data.find(wanted, at, self._strings_end)) >= 0:
                at += 1
                found.append(at - self._strings_at)
            known = self._offsets_of[name] = tuple(found)
        return known

    def strip(self, number: int) -> int:
        """The type below typedefs and qualifiers."""
        record = self.record(number)
        while record.kind in _MODIFIERS:
            number = record.size_or_type
            record = self.record(number)
        return number

    def pointee(self, number: int) -> int | None:
        """What a pointer type (below qualifiers) points to; None if it is no pointer."""
        record = self.record(self.strip(number))
        return record.size_or_type if record.kind is BtfKind.PTR else None

    def element(self, number: int) -> int | None:
        """The element type of an array; None if it is no array."""
        record = self.record(self.strip(number))
        if record.kind is not BtfKind.ARRAY:
            return None
        return int(layout.ARRAY_FAST.unpack_from(self._data, record.trailer)[0])

    def size(self, number: int) -> int:
        """The size of a type in bytes."""
        record = self.record(self.strip(number))
        if record.kind is BtfKind.PTR:
            return 8
        if record.kind is BtfKind.ARRAY:
            element, _, count = layout.ARRAY_FAST.unpack_from(self._data, record.trailer)
            return self.size(element) * int(count)
        return record.size_or_type if record.kind in _SIZED else 0

    def is_signed(self, number: int) -> bool:
        """Whether a type is a signed integer (an enumeration counts by its flag)."""
        record = self.record(self.strip(number))
        if record.kind is BtfKind.INT:
            return bool(layout.WORD_FAST.unpack_from(self._data, record.trailer)[0] & _SIGNED)
        return record.kind in {BtfKind.ENUM, BtfKind.ENUM64} and record.flag

    def is_decimal(self, number: int) -> bool:
        """Whether it is anything but an unsigned integer."""
        record = self.record(self.strip(number))
        if record.kind is not BtfKind.INT:
            return True
        word = layout.WORD_FAST.unpack_from(self._data, record.trailer)[0]
        return bool(word & (_SIGNED | _BOOL))

    def shape(self, number: int) -> Shape:
        """What a type is, below typedefs and qualifiers."""
        record = self.record(self.strip(number))
        if record.kind is BtfKind.INT and record.size_or_type == 1 and "char" in record.name:
            return Shape.CHAR
        return _SHAPES.get(record.kind, Shape.OTHER)

    def elsewhere(self, number: int, member: str) -> Sequence[tuple[str, ...]]:
        """Where a member of a structure may be today, as paths; the last may be a reason."""
        return self.moved.get(self.record(self.strip(number)).name, {}).get(member, ())

    def place(self, _number: int) -> str:
        """Where a type was declared: BTF does not tell."""
        return ""

    def is_scalar(self, number: int) -> bool:
        """Whether a value of the type is a number: integer, enumeration or pointer."""
        return self.record(self.strip(number)).kind in _SCALARS

    def name(self, number: int) -> str:
        """The C name of a type, as far as one word or two can say it."""
        record = self.record(number)
        match record.kind:
            case BtfKind.PTR:
                return f"{self.name(record.size_or_type)}*"
            case BtfKind.STRUCT | BtfKind.UNION | BtfKind.ENUM | BtfKind.ENUM64:
                word = (
                    "enum"
                    if record.kind in {BtfKind.ENUM, BtfKind.ENUM64}
                    else record.kind.name.lower()
                )
                return f"{word} {record.name or '{...}'}"
            case BtfKind.ARRAY:
                count = layout.ARRAY_FAST.unpack_from(self._data, record.trailer)[2]
                return f"{self.name(self.element(number) or 0)}[{count}]"
            case BtfKind.CONST | BtfKind.VOLATILE | BtfKind.RESTRICT | BtfKind.TYPE_TAG:
                return self.name(record.size_or_type)
            case _:
                return record.name or record.kind.name.lower()

    def members(self, number: int) -> Iterator[Member]:
        """The direct members of a struct or union; unnamed ones have the name ""."""
        record = self.record(number)
        for index in range(record.count):
            name, type_, offset = layout.MEMBER_FAST.unpack_from(
                self._data, record.trailer + 12 * index
            )
            bits = offset >> 24 if record.flag else 0
            yield Member(
                self._string(name), type_, offset & 0xFFFFFF if record.flag else offset, bits
            )

    @cached_property
    def _tracepoints(self) -> dict[str, int]:
        """The function of each tracepoint, by the event's name."""
        start, length = _TRACEPOINT.encode(), len(_TRACEPOINT)
        found = {}
        for offset, function in self._index[1].items():
            at = self._strings_at + offset
            if self._data[at : at + length] == start:
                found[self._string(offset + length)] = function
        return found

    def tracepoints(self) -> list[str]:
        """The names of all tracepoints, sorted."""
        return sorted(self._tracepoints)

    def parameters(self, prototype: int) -> tuple[Parameter, ...]:
        """The parameters of a function prototype."""
        record = self.record(prototype)
        return tuple(
            Parameter(self._string(name), type_)
            for name, type_ in layout.PARAMETER_FAST.iter_unpack(
                self._data[record.trailer : record.trailer + 8 * record.count]
            )
        )

    def tracepoint(self, event: str) -> tuple[Parameter, ...] | None:
        """The arguments of the tracepoint `event`; None if the kernel has no such tracepoint.

        They are those of the function `__traceiter_EVENT` that calls the probes, without the
        first one (the probe's own data).
        """
        function = self._tracepoints.get(event)
        if function is None:
            return None
        return self.parameters(self.record(function).size_or_type)[1:]

    def enumerator(self, name: str) -> int | None:
        """The value of an enumeration's constant."""
        wanted = self._name_offsets(name)
        unpack = layout.TYPE_FAST.unpack_from
        for at in self._offsets[1:] if wanted else ():
            _, info, _ = unpack(self._data, at)
            form = _ENUMERATORS.get(info >> 24 & 31)
            if form is not None:
                value = self._enumerated(at + 12, info & 0xFFFF, form[info >> 31], wanted)
                if value is not None:
                    return value
        return None

    def _enumerated(
        self, at: int, count: int, form: Struct, wanted: tuple[int, ...]
    ) -> int | None:
        """The value of a constant among those that begin at a byte."""
        for offset, low, *high in form.iter_unpack(self._data[at : at + form.size * count]):
            if offset in wanted:
                return int(low | high[0] << 32) if high else int(low)
        return None


def merged(base: bytes, split: bytes) -> bytes:
    """The types of the kernel and of a module as one image.

    Those of a module (/sys/kernel/btf/MODULE) go on counting where the kernel's end, in types
    and in strings.
    """
    first, second = Btf(base), Btf(split)
    parts = [first.section("type"), second.section("type")]
    strings = [first.section("string"), second.section("string")]
    header = {
        "version": 1,
        "flags": 0,
        "hdr_len": layout.HEADER.sizeof(),
        "type_off": 0,
        "type_len": sum(map(len, parts)),
        "str_off": sum(map(len, parts)),
        "str_len": sum(map(len, strings)),
    }
    return bytes(layout.HEADER.build(header) + b"".join(parts + strings))


_ENUMERATORS = {
    BtfKind.ENUM.value: (layout.ENUM_FAST, layout.SIGNED_ENUM_FAST),
    BtfKind.ENUM64.value: (layout.ENUM64_FAST, layout.SIGNED_ENUM64_FAST),
}
"""The layout of constants by kind: unsigned ones, signed ones."""
_SIZED = {
    BtfKind.INT,
    BtfKind.STRUCT,
    BtfKind.UNION,
    BtfKind.ENUM,
    BtfKind.ENUM64,
    BtfKind.FLOAT,
}
_SCALARS = {BtfKind.INT, BtfKind.ENUM, BtfKind.ENUM64, BtfKind.PTR}
_SHAPES = {
    BtfKind.VOID: Shape.VOID,
    BtfKind.INT: Shape.NUMBER,
    BtfKind.ENUM: Shape.NUMBER,
    BtfKind.ENUM64: Shape.NUMBER,
    BtfKind.FLOAT: Shape.FLOAT,
    BtfKind.PTR: Shape.POINTER,
    BtfKind.ARRAY: Shape.ARRAY,
    BtfKind.STRUCT: Shape.STRUCT,
    BtfKind.UNION: Shape.UNION,
    BtfKind.FUNC_PROTO: Shape.FUNCTION,
}
