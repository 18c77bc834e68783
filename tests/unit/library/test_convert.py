"""Conversion loses no byte, names what it refuses, and leaves no part of a trace behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import bridge
from bridge.cli.front import dispatch
from bridge.errors import TraceError
from bridge.formats.ltt import m2_header
from bridge.trace import convert, model
from bridge.trace.ctf.writer import CtfWriter
from bridge.trace.lket.writer import LketWriter
from bridge.trace.ltt.files import places
from bridge.trace.ltt.write import WriteOptions
from bridge.trace.open import open_trace
from tests.conftest import reference_folder
from tests.support.command import wait_until
from tests.support.library_traces import SECOND, order, write_ctf

BYTE = model.Integer(8, signed=False, encoding="utf8")
U8 = model.Integer(8, signed=False)


def _class(*fields: model.Field, context: model.Struct | None = None) -> model.EventClass:
    return model.EventClass("a:e", 0, model.Struct(fields), context)


def _event(
    event_class: model.EventClass, time_ns: int = 1, **fields: model.Value
) -> model.Event:
    return model.Event(event_class, time_ns, time_ns, 0, "s", fields)


def _convert(source: Path, out: Path, form: str) -> list[model.Event]:
    with open_trace(source) as reader:
        if form == "ctf":
            convert.to_ctf(reader, out)
        else:
            convert.to_ltt(reader, out, WriteOptions(form))
    with open_trace(out) as reader:
        return [e for e in reader if not convert.is_own(e.event_class, reader.format)]


# --- no byte is lost --------------------------------------------------------------------------


@pytest.mark.shared
def test_the_reference_with_a_nul(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = reference_folder() / "ctf" / "nul"

    with open_trace(source) as reader:
        assert [event.fields for event in reader] == [
            {"n": 3, "s": "a\0b"},
            {"n": 2, "s": "cd"},
        ]
    assert dispatch(["read", str(source), "--format", "json"]) == 0
    rows = [json.loads(line)["fields"]["s"] for line in capfd.readouterr().out.splitlines()]
    assert rows == ["a\0b", "cd"]
    assert [e.fields["s"] for e in _convert(source, tmp_path / "c", "ctf")] == ["a\0b", "cd"]
    for version in ("0.8", "0.7"):
        found = _convert(source, tmp_path / version, version)
        assert [bytes(e.fields["s"]) for e in found] == [b"a\0b", b"cd"]
    with pytest.raises(TraceError, match="field `s`: not a text without NUL"):
        _convert(source, tmp_path / "m", "2.6")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.7", "0.8", "c"]


COUNTED = (model.Field("n", U8), model.Field("s", model.Sequence(BYTE, "n")))
TEXTS = {
    "sequence, NUL at the end": (COUNTED, {"n": 3, "s": "ab\0"}),
    "sequence, only NULs": (COUNTED, {"n": 2, "s": "\0\0"}),
    "sequence, empty": (COUNTED, {"n": 0, "s": ""}),
    "sequence, not UTF-8": (COUNTED, {"n": 2, "s": "\udcff\0"}),
    "array, NUL inside": ((model.Field("s", model.FixedArray(BYTE, 4)),), {"s": "a\0b"}),
    "array, full": ((model.Field("s", model.FixedArray(BYTE, 2)),), {"s": "ab"}),
    "array, NULs in front": ((model.Field("s", model.FixedArray(BYTE, 3)),), {"s": "\0\0c"}),
    "sequence with its own count": (
        (model.Field("s", model.Sequence(BYTE, "", U8)),),
        {"s": "x\0y"},
    ),
    "inside of a structure": (
        (model.Field("in", model.Struct(COUNTED)),),
        {"in": {"n": 3, "s": "a\0b"}},
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_keeps_its_bytes(name: str, tmp_path: Path) -> None:
    fields, values = TEXTS[name]
    events = [_event(_class(*fields), 1, **values), _event(_class(*fields), 2, **values)]

    with bridge.open_trace(write_ctf(tmp_path / "t", events)) as trace:
        first = [{n: e.fields[n] for n in values} for e in trace]
    again = _convert(tmp_path / "t", tmp_path / "u", "ctf")

    assert first == [values, values]
    assert [{n: e.fields[n] for n in values} for e in again] == [values, values]


# --- each refusal says which it was -----------------------------------------------------------

STRING = (model.Field("what", model.Text()),)
REFUSED = {
    "a NUL in a string": (STRING, {"what": "a\0b"}, "field `what`: .* has a NUL"),
    "a missing field": (STRING, {}, "field `what`: there is no value"),
    "another type": (STRING, {"what": 5}, "field `what`: 5 is no text"),
    "half a character": (STRING, {"what": "\ud800"}, "field `what`: .* UTF-8 has not"),
    "too large": ((model.Field("n", U8),), {"n": 256}, "field `n`: 256 does not fit 8 bits un"),
    "negative": ((model.Field("n", U8),), {"n": -1}, "field `n`: -1 does not fit 8 bits un"),
    "another length": (COUNTED, {"n": 3, "s": "ab"}, "field `s`: 2 elements, but `n` is 3"),
    "too long": (
        (model.Field("s", model.FixedArray(BYTE, 2)),),
        {"s": "abc"},
        "field `s`: 3 bytes where 2 have room",
    ),
    "too few": (
        (model.Field("s", model.FixedArray(U8, 2)),),
        {"s": [1]},
        "field `s`: 1 elements where 2 belong",
    ),
    "in an element": (
        (model.Field("s", model.FixedArray(model.Struct((model.Field("x", U8),)), 2)),),
        {"s": [{"x": 1}, {"x": "y"}]},
        r"field `s\[1\].x`: 'y' is no integer",
    ),
    "no such option": (
        (
            model.Field("tag", model.Enumeration(U8, (("a", 0, 0),))),
            model.Field("v", model.Variant("tag", (model.Field("a", U8),))),
        ),
        {"tag": 7, "v": 1},
        "field `v`: the tag `tag` is 7, which selects no option",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_the_field(name: str, tmp_path: Path) -> None:
    fields, values, message = REFUSED[name]
    with CtfWriter(tmp_path / "t") as out:
        with pytest.raises(TraceError, match=f"event a:e at 7: {message}"):
            out.write(_event(_class(*fields), 7, **values))
        out.write(order(1))

    with bridge.open_trace(tmp_path / "t") as trace:
        assert [event.event_class.name for event in trace] == ["shop.order"]


@pytest.mark.parametrize("version", ["2.6", "0.8"])
@pytest.mark.parametrize("name", ["a NUL in a string", "a missing field", "too large"])
def test_ltt_names_the_field(name: str, version: str, tmp_path: Path) -> None:
    fields, values, message = REFUSED[name]
    field = message.partition("`")[2].partition("`")[0]
    with (
        convert.writer(tmp_path / "t", WriteOptions(version)) as out,
        pytest.raises(TraceError, match=f"event a:e at 7: .*field `{field}`"),
    ):
        out.write(_event(_class(*fields), 7, **values))


# --- times that go back -----------------------------------------------------------------------


def test_a_time_that_goes_back_is_refused_by_name(tmp_path: Path) -> None:
    with CtfWriter(tmp_path / "t") as out:
        out.write(order(1, time_ns=SECOND))
        with pytest.raises(TraceError, match=r"its time 999999999 is earlier .* channel0_0"):
            out.write(order(2, time_ns=SECOND - 1))
        out.write(order(3, time_ns=SECOND - 1, stream="channel0_1"))
        with pytest.raises(TraceError, match="its time -1 is before 1970"):
            out.write(order(4, time_ns=-1))


def _going_back(path: Path) -> Path:
    """Each fourth order is 10 s earlier than the one before it: LTT can say so."""
    with convert.writer(path, WriteOptions("2.6")) as out:
        for number in range(100):
            late = 10 * SECOND if number % 4 == 3 else 0
            out.write(order(number, time_ns=100 * SECOND + number - late))
    return path


@pytest.mark.parametrize(("form", "moved"), [("ctf", 25), ("ltt-0.8", 0), ("ltt-2.6", 0)])
def test_times_that_go_back_are_written_and_counted(
    form: str, moved: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, out = _going_back(tmp_path / "t"), tmp_path / "out"

    assert dispatch(["convert", str(source), str(out), "--to", form]) == 0

    told = capfd.readouterr().err
    assert "100 events written" in told
    assert (f"{moved} events are earlier" in told) == bool(moved)
    with open_trace(out) as reader:
        found = [e for e in reader if e.event_class.name.endswith("order")]
    assert sorted(e.fields["number"] for e in found) == list(range(100))
    if form == "ctf":
        assert [e.timestamp_ns for e in found] == sorted(e.timestamp_ns for e in found)


# --- context ----------------------------------------------------------------------------------

LABELS = model.Enumeration(U8, (("idle", 0, 0), ("busy", 1, 9)))
CONTEXT = """/* CTF 1.8 */
trace {{ major = 1; minor = 8; byte_order = le; }};
env {{ hostname = "h"; procname = "{process}"; vpid = {pid}; domain = "ust"; }};
stream {{
  id = 0;
  event.context := struct {{
    enum : integer {{ size = 8; align = 8; }} {{ idle, busy = 1 ... 9 }} _state;
    integer {{ size = 8; align = 8; base = 16; }} _flags;
  }};
}};
event {{ name = "e"; id = 0; stream_id = 0;
  context := struct {{ enum : integer {{ size = 8; align = 8; }} {{ low, high }} _level; }};
  fields := struct {{ integer {{ size = 8; align = 8; }} n; }}; }};
