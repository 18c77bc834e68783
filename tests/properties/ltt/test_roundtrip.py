"""Random event classes and events of every type, written in every variant and read back."""

from __future__ import annotations

import math
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.trace import convert, model
from bridge.trace.ltt import open_ltt
from bridge.trace.ltt.write import WriteOptions

WORDS = st.text("abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1, max_size=8)
VARIANTS = [
    WriteOptions(version, arch, big, aligned, 16384, use_tsc=True)
    for version in ("2.6", "0.8", "0.7")
    for arch in (4, 8)
    for big in (False, True)
    for aligned in (False, True)
]


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name) / "trace"


# --- types and values -------------------------------------------------------------------------

INTEGERS = st.builds(
    model.Integer,
    bits=st.sampled_from((8, 16, 32, 64)),
    signed=st.booleans(),
    big_endian=st.booleans(),
)
TEXTS = st.just(model.Text())


def members(kinds: st.SearchStrategy[model.FieldType]) -> st.SearchStrategy[model.Struct]:
    names = st.lists(WORDS, max_size=5, unique=True)
    return names.flatmap(
        lambda own: st.tuples(*(kinds for _ in own)).map(
            lambda types: model.Struct(
                tuple(model.Field(n, t) for n, t in zip(own, types, strict=True))
            )
        )
    )


def value(kind: model.FieldType) -> st.SearchStrategy[model.Value]:
    match kind:
        case model.Integer():
            low = -(1 << (kind.bits - 1)) if kind.signed else 0
            return st.integers(low, low + (1 << kind.bits) - 1)
        case model.Text():
            return st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=12)
        case model.Struct():
            return st.fixed_dictionaries({f.name: value(f.type) for f in kind.fields})
        case _:
            raise AssertionError(kind)


@st.composite
def traces(draw: st.DrawFn, payloads: st.SearchStrategy[model.Struct]) -> list[model.Event]:
    classes = [
        model.EventClass(f"{channel}.e{number}", 0, draw(payloads))
        for number, channel in enumerate(draw(st.lists(WORDS, min_size=1, max_size=4)))
        if channel not in ("core", "metadata")
    ]
    events, tsc = [], draw(st.integers(0, 1 << 50))
    for _ in range(draw(st.integers(0, 12)) if classes else 0):
        kind = draw(st.sampled_from(classes))
        cpu = draw(st.integers(0, 2))
        fields = draw(value(kind.payload))
        events.append(model.Event(kind, tsc, tsc, cpu, f"x_{cpu}", fields))
        tsc += draw(st.integers(1, 1 << draw(st.sampled_from((4, 20, 28, 40)))))
    return events


def same(left: model.Value, right: model.Value) -> bool:
    """Equality in which a NaN is itself."""
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


def round_trip(events: list[model.Event], options: WriteOptions) -> None:
    with folder() as path:
        with convert.writer(path, options) as out:
            seen = {id(e.event_class): e.event_class for e in events}
            out.declare_all(seen.values())
            for event in events:
                out.write(event)
        with open_ltt(path) as reader:
            form = reader.format
            got = [e for e in reader if not convert.is_own(e.event_class, form)]
            assert [d for d in reader.diagnostics if d.code != "ltt-no-metadata"] == []
    assert [(e.tsc, e.cpu, e.event_class.name) for e in got] == [
        (e.tsc, e.cpu, e.event_class.name) for e in events
    ]
    for ours, wanted in zip(got, events, strict=True):
        assert same(ours.fields, wanted.fields), (ours.fields, wanted.fields)


SETTINGS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize("options", VARIANTS[:8], ids=str)
@SETTINGS
@given(data=st.data())
def test_markers(options: WriteOptions, data: st.DataObject) -> None:
    round_trip(data.draw(traces(members(INTEGERS | TEXTS))), options)


# --- facilities: types nested at random, from seeds -------------------------------------------

LABELS = (("A", 0, 0), ("B", 7, 7), ("C", 8, 8))


def random_type(rng: random.Random, depth: int) -> model.FieldType:
    kind = rng.randrange(4 if depth <= 0 else 8)
    if kind <= 1:
        bits = rng.choice((8, 16, 32, 64))
        return model.Integer(bits, signed=rng.random() < 0.5, big_endian=rng.random() < 0.2)
    if kind == 2:
        return model.Enumeration(model.Integer(32, signed=True), LABELS)
    if kind == 3:
        return rng.choice((model.Float(32), model.Float(64), model.Text()))
    if kind == 4:
        return model.FixedArray(random_type(rng, depth - 1), rng.randrange(1, 4))
    if kind == 5:
        count = model.Integer(rng.choice((8, 16, 32, 64)), signed=False)
        return model.Sequence(random_type(rng, depth - 1), "", count)
    return random_struct(rng, depth - 1, least=1)


def random_struct(rng: random.Random, depth: int, least: int) -> model.Struct:
    return model.Struct(
        tuple(
            model.Field(f"f{number}", random_type(rng, depth))
            for number in range(rng.randrange(least, 5))
        )
    )


def random_value(rng: random.Random, kind: model.FieldType) -> model.Value:
    match kind:
        case model.Integer():
            low = -(1 << (kind.bits - 1)) if kind.signed else 0
            high = low + (1 << kind.bits) - 1
            return rng.choice((low, high, rng.randint(low, high)))
        case model.Enumeration():
            return random_value(rng, kind.container)
        case model.Float():
            return rng.choice((0.0, -1.5, float("inf"), rng.randrange(1 << 20) / 64))
        case model.Text():
            return "".join(rng.choice('aé%"\udc80\n') for _ in range(rng.randrange(9)))
        case model.FixedArray():
            return [random_value(rng, kind.element) for _ in range(kind.length)]
        case model.Sequence():
            return [random_value(rng, kind.element) for _ in range(rng.randrange(4))]
        case model.Struct():
            return {f.name: random_value(rng, f.type) for f in kind.fields}
        case _:
            raise AssertionError(kind)


def random_trace(seed: int) -> list[model.Event]:
    rng = random.Random(seed)
    classes = [
        model.EventClass(f"{channel}.e{number}", 0, random_struct(rng, 2, least=0))
        for channel in ("net", "a_b")
        for number in range(2)
    ]
    events, tsc = [], rng.randrange(1 << 40)
    for _ in range(20):
        kind, cpu = rng.choice(classes), rng.randrange(3)
        fields = {f.name: random_value(rng, f.type) for f in kind.payload.fields}
        events.append(model.Event(kind, tsc, tsc, cpu, f"x_{cpu}", fields))
        tsc += rng.randrange(1, 1 << rng.choice((4, 20, 28, 40)))
    return events


@pytest.mark.parametrize("options", VARIANTS[8:], ids=str)
@pytest.mark.parametrize("heartbeat", [False, True])
def test_facilities(options: WriteOptions, heartbeat: bool) -> None:
    for seed in range(12):
        round_trip(random_trace(seed), replace(options, heartbeat=heartbeat))
