"""The target of a session: the command of `-c`, or the process of `-x`, and its descendants."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.engine.child import Child

PROC = Path("/proc")


def threads(pid: int) -> Iterator[int]:
    """The threads of a process and of all its descendants, as they are now."""
    try:
        tasks = [int(entry.name) for entry in (PROC / str(pid) / "task").iterdir()]
    except OSError:
        return
    for task in tasks:
        yield task
        try:
            children = (PROC / str(pid) / "task" / str(task) / "children").read_text()
        except OSError:
            continue
        for child in children.split():
            yield from threads(int(child))


def _start_time(pid: int) -> str:
    """Tells a process from a later one with the same id; "" if there is none, or a zombie."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


@dataclass(slots=True)
class Target:
    """What `target()` is, and when it has ended. `pid` 0: there is none."""

    pid: int = 0
    child: Child | None = None
    _started: str = ""

    @classmethod
    def of_number(cls, pid: int) -> Target:
        """What has that number, if anything: the session ends without regard to it.

        Source: stap(1), option -x.
        """
        return cls(pid)

    @classmethod
    def of_process(cls, pid: int) -> Target:
        """A process that runs already, whose end is that of the session."""
        started = _start_time(pid)
        if not started:
            raise BridgeError(f"there is no process {pid}")
        return cls(pid, None, started)

    @classmethod
    def of_child(cls, child: Child) -> Target:
        """A command that was started."""
        return cls(child.pid, child)

    def ended(self) -> bool:
        """Whether it has ended."""
        if self.child is not None:
            return self.child.ended()
        return bool(self._started) and _start_time(self.pid) != self._started

    def release(self) -> None:
        """Let a command run."""
        if self.child is not None:
            self.child.release()

    def abandon(self) -> None:
        """Give up a command that did not run yet."""
        if self.child is not None:
            self.child.abandon()

    def end(self) -> None:
        """End a command that still runs, and reap it. A process that was there before stays."""
        if self.child is not None:
            self.child.end()

    @property
    def code(self) -> int | None:
        """The exit status of a command (minus a signal); None if it runs, or there is none."""
        return None if self.child is None else self.child.code

    def warning(self) -> str:
        """What to say of a command that failed."""
        return "" if self.child is None else self.child.warning()

    def threads(self) -> set[int]:
        """The threads of the target and of its descendants, as they are now."""
        if self.child is not None:
            return {self.pid}
        return set(threads(self.pid))
