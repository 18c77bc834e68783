"""Field types of scopes -> the ops of the C side (`csrc/trace/ctf.cdef.h`).

A length or a tag is found where its name leads: in the enclosing structures, then in the scopes
before; or from a scope on, if the name starts with one (CTF 1.8, section 7.3.2). What is found
stores its value in a variable, which the sequence or variant reads.
"""

from __future__ import annotations

from dataclasses import field, fields, replace
from enum import Enum
from operator import attrgetter
from typing import TYPE_CHECKING, Any, assert_never

from bridge._native import ffi, lib
from bridge.trace.model import (
    BYTES,
    Enumeration,
    Field,
    FieldType,
    FixedArray,
    Float,
    Integer,
    Optional,
    Ranges,
    Sequence,
    Struct,
    Text,
    Variant,
    is_raw,
    names_of,
)
from bridge.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class LayoutError(Exception):
    """A description that cannot be laid out; the message says which field and why."""


class CtfScope(Enum):
    """Where a structure stands in a stream, in order; the value is its name in the language."""

    PACKET_HEADER = "trace.packet.header"
    PACKET_CONTEXT = "stream.packet.context"
    EVENT_HEADER = "stream.event.header"
    EVENT_CONTEXT = "stream.event.context"
    CONTEXT = "event.context"
    PAYLOAD = "event.fields"


ROLES: dict[CtfScope, dict[str, int]] = {
    CtfScope.PACKET_HEADER: {
        "magic": lib.MB_CTF_ROLE_MAGIC,
        "stream_id": lib.MB_CTF_ROLE_STREAM,
        "stream_instance_id": lib.MB_CTF_ROLE_INSTANCE,
    },
    CtfScope.PACKET_CONTEXT: {
        "timestamp_begin": lib.MB_CTF_ROLE_BEGIN,
        "timestamp_end": lib.MB_CTF_ROLE_END,
        "content_size": lib.MB_CTF_ROLE_CONTENT,
        "packet_size": lib.MB_CTF_ROLE_PACKET,
        "packet_seq_num": lib.MB_CTF_ROLE_SEQUENCE,
        "events_discarded": lib.MB_CTF_ROLE_DISCARDED,
        "cpu_id": lib.MB_CTF_ROLE_CPU,
    },
    CtfScope.EVENT_HEADER: {"id": lib.MB_CTF_ROLE_ID},
}
"""What fields of these names say in CTF 1.8."""
DECLARED_ROLES: dict[str, int] = {
    "packet-magic-number": lib.MB_CTF_ROLE_MAGIC,
    "metadata-stream-uuid": lib.MB_CTF_ROLE_UUID,
    "data-stream-class-id": lib.MB_CTF_ROLE_STREAM,
    "data-stream-id": lib.MB_CTF_ROLE_INSTANCE,
    "default-clock-timestamp": lib.MB_CTF_ROLE_BEGIN,
    "packet-end-default-clock-timestamp": lib.MB_CTF_ROLE_END,
    "packet-content-length": lib.MB_CTF_ROLE_CONTENT,
    "packet-total-length": lib.MB_CTF_ROLE_PACKET,
    "packet-sequence-number": lib.MB_CTF_ROLE_SEQUENCE,
    "discarded-event-record-counter-snapshot": lib.MB_CTF_ROLE_DISCARDED,
    "event-record-class-id": lib.MB_CTF_ROLE_ID,
}
"""What fields with these roles say in CTF 2."""


ELEMENT = "[]"
"""Stands in paths for an element of an array."""


@dataclass(frozen=True, slots=True)
class CtfOp:
    """One `struct mb_ctf_op`."""

    kind: int
    flags: int = 0
    bits: int = 0
    align: int = 1
    count: int = 0
    source: int = 0
    body: int = 0
    store: int = -1
    roles: int = 0


@dataclass(frozen=True, slots=True)
class Stretch:
    """One `struct mb_ctf_scope`."""

    first: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class NamedValue:
    """A number or text that names can lead to: its op, its type, the names on the way there.

    `members` are the names of structures' fields alone; `around` the arrays, optional fields
    and options of variants that it is in, by their ops (variant: and the option).
    """

    op: int
    type: FieldType
    path: tuple[str, ...]
    members: tuple[str, ...] = ()
    around: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class PathEnd:
    """Where a path leads: the scope, the names of structures' fields there, and the type."""

    scope: CtfScope
    members: tuple[str, ...]
    type: FieldType


