"""The built-in functions as the interpreter has them: a table from names to plain functions.

Each takes the machine and its arguments. What a script cannot foresee (chance, the clock, the
shell) is as good as it gets.
"""

from __future__ import annotations

import errno
import os
import random
import re
import subprocess
import time
from typing import TYPE_CHECKING

from bridge.ir.arithmetic import MASK, wrap
from bridge.ir.reference import floats
from bridge.ir.reference.faults import AbortedError, ScriptError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.ir.reference.machine import Item, Machine

_ESCAPES = {7: b"a", 8: b"b", 9: b"t", 10: b"n", 11: b"v", 12: b"f", 13: b"r"}


# --- the session ------------------------------------------------------------------------------


def _error(_: Machine, message: bytes) -> None:
    raise ScriptError(message)


def _abort(machine: Machine) -> None:
    machine.session.stop()
    raise AbortedError


def _system(machine: Machine, command: bytes) -> None:
    machine.session.commands.append(command)


def run_command(command: bytes) -> bytes:
    """What a shell command prints."""
    shell = ["sh", "-c", command.decode("latin-1")]
    return subprocess.run(shell, check=False, stdout=subprocess.PIPE).stdout


def _fault(what: str) -> Callable[..., Item]:
    """Memory cannot be read here: it is the traced program's, and the hit is long past."""

    def function(_: Machine, address: int, *__: int) -> Item:
        raise ScriptError(f"{what} at 0x{address & MASK:x} [man error::fault]")

    return function


def _speculation(machine: Machine) -> int:
    number = len(machine.session.speculations) + 1
    machine.session.speculations[number] = b""
    return number


def _speculate(machine: Machine, number: int, text: bytes) -> None:
    if number in machine.session.speculations:
        machine.session.speculations[number] += text


def _commit(machine: Machine, number: int) -> None:
    machine.session.write(machine.session.speculations.pop(number, b""))


def _discard(machine: Machine, number: int) -> None:
    machine.session.speculations.pop(number, None)


def _function(machine: Machine) -> bytes:
    """The function in the name of the probe point."""
    found = re.search(rb'function\("([^"@]*)', machine.point)
    return found[1] if found else b""


# --- strings ----------------------------------------------------------------------------------


def _substr(_: Machine, text: bytes, start: int, length: int) -> bytes:
    if start < 0 or start > len(text) or length <= 0:
        return b""
    return text[start : start + length]


def _stringat(_: Machine, text: bytes, at: int) -> int:
    if not 0 <= at < len(text):
        raise ScriptError("Position out of bounds")
    return text[at]


def _replace(_: Machine, text: bytes, old: bytes, new: bytes) -> bytes:
    return text.replace(old, new) if old else text


_NUMBER = {
    0: rb"[ \t\n\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)",
    16: rb"[ \t\n\v\f\r]*([+-]?)(?:0[xX])?([0-9a-fA-F]+)",
}


def _strtol(_: Machine, text: bytes, base: int) -> int:
    if base and not 2 <= base <= 36:
        return 0
    digits = b"0123456789abcdefghijklmnopqrstuvwxyz"[:base]
    pattern = _NUMBER.get(base, rb"[ \t\n\v\f\r]*([+-]?)([%s]+)" % digits)
    found = re.match(pattern, text, re.IGNORECASE)
    if found is None:
        return 0
    shown = found[2].lower()
    octal = base == 0 and shown.startswith(b"0") and not shown.startswith(b"0x")
    value = int(shown, 8 if octal else base)
    return wrap(-value if found[1] == b"-" else value)


def _isdigit(_: Machine, text: bytes) -> int:
    # only the first byte counts, as in SystemTap
    return int(text[:1].isdigit())


def escaped(text: bytes, *, quotes: bool) -> bytes:
    """Unprintable bytes as C escapes."""

    def one(byte: int) -> bytes:
        if byte in _ESCAPES:
            return b"\\" + _ESCAPES[byte]
        if byte == ord("\\") or (quotes and byte == ord('"')):
            return b"\\" + bytes([byte])
        return bytes([byte]) if 0x20 <= byte < 0x7F else b"\\%03o" % byte

    return b"".join(map(one, text))


