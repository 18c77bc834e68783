"""Paths through /proc/PID, where another process's files are: proc(5).

In: a path. Out: a path without links that opens the same file. The rule: a link that the kernel
keeps for a process (`exe`, `root`, `cwd`, `fd/N`, `map_files/A-B`) opens a file; its text is a
name in the mount namespace and below the root of that process. The text is followed only if it
leads us to the very same file. Below another root, absolute links start at that root.
"""

from __future__ import annotations

import os
import re
from collections import deque

_PROCESS = r"(?:/[^/]+)*?/proc/(?:self|thread-self|\d+)(?:/task/\d+)?"
"""A folder of proc(5), wherever that is mounted."""
_LINK = re.compile(rf"({_PROCESS})/(?:exe|root|cwd|fd/\d+|map_files/[0-9a-f]+-[0-9a-f]+)")
_ROOTED = re.compile(rf"({_PROCESS})/(?:exe|root|cwd|fd/\d+|map_files/[^/]+)(?:/|$)")
_MOST_LINKS = 40
"""As in the kernel (MAXSYMLINKS); path_resolution(7)."""


def leads_through_process(path: str) -> bool:
    """Whether a path goes through a link that the kernel keeps for a process."""
    return _ROOTED.match(path) is not None


def root_of(path: str) -> str:
    """What to put in front of an absolute path of the process that a path leads through.

    "" for a path that leads through none: its absolute paths are ours.
    """
    found = _ROOTED.match(path)
    return f"{found[1]}/root" if found else ""


def resolve(path: str) -> str:
    """The path with every link resolved, as far as it exists and may be read."""
    walk = _Walk()
    if not path.startswith("/"):
        path = f"{os.getcwd()}/{path}"  # noqa: PTH109 - text
    walk.waiting.extend(path.split("/"))
    while walk.waiting:
        walk.step(walk.waiting.popleft())
    return walk.here or "/"


class _Walk:
    """Where the resolution of one path is."""

    def __init__(self) -> None:
        self.here = ""
        self.waiting: deque[str] = deque()
        self._root = ""
        self._links = 0

    def step(self, name: str) -> None:
        """Go on by one component."""
        if name in ("", "."):
            return
        if name == "..":
            if self.here != self._root:
                self.here = self.here.rpartition("/")[0]
            return
        path = f"{self.here}/{name}"
        text = _read_link(path) if self._links < _MOST_LINKS else ""
        if not text:
            self.here = path
            return
        self._links += 1
        kept = _LINK.fullmatch(path)
        if kept is None:
            self._follow(text)
        else:
            self._enter(path, kept[1], text)

    def _follow(self, text: str) -> None:
        if text.startswith("/"):
            self.here = self._root
        self.waiting.extendleft(reversed(text.split("/")))

    def _enter(self, path: str, process: str, text: str) -> None:
        """Follow a link that the kernel keeps for a process."""
        if _shares_root(process):
            if _is_same(path, text):
                self._follow(text)
            else:
                self.here = path
            return
        self._root = f"{process}/root"
        self.here = path
        if path == self._root:
            return
        for name in (text, text.removeprefix(_read_link(self._root))):
            if _is_same(path, resolved := resolve(self._root + name)):
                self.here = resolved
                return


def _read_link(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 - text
    except (OSError, ValueError):
        return ""


def _is_same(path: str, other: str) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.stat(other))  # noqa: PTH116
    except (OSError, ValueError):
        return False


def _shares_root(process: str) -> bool:
    """Whether names mean the same files for a process and for us.

    One that we may not look at counts as one that does: then there is nothing but the text.
    """
    try:
        root, mounts = os.stat(f"{process}/root"), os.stat(f"{process}/ns/mnt")  # noqa: PTH116
        own = os.stat("/"), os.stat("/proc/self/ns/mnt")  # noqa: PTH116
    except OSError:
        return True
    return os.path.samestat(root, own[0]) and os.path.samestat(mounts, own[1])
