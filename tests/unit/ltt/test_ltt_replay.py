"""Scripts over genuine traces of LTT, and over what `convert` makes of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import bridge
from bridge.script.options import AnalyseOptions
from bridge.trace.convert import to_ctf
from bridge.trace.ltt import open_ltt
from bridge.trace.open import open_trace
from tests.support.reference_traces import unpack

NAME = "kernel-2.3-399747"
COUNT = """global n
probe kernel.mark("*") { n[$name]++ }
probe end { foreach (name in n+) printf("%s %d\\n", name, n[name]) }"""
IRQ = """global entered, id, depth
probe kernel.trace("kernel:irq_entry") {
  c = cpu()
  depth[c]++
  entered[c, depth[c]] = gettimeofday_ns()
  id[c, depth[c]] = $irq_id
}
probe kernel.trace("irq_exit") {
  c = cpu()
  if (depth[c] > 0) {
    printf("%d %d\\n", gettimeofday_ns() - entered[c, depth[c]], id[c, depth[c]])
    depth[c]--
  }
}"""


@pytest.fixture(scope="module")
def kernel(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kernel trace of 2009."""
    return unpack(reference, NAME, tmp_path_factory.mktemp("kernel"))


def _replay(text: str, trace: Path) -> str:
    return bridge.Program("test", text.encode(), AnalyseOptions()).replay(trace).text


def _counts(text: str) -> dict[str, int]:
    return {name: int(count) for name, count in map(str.split, text.splitlines())}


def test_markers_by_name(kernel: Path, reference: Path) -> None:
    counts = json.loads((reference / "ltt" / f"{NAME}.counts.json").read_text())["counts"]

    assert _counts(_replay(COUNT, kernel)) == counts


def test_the_same_of_a_conversion(kernel: Path, reference: Path, tmp_path: Path) -> None:
    counts = json.loads((reference / "ltt" / f"{NAME}.counts.json").read_text())["counts"]
    with open_trace(kernel) as source:
        to_ctf(source, tmp_path / "ctf")

    converted = _counts(_replay(COUNT, tmp_path / "ctf"))

    own = {name for name in counts if name.startswith("metadata.")}
    assert converted == {name: n for name, n in counts.items() if name not in own}
    assert _replay(IRQ, tmp_path / "ctf") == _replay(IRQ, kernel)


def test_interrupts_last_as_long_as_python_says(kernel: Path) -> None:
    runs: list[str] = []
    entered: dict[int, list[tuple[int, object]]] = {}
    with open_ltt(kernel) as trace:
        for event in trace:
            if event.event_class.name == "kernel.irq_entry":
                row = event.timestamp_ns, event.fields["irq_id"]
                entered.setdefault(event.cpu, []).append(row)
            elif event.event_class.name == "kernel.irq_exit" and entered.get(event.cpu):
                start, irq = entered[event.cpu].pop()
                runs.append(f"{event.timestamp_ns - start} {irq}")

    assert _replay(IRQ, kernel).splitlines() == runs


def test_tasks_of_a_marker_trace(kernel: Path) -> None:
    script = """global wrong, hits
    probe kernel.trace("sched:sched_switch") { if (tid() != $prev_pid) wrong++; hits++ }
    probe kernel.mark("fs_exec") { printf("%d %s %s\\n", pid() == tid(), execname(), $arg1) }
    probe kernel.mark("kernel.process_fork").format("parent_pid %d*") {
      if ($arg1 != tid()) wrong++
    }
    probe end { printf("%d of %d\\n", wrong, hits) }"""

    lines = _replay(script, kernel).splitlines()

    assert lines[-1] == "0 of 1772"
    assert len(lines) == 103


@pytest.mark.parametrize(
    ("name", "marker", "hits"),
    [
        ("facility-k32", "user_generic.string", 300),
        ("ltt2003-yangxx", "core.irq_entry", 20213),
        ("ust2", "ust.thr", 2000),
        ("synthetic-0.8", "compact.event_a", 12),
    ],
)
def test_every_generation(
    reference: Path, tmp_path: Path, name: str, marker: str, hits: int
) -> None:
    trace = unpack(reference, name, tmp_path)
    event = marker.partition(".")[2]
    script = f"""global a, b
    probe kernel.mark("{marker}") {{ a++ }}
    probe kernel.trace("{event}") {{ b++ }}
    probe end {{ println(a, " ", b) }}"""

    assert _replay(script, trace) == f"{hits} {hits}\n"
