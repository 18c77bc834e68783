"""Field types of scopes -> the ops of the C side (`csrc/trace/ctf.cdef.h`).

A length or a tag is found where its name leads: in the enclosing structures, then in the scopes
before; or from a scope on, if the name starts with one (CTF 1.8, section 7.3.2). What is found
stores its value in a variable, which the sequence or variant reads.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, assert_never

from bridge._native import ffi, lib
from bridge.trace.model import (
    Enumeration,
    Field,
    FieldType,
    FixedArray,
    Float,
    Integer,
    Sequence,
    Struct,
    Text,
    Variant,
    is_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class LayoutError(Exception):
    """A description that cannot be laid out; the message says which field and why."""


class Scope(Enum):
    """Where a structure stands in a stream, in order; the value is its name in the language."""

    PACKET_HEADER = "trace.packet.header"
    PACKET_CONTEXT = "stream.packet.context"
    EVENT_HEADER = "stream.event.header"
    EVENT_CONTEXT = "stream.event.context"
    CONTEXT = "event.context"
    PAYLOAD = "event.fields"


ROLES: dict[Scope, dict[str, int]] = {
    Scope.PACKET_HEADER: {
        "magic": lib.MB_CTF_ROLE_MAGIC,
        "stream_id": lib.MB_CTF_ROLE_STREAM,
        "stream_instance_id": lib.MB_CTF_ROLE_INSTANCE,
    },
    Scope.PACKET_CONTEXT: {
        "timestamp_begin": lib.MB_CTF_ROLE_BEGIN,
        "timestamp_end": lib.MB_CTF_ROLE_END,
        "content_size": lib.MB_CTF_ROLE_CONTENT,
        "packet_size": lib.MB_CTF_ROLE_PACKET,
        "packet_seq_num": lib.MB_CTF_ROLE_SEQUENCE,
        "events_discarded": lib.MB_CTF_ROLE_DISCARDED,
        "cpu_id": lib.MB_CTF_ROLE_CPU,
    },
    Scope.EVENT_HEADER: {"id": lib.MB_CTF_ROLE_ID},
}


ELEMENT = "[]"
"""Stands in paths for an element of an array."""


@dataclass(frozen=True, slots=True)
class Op:
    """One `struct mb_ctf_op`."""

    kind: int
    flags: int = 0
    bits: int = 0
    align: int = 1
    count: int = 0
    source: int = 0
    body: int = 0
    store: int = -1
    role: int = 0


@dataclass(frozen=True, slots=True)
class Stretch:
    """One `struct mb_ctf_scope`."""

    first: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """A number or text that names can lead to: its op, its type, the names on the way there."""

    op: int
    type: FieldType
    path: tuple[str, ...]


Names = dict[Scope, list[Known]]


def alignment(type_: FieldType) -> int:
    """The alignment of a field in bits."""
    match type_:
        case Integer(align_bits=bits) | Float(align_bits=bits):
            return bits
        case Enumeration(container=container):
            return container.align_bits
        case Text():
            return 8
        case FixedArray(element=element) | Sequence(element=element):
            return alignment(element)
        case Struct(fields=fields, align_bits=bits):
            return max([bits, *(alignment(f.type) for f in fields)])
        case Variant():
            return 1
        case _:
            assert_never(type_)


@dataclass(slots=True)
class Assembler:
    """Builds the ops of all scopes of a trace in one list; `clocks` numbers them by name."""

    clocks: Mapping[str, int] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    ranges: list[tuple[int, int]] = field(default_factory=list)
    variables: int = 0
    _known: Names = field(default_factory=dict)
    _scope: Scope = Scope.PAYLOAD

    def scope(self, scope: Scope, struct: Struct | None) -> Stretch:
        """Add a scope; those before it in the stream must have been added."""
        self._scope = scope
        order = list(Scope)
        for later in order[order.index(scope) :]:
            self._known[later] = []
        if struct is None:
            return Stretch()
        first = len(self.ops)
        self._emit(struct, ())
        return Stretch(first, len(self.ops) - first)

    def names(self) -> Names:
        """What is known in the scopes added last."""
        return dict(self._known)

    def variable(self, known: Known) -> int:
        """The variable for a number, or for the pointer of a text (its length is next)."""
        return self._stored(known.op)

    # --- fields ---

    def _emit(self, type_: FieldType, path: tuple[str, ...]) -> None:
        match type_:
            case Integer() | Enumeration():
                self._number(type_, path)
            case Float():
                flags = lib.MB_CTF_BIG if type_.big_endian else 0
                self._add(lib.MB_CTF_REAL, flags, type_.bits, type_.align_bits)
            case Text():
                self._know(type_, path)
                self._add(lib.MB_CTF_TEXT, align=8)
            case FixedArray(element=element) if is_text(element):
                self._know(type_, path)
                self._add(lib.MB_CTF_BLOB, align=8, count=type_.length)
            case FixedArray():
                self._array(type_, path)
            case Sequence():
                self._sequence(type_, path)
            case Struct(fields=fields):
                self._add(lib.MB_CTF_ALIGN, align=alignment(type_))
                for member in fields:
                    self._emit(member.type, (*path, member.name))
            case Variant():
                self._variant(type_, path)
            case _:
                assert_never(type_)

    def _know(self, type_: FieldType, path: tuple[str, ...]) -> None:
        self._known[self._scope].append(Known(len(self.ops), type_, path))

    def _add(
        self, kind: int, flags: int = 0, bits: int = 0, align: int = 1, count: int = 0
    ) -> int:
        self.ops.append(Op(kind, flags, bits, align, count))
        return len(self.ops) - 1

    def _number(self, declared: Integer | Enumeration, path: tuple[str, ...]) -> None:
        type_ = declared if isinstance(declared, Integer) else declared.container
        if not 1 <= type_.bits <= 64:
            raise LayoutError(f"field `{'.'.join(path)}`: integers have 1 to 64 bits")
        flags = (lib.MB_CTF_SIGNED if type_.signed else 0) | (
            lib.MB_CTF_BIG if type_.big_endian else 0
        )
        clock = self.clocks.get(type_.clock) if type_.clock else None
        role = self._role(path)
        if clock is not None and role != lib.MB_CTF_ROLE_END:
            flags |= lib.MB_CTF_CLOCK
        self._know(declared, path)
        self.ops.append(
            Op(
                lib.MB_CTF_INT,
                flags,
                type_.bits,
                type_.align_bits,
                source=clock or 0,
                role=role,
            )
        )

    def _role(self, path: tuple[str, ...]) -> int:
        roles = ROLES.get(self._scope, {})
        deep = self._scope is Scope.EVENT_HEADER  # LTTng's extended identifier is in a variant
        return roles.get(path[-1], 0) if path and (deep or len(path) == 1) else 0

    def _array(self, type_: FixedArray, path: tuple[str, ...]) -> None:
        at = self._add(lib.MB_CTF_ARRAY, align=alignment(type_.element), count=type_.length)
        if path == ("uuid",) and self._scope is Scope.PACKET_HEADER:
            self.ops[at] = replace(self.ops[at], role=lib.MB_CTF_ROLE_UUID)
        self._body(at, type_.element, (*path, ELEMENT))

    def _body(self, at: int, element: FieldType, path: tuple[str, ...]) -> None:
        self._emit(element, path)
        self.ops[at] = replace(self.ops[at], body=len(self.ops) - at - 1)

    def _sequence(self, type_: Sequence, path: tuple[str, ...]) -> None:
        if type_.count is not None:
            raise LayoutError(f"field `{'.'.join(path)}`: its length must be a field")
        variable = self._stored(self._find(type_.length, path).op)
        if is_text(type_.element):
            self._know(type_, path)
            at = self._add(lib.MB_CTF_BYTES, align=8)
            self.ops[at] = replace(self.ops[at], source=variable)
            return
        at = self._add(lib.MB_CTF_SEQUENCE, align=alignment(type_.element))
        self.ops[at] = replace(self.ops[at], source=variable)
        self._body(at, type_.element, (*path, ELEMENT))

    def _variant(self, type_: Variant, path: tuple[str, ...]) -> None:
        tag = self._find(type_.tag, path)
        if not isinstance(tag.type, Enumeration):
            raise LayoutError(f"field `{'.'.join(path)}`: tag `{type_.tag}` is no enumeration")
        signed = lib.MB_CTF_SIGNED if tag.type.container.signed else 0
        at = self._add(lib.MB_CTF_VARIANT, signed, count=len(type_.options))
        self.ops[at] = replace(self.ops[at], source=self._stored(tag.op))
        for option in type_.options:
            labels = (option.name, f"_{option.name}")
            ranges = [(low, high) for name, low, high in tag.type.labels if name in labels]
            self._option(option, ranges, path)
        self.ops[at] = replace(self.ops[at], body=len(self.ops) - at - 1)

    def _option(
        self, option: Field, ranges: list[tuple[int, int]], path: tuple[str, ...]
    ) -> None:
        at = self._add(lib.MB_CTF_OPTION, count=len(ranges))
        self.ops[at] = replace(self.ops[at], source=len(self.ranges))
        self.ranges += ranges
        self._body(at, option.type, (*path, option.name))

    # --- names ---

    def _stored(self, at: int) -> int:
        """The variable of an op; it gets one now if it has none."""
        if self.ops[at].store < 0:
            self.ops[at] = replace(self.ops[at], store=self.variables)
            self.variables += 2
        return self.ops[at].store

    def _find(self, name: str, path: tuple[str, ...]) -> Known:
        for scope in Scope:
            if name.startswith(scope.value + "."):
                names = tuple(name[len(scope.value) + 1 :].split("."))
                found = self._at(scope, names)
                break
        else:
            found = self._relative(tuple(name.split(".")), path)
        if found is None or not isinstance(found.type, Integer | Enumeration):
            raise LayoutError(f"field `{'.'.join(path)}`: no number `{name}` before it")
        return found

    def _relative(self, names: tuple[str, ...], path: tuple[str, ...]) -> Known | None:
        for depth in range(len(path) - 1, -1, -1):
            if found := self._at(self._scope, (*path[:depth], *names)):
                return found
        order = list(Scope)
        for scope in reversed(order[: order.index(self._scope)]):
            if found := self._at(scope, names):
                return found
        return None

    def _at(self, scope: Scope, names: tuple[str, ...]) -> Known | None:
        return next((k for k in reversed(self._known.get(scope, [])) if k.path == names), None)


def native_ops(ops: Iterable[Op]) -> tuple[Any, int]:
    """The ops as a C array, and how many there are."""
    rows = [astuple(op) for op in ops]
    return ffi.new("struct mb_ctf_op[]", rows or 1), len(rows)


def native_ranges(ranges: Iterable[tuple[int, int]]) -> tuple[Any, int]:
    """Ranges of tags as a C array (unsigned bounds in two's complement), and how many."""
    rows = [(_signed(low), _signed(high)) for low, high in ranges]
    return ffi.new("struct mb_ctf_range[]", rows or 1), len(rows)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
