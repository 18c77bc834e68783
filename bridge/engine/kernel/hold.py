"""Held processes, as a session sees them: who lets them go if we cannot, and the end.

One rule: whatever becomes of this process, none that it holds stays stopped.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge._native import ffi, lib
from bridge.codegen.bpf.object import Control
from bridge.engine.kernel.refusals import host_error
from bridge.engine.namespace import PROC

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bridge.engine.kernel.attach import LoadedObject

POLL_NS = 50_000
"""How often to look for records while processes may be waiting."""
LOOK_NS = 1_000_000_000
"""How often to look for the guards."""
_ALL = (1 << 64) - 1


@dataclass(slots=True)
class Guard:
    """The processes that let all others go on if this one dies (csrc/live/guard.h).

    Should they die as well, the kernel does it, by `own` if we die and by `shared` if both
    guards do (csrc/live/wake.h).
    """

    _loaded: LoadedObject
    _map: int
    _alive: int
    _end: int
    _pid: int = 0
    _looked_ns: int = 0
    own: Any = field(default_factory=lambda: ffi.new("struct mb_wake *", {"writer": -1}))
    shared: Any = field(default_factory=lambda: ffi.new("struct mb_wake *", {"writer": -1}))

    @classmethod
    def start(cls, loaded: LoadedObject, held: int) -> Guard:
        """Start them; from now on programs know which processes are ours."""
        loaded.set_word(Control.OWN, os.getpid())
        guard = cls(loaded, loaded.maps[held], *os.pipe())
        try:
            lib.mb_wake_open(guard.own)
            guard._start()
        except BaseException:
            guard._close_files()
            raise
        return guard

    def _start(self) -> None:
        lib.mb_wake_close(self.shared)
        lib.mb_wake_open(self.shared)
        native = ffi.new("struct mb_guard *")
        native.map, native.alive = self._map, self._alive
        native.lease = self.shared.writer
        native.control = self._loaded.control.pointer
        native.armed, native.beat = Control.ARMED, Control.BEAT
        native.leaving, native.seats = Control.LEAVING, Control.GUARDS
        self._pid = lib.mb_guard_start(native)
        lib.mb_wake_give(self.shared)
        if self._pid < 0:
            raise host_error("start the guard of held processes", self._pid)

    def expect(self, pids: Iterable[int]) -> None:
        """Processes that may be stopped soon; whoever is stopped joins by itself.

        Without room for more files (a few hundred) the guards have to do.
        """
        for pid in pids:
            lib.mb_wake_add(self.own, pid)
            lib.mb_wake_add(self.shared, pid)

    def watch(self) -> None:
        """Start guards again if all are gone; each starts the other one itself."""
        now = time.monotonic_ns()
        seats = (Control.GUARDS, Control.SECOND_GUARD)
        if now - self._looked_ns < LOOK_NS and any(map(self._loaded.word, seats)):
            return
        self._looked_ns = now
        if self._pid and os.waitpid(self._pid, os.WNOHANG)[0]:
            self._pid = 0
        if not any(_lives(self._loaded.word(seat)) for seat in seats):
            self._start()

    def release(self) -> None:
        """Let all go on, after programs have ended."""
        lib.mb_hold_release_all(self._map, _ALL)

    def close(self) -> None:
        """The session is over."""
        self.release()
        self._loaded.set_word(Control.LEAVING, 1)
        self._close_files()
        if self._pid:
            os.waitpid(self._pid, 0)

    def _close_files(self) -> None:
        """The guards are told by the pipe; nobody has to be let go any more."""
        lib.mb_wake_close(self.own)
        lib.mb_wake_close(self.shared)
        os.close(self._end)
        os.close(self._alive)


def users_of(paths: Iterable[str]) -> Iterator[int]:
    """The processes that have any of these files in memory, whatever they call it."""
    inodes = [b" %d " % Path(path).stat().st_ino for path in sorted(set(paths))]
    for folder in PROC.iterdir() if inodes else ():
        try:
            maps = (folder / "maps").read_bytes() if folder.name.isdigit() else b""
        except OSError:
            continue
        if any(inode in maps for inode in inodes):
            yield int(folder.name)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return pid != 0
