"""Held processes, as a session sees them: the guard that outlives us, and the end.

One rule: whatever becomes of this process, none that it holds stays stopped.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bridge._native import lib
from bridge.codegen.bpf.object import CONTROL_WORDS
from bridge.engine.kernel.refusals import host_error

if TYPE_CHECKING:
    from bridge.engine.kernel.attach import Loaded

POLL_NS = 50_000
"""How often to look for records while processes may be waiting."""
_ALL = (1 << 64) - 1


class Guard:
    """The process that lets all others go on if this one dies."""

    def __init__(self, loaded: Loaded, held: int) -> None:
        self._map = loaded.maps[held]
        alive, self._end = os.pipe()
        control = loaded.maps[loaded.object.control]
        try:
            self._pid: int = lib.mb_hold_guard(self._map, control, 8 * CONTROL_WORDS, alive)
        finally:
            os.close(alive)
        if self._pid < 0:
            os.close(self._end)
            raise host_error("start the guard of held processes", self._pid)

    def release(self) -> None:
        """Let all go on, after programs have ended."""
        lib.mb_hold_release_all(self._map, _ALL)

    def close(self) -> None:
        """The session is over."""
        self.release()
        os.write(self._end, b"e")
        os.close(self._end)
        os.waitpid(self._pid, 0)
