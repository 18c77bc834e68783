"""Tests on a guest's kernel: all are accounted for, whatever becomes of the guest.

A guest that dies, or that a test makes hang, is booted anew and goes on with the test behind
it; the test that it died in fails with the last lines of its console.
"""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.guest import journal
from tests.guest.machine import FAILED, ROOT, Guest, GuestError, NoGuestError

if TYPE_CHECKING:
    from pathlib import Path

LIVE = [
    "-m",
    "bpf",
    "-p",
    "no:cacheprovider",
    "-p",
    "tests.guest.journal",
    "-q",
    "--durations=12",
]
HANGS_SECONDS = 3 * journal.LIMIT_SECONDS + 60
"""A test for which its own limits have done nothing: the kernel, or Python, answers no more."""
DEATHS_MAX = 3


def run(guest: Guest, words: list[str], environment: dict[str, str], seconds: float) -> int:
    """Have pytest run there within a time; its exit code, a failure where a test is missing."""
    path = guest.run.parent / f"{guest.kernel}.journal"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    words = [*LIVE, *words, *_marked_files(words)]
    environment = environment | {journal.PATH: str(path)}
    watch = _Watch(path, time.monotonic() + seconds)
    code = 0
    for _ in range(DEATHS_MAX):
        try:
            done = guest.ask("pytest", words, environment, watch.look)
        except NoGuestError:
            raise
        except GuestError as error:
            guest.stop()
            code = FAILED
            if not _blame(path, error) or watch.over():
                break
        else:
            code = code or (0 if done == _NONE_LEFT and journal.entries(path) else done)
            return code
    _tell_missing(path)
    return code


_NONE_LEFT = 5
"""What pytest ends with where all that was to come is left out: the last test killed it."""


@dataclass
class _Watch:
    """Raises where a test hangs, or the time is over."""

    journal: Path
    end: float
    seen: int = -1
    since: float = field(default_factory=time.monotonic)

    def look(self) -> None:
        if (size := self.journal.stat().st_size) != self.seen:
            self.seen, self.since = size, time.monotonic()
        if self.over():
            raise GuestError("the time for all tests is over")
        if time.monotonic() > self.since + HANGS_SECONDS:
            raise GuestError("nothing is heard of the guest any more")

    def over(self) -> bool:
        return time.monotonic() > self.end


def _blame(path: Path, error: GuestError) -> bool:
    """Write down that the running test failed; false if there is none."""
    known = journal.entries(path)
    done = journal.finished(known)
    running = [
        entry["test"] for entry in known if "test" in entry and entry["test"] not in done
    ]
    for entry in known:
        if "failed" in entry:  # pytest has not come to show it
            sys.stdout.write(f"FAILED {entry['test']} ({entry['failed']})\n{entry['text']}\n")
    said = str(error) if running else f"no test was running: {error}"
    sys.stdout.write("".join(f"FAILED {test}: the guest died\n" for test in running[-1:]))
    sys.stdout.write(f"{said}\n")
    for test in running[-1:]:
        journal.write(path, test=test, outcome="died")
    return bool(running)


def _tell_missing(path: Path) -> None:
    known = journal.entries(path)
    collected = {test for entry in known for test in entry.get("collected", ())}
    missing = sorted(collected - journal.finished(known))
    sys.stdout.write("".join(f"FAILED {test}: not run\n" for test in missing))


def _marked_files(words: list[str]) -> list[str]:
    """The files with tests of the selection, if none are named: collecting all takes long."""
    if any(word.startswith("tests/") for word in words):
        return []
    selection = words[words.index("-m") + 1] if "-m" in words[:-1] else "bpf"
    marks = re.compile(rf"mark\.({'|'.join(re.findall(r'[a-z_]+', selection))})\b")
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(file.relative_to(ROOT)) for file in files if marks.search(file.read_text())]
