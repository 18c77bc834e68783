"""Random event classes and events of every type that the writer can write.

Of wide bit fields, 61 to 63 bits are left out: babeltrace2 2.0 prints them as 0 in base 16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from bridge.trace.model import (
    Enumeration,
    Event,
    EventClass,
    Field,
    FixedArray,
    Float,
    Integer,
    Sequence,
    Struct,
    Text,
    Value,
    Variant,
)

if TYPE_CHECKING:
    from bridge.trace.model import FieldType

NAMES = st.sampled_from(
    ["a", "b", "c", "event", "struct", "_x", "len", "id", "timestamp", "Ab9", "stream_id"]
)


@st.composite
def integers(draw: st.DrawFn) -> Integer:
    """Whole bytes in either byte order, or bit fields."""
    bits = draw(st.sampled_from([8, 16, 32, 64, 1, 3, 5, 12, 27, 33, 47]))
    signed, base = draw(st.booleans()), draw(st.sampled_from([2, 8, 10, 16]))
    if bits % 8:
        return Integer(bits, signed, 1, base=base)
    align = draw(st.sampled_from([8, 16, 32, 64]))
    return Integer(bits, signed, align, draw(st.booleans()), base)


FLOATS = st.builds(Float, st.sampled_from([32, 64]), st.sampled_from([8, 32]), st.booleans())
CHARACTER = Integer(8, signed=False, encoding="utf8")


@st.composite
def enumerations(draw: st.DrawFn) -> Enumeration:
    container = draw(integers())
    low, high = _bounds(container)
    ends = st.integers(low, min(high, low + 40))
    pairs = draw(st.lists(st.tuples(ends, ends), min_size=1, max_size=4))
    return Enumeration(
        container,
        tuple((f"label {n}", min(pair), max(pair)) for n, pair in enumerate(pairs)),
    )


def _bounds(type_: Integer) -> tuple[int, int]:
    if type_.signed:
        return -(1 << (type_.bits - 1)), (1 << (type_.bits - 1)) - 1
    return 0, (1 << type_.bits) - 1


def _extend(inner: st.SearchStrategy[FieldType]) -> st.SearchStrategy[FieldType]:
    return st.one_of(
        st.builds(FixedArray, inner, st.integers(0, 4)),
        st.builds(lambda e: Sequence(e, "", Integer(8, signed=False)), inner),
        st.builds(Struct, _members(inner), st.sampled_from([1, 8, 32])),
    )


def _members(types: st.SearchStrategy[FieldType]) -> st.SearchStrategy[tuple[Field, ...]]:
    return st.dictionaries(NAMES, types, min_size=1, max_size=5).map(
        lambda members: tuple(Field(name, type_) for name, type_ in members.items())
    )


LEAVES = st.one_of(
    integers(),
    FLOATS,
    st.just(Text()),
    enumerations(),
    st.builds(FixedArray, st.just(CHARACTER), st.integers(1, 9)),
    st.just(Sequence(CHARACTER, "", Integer(16, signed=False))),
)
TYPES = st.recursive(LEAVES, _extend, max_leaves=5)


@st.composite
def variants(draw: st.DrawFn) -> tuple[Field, Field]:
    """A tag, and the variant that it selects."""
    tag = Enumeration(
        Integer(8, signed=True), (("one", 0, 3), ("two", -5, -1), ("three", 9, 9))
    )
    options = tuple(Field(name, draw(LEAVES_ALONE)) for name in ("one", "two", "three"))
    return Field("tag", tag), Field("choice", Variant("tag", options))


LEAVES_ALONE = st.one_of(integers(), FLOATS, st.just(Text()))


@st.composite
def payloads(draw: st.DrawFn) -> Struct:
    fields = draw(_members(TYPES))
    if draw(st.booleans()):
        fields = (*fields, *draw(variants()))
    return Struct(fields)


def texts(*, empty: bool, longest: int = 20) -> st.SearchStrategy[str]:
    """Text of any bytes but NUL, as the model has it."""
    least = 0 if empty else 1
    return st.binary(min_size=least, max_size=longest).map(
        lambda raw: raw.replace(b"\0", b"?").decode("utf-8", "surrogateescape")
    )


def values(type_: FieldType, *, empty: bool) -> st.SearchStrategy[Value]:  # noqa: PLR0911
    """Values of a type; `empty` whether text may be."""
    match type_:
        case Integer():
            return st.integers(*_bounds(type_))
        case Enumeration(container=container):
            return st.integers(*_bounds(container))
        case Float(bits=bits):
            return st.floats(width=bits, allow_nan=False)
        case Text():
            return texts(empty=empty)
        case FixedArray(element=element, length=length) if element == CHARACTER:
            return texts(empty=empty, longest=length)
        case Sequence(element=element) if element == CHARACTER:
            return texts(empty=empty)
        case FixedArray(element=element, length=length):
            return st.lists(values(element, empty=empty), min_size=length, max_size=length)
        case Sequence(element=element):
            return st.lists(values(element, empty=empty), max_size=4)
        case Struct(fields=fields):
            return st.fixed_dictionaries({f.name: values(f.type, empty=empty) for f in fields})
        case _:
            raise AssertionError(type_)


@st.composite
def contents(draw: st.DrawFn, payload: Struct, *, empty: bool) -> dict[str, Value]:
    """The fields of an event; the tag of a variant selects one of its options."""
    found: dict[str, Value] = {}
    for member in payload.fields:
        if isinstance(member.type, Variant):
            chosen = draw(st.sampled_from([(0, 0), (3, 0), (-2, 1), (9, 2)]))
            found[member.type.tag] = chosen[0]
            option = member.type.options[chosen[1]]
            found[member.name] = draw(values(option.type, empty=empty))
        else:
            found[member.name] = draw(values(member.type, empty=empty))
    return found


@st.composite
def traces(draw: st.DrawFn, *, empty: bool = True) -> list[Event]:
    """Events of some classes in some streams, in order of time."""
    names = st.sampled_from(["kernel.irq", "shop:order", 'odd "name"\\', "é"])
    classes = [
        EventClass(draw(names) + str(n), n, draw(payloads()))
        for n in range(draw(st.integers(1, 3)))
    ]
    streams = draw(st.sampled_from([[("a_0", 0), ("a_1", 1)], [("flat", -1)], [("b_3", 3)]]))
    now = draw(st.sampled_from([0, 1_700_000_000_000_000_000]))
    events = []
    for _ in range(draw(st.integers(1, 6))):
        now += draw(st.sampled_from([1, 1000, 1 << 32, 5_000_000_000]))
        event_class, (stream, cpu) = (
            draw(st.sampled_from(classes)),
            draw(st.sampled_from(streams)),
        )
        fields = draw(contents(event_class.payload, empty=empty))
        context: dict[str, Value] = {"pid": draw(st.integers(0, 1 << 22))} if cpu else {}
        events.append(Event(event_class, now, now, cpu, stream, fields, context))
    return events
