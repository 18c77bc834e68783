"""Events that C copies from one trace to another are those that were read."""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from bridge.trace.convert import to_ctf
from bridge.trace.ctf.normal import normal
from bridge.trace.ctf.reader import CtfReader
from bridge.trace.ctf.text import TextOptions, lines
from bridge.trace.ctf.writer import CtfWriter
from bridge.trace.model import Event, EventClass, Field, Integer, Struct, Text
from tests.support.ctf_strategies import traces
from tests.support.mctf import compile_trace

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOW = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp())
    yield made
    shutil.rmtree(made)


def _facts(event: Event, *, plain: bool = False) -> object:
    fields = normal(event.event_class.payload, plain=plain)[1](event.fields)
    return event.event_class.name, event.timestamp_ns, event.cpu, event.context, fields


@pytest.mark.parametrize("source", [1, 2])
@pytest.mark.parametrize("target", [1, 2])
@SLOW
@given(events=traces())
def test_any_events(source: int, target: int, events: list[Event], folder: Path) -> None:
    shutil.rmtree(folder)
    with CtfWriter(folder / "a", version=source, packet_bytes=4096) as writer:
        writer.write(events)
    with CtfReader(folder / "a") as reader:
        before = [_facts(event, plain=target == 1) for event in reader]
        done = to_ctf(reader, folder / "b", target)
    with CtfReader(folder / "b") as reader:
        after = [_facts(event) for event in reader]

    assert done.events == len(events)
    assert after == before


MANY = 20_000


@pytest.mark.parametrize("target", [1, 2])
def test_streams_that_change_their_cpu_and_times_that_go_back(
    target: int, folder: Path
) -> None:
    chance = random.Random(1)
    kind = EventClass(
        "e", 0, Struct((Field("n", Integer(32, signed=False)), Field("s", Text())))
    )
    rare = EventClass("rare", 1, Struct(()))
    with CtfWriter(folder / "a", move_late=True, packet_bytes=4096) as writer:
        for n in range(MANY):
            used = rare if n % 997 == 0 else kind
            fields = {} if used is rare else {"n": n, "s": "x" * (n % 5)}
            time = max(0, 10 * n - chance.randrange(25))
            writer.write(
                Event(used, time, 0, n % 3 - 1, f"s_{n % 3}", dict(fields), {"pid": n})
            )
    with CtfReader(folder / "a") as reader:
        before = list(lines([reader], TextOptions()))
        lost = reader.statistics()
        done = to_ctf(reader, folder / "b", target)
    with CtfReader(folder / "b") as reader:
        assert list(lines([reader], TextOptions())) == before
        found = reader.statistics()

    assert (done.events, done.moved) == (MANY, 0)
    assert {n: s.events for n, s in found.items()} == {n: s.events for n, s in lost.items()}


CHANGING = """
--- metadata
/* CTF 1.8 */
typealias integer { size = 8; } := u8;
typealias integer { size = 32; } := u32;
clock { name = c; freq = 1000; offset_s = 5; };
typealias integer { size = 8; map = clock.c.value; } := time;
trace { major = 1; minor = 8; byte_order = le; };
stream { packet.context := struct { u32 packet_size; u32 content_size; u8 cpu_id; u8 more; };
  event.header := struct { time timestamp; }; event.context := struct { u8 tid; }; };
event { name = "e"; fields := struct { u8 n; string s; }; };
--- stream
le u32:160 u32:160 u8:0 u8:7 u8:1 u8:9 u8:1 "a" u8:2 u8:9 u8:2 "b"
le u32:160 u32:160 u8:1 u8:8 u8:3 u8:9 u8:3 "c" u8:4 u8:9 u8:4 "d"
"""


def test_what_the_packet_holds_beside_the_cpu_is_in_the_context(folder: Path) -> None:
    trace = compile_trace(CHANGING, folder / "a")
    with CtfReader(trace) as reader:
        before = [_facts(event) for event in reader]
        to_ctf(reader, folder / "b", 2)
    with CtfReader(folder / "b") as reader:
        after = [_facts(event) for event in reader]

    assert len(before) == 4
    assert after == before
    assert [e[3] for e in after][::3] == [  # type: ignore[index]
        {"cpu_id": 0, "more": 7, "tid": 9},
        {"cpu_id": 1, "more": 8, "tid": 9},
    ]