def _text_strn(_: Machine, text: bytes, length: int, quotes: int) -> bytes:
    """Cut to `length`; with quotes those count, and dots take the place of the last three."""
    room = max(length, 5) - 2 if quotes else length
    pieces: list[bytes] = []
    for byte in text:
        piece = escaped(bytes([byte]), quotes=bool(quotes))
        if len(piece) > room:
            break
        pieces.append(piece)
        room -= len(piece)
    shown = b"".join(pieces)
    if not quotes:
        return shown
    if len(pieces) == len(text):
        return b'"' + shown + b'"'
    return b'"' + shown[: len(shown) - 3 + room] + b'"...'


def _tokenize(machine: Machine, *arguments: bytes) -> bytes:
    *text, separators = arguments
    session = machine.session
    if text and text[0]:
        session.tokens = text[0]
    rest = session.tokens.lstrip(separators)
    end = next((at for at, byte in enumerate(rest) if byte in separators), len(rest))
    session.tokens = rest[end + 1 :]
    return rest[:end]


def _matched(machine: Machine, group: int) -> bytes:
    found = machine.session.match
    if found is None or not 0 <= group <= found.re.groups:
        raise ScriptError(f"Attempted to get nonexistent subexpression {group}")
    return found[group] or b""


def _ngroups(machine: Machine) -> int:
    found = machine.session.match
    return found.re.groups + 1 if found else 0


def _errno_str(_: Machine, number: int) -> bytes:
    return errno.errorcode.get(abs(number), "").encode()


def _ctime(_: Machine, seconds: int) -> bytes:
    return time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(seconds)).encode()


def _randint(_: Machine, below: int) -> int:
    return random.randrange(below) if below > 0 else 0  # noqa: S311 - as the script asked


FUNCTIONS: dict[str, Callable[..., Item | None]] = {
    "exit": lambda m: m.session.stop(),
    "abort": _abort,
    "error": _error,
    "warn": lambda m, text: m.session.warn(text),
    "log": lambda m, text: m.session.write(text + b"\n"),
    "system": _system,
    "speculation": _speculation,
    "speculate": _speculate,
    "commit": _commit,
    "discard": _discard,
    "target": lambda m: m.session.target,
    "pp": lambda m: m.point,
    "pn": lambda m: m.script_point,
    "ppfunc": _function,
    "probefunc": _function,
    "user_mode": lambda m: int(m.point.startswith(b"process")),
    "is_return": lambda m: int(m.point.endswith(b".return")),
    "stp_pid": lambda _: os.getpid(),
    "module_name": lambda _: b"markbridge",
    **floats.FUNCTIONS,
    "strlen": lambda _, text: len(text),
    "substr": _substr,
    "stringat": _stringat,
    "isinstr": lambda _, text, part: int(part in text),
    "strpos": lambda _, text, part: text.find(part),
    "str_replace": _replace,
    "strtol": _strtol,
    "isdigit": _isdigit,
    "text_str": lambda _, text: escaped(text, quotes=False),
    "string_quoted": lambda _, text: b'"' + escaped(text, quotes=True) + b'"',
    "tokenize": _tokenize,
    "matched": _matched,
    "ngroups": _ngroups,
    "errno_str": _errno_str,
    "ctime": _ctime,
    "randint": _randint,
    **{name: _fault("user string copy fault -14") for name in ("user_string", "user_string_n")},
    **{
        name: _fault("kernel string copy fault")
        for name in ("kernel_string", "kernel_string_n")
    },
    **{
        f"{space}_{word}{bits}": _fault(f"{space} {name} copy fault")
        for space in ("user", "kernel")
        for word in ("int", "uint")
        for bits, name in ((8, "char"), (16, "short"), (32, "int"), (64, "long"))
    },
    "text_strn": _text_strn,
    "tz_gmtoff": lambda _: time.timezone,
    "tz_name": lambda _: time.tzname[0].encode(),
}
"""By name; the number of arguments is what the front end checked."""
