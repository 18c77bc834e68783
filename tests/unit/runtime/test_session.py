"""A session fed with records: captures, contexts, faults, timers by record time, merging."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from bridge._native import ffi, lib
from bridge.artifact import FAULT, Hook, Placed, Placement, RecordLayout, Where
from bridge.engine.base import SessionOptions, SessionState
from bridge.engine.session.native import NativeSession
from bridge.ir import ops
from bridge.ir.program import (
    Argument,
    Array,
    BasicBlock,
    Buckets,
    Context,
    Conversion,
    ErrorSite,
    Format,
    Function,
    Handler,
    IrProgram,
    Load,
    Reg,
    Scalar,
    StatShape,
    Value,
)
from bridge.markers import Expansion, Kind, Marker, MarkerAttachment, Timer

LONG, STRING = Value.LONG, Value.STRING
ARG = Argument("arg1", LONG)
TEXT = Load("user", STRING, Argument("arg2", LONG))
NAME = Context("execname")
TIME = Context("realtime_ns")
CAPTURES = (ARG, TEXT, NAME, TIME)
MARKER = Expansion(MarkerAttachment(Marker(Kind.USDT, "app", "hit")), "process.mark")


def body(registers: list[Value], *operations: ops.Op) -> Function:
    return Function("body", 0, registers, None, [BasicBlock(list(operations), ops.Return())])


def hit_handler() -> Handler:
    registers = [LONG, STRING, STRING, LONG, LONG]
    reads = [ops.Capture(Reg(n), n, 0) for n in range(4)]
    tid = ops.CallBuiltin(Reg(4), "pid", (), 0)
    line = ops.PrintFormat(0, tuple(Reg(n) for n in range(5)))
    return Handler("hit", "hit", MARKER, CAPTURES, body(registers, *reads, tid, line))


def program(*handlers: Handler) -> IrProgram:
    pieces = (Conversion("d"), b" ", Conversion("s"), b" ", Conversion("s"), b" ")
    tail = (Conversion("d"), b" ", Conversion("d"), b"\n")
    return IrProgram(
        handlers=list(handlers),
        formats=[Format(pieces + tail), Format((b"tick\n",))],
        sites=[ErrorSite("identifier 'x' at f:1:2")],
    )


LAYOUT = RecordLayout((*CAPTURES, Context("pid"), Argument("arg2", LONG)))


def record(time_ns: int, arg: int, text: bytes | None, name: bytes = b"app") -> bytes:
    """The bytes of a hit, as an engine makes them."""
    base = 16 + 8 * LAYOUT.slot_count
    texts = (text or b"") + b"\0" + name + b"\0"
    where = (0, FAULT) if text is None else (base, len(text))
    at_name = base + len(text or b"") + 1
    slots = {
        "$arg1": struct.pack("<q", arg),
        "user_string($arg2)": struct.pack("<II", *where),
        "execname()": struct.pack("<II", at_name, len(name)),
        "realtime_ns()": struct.pack("<q", 0),
        "pid()": struct.pack("<q", 4321),
        "$arg2": struct.pack("<q", 0xDEAD),
    }
    data = b"".join(slots[key] for key in LAYOUT.slots) + texts
    data += b"\0" * (-len(data) % 8)
    return struct.pack("<IIQ", 16 + len(data), 0, time_ns) + data


class Session:
    """A native session whose output and messages are files."""

    def __init__(self, folder: Path, what: IrProgram, **options: object) -> None:
        self.paths = [folder / "output", folder / "messages"]
        self.files = [os.open(p, os.O_CREAT | os.O_WRONLY) for p in self.paths]
        users = tuple(
            n
            for n, h in enumerate(what.handlers)
            if isinstance(h.expansion.attachment, MarkerAttachment)
        )
        hook = Hook(0, MARKER.attachment, users, users, LAYOUT)
        places = tuple(Placement(Where.USER, "") for _ in what.handlers)
        placed = Placed(what, places, (hook,))
        given = SessionOptions(output=self.files[0], messages=self.files[1], **options)
        self.native = NativeSession.open(placed, given)

    def texts(self) -> tuple[str, str]:
        self.native.flush()
        output, messages = (p.read_text() for p in self.paths)
        return output, messages

    def close(self) -> None:
        self.native.close()
        for file in self.files:
            os.close(file)


@pytest.fixture
def opened(tmp_path: Path):
    sessions = []

    def make(what: IrProgram, **options: object) -> Session:
        sessions.append(Session(tmp_path, what, **options))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()


def test_a_record_reaches_the_handler(opened) -> None:
    session = opened(program(hit_handler()), realtime_offset_ns=1000)
    session.native.state = SessionState.RUNNING
    assert session.native.deliver(record(5, -7, b"select 1")) is SessionState.RUNNING
    assert session.texts() == ("-7 select 1 app 1005 4321\n", "")


def test_nothing_runs_before_the_session_runs_or_after_it_stopped(opened) -> None:
    session = opened(program(hit_handler()))
    session.native.deliver(record(5, 1, b"x"))
    session.native.state = SessionState.RUNNING
    session.native.stop()
    assert session.native.deliver(record(5, 1, b"x")) is SessionState.STOPPING
    assert session.texts() == ("", "")


def test_memory_that_could_not_be_read_is_an_error_where_it_is_used(opened) -> None:
    session = opened(program(hit_handler()))
    session.native.state = SessionState.RUNNING
    assert session.native.deliver(record(5, 1, None)) is SessionState.FAILED
    assert session.texts()[1] == (
        "ERROR: user string copy fault -14 at 0xdead [man error::fault]"
        " near identifier 'x' at f:1:2 in probe hit\n"
    )


def test_captured_text_is_cut_to_a_string(opened) -> None:
    session = opened(program(hit_handler()))
    session.native.state = SessionState.RUNNING
    session.native.deliver(record(5, 1, b"y" * 2000))
    assert session.texts()[0] == f"1 {'y' * 511} app 5 4321\n"


def test_timers_come_between_records_by_their_time(opened) -> None:
    tick = Handler("t", "t", Expansion(Timer(10), "t"), (), body([], ops.PrintFormat(1, ())))
    session = opened(program(hit_handler(), tick), replay=True)
    session.native.state = SessionState.RUNNING
    session.native.start_timers(100)
    for time_ns in (105, 109, 131):
        session.native.deliver(record(time_ns, time_ns, b"-"))
    assert [line.split()[0] for line in session.texts()[0].splitlines()] == [
        "105",
        "109",
        "tick",
        "tick",
        "tick",
        "131",
    ]
    assert session.native.next_timer() == 140


def test_a_broken_record_is_refused(opened) -> None:
    session = opened(program(hit_handler()))
    session.native.state = SessionState.RUNNING
    broken = bytearray(record(5, 1, b"x"))
    struct.pack_into("<I", broken, 4, 99)
    assert session.native.deliver(bytes(broken)) is SessionState.RUNNING
    assert session.texts() == ("", "")


def test_what_the_kernel_added_is_merged_in_order(opened) -> None:
    what = program()
    shape = StatShape(frozenset({"count", "min"}), 0, Buckets("log"))
    what.globals = [
        Array("a", (LONG, STRING), LONG, 2),
        Scalar("s", None, None, shape),
        Scalar("n", LONG, 5),
    ]
    what.handlers = [hit_handler()]
    session = opened(what)
    handle = session.native.handle
    names = [ffi.new("char[]", text) for text in (b"x", b"y")]

    def keys(number: int, name: int) -> object:
        return ffi.new("int64_t[]", [number, int(ffi.cast("int64_t", names[name]))])

    assert lib.mb_session_add(handle, 2, ffi.NULL, 37, 0, 0) == 0
    assert lib.mb_session_add(handle, 0, keys(2, 0), 1, 0, 0) == 0
    assert lib.mb_session_add(handle, 0, keys(1, 1), 5, 0, 0) == 0
    assert lib.mb_session_add(handle, 0, keys(2, 0), 9, 0, 0) == 0
    assert lib.mb_session_add(handle, 0, keys(3, 0), 1, 0, 0) == -1
    assert "Array overflow, check MAXMAPENTRIES near identifier 'x'" in session.texts()[1]
    got, value, entry, seen = ffi.new("int64_t[9]"), ffi.new("int64_t *"), 0, []
    while entry := lib.mb_session_walk(handle, 0, entry, got, value):
        seen.append((got[0], ffi.string(ffi.cast("char *", got[1])), value[0]))
    assert seen == [(2, b"x", 10), (1, b"y", 5)]
    buckets = ffi.new("int64_t[128]")
    assert lib.mb_session_buckets(handle, 1) == 128
    assert lib.mb_session_merge_stat(handle, 1, ffi.NULL, [3, 9, 1, 5], buckets, 0, 0) == 0


def test_output_that_cannot_be_written_is_reported_once(tmp_path: Path) -> None:
    session = Session(tmp_path, program(hit_handler()))
    session.native.state = SessionState.RUNNING
    full = os.open("/dev/full", os.O_WRONLY)
    lib.mb_session_outputs(session.native.handle, full, session.files[1])
    for _ in range(3):
        session.native.deliver(record(5, 1, b"x"))
        session.native.flush()
    assert session.native.state is SessionState.STOPPING
    messages = session.paths[1].read_text()
    assert messages == "ERROR: cannot write output: No space left on device\n"
    assert session.native.result().exit_code == 1
    os.close(full)
    session.close()