"""


def _process(folder: Path, process: str, pid: int) -> Path:
    folder.mkdir(parents=True)
    (folder / "metadata").write_text(CONTEXT.format(process=process, pid=pid))
    (folder / "s").write_bytes(bytes([5, 255, 1, pid]))
    return folder


def test_labels_of_contexts_survive(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = _process(tmp_path / "t", "app", 7)
    (event,) = _convert(source, tmp_path / "out", "ctf")

    assert event.context == {"state": 5, "flags": 255, "level": 1}
    assert dispatch(["read", str(tmp_path / "out"), "--clock-seconds"]) == 0
    shown = capfd.readouterr().out
    for part in ('state = ( "busy" : container = 5 )', "flags = 0xFF", '( "high" : container'):
        assert part in shown
    types = {f.name: f.type for f in event.event_class.context.fields}
    assert types["state"].labels == (("idle", 0, 0), ("busy", 1, 9))


def test_the_process_of_each_trace_survives(tmp_path: Path) -> None:
    for name, pid in (("shop", 11), ("bank", 12), ("mall", 13)):
        _process(tmp_path / "session" / f"{name}-{pid}", name, pid)

    with open_trace(tmp_path / "session") as merged:
        assert dict(merged.attributes) == {"hostname": "h", "domain": "ust"}
        found = {e.fields["n"]: (e.context["procname"], e.context["vpid"]) for e in merged}
    written = _convert(tmp_path / "session", tmp_path / "out", "ctf")

    assert found == {11: ("shop", 11), 12: ("bank", 12), 13: ("mall", 13)}
    for event in written:
        assert (event.context["procname"], event.context["vpid"]) == found[event.fields["n"]]


def test_the_process_of_one_trace_survives(tmp_path: Path) -> None:
    _convert(_process(tmp_path / "t", "shop", 11), tmp_path / "out", "ctf")

    with open_trace(tmp_path / "out") as reader:
        assert reader.environment["procname"] == "shop"
        assert reader.environment["vpid"] == 11


# --- an interrupted conversion ----------------------------------------------------------------


def test_a_refusal_leaves_nothing(tmp_path: Path) -> None:
    source = write_ctf(
        tmp_path / "t", [order(1), _event(_class(*COUNTED), SECOND * 2, n=1, s="\0")]
    )

    with pytest.raises(TraceError, match="without NUL") as refused:
        _convert(source, tmp_path / "new" / "out", "2.6")

    assert ".partial" not in str(refused.value)
    assert list((tmp_path / "new").iterdir()) == []


@pytest.fixture(scope="module")
def long_trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough that a conversion of it can be interrupted: a million events."""
    path = tmp_path_factory.mktemp("long") / "t"
    with CtfWriter(path) as out:
        write_order = out.event_class("shop:order", number="i32", cents="u64")
        for number in range(1_000_000):
            write_order(number=number, cents=7)
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("form", ["ctf", "ltt-2.6", "ltt-0.8", "perfetto", "parquet"])
def test_a_signal_leaves_nothing(
    form: str, number: signal.Signals, tmp_path: Path, long_trace: Path
) -> None:
    words = [sys.executable, "-m", "bridge", "convert", str(long_trace), str(tmp_path / "out")]
    command = subprocess.Popen([*words, "--to", form], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: command.poll() is not None or any(tmp_path.glob(".out.*")))
    assert command.poll() is None
    command.send_signal(number)
    _, told = command.communicate()

    assert command.returncode not in (0, 1)
    assert "Traceback" not in told
    assert list(tmp_path.iterdir()) == []


