"""Hits, lines and globals of a running script in Python, as they come and at the end."""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bridge

if TYPE_CHECKING:
    from tests.support.command import Compiler

VICTIM = """
#include <markbridge/marker.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 100;
	for (long i = 0; i < count; i++) {
		MARKBRIDGE_MARK(shop, order, i, (int)-i, i & 1 ? "odd" : "\\xff even");
		if (i % 10 == 0)
			MARKBRIDGE_MARK(shop, ten, i);
	}
	MARKBRIDGE_MARK(shop, bad, (const char *)8);
	return 0;
}
"""

pytestmark = [pytest.mark.bpf, pytest.mark.needs("sleepable")]


@pytest.fixture
def victim(compile_c: Compiler) -> Path:
    return compile_c("victim", VICTIM)


def _program(victim: Path, *more: str) -> bridge.Program:
    orders = (
        f'probe process("{victim}").mark("order") {{ printf("%s\\n", user_string($arg3)) }}'
    )
    return bridge.compile("\n".join((orders, *more)))


def test_hits_have_what_was_given_to_the_marker(victim: Path) -> None:
    before = time.time_ns()
    with _program(victim).attach(command=[str(victim)], events=True) as session:
        hits = list(session.events())
        lines = session.waiting_lines()

    assert [hit.arguments["arg1"] for hit in hits] == list(range(100))
    assert [hit.arguments["arg2"] for hit in hits] == [-i for i in range(100)]
    assert hits[1].arguments["arg3_string"] == "odd"
    assert hits[2].arguments["arg3_string"] == "\udcff even"
    assert {hit.name for hit in hits} == {"shop:order"}
    assert {hit.comm for hit in hits} == {"victim"}
    assert len({(hit.pid, hit.tid) for hit in hits}) == 1
    assert all(hit.cpu in os.sched_getaffinity(0) for hit in hits)
    stamps = [hit.timestamp_ns for hit in hits]
    assert before <= stamps[0]
    assert stamps == sorted(stamps)
    assert stamps[-1] <= time.time_ns()
    assert session.lost == bridge.Lost(0, 0)
    assert [line.bytes for line in lines[:2]] == [b"\xff even", b"odd"]
    assert lines[1].text == "odd"


def test_hits_are_those_of_a_recording(victim: Path, tmp_path: Path) -> None:
    program, trace = _program(victim), tmp_path / "trace"
    with program.attach(command=[str(victim)], events=True, trace=trace) as session:
        live = [(hit.name, hit.arguments["arg1"], hit.comm) for hit in session.events()]

    with bridge.open_trace(trace) as reader:
        recorded = [
            (e.event_class.name, e.fields["arg1"], e.context["procname"]) for e in reader
        ]
    assert live == recorded


def test_what_cannot_be_read_is_none(victim: Path) -> None:
    point = f'process("{victim}").mark("bad")'
    script = f"probe {point} {{ try {{ println(user_string($arg1)) }} catch {{ }} }}"
    with bridge.compile(script).attach(command=[str(victim)], events=True) as session:
        (hit,) = session.events()
    with bridge.compile(script).attach(command=[str(victim)], events=True) as session:
        (batch,) = session.batches()

    assert hit.arguments == {"arg1": 8, "arg1_string": None}
    assert batch.unreadable["arg1_string"].tolist() == [True]


def test_batches_have_the_same_values(victim: Path) -> None:
    more = f'probe process("{victim}").mark("ten") {{ }}'
    with _program(victim, more).attach(command=[str(victim), "50000"], events=True) as session:
        batches = list(session.batches())

    orders = [batch for batch in batches if batch.marker.name == "order"]
    tens = [batch for batch in batches if batch.marker.name == "ten"]
    numbers = [number for batch in orders for number in batch.arguments["arg1"].tolist()]
    assert numbers == list(range(50000))
    assert sum(map(len, tens)) == 5000
    texts = [text for batch in orders for text in batch.arguments["arg3_string"].tolist()]
    assert texts[:3] == [b"\xff even", b"odd", b"\xff even"]
    assert set(orders[0].comm.tolist()) == {b"victim"}
    assert session.lost == bridge.Lost(0, 0)


def test_who_does_not_read_loses_and_is_told(victim: Path) -> None:
    command = [str(victim), "1000"]
    with _program(victim).attach(command=command, events=8192) as session:
        list(session)
        left = list(session.events())
        lost = session.lost

    assert lost.kernel == 0
    assert lost.unread > 0
    assert len(left) + lost.unread == 1000
    assert session.lost == lost


def test_functions_are_called_with_hits(victim: Path) -> None:
    more = f'probe process("{victim}").mark("ten") {{ }}'
    tens: list[object] = []
    names: list[str] = []
    with _program(victim, more).attach(command=[str(victim)], events=True) as session:
        session.on("shop:ten", lambda hit: tens.append(hit.arguments["arg1"]))
        session.on(bridge.markers(path=victim)[0], lambda hit: names.append(hit.marker.name))
        with pytest.raises(bridge.BridgeError, match="no marker `shop:eleven`, but to shop:"):
            session.on("shop:eleven", print)
        result = session.run()

    assert tens == list(range(0, 100, 10))
    assert len(names) in (10, 100)
    assert result.exit_code == 0