Names = dict[CtfScope, list[NamedValue]]


def alignment(type_: FieldType) -> int:
    """The alignment of a field in bits."""
    match type_:
        case Integer(align_bits=bits) | Float(align_bits=bits):
            return bits
        case Enumeration(container=container):
            return container.align_bits
        case Text():
            return 8
        case FixedArray(element=element, align_bits=bits):
            return max(bits, alignment(element))
        case Sequence(element=element, align_bits=bits):
            return max(bits, alignment(element))
        case Struct(fields=fields, align_bits=bits):
            return max([bits, *(alignment(f.type) for f in fields)])
        case Variant() | Optional():
            return 1
        case _:
            assert_never(type_)


@dataclass(slots=True)
class Assembler:
    """Builds the ops of all scopes of a trace in one list; `clocks` numbers them by name.

    `exact`: as in CTF 2, roles are declared and paths start at a scope; else names tell.
    """

    clocks: Mapping[str, int] = field(default_factory=dict)
    exact: bool = False
    loose: bool = False
    """Paths may be those of either version; the context has what missing scopes would have."""
    places: list[PathEnd] = field(default_factory=list)
    """Where the paths lead, in the order of the fields that have them."""
    ops: list[CtfOp] = field(default_factory=list)
    ranges: list[tuple[int, int]] = field(default_factory=list)
    variables: int = 0
    _known: Names = field(default_factory=dict)
    _by_path: dict[CtfScope, dict[tuple[str, ...], NamedValue]] = field(default_factory=dict)
    _by_members: dict[CtfScope, dict[tuple[str, ...], list[NamedValue]]] = field(
        default_factory=dict
    )
    _scope: CtfScope = CtfScope.PAYLOAD
    _declared: set[CtfScope] = field(default_factory=set)
    _members: tuple[str, ...] = ()
    _around: tuple[tuple[int, int], ...] = ()

    def scope(self, scope: CtfScope, struct: Struct | None) -> Stretch:
        """Add a scope; those before it in the stream must have been added."""
        self._scope = scope
        self._declared.add(scope)
        order = list(CtfScope)
        for later in order[order.index(scope) :]:
            self._known[later] = []
            self._by_path[later] = {}
            self._by_members[later] = {}
        if struct is None:
            return Stretch()
        first = len(self.ops)
        self._members = self._around = ()
        self._emit(struct, ())
        return Stretch(first, len(self.ops) - first)

    def names(self) -> Names:
        """What is known in the scopes added last."""
        return dict(self._known)

    def variable(self, known: NamedValue) -> int:
        """The variable for a number, or for the pointer of a text (its length is next)."""
        return self._stored([known])

    # --- fields ---

    def _emit(self, type_: FieldType, path: tuple[str, ...]) -> None:
        match type_:
            case Integer() | Enumeration():
                self._number(type_, path)
            case Float():
                self._add(lib.MB_CTF_REAL, _order(type_), type_.bits, type_.align_bits)
            case Text():
                self._know(type_, path)
                bits = 8 * width(type_.encoding)
                self._add(lib.MB_CTF_TEXT, bits=0 if bits == 8 else bits, align=8)
            case FixedArray():
                self._array(type_, path)
            case Sequence():
                self._sequence(type_, path)
            case Struct(fields=fields):
                self._add(lib.MB_CTF_ALIGN, align=alignment(type_))
                for member in fields:
                    self._members = (*self._members, member.name)
                    self._emit(member.type, (*path, member.name))
                    self._members = self._members[:-1]
            case Variant():
                self._variant(type_, path)
            case Optional():
                self._optional(type_, path)
            case _:
                assert_never(type_)

    def _know(self, type_: FieldType, path: tuple[str, ...]) -> None:
        known = NamedValue(len(self.ops), type_, path, self._members, self._around)
        self._known[self._scope].append(known)
        self._by_path[self._scope][path] = known
        self._by_members[self._scope].setdefault(self._members, []).append(known)

    def _add(
        self, kind: int, flags: int = 0, bits: int = 0, align: int = 1, count: int = 0
    ) -> int:
        self.ops.append(CtfOp(kind, flags, bits, align, count))
        return len(self.ops) - 1

    def _number(self, declared: Integer | Enumeration, path: tuple[str, ...]) -> None:
        type_ = declared if isinstance(declared, Integer) else declared.container
        if not 1 <= type_.bits <= 64:
            raise LayoutError(f"field `{'.'.join(path)}`: integers have 1 to 64 bits")
        flags = (lib.MB_CTF_SIGNED if type_.signed else 0) | _order(type_)
        flags |= lib.MB_CTF_BOOL if type_.form == "bool" else 0
        clock = self.clocks.get(type_.clock) if type_.clock else None
        roles = self._roles(type_, path)
        if clock is not None and not roles & 1 << lib.MB_CTF_ROLE_END:
            flags |= lib.MB_CTF_CLOCK
        self._know(declared, path)
        kind = lib.MB_CTF_LEB if type_.form == "leb128" else lib.MB_CTF_INT
        bits, align = type_.bits, type_.align_bits
        self.ops.append(CtfOp(kind, flags, bits, align, source=clock or 0, roles=roles))

    def _roles(self, type_: Integer | FixedArray, path: tuple[str, ...]) -> int:
        if self.exact:
            is_cpu = self._scope is CtfScope.PACKET_CONTEXT and path == ("cpu_id",)
            own = 1 << lib.MB_CTF_ROLE_CPU if is_cpu else 0
            return own | sum(1 << DECLARED_ROLES[role] for role in set(type_.roles))
        if isinstance(type_, FixedArray):
            is_uuid = path == ("uuid",) and self._scope is CtfScope.PACKET_HEADER
            return 1 << lib.MB_CTF_ROLE_UUID if is_uuid else 0
        roles = ROLES.get(self._scope, {})
        deep = (
            self._scope is CtfScope.EVENT_HEADER
        )  # LTTng's extended identifier is in a variant
        role = roles.get(path[-1]) if path and (deep or len(path) == 1) else None
        return 0 if role is None else 1 << role

    def _blob(self, type_: FixedArray, path: tuple[str, ...]) -> None:
        assert isinstance(type_.element, Integer)
        padded = type_.element.encoding != BYTES and width(type_.element.encoding) == 1
        flags = 0 if padded else lib.MB_CTF_KEEP
        self._know(type_, path)
        at = self._add(lib.MB_CTF_BLOB, flags, align=alignment(type_), count=type_.length)
        self.ops[at] = replace(self.ops[at], roles=self._roles(type_, path))

    def _array(self, type_: FixedArray, path: tuple[str, ...]) -> None:
        if is_raw(type_.element):
            self._blob(type_, path)
            return
        at = self._add(lib.MB_CTF_ARRAY, align=alignment(type_), count=type_.length)
        self.ops[at] = replace(self.ops[at], roles=self._roles(type_, path))
        self._body(at, type_.element, (*path, ELEMENT))

    def _body(
        self, at: int, element: FieldType, path: tuple[str, ...], option: int = 0
    ) -> None:
        around, self._around = self._around, (*self._around, (at, option))
        self._emit(element, path)
        self._around = around
        self.ops[at] = replace(self.ops[at], body=len(self.ops) - at - 1)

    def _sequence(self, type_: Sequence, path: tuple[str, ...]) -> None:
        if type_.count is not None:
            raise LayoutError(f"field `{'.'.join(path)}`: its length must be a field")
        found = self._find(type_.length, path)
        if self.exact and any(_container(known.type).signed for known in found):
            raise LayoutError(f"field `{'.'.join(path)}`: its length has a sign")
        variable = self._stored(found)
        if is_raw(type_.element):
            self._know(type_, path)
            at = self._add(lib.MB_CTF_BYTES, align=alignment(type_))
            self.ops[at] = replace(self.ops[at], source=variable)
            return
        at = self._add(lib.MB_CTF_SEQUENCE, align=alignment(type_))
        self.ops[at] = replace(self.ops[at], source=variable)
        self._body(at, type_.element, (*path, ELEMENT))

    def _variant(self, type_: Variant, path: tuple[str, ...]) -> None:
        tags = self._find(type_.tag, path)
        tag = tags[0].type
        if not type_.ranges and not isinstance(tag, Enumeration):
            raise LayoutError(f"field `{'.'.join(path)}`: tag `{type_.tag}` is no enumeration")
        if type_.ranges and _container(tag).form == "bool":
            raise LayoutError(f"field `{'.'.join(path)}`: tag `{type_.tag}` is no integer")
        signed = lib.MB_CTF_SIGNED if _container(tag).signed else 0
        at = self._add(lib.MB_CTF_VARIANT, signed, count=len(type_.options))
        self.ops[at] = replace(self.ops[at], source=self._stored(tags))
        for number, option in enumerate(type_.options):
            chosen = type_.ranges[number] if type_.ranges else labelled(option.name, tag)
            self._option(at, number, option, _within(chosen, tag, path), path)
        self.ops[at] = replace(self.ops[at], body=len(self.ops) - at - 1)

    def _optional(self, type_: Optional, path: tuple[str, ...]) -> None:
        tags = self._find(type_.tag, path)
        tag = tags[0].type
        if bool(type_.ranges) == (_container(tag).form == "bool"):
            wanted = "an integer" if type_.ranges else "a truth value"
            raise LayoutError(f"field `{'.'.join(path)}`: `{type_.tag}` is not {wanted}")
        flags = lib.MB_CTF_OPTIONAL | (lib.MB_CTF_SIGNED if _container(tag).signed else 0)
        at = self._add(lib.MB_CTF_VARIANT, flags, count=1)
        self.ops[at] = replace(self.ops[at], source=self._stored(tags))
        ranges = _within(type_.ranges, tag, path) if type_.ranges else [(1, 1)]
        self._option(at, 0, Field(ELEMENT, type_.element), ranges, path)
        self.ops[at] = replace(self.ops[at], body=len(self.ops) - at - 1)

    def _option(
        self,
        variant: int,
        number: int,
        option: Field,
        ranges: list[tuple[int, int]],
        path: tuple[str, ...],
    ) -> None:
        at = self._add(lib.MB_CTF_OPTION, count=len(ranges))
        self.ops[at] = replace(self.ops[at], source=len(self.ranges))
        self.ranges += ranges
        around, self._around = self._around, (*self._around, (variant, number))
        self._body(at, option.type, (*path, option.name))
        self._around = around

    # --- names ---

    def _stored(self, found: list[NamedValue]) -> int:
        """The variable of what is read last of these; they get one if they have none."""
        stores = {self.ops[known.op].store for known in found} - {-1}
        if stores:
            variable = min(stores)
        else:
            variable, self.variables = self.variables, self.variables + 2
        for at, op in enumerate(self.ops) if len(stores) > 1 else ():
            if op.store in stores:
                self.ops[at] = replace(op, store=variable)
            if op.kind in _SOURCES and op.source in stores:
                self.ops[at] = replace(self.ops[at], source=variable)
        for known in found:
            self.ops[known.op] = replace(self.ops[known.op], store=variable)
        return variable

    def _find(self, name: str, path: tuple[str, ...]) -> list[NamedValue]:
        """The number that a name leads to; several where options of a variant have it."""
        scope, names = self._place(name)
        found = self._all_at(scope, names) if self.exact else self._named(name, path)
        if self.loose and not found:
            found = self._all_at(scope, names)
        if not found or not all(isinstance(k.type, Integer | Enumeration) for k in found):
            raise LayoutError(f"field `{'.'.join(path)}`: no number `{name}` before it")
        if (
            len({(_container(k.type).signed, _container(k.type).form == "bool") for k in found})
            > 1
        ):
            raise LayoutError(f"field `{'.'.join(path)}`: `{name}` is of different types")
        places = (s for s, known in self._known.items() if found[0] in known)
        self.places.append(PathEnd(next(places), found[0].members, found[0].type))
        return found

    def _named(self, name: str, path: tuple[str, ...]) -> list[NamedValue]:
        """What a name of CTF 1.8 leads to: from a scope on, or outwards from where it is."""
        for scope in CtfScope:
            if name.startswith(scope.value + "."):
                return self._at(scope, names_of(name[len(scope.value) + 1 :]))
        return self._relative(names_of(name), path)

    def _place(self, name: str) -> tuple[CtfScope, tuple[str, ...]]:
        """The scope and the names of structures' fields that a path of CTF 2 leads to."""
        for scope in CtfScope:
            if name.startswith(scope.value + "."):
                is_there = not self.loose or scope in self._declared
                names = _walked((), names_of(name[len(scope.value) + 1 :]))
                return scope if is_there else CtfScope.CONTEXT, names
        return self._scope, _walked(self._members[:-1], names_of(name))

    def _relative(self, names: tuple[str, ...], path: tuple[str, ...]) -> list[NamedValue]:
        for depth in range(len(path) - 1, -1, -1):
            if found := self._at(self._scope, (*path[:depth], *names)):
                return found
        order = list(CtfScope)
        for scope in reversed(order[: order.index(self._scope)]):
            if found := self._at(scope, names):
                return found
        return []

    def _at(self, scope: CtfScope, names: tuple[str, ...]) -> list[NamedValue]:
        found = self._by_path.get(scope, {}).get(names)
        return [] if found is None else [found]

    def _all_at(self, scope: CtfScope, names: tuple[str, ...]) -> list[NamedValue]:
        """What has these names from a scope on, and is there whenever its reader is."""
        known = self._by_members.get(scope, {}).get(names, [])
        found = [k for k in known if self._is_reached(k)]
        return [] if self._lacks_an_option(found) else found

    def _lacks_an_option(self, found: list[NamedValue]) -> bool:
        """Whether a field is in some options only of a variant that its reader is not in."""
        inside = dict(self._around)
        options: dict[int, set[int]] = {}
        for at, option in (pair for known in found for pair in known.around):
            if at not in inside and self.ops[at].kind == lib.MB_CTF_VARIANT:
                options.setdefault(at, set()).add(option)
        return any(len(numbers) < self.ops[at].count for at, numbers in options.items())

    def _is_reached(self, known: NamedValue) -> bool:
        """Whether a field is in no array and no optional field that its reader is not in.

        Of a variant that the reader is in, it must be in the same option; of another variant it
        may be in any.
        """
        inside = dict(self._around)
        return all(
            inside.get(at, option if self._is_variant(at) else None) == option
            for at, option in known.around
        )

    def _is_variant(self, at: int) -> bool:
        op = self.ops[at]
        is_option = op.kind == lib.MB_CTF_OPTION  # its variant decides
        return is_option or (
            op.kind == lib.MB_CTF_VARIANT and not op.flags & lib.MB_CTF_OPTIONAL
        )


