"""Held processes, as a session sees them: the guards that outlive us, and the end.

One rule: whatever becomes of this process, none that it holds stays stopped.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge._native import ffi, lib
from bridge.codegen.bpf.object import Control
from bridge.engine.kernel.refusals import host_error

if TYPE_CHECKING:
    from bridge.engine.kernel.attach import Loaded

POLL_NS = 50_000
"""How often to look for records while processes may be waiting."""
LOOK_NS = 1_000_000_000
"""How often to look for the guards."""
_ALL = (1 << 64) - 1


@dataclass(slots=True)
class Guard:
    """The processes that let all others go on if this one dies (csrc/live/guard.h)."""

    _loaded: Loaded
    _map: int
    _alive: int
    _end: int
    _pid: int = 0
    _looked_ns: int = 0

    @classmethod
    def start(cls, loaded: Loaded, held: int) -> Guard:
        """Start them; from now on programs know which processes are ours."""
        loaded.set_word(Control.OWN, os.getpid())
        guard = cls(loaded, loaded.maps[held], *os.pipe())
        try:
            guard._start()
        except BaseException:
            os.close(guard._end)
            os.close(guard._alive)
            raise
        return guard

    def _start(self) -> None:
        native = ffi.new("struct mb_guard *")
        native.map, native.alive = self._map, self._alive
        native.control = self._loaded.control.pointer
        native.armed, native.beat = Control.ARMED, Control.BEAT
        native.leaving, native.seats = Control.LEAVING, Control.GUARDS
        self._pid = lib.mb_guard_start(native)
        if self._pid < 0:
            raise host_error("start the guard of held processes", self._pid)

    def watch(self) -> None:
        """Start guards again if all are gone; each starts the other one itself."""
        now = time.monotonic_ns()
        if now - self._looked_ns < LOOK_NS:
            return
        self._looked_ns = now
        if self._pid and os.waitpid(self._pid, os.WNOHANG)[0]:
            self._pid = 0
        seats = (Control.GUARDS, Control.SECOND_GUARD)
        if not any(_lives(self._loaded.word(seat)) for seat in seats):
            self._start()

    def release(self) -> None:
        """Let all go on, after programs have ended."""
        lib.mb_hold_release_all(self._map, _ALL)

    def close(self) -> None:
        """The session is over."""
        self.release()
        self._loaded.set_word(Control.LEAVING, 1)
        os.close(self._end)
        os.close(self._alive)
        if self._pid:
            os.waitpid(self._pid, 0)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return pid != 0
