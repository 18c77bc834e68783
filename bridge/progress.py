"""What work is being done -> one line on a terminal, for a person who waits for it.

Whoever does something that can take long says so: `with doing("reading x"):`. Nobody hears it
unless a command listens. The rule: nothing is shown of what ends within half a second, and the
line is gone before anything else is written.
"""

from __future__ import annotations

import os
import threading
import time
from array import array
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")

WAIT_SECONDS = 0.5
"""What is over sooner is not told."""
EACH_SECONDS = 0.5
"""How often a count is shown anew."""
COLUMNS = 80
"""Of a terminal that does not tell its width."""
CUT = "..."
MOST_COLUMNS = 512
"""Of the line (`MB_LINE_COLUMNS` in csrc/runtime)."""


class Activity:
    """Something that is being done, perhaps with a number of what it has done so far."""

    def __init__(self, text: str, unit: str = "", line: StatusLine | None = None) -> None:
        self._text = text
        self._unit = unit
        self._line = line
        self._began = self._shown = time.monotonic()
        self._timer: threading.Timer | None = None

    def count(self, done: int) -> None:
        """So many so far. Cheap, but not for every event; call it for some thousands."""
        if self._line is None:
            return
        now = time.monotonic()
        if self.is_long(now) and now - self._shown >= min(EACH_SECONDS, WAIT_SECONDS):
            self._shown = now
            rate = done / max(now - self._began, 1e-9)
            self._line.show(self._text, f": {done:,} {self._unit}, {rate:,.0f} per second")

    def each(self, things: Iterable[T], step: int = 1024) -> Iterator[T]:
        """The things, counted."""
        for done, thing in enumerate(things):
            yield thing
            if not done % step:
                self.count(done)

    def is_long(self, now: float) -> bool:
        """Whether it has taken long enough to be told."""
        return now - self._began >= WAIT_SECONDS

    def show(self) -> None:
        """Tell what is being done; a count tells itself."""
        if self._line is not None and not self._unit:
            self._line.show(self._text, " ...")

    def begin(self) -> None:
        """Show it in half a second: who does it is busy then, so another thread will."""
        if self._line is None or self._unit:
            return
        if WAIT_SECONDS <= 0:
            self.show()
        else:
            self._timer = threading.Timer(WAIT_SECONDS, self.show)
            self._timer.daemon = True
            self._timer.start()

    def end(self) -> None:
        """It is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
            self._timer = None
        if self._line is not None:
            self._line.clear()


class StatusLine:
    """The last line of a terminal, while something is shown there.

    `width` is an array of one number, how many columns are in use: C code that is about to
    write looks there, and clears the line itself.
    """

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._lock = threading.Lock()
        self.width = array("i", [0])
        self.activities: list[Activity] = []

    def show(self, text: str, end: str) -> None:
        """Show a text, as much of it as there is room for before its end."""
        columns = min(_columns(self._terminal) - 1, MOST_COLUMNS)
        text = "".join(c if c.isprintable() else "?" for c in text)
        text = _cut(_shortened(text, columns - _width(end)) + end, columns)
        with self._lock:
            self._write(self._erased() + text)
            self.width[0] = _width(text)

    def clear(self) -> None:
        """Take the line away, if one is there."""
        with self._lock:
            if self.width[0]:
                self._write(self._erased())
                self.width[0] = 0

    def _erased(self) -> str:
        return "\r" + " " * self.width[0] + "\r" if self.width[0] else ""

    def _write(self, text: str) -> None:
        try:
            self._terminal.write(text)
            self._terminal.flush()
        except (OSError, ValueError, UnicodeError):  # a terminal that is gone is told nothing
            self.width[0] = 0


def _columns(terminal: TextIO) -> int:
    try:
        return os.get_terminal_size(terminal.fileno()).columns or COLUMNS
    except (OSError, ValueError):
        return COLUMNS


def _width(text: str) -> int:
    """Columns, at most: what is not ASCII may take two."""
    return sum(1 if c.isascii() else 2 for c in text)


def _shortened(text: str, columns: int) -> str:
    """A text without its middle, if it is too long: names end with what tells them apart."""
    if _width(text) <= columns:
        return text
    part = max(0, columns - len(CUT)) // 2
    return _cut(text, part) + CUT + _cut(text[::-1], part)[::-1]


def _cut(text: str, columns: int) -> str:
    """As much of a text as is on one line."""
    while text and _width(text) > columns:
        text = text[:-1]
    return text


# --- who says it, who listens -----------------------------------------------------------------

_line: StatusLine | None = None


@contextmanager
def told_on(terminal: TextIO) -> Iterator[None]:
    """Meanwhile what is being done is told on a terminal; on what is none, nothing."""
    global _line  # noqa: PLW0603 - a process has one command, and that one terminal
    if not terminal.isatty():
        yield
        return
    before, _line = _line, StatusLine(terminal)
    try:
        yield
    finally:
        _line.clear()
        _line = before


@contextmanager
def doing(text: str, unit: str = "") -> Iterator[Activity]:
    """Say what is done in this block; `unit` is what `count` will count (`events`).

    Inside of another activity it is shown instead of that one.
    """
    line = _line
    activity = Activity(text, unit, line)
    if line is None:
        yield activity
        return
    line.activities.append(activity)
    activity.begin()
    try:
        yield activity
    finally:
        activity.end()
        line.activities.remove(activity)
        if line.activities and line.activities[-1].is_long(time.monotonic()):
            line.activities[-1].show()


def clear() -> None:
    """Take the line away, because something else is about to be written."""
    if _line is not None:
        _line.clear()


def shown_width() -> array[int] | None:
    """How wide the line is now, for C code that writes there; None if nobody listens."""
    return None if _line is None else _line.width