_OP_FIELDS = attrgetter(*(f.name for f in fields(CtfOp)))
"""The members of an op as a tuple; `astuple` copies each of them, ten times as slow."""


def native_ops(ops: Iterable[CtfOp]) -> tuple[Any, int]:
    """The ops as a C array, and how many there are."""
    rows = list(map(_OP_FIELDS, ops))
    return ffi.new("struct mb_ctf_op[]", rows or 1), len(rows)


def native_ranges(ranges: Iterable[tuple[int, int]]) -> tuple[Any, int]:
    """Ranges of tags as a C array (unsigned bounds in two's complement), and how many."""
    rows = [(_signed(low), _signed(high)) for low, high in ranges]
    return ffi.new("struct mb_ctf_range[]", rows or 1), len(rows)


def width(encoding: str) -> int:
    """How many bytes a unit of an encoding of text has."""
    return {"utf-16": 2, "utf-32": 4}.get(encoding[:6], 1)


def _walked(names: tuple[str, ...], path: tuple[str, ...]) -> tuple[str, ...]:
    """Where a path leads from a place; an empty name leads one structure further out."""
    for name in path:
        names = (*names, name) if name else names[:-1]
    return names


_SOURCES = (lib.MB_CTF_SEQUENCE, lib.MB_CTF_BYTES, lib.MB_CTF_VARIANT)


def _order(type_: Integer | Float) -> int:
    big = lib.MB_CTF_BIG if type_.big_endian else 0
    return big | (lib.MB_CTF_REVERSED if type_.reversed_bits else 0)


def _container(type_: FieldType) -> Integer:
    found = type_.container if isinstance(type_, Enumeration) else type_
    assert isinstance(found, Integer)
    return found


def labelled(name: str, tag: FieldType) -> Ranges:
    """The values of a tag that have an option's name."""
    assert isinstance(tag, Enumeration)
    return tuple((low, high) for label, low, high in tag.labels if label in (name, f"_{name}"))


def _within(ranges: Ranges, tag: FieldType, path: tuple[str, ...]) -> list[tuple[int, int]]:
    """The ranges, if their bounds can be values of the tag."""
    low, high = (-(1 << 63), (1 << 63) - 1) if _container(tag).signed else (0, (1 << 64) - 1)
    if any(not low <= bound <= high for pair in ranges for bound in pair):
        raise LayoutError(f"field `{'.'.join(path)}`: its tag is never in {ranges}")
    return list(ranges)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
