"""`read` and `convert` of several traces, and of classes that a format cannot hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bridge.cli import main
from bridge.errors import TraceError
from bridge.trace.convert import to_ctf, to_ltt
from bridge.trace.ctf.writer import CtfWriter
from bridge.trace.ltt.write import WriteOptions
from bridge.trace.ltt.writer import LttWriter
from bridge.trace.model import (
    Enumeration,
    Event,
    EventClass,
    Field,
    Float,
    Integer,
    Optional,
    Struct,
    Text,
    Variant,
)
from bridge.trace.open import open_trace, open_traces
from tests.support.command import Finished

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Runner = Callable[..., Finished]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Runner:
    """Runs a command of the tool: its exit code and what it wrote."""

    def one(*words: str) -> Finished:
        code = main(list(words))
        return Finished(code, *capfd.readouterr())

    return one


NUMBER = EventClass("kernel.e", 0, Struct((Field("n", Integer(32, signed=False)),)))


def _event(kind: EventClass, n: int, stream: str, **fields: object) -> Event:
    return Event(kind, 1000 + n, 0, 0, stream, {"n": n, **fields})  # type: ignore[dict-item]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A CTF and an LTT trace whose events alternate."""
    with CtfWriter(tmp_path / "ctf", packet_bytes=4096) as writer:
        writer.write(_event(NUMBER, n, "a_0") for n in range(0, 100, 2))
    with LttWriter(tmp_path / "ltt") as out:
        out.declare([NUMBER])
        out.write(_event(NUMBER, n, "kernel_0") for n in range(1, 100, 2))
    return tmp_path / "ctf", tmp_path / "ltt"


def test_traces_of_several_formats_are_read_in_order_of_time(
    pair: tuple[Path, Path], run: Runner
) -> None:
    with open_traces(pair) as reader:
        events = [e for e in reader if e.event_class.name == NUMBER.name]

    assert [e.fields["n"] for e in events] == list(range(100))
    text = run("read", "--event", NUMBER.name, *map(str, pair)).out
    assert text.count("kernel.e: ") == 100
    counted = run("read", "--stats", "--format=json", *map(str, pair)).out
    streams = json.loads(counted)["streams"]
    assert sum(s["events"].get(NUMBER.name, 0) for s in streams.values()) == 100


def test_the_same_folder_twice_is_read_once(pair: tuple[Path, Path]) -> None:
    with open_traces([pair[0], pair[0]]) as reader:
        assert len(list(reader)) == 50


def test_several_traces_become_one(
    pair: tuple[Path, Path], tmp_path: Path, run: Runner
) -> None:
    done = run("convert", *map(str, pair), str(tmp_path / "out"), "--to", "ctf-2")

    assert done.code == 0, done.err
    with open_trace(tmp_path / "out") as reader:
        assert [e.fields["n"] for e in reader] == list(range(100))


TAG = Enumeration(Integer(8, signed=False), (("a", 0, 0), ("b", 1, 1)))
CHOICE = Variant("t", (Field("a", Text()), Field("b", Integer(16, signed=True))))
UNHELD = {
    "optional": (
        (Field("f", Integer(8, signed=False, form="bool")), Field("o", Optional(Text(), "f"))),
        {"f": 1, "o": "x"},
    ),
    "variant": ((Field("t", TAG), Field("v", CHOICE)), {"t": 1, "v": 3}),
    "real": ((Field("r", Float(64)),), {"r": 0.5}),
    "odd": ((Field("i", Integer(24, signed=False)),), {"i": 7}),
}
TARGETS = [("optional", "ctf-1.8"), ("optional", "ltt-2.6"), ("variant", "ltt-2.6")]
TARGETS += [("real", "ltt-2.6"), ("odd", "ltt-2.6"), ("variant", "ltt-0.8"), ("odd", "ltt-0.8")]


@pytest.mark.parametrize(("name", "target"), TARGETS)
def test_a_class_that_a_format_cannot_hold(
    name: str, target: str, tmp_path: Path, run: Runner
) -> None:
    fields, values = UNHELD[name]
    kind = EventClass(
        f"kernel.{name}", 1, Struct((Field("n", Integer(32, signed=False)), *fields))
    )
    with CtfWriter(tmp_path / "in", version=2) as writer:
        for n in range(10):
            writer.write(_event(NUMBER, 2 * n, "a_0"))
            if n < 3:
                writer.write(_event(kind, 2 * n + 1, "a_0", **values))
    with open_trace(tmp_path / "in") as reader:
        if target.startswith("ltt-"):
            options = WriteOptions(version=target.removeprefix("ltt-"))
            done = to_ltt(reader, tmp_path / "out", options)
            with pytest.raises(TraceError, match=name):
                to_ltt(reader, tmp_path / "none", options, strict=True)
        else:
            done = to_ctf(reader, tmp_path / "out")
            with pytest.raises(TraceError, match=name):
                to_ctf(reader, tmp_path / "none", strict=True)

    assert {n: s.events for n, s in done.skipped.items()} == {kind.name: 3}
    assert done.events == 10
    assert not (tmp_path / "none").exists()
    with open_trace(tmp_path / "out") as reader:
        found = [e.fields["n"] for e in reader if e.event_class.name == NUMBER.name]
    assert found == list(range(0, 20, 2))
    said = run("convert", str(tmp_path / "in"), str(tmp_path / "said"), "--to", target)
    assert said.code == 0
    assert f"3 events of class {kind.name} are left out: " in said.err
    refused = run(
        "convert", "--strict", str(tmp_path / "in"), str(tmp_path / "not"), "--to", target
    )
    assert refused.code == 1
    assert not (tmp_path / "not").exists()
