"""What is known about a build -> the machine that an object file is for.

In order: the objects that it will be linked with, the compiler and its flags, this machine. The
rule: a machine that objects cannot be written for is an error, never another machine's object.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.errors import TraceError
from bridge.formats import elf_notes
from bridge.formats.elf_object import MACHINES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridge.formats.elf_object import Machine

_NUMBER_AT = 18
_ALIASES = {
    "amd64": "x86_64",
    "x86-64": "x86_64",
    "arm64": "aarch64",
    "i486": "i386",
    "i586": "i386",
    "i686": "i386",
    "x86": "i386",
    "armv6l": "arm",
    "armv7": "arm",
    "armv7l": "arm",
    "armv7a": "arm",
    "armv8l": "arm",
}
_TRIPLE = re.compile(r"(?:.*/)?([A-Za-z0-9_]+)-[A-Za-z0-9_.-]+")
_TARGET = re.compile(r"--?target[= ]\s*([A-Za-z0-9_]+)-")
_NARROW = {"x86_64": "i386", "aarch64": "arm"}
_WIDE = {narrow: wide for wide, narrow in _NARROW.items()}


def named(name: str) -> Machine:
    """A machine by a name that uname, dpkg or a compiler gives it.

    Raises:
        TraceError: objects for it cannot be written.

    """
    known = _ALIASES.get(name.lower(), name.lower())
    for machine in MACHINES:
        if machine.name == known:
            return machine
    listed = ", ".join(machine.name for machine in MACHINES)
    raise TraceError(f"no objects can be written for {name}; known machines are {listed}")


def of_object(head: bytes) -> Machine | None:
    """The machine of an object file, by its first 20 bytes; None if it is no ELF file."""
    if len(head) < _NUMBER_AT + 2 or head[:4] != elf_notes.MAGIC:
        return None
    number = int.from_bytes(head[_NUMBER_AT : _NUMBER_AT + 2], "little")
    wide = head[4] == elf_notes.CLASS_64
    for machine in MACHINES:
        if (machine.number, machine.wide) == (number, wide):
            return machine
    raise TraceError(f"no objects can be written for ELF machine {number}")


def of_compiler(compiler: Sequence[str], flags: Iterable[str], host: str) -> Machine:
    """The machine that `$CC $CFLAGS` compiles for; `host` is what uname says."""
    words = [*compiler, *flags]
    name = host
    triple = _TRIPLE.fullmatch(compiler[0]) if compiler else None
    if triple and (triple[1] in _ALIASES or any(triple[1] == m.name for m in MACHINES)):
        name = triple[1]
    target = _TARGET.search(" ".join(words))
    name = target[1] if target else name
    name = _ALIASES.get(name.lower(), name.lower())
    narrow = [
        word in ("-m32", "-32") for word in words if word in ("-m32", "-32", "-m64", "-64")
    ]
    if narrow:
        name = (_NARROW if narrow[-1] else _WIDE).get(name, name)
    return named(name)


__all__ = ["named", "of_compiler", "of_object"]
