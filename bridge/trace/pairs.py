"""Which events begin and end something, by the last words of their names.

`query_start` and `query_done` are the begin and the end of `query`; the events of a system call
have the word in the middle (`syscall_entry_openat`, `sys_enter_openat`). A function that was
recorded with what it returns has no word where it begins (`shop:add`, `shop:add__return`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container

ENDS = {
    "begin": ("end",),
    "start": ("end", "stop", "done", "finish"),
    "entry": ("return", "exit"),
    "enter": ("exit", "leave"),
}
"""The words of events that begin something, and of those that end it."""
BEGINS: dict[str, tuple[str, ...]] = {}
for _begin, _ends in ENDS.items():
    for _end in _ends:
        BEGINS[_end] = (*BEGINS.get(_end, ()), _begin)
_SPLIT = re.compile(r"(?P<base>.*?)[-_.]+(?P<word>[a-z]+)")
_CALL = re.compile(
    r"(?P<before>(?:\w+:)?sys(?:call)?_)(?P<word>enter|entry|exit)_(?P<name>\w+)"
)


class Part(NamedTuple):
    """What an event's name has in common with its partner's, and the word that it has not."""

    base: str
    word: str

    @property
    def begins(self) -> bool:
        """Whether it is a begin."""
        return self.word in ENDS

    def ends(self, begun: Part) -> bool:
        """Whether it is the end of what has begun."""
        return self.base == begun.base and begun.word in BEGINS.get(self.word, ())


def part(name: str, known: Container[str] = ()) -> Part | None:
    """What an event is a part of; None if its name does not tell, nor other names `known`."""
    if f"{name}__return" in known:
        return Part(name, "entry")
    call = _CALL.fullmatch(name)
    if call is not None:
        return Part(call["before"] + call["name"], call["word"])
    found = _SPLIT.fullmatch(name)
    if found is None or not (found["word"] in ENDS or found["word"] in BEGINS):
        return None
    return Part(found["base"], found["word"])
