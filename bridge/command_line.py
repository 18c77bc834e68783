"""A `-c` command line -> its words, split and expanded as SystemTap does it (wordexp(3)).

One rule: a compound command has no words; a shell runs it.
"""

from __future__ import annotations

import errno
import re

from bridge.errors import BridgeError

_CAPACITY = 1 << 21
"""Bytes of all words: what execve(2) takes at most, for the usual size of a stack."""
_ASSIGNMENT = re.compile(r"\s*\w+=")


def expand(command: str) -> list[str] | None:
    """The words, with variables, `~` and wildcards replaced; None where it takes a shell.

    BridgeError for quotes that do not match.
    """
    from bridge._native import ffi, lib

    if _ASSIGNMENT.match(command):
        return None
    out = ffi.new("char[]", _CAPACITY)
    used = lib.mb_words(command.encode("utf-8", "surrogateescape"), out, _CAPACITY)
    if used == -errno.ENOEXEC:
        return None
    if used < 0:
        why = "unmatched quotes" if used == -errno.EINVAL else "too long"
        raise BridgeError(f"cannot run `{command}`: {why}")
    text = bytes(ffi.buffer(out, used)).decode("utf-8", "surrogateescape")
    return text.split("\0")[:-1]