def test_a_killed_conversion_leaves_no_trace_that_is_found(tmp_path: Path) -> None:
    partial = tmp_path / "session" / ".out.x1.partial"
    write_ctf(partial)
    write_ctf(tmp_path / "session" / "whole", [order(7)])

    with open_trace(tmp_path / "session") as reader:
        assert [event.fields["number"] for event in reader] == [7]


def test_an_empty_folder_may_be_there(tmp_path: Path) -> None:
    source, out = write_ctf(tmp_path / "t", [order(1)]), tmp_path / "out"
    out.mkdir(mode=0o750)
    out.chmod(0o750)

    assert len(_convert(source, out, "ctf")) == 1
    assert out.stat().st_mode & 0o777 == 0o750
    with pytest.raises(TraceError, match="is not empty"):
        _convert(source, out, "ctf")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "t"]


@pytest.mark.parametrize("below", ["x", "x/y", "."])
@pytest.mark.parametrize("form", ["ctf", "2.6", "0.8", "0.7"])
def test_what_is_no_folder_is_named(tmp_path: Path, form: str, below: str) -> None:
    """Where a trace would be written below a file, or a device: never `File exists`."""
    source, file = write_ctf(tmp_path / "t", [order(1)]), tmp_path / "file"
    file.write_text("not a folder")
    for stands in (file, Path("/dev/full")):
        with pytest.raises(TraceError, match=r"is not a folder|is not empty") as refused:
            _convert(source, stands / below, form)
        assert str(stands) in str(refused.value)
    for write in (CtfWriter, bridge.LttWriter, LketWriter):
        with pytest.raises(TraceError, match=r"file is not a folder|file: is not empty"):
            write(file / below)
    assert file.read_text() == "not a folder"