def test_hits_come_to_asyncio(victim: Path) -> None:
    async def count() -> int:
        with _program(victim).attach(command=[str(victim), "3000"], events=True) as session:
            return len([hit async for hit in session.events_async()])

    assert asyncio.run(count()) == 3000


def test_a_descriptor_says_when_something_came(victim: Path) -> None:
    hits, lines = [], []
    with _program(victim).attach(command=[str(victim), "2000"], events=True) as session:
        poll = select.poll()
        poll.register(session, select.POLLIN)
        while not session.over:
            poll.poll()
            hits += session.waiting_hits()
            lines += session.waiting_lines()
        while more := session.waiting_hits():
            hits += more
        while more := session.waiting_lines():
            lines += more

    assert len(hits) == len(lines) == 2000


def test_hits_have_to_be_asked_for(victim: Path) -> None:
    refused = pytest.raises(bridge.BridgeError, match=r"attach\(events=True\)")
    with _program(victim).attach(command=[str(victim)]) as session, refused:
        list(session.events())
    with pytest.raises(bridge.BridgeError, match="has not started"):
        list(_program(victim).attach(command=[str(victim)], events=True).events())


# --- globals ----------------------------------------------------------------------------------

GLOBALS = """global count, names, pairs, sizes, by, linear, label = "x", empty
probe process("{0}").mark("order") {{
    count++; names[user_string($arg3)]++; pairs[$arg1 % 2, execname()] = $arg1
    sizes <<< $arg2; by[$arg1 % 3] <<< $arg1; linear <<< $arg1
}}
probe end {{
    print(@hist_log(sizes)) print(@hist_linear(linear, 0, 50, 10))
    if (count < 0) empty <<< 1
    if (count < 0) println(label, @avg(empty))
}}
"""


def test_globals_at_the_end_are_what_the_script_counted(victim: Path) -> None:
    program = bridge.compile(GLOBALS.format(victim))
    with program.attach(command=[str(victim)]) as session:
        list(session)
        found = session.globals

    assert found["count"] == 100
    assert found["names"] == {"\udcff even": 50, "odd": 50}
    assert found["pairs"] == {(0, "victim"): 98, (1, "victim"): 99}
    assert found["label"] == "x"
    sizes = found["sizes"]
    assert isinstance(sizes, bridge.Statistic)
    assert (sizes.count, sizes.sum, sizes.min, sizes.max) == (100, -4950, -99, 0)
    assert sizes.histogram is not None
    assert sizes.histogram[0] == bridge.Bucket(-127, -64, 36)
    assert sizes.histogram[-1] == bridge.Bucket(0, 0, 1)
    linear = found["linear"]
    assert isinstance(linear, bridge.Statistic)
    assert linear.histogram == (
        *(bridge.Bucket(low, low + 9, 10) for low in range(0, 50, 10)),
        bridge.Bucket(50, 59, 10),
        bridge.Bucket(60, None, 40),
    )
    by = found["by"]
    assert isinstance(by, dict)
    assert list(by) == [0, 1, 2]
    assert by[1] == bridge.Statistic(33, sum(range(1, 100, 3)), 1, 97, 49)
    assert found["empty"] == bridge.Statistic(0, 0)


HANDLERS = (
    "n[tid()]++",
    "s <<< 7",
    "a[execname()]++",
    "a[execname()]++; println(a[execname()])",
)


@pytest.mark.parametrize("handler", HANDLERS)
def test_globals_while_the_script_runs(handler: str) -> None:
    """By thread in the kernel, added up there (statistic, number), and in user space."""
    script = f"""global n, s, a probe kernel.trace("sched:sched_process_fork") {{ {handler} }}
    probe begin {{ s <<< 3; a[""] = 5; n[0] = 1 }}
    probe end {{ println(n[0] + @count(s) + a[""]) }}"""
    seen = []
    with bridge.compile(script).attach() as session:
        for _ in range(4):
            subprocess.run(["sh", "-c", "(true); (true)"], check=True)
            seen.append(_forks(session.globals))
        session.stop()
        list(session)
    seen.append(_forks(session.globals))

    assert 7 <= seen[0] < seen[1] < seen[2] < seen[3] <= seen[4]
    found = session.globals
    assert found["a"][""] == 5
    assert found["s"].min == 3


def _forks(found: dict[str, object]) -> int:
    n, s, a = found.get("n", {}), found.get("s"), found.get("a", {})
    assert isinstance(n, dict)
    assert isinstance(a, dict)
    counted = s.count if isinstance(s, bridge.Statistic) else 0
    return sum(n.values()) + counted + sum(a.values())
