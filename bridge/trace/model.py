"""The one model of recorded events, and the protocols of readers and writers.

Every reader (LTT of each generation, CTF, LKET) yields `Event`s of `EventClass`es in order of
time; every writer takes them. Reading is lazy: memory does not grow with the trace. Damage is
reported as diagnostics and never ends the iteration early.
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING, Protocol

from bridge.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

    from bridge.diagnostics import Diagnostic


# --- field types ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer of `bits` bits.

    `base` is the preferred display base; `encoding` makes arrays of it text ("utf8", "ascii",
    "utf-16le" ...) or bytes that are no text ("bytes"); `clock` names the clock whose value it
    holds. `form`: "" is a number, "leb128" one that takes as many bytes as it needs (`bits` is
    64), "bool" a truth value, "bits" a row of bits, of which `flags` (name, first, last) have
    names. With `reversed_bits` the last bit is the lowest. `roles` is what it says of its
    packet or event, where the format declares that.
    """

    bits: int
    signed: bool
    align_bits: int = 8
    big_endian: bool = False
    base: int = 10
    encoding: str = ""
    clock: str = ""
    form: str = ""
    reversed_bits: bool = False
    roles: tuple[str, ...] = ()
    flags: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Float:
    """An IEEE 754 number of `bits` bits."""

    bits: int
    align_bits: int = 8
    big_endian: bool = False
    reversed_bits: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A NUL-terminated string."""

    encoding: str = "utf8"


@dataclass(frozen=True, slots=True)
class Enumeration:
    """An integer with names for ranges (label, low, high)."""

    container: Integer
    labels: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class FixedArray:
    """`length` elements. `roles` as those of an integer."""

    element: FieldType
    length: int
    align_bits: int = 1
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sequence:
    """As many elements as the integer field at path `length` says.

    Where the number is no field of its own but stored right before the elements, `length` is
    empty and `count` is its type.
    """

    element: FieldType
    length: str
    count: Integer | None = None
    align_bits: int = 1


@dataclass(frozen=True, slots=True)
class Struct:
    """Fields in order; if `overlay`, all at the same place (a C union)."""

    fields: tuple[Field, ...]
    align_bits: int = 1
    overlay: bool = False


@dataclass(frozen=True, slots=True)
class Variant:
    """One of several types, chosen by the integer at path `tag`.

    `ranges` are the values of the tag that choose each option; without them the tag is an
    enumeration, whose labels are the options' names.
    """

    tag: str
    options: tuple[Field, ...]
    ranges: tuple[Ranges, ...] = ()


@dataclass(frozen=True, slots=True)
class Optional:
    """A value, or None: it is there if the field at path `tag` is in `ranges` (none: true)."""

    element: FieldType
    tag: str
    ranges: Ranges = ()


Ranges = tuple[tuple[int, int], ...]
"""Numbers: first and last of each range."""

FieldType = (
    Integer | Float | Text | Enumeration | FixedArray | Sequence | Struct | Variant | Optional
)
"""The type of a field."""


@dataclass(frozen=True, slots=True)
class Field:
    """A named field."""

    name: str
    type: FieldType


BYTES = "bytes"
"""The encoding of bytes that are no text."""


def is_text(element: FieldType) -> bool:
    """Whether an array or sequence of this is text."""
    return is_raw(element) and not is_blob(element)


def is_blob(element: FieldType) -> bool:
    """Whether an array or sequence of this is bytes that are no text."""
    return isinstance(element, Integer) and element.encoding == BYTES


def is_raw(element: FieldType) -> bool:
    """Whether an array or sequence of this is taken as a whole: text or bytes."""
    return (
        isinstance(element, Integer)
        and element.encoding != ""
        and element.bits == 8
        and element.align_bits == 8
    )


def path_of(names: Iterable[str]) -> str:
    """The names on the way to a field as a path; a dot in a name is escaped."""
    return ".".join(name.replace("\\", "\\\\").replace(".", "\\.") for name in names)


def names_of(path: str) -> tuple[str, ...]:
    """The names of a path."""
    if "\\" not in path:
        return tuple(path.split("."))
    return tuple(
        re.sub(r"\\(.)", r"\1", name)
        for name in re.findall(r"((?:\\.|[^.\\])*)(?:\.|$)", path)[:-1]
    )


Value = int | float | str | bytes | list["Value"] | dict[str, "Value"] | None
"""A decoded value.

Truth values are `bool`. Text is `str` decoded as UTF-8 with surrogateescape, so no byte is
lost; of an array of characters without the NULs at its end, which are padding.
"""


# --- events -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class EventClass:
    """A kind of event.

    `name` is the full name (`kernel.irq_entry`, `provider:event`), `id` its number in its
    stream.
    """

    name: str
    id: int
    payload: Struct
    context: Struct | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Event:
    """One event.

    `timestamp_ns` is nanoseconds since the trace's clock origin (1970 where the trace knows
    it), `tsc` the raw clock value, `stream` the channel and CPU it was in (`kernel_0`), `cpu`
    -1 if unknown, `fields` the payload in declared order, `context` the per-event and
    per-packet properties (pid, tid, procname …).
    """

    event_class: EventClass
    timestamp_ns: int
    tsc: int
    cpu: int
    stream: str
    fields: dict[str, Value]
    context: dict[str, Value] = field(default_factory=dict)


@dataclass(slots=True)
class StreamStatistics:
    """What a stream holds:

    events by name, lost events, damaged packets, first and last time (ns), and packets that the
    tracer calls corrupt itself (LTT: sub-buffers).
    """

    events: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    damaged: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    corrupt: int = 0


# --- readers and writers ----------------------------------------------------------------------


class Reader(Protocol):
    """An open trace. `diagnostics` grows while reading; iterating again starts again."""

    @property
    def format(self) -> str:
        """`ctf-1.8`, `ltt-2.6`, …"""
        ...

    @property
    def event_classes(self) -> Mapping[str, EventClass]:
        """Classes by full name, as far as they are known now."""
        ...

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """What was wrong so far."""
        ...

    @property
    def attributes(self) -> Mapping[str, str]:
        """Environment of the trace: host, tracer, word size …"""
        ...

    def __iter__(self) -> Iterator[Event]: ...

    def statistics(self) -> dict[str, StreamStatistics]:
        """Totals per stream, by a full pass where the format needs it."""
        ...

    def close(self) -> None:
        """Release the files."""
        ...

    def __enter__(self) -> Reader: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


class Writer(Protocol):
    """A trace being written.

    Nothing is readable before `close`, except what whole packets already hold.
    """

    def write(self, event: Event) -> None:
        """Append one event; times must not go back within a stream."""
        ...

    def close(self) -> None:
        """Finish all packets and the metadata."""
        ...