# --- what the source has lost -----------------------------------------------------------------


def _with_losses(path: Path, form: str) -> Path:
    """A trace of a stream with 7 lost events, one with 5, one with none; 12 together."""
    names = {"first_0": 7, "second_0": 5, "third_0": 0}
    if form == "ctf":
        with CtfWriter(path) as out:
            for name in names:
                out.write(model.Event(NUMBER, 1, 1, 0, name, {"n": 1}))
            for name, lost in names.items():
                out.lost(name, 0, lost)
        return path
    with convert.writer(path, WriteOptions("2.6")) as ltt:
        for name, lost in names.items():
            channel = name.removesuffix("_0")
            ltt.write(model.Event(_marker(channel), 1, 1, 0, name, {"n": 1}))
            ltt.lost(name, lost)
    return path


NUMBER = model.EventClass("a:e", 0, model.Struct((model.Field("n", U8),)))


def _marker(channel: str) -> model.EventClass:
    attributes = {"format": "n %u"}
    field = model.Field("n", model.Integer(32, signed=False))
    return model.EventClass(f"{channel}.e", 0, model.Struct((field,)), None, attributes)


LOST = "12 events were lost when the trace was recorded"
KEPT = {"2.6": "says so, too", "ctf": "says so, too", "0.8": "no place", "0.7": "no place"}


@pytest.mark.parametrize("to", KEPT)
@pytest.mark.parametrize("form", ["ctf", "2.6"])
def test_lost_events_are_told_and_carried_over(
    form: str, to: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = _with_losses(tmp_path / "source", form)
    target = to if to == "ctf" else f"ltt-{to}"

    assert dispatch(["convert", str(source), str(tmp_path / "out"), "--to", target]) == 0

    err = capfd.readouterr().err
    assert err.count(LOST) == 1
    assert KEPT[to] in err
    with open_trace(tmp_path / "out") as reader:
        lost = sum(stream.lost for stream in reader.statistics().values())
    assert lost == (12 if KEPT[to] == "says so, too" else 0)


def test_lost_events_of_merged_traces(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in "ab":
        _with_losses(tmp_path / "both" / name, "ctf")

    command = ["convert", str(tmp_path / "both"), str(tmp_path / "out"), "--to", "ctf"]
    assert dispatch(command) == 0

    assert "warning: 24 events were lost" in capfd.readouterr().err
    with open_trace(tmp_path / "out") as reader:
        lost = [stream.lost for stream in reader.statistics().values()]
    assert sorted(lost) == [0, 0, 5, 5, 7, 7]


def test_lost_events_of_a_stream_without_events(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of a stream that has only descriptions of the trace itself, nothing is written."""
    with convert.writer(tmp_path / "source", WriteOptions("2.6")) as out:
        out.write(model.Event(_marker("first"), 1, 1, 0, "first_0", {"n": 1}))
        out.lost("first_0", 7)
        out.lost("metadata_0", 5)

    command = ["convert", str(tmp_path / "source"), str(tmp_path / "out"), "--to", "ctf"]
    assert dispatch(command) == 0

    err = capfd.readouterr().err
    assert LOST in err
    assert "says so of 7, the others' streams have no events" in err


def test_sub_buffers_that_the_tracer_calls_corrupt(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = _with_losses(tmp_path / "source", "2.6")
    at = places(m2_header(6, 8, False))["subbuf_corrupt"]
    data = bytearray((source / "first_0").read_bytes())
    data[at : at + 4] = (3).to_bytes(4, "little")
    (source / "first_0").write_bytes(data)

    for number, to in enumerate(("ctf", "ltt-2.6")):
        assert dispatch(["convert", str(source), str(tmp_path / str(number)), "--to", to]) == 0
        err = capfd.readouterr().err
        assert "warning: the tracer calls 3 sub-buffers corrupt" in err
    assert dispatch(["read", str(source), "--stats"]) == 0
    assert "7 lost, 3 sub-buffers that the tracer calls corrupt" in capfd.readouterr().out


def test_a_whole_trace_tells_of_no_loss(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = write_ctf(tmp_path / "source", [order(1), order(2)])

    assert dispatch(["convert", str(source), str(tmp_path / "o"), "--to", "ltt-2.6"]) == 0

    assert capfd.readouterr().err == f"2 events written to {tmp_path / 'o'}\n"
