"""What a session has in C, after its end and used by several threads: an exception, no crash.

A crash would kill the whole process, so each case runs in one of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.child import run_python

if TYPE_CHECKING:
    from pathlib import Path

PRELUDE = """
import os, sys, threading
from pathlib import Path
import bridge
from bridge._native import ffi
from bridge.engine.base import SessionOptions, SessionState
from bridge.engine.session.native import NativeSession
from bridge.errors import BridgeError
from bridge.probes.live import LiveTargets
from bridge.world import LiveWorld
from tests.support.recordings import Recording, usdt
from bridge.markers import MarkerAttachment

folder = Path(sys.argv[1])
nowhere = os.open("/dev/null", os.O_WRONLY)
quiet = SessionOptions(output=nowhere, messages=nowhere)

def told_as(error):
    return "closed" if "closed" in str(error) or "is over" in str(error) else str(error)

def refused(*actions):
    told = set()
    for action in actions:
        try:
            told.add(f"came: {action()}")
        except BridgeError as error:
            told.add(told_as(error))
    print(told)

def against(close, *actions):
    '''Four threads that do it all again and again, until all is closed under their hands.'''
    started, ends = threading.Barrier(5), []

    def use():
        started.wait()
        try:
            for _ in range(1_000_000):
                for action in actions:
                    action()
            ends.append("end")
        except BridgeError as error:
            ends.append(told_as(error))

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads: thread.start()
    started.wait()
    for action in actions: action()
    close()
    for thread in threads: thread.join()
    print(ends)

def placed(text, targets=None):
    return bridge.compile(text)._place(targets or LiveTargets(LiveWorld()))
"""


def _run(code: str, folder: Path) -> list[str]:
    return run_python(PRELUDE + code, folder)


CLOSED, FOUR = "{'closed'}", "['closed', 'closed', 'closed', 'closed']"
SESSION = """
def opened():
    script = 'global n, t probe begin { n++ t[n] = "x" println(n) } probe timer.ms(1) { n++ }'
    session = NativeSession.open(placed(script), quiet)
    session.state = SessionState.RUNNING
    session.start_timers(0)
    return session

def actions(session):
    return (
        lambda: session.state, lambda: session.run(0), lambda: session.run_timers(1 << 40),
        session.next_timer, session.flush, lambda: session.warn("x"), session.result,
        lambda: session.note_lost(1), lambda: session.blame(0, None, b"x"),
        lambda: session.set_clock(1), lambda: session.start_timers(0),
        lambda: session.deliver(bytes(16)), lambda: session.handle, session.stop,
        lambda: setattr(session, "state", SessionState.STARTING),
        lambda: session.consumer(ffi.new("struct mb_live *")),
    )
"""


def test_a_session_that_is_closed(tmp_path: Path) -> None:
    code = """
session = opened()
session.close()
session.close()
refused(*actions(session))
session = opened()
against(session.close, *actions(session)[:10])
"""
    assert _run(SESSION + code, tmp_path) == [CLOSED, FOUR]


def test_a_recorder_that_is_closed(tmp_path: Path) -> None:
    code = """
def opened(name):
    return Recording(folder / name, [MarkerAttachment(usdt("order"))])

recording = opened("a")
recording.hit(1, 1)
first = recording.recorder.close()
print(first.written, recording.recorder.close() == first)
recorder = recording.recorder
refused(
    lambda: recorder.lost(0, 1), recorder.flush, lambda: recorder.handle,
    lambda: recording.hit(2, 2), lambda: recorder._folder.handle,
)
try:
    recorder.start(0)
except BridgeError as error:
    print("once" in str(error))
recording = opened("b")
recorder, ends = recording.recorder, []
against(lambda: ends.append(recorder.close()), lambda: recorder.lost(0, 1), recorder.flush)
with bridge.open_trace(folder / "a") as trace:
    print([event.fields["arg1"] for event in trace])
"""
    expected = ["1 True", CLOSED, "True", FOUR, "[1]"]
    assert _run(code, tmp_path) == expected


def test_a_replay_that_is_closed(tmp_path: Path) -> None:
    code = """
from bridge.engine.trace import replay
from bridge.progress import Activity

recording = Recording(folder / "t", [MarkerAttachment(usdt("order"))])
for number in range(1000): recording.hit(number, number)
recording.recorder.close()
recorded = replay.open_recording([folder / "t"])
point = 'process("/usr/bin/shop").mark("order")'
script = placed(f"global n probe {point} {{ n += $arg1 }}", replay.targets_of(recorded))

def opened():
    session = NativeSession.open(script, quiet)
    session.state = SessionState.RUNNING
    bound = replay.bind_plan(script, recorded, recorded.ctf)
    cursor = replay.CtfCursor(recorded.ctf.folder, recorded.ctf.plan)
    return session, replay.ReplayFeed(cursor, session, bound, 0, Activity(""))

session, feed = opened()
feed.close()
feed.close()
refused(lambda: feed.turn(0), feed.disarm)
session.close()
session, feed = opened()
session.close()
refused(lambda: feed.turn(0), feed.disarm)
feed.close()
session, feed = opened()
against(feed.close, lambda: feed.turn(0), lambda: session.state)
session, feed = opened()
against(session.close, lambda: feed.turn(0), lambda: session.state)
feed.close()
"""
    lines = _run(code, tmp_path)
    assert lines[:2] == [CLOSED] * 2
    # those that only looked at the session when the feed was closed meet it in the next turn
    assert lines[2:] == [FOUR] * 2


@pytest.mark.bpf
def test_a_live_feed_that_is_closed(tmp_path: Path) -> None:
    code = """
from bridge.codegen.bpf.object import Control
from bridge.engine.kernel import feed as kernel
from bridge.engine.live import LiveOptions, Outside
from bridge.engine.target import Target

script = placed(
    'global n probe kernel.trace("sched_switch") { n++ } '
    'probe kernel.trace("sched_wakeup") { println($p->pid) } probe end { println(n) }'
)

def opened():
    options = LiveOptions(quiet, lambda: False, trace=None)
    outside = Outside(Target(), options)
    loaded, now = kernel._load(script, outside, 0)
    session = NativeSession.open(now, quiet)
    session.state = SessionState.RUNNING
    feed = kernel.KernelFeed(loaded, session, outside)
    feed.open(None)
    session.start_timers(feed.arm())
    return loaded, session, feed

loaded, session, feed = opened()
feed.turn(0)
feed.close()
feed.close()
refused(lambda: feed.turn(0), feed.settle, feed.disarm, feed.arm, lambda: feed.open(None))
loaded.close()
loaded.close()
refused(
    lambda: loaded.word(Control.LOST), lambda: loaded.set_word(Control.ARMED, 1),
    lambda: loaded.map(0),
)
refused(feed._drain.drain_all)
session.close()

loaded, session, feed = opened()
session.close()
refused(lambda: feed.turn(0), feed.settle, feed.disarm, feed._drain.drain_all)
feed.close()
loaded.close()

for which in range(3):
    loaded, session, feed = opened()
    close = (feed.close, loaded.close, session.close)[which]
    against(close, lambda: feed.turn(0), feed.settle)
    feed.close()
    loaded.close()
    session.close()
"""
    assert _run(code, tmp_path) == [CLOSED] * 4 + [FOUR] * 3
