"""The built-in functions as the interpreter has them: a table from names to plain functions.

Each takes the machine and its arguments. What a script cannot foresee (chance, the clock, the
shell) is as good as it gets.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.ir.arithmetic import MASK, wrap
from bridge.ir.program import FAULT_ADDRESS, Literal, Load, Value, fault_text
from bridge.ir.reference import floats
from bridge.ir.reference.faults import AbortedError, ScriptError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.ir.reference.machine import Item, Machine

_ESCAPES = {7: b"a", 8: b"b", 9: b"t", 10: b"n", 11: b"v", 12: b"f", 13: b"r"}


# --- the session ------------------------------------------------------------------------------


def _error(_: Machine, message: bytes) -> None:
    raise ScriptError(message)


def _abort(machine: Machine) -> None:
    machine.session.leave()
    raise AbortedError


def _system(machine: Machine, command: bytes) -> None:
    machine.session.commands.append(command)


def run_command(command: bytes) -> bytes:
    """What a shell command prints."""
    shell = ["sh", "-c", command.decode("latin-1")]
    return subprocess.run(shell, check=False, stdout=subprocess.PIPE).stdout


def _fault(text: str) -> Callable[..., Item]:
    """Memory cannot be read here: it is the traced program's, and the hit is long past."""

    def function(_: Machine, address: int, *__: int) -> Item:
        raise ScriptError(text.replace(FAULT_ADDRESS, f"{address & MASK:#x}"))

    return function


def _load_fault(space: str, size: int, *, signed: bool = True) -> Callable[..., Item]:
    return _fault(fault_text(Load(space, Value.LONG, Literal(0), size=size, signed=signed)))


_USER_STRING = fault_text(Load("user", Value.STRING, Literal(0)))
_KERNEL_STRING = fault_text(Load("kernel", Value.STRING, Literal(0)))


def _user_string_n(machine: Machine, address: int, most: int) -> Item:
    if most <= 0 or most == MASK >> 1:
        return b""
    return _fault(_USER_STRING)(machine, address)


def _user_buffer(machine: Machine, address: int, size: int, most: int) -> Item:
    del machine, size
    return f"{address & MASK:#x}"[: max(_int32(most) - 1, 0)].encode()


def _int32(value: int) -> int:
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


_MEMORY: dict[str, Callable[..., Item]] = {
    "user_string": _fault(_USER_STRING),
    "user_string_n": _user_string_n,
    **{f"user_string_utf{n}": _fault(_USER_STRING.replace(" -14", "")) for n in (16, 32)},
    **{f"kernel_string{end}": _fault(_KERNEL_STRING) for end in ("", "_n", "_utf16", "_utf32")},
    **{
        f"{space}_{word}{8 * size}{'_error' * (space == 'user')}": _load_fault(
            space, size, signed=word == "int"
        )
        for space in ("user", "kernel")
        for word in ("int", "uint")
        for size in (1, 2, 4, 8)
    },
    **{
        f"kernel_{kind}": _load_fault("kernel", size)
        for kind, size in (("char", 1), ("short", 2), ("int", 4), ("long", 8))
    },
    "kernel_pointer": _load_fault("kernel", 8, signed=False),
    "user_buffer_quoted": _user_buffer,
    **{
        f"{space}_buffer_quoted_error": _fault(
            f"Unable to access {space} space data at {FAULT_ADDRESS}"
        )
        for space in ("user", "kernel")
    },
}


def _speculation(machine: Machine) -> int:
    machine.session.speculated += 1
    return machine.session.speculated


def _speculate(machine: Machine, number: int, text: bytes) -> None:
    held = machine.session.speculations
    held[number] = held.get(number, b"") + text


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
    if start < 0 or length <= 0 or length == MASK >> 1:
        return b""
    return text[start : start + length]


def _stringat(_: Machine, text: bytes, at: int) -> int:
    if not 0 <= at < len(text):
        raise ScriptError("Position out of bounds")
    return text[at] - (text[at] >> 7 << 8)


def _replace(_: Machine, text: bytes, old: bytes, new: bytes) -> bytes:
    return text.replace(old, new) if old else text


def _strtol(_: Machine, text: bytes, base: int) -> int:
    # As the kernel's simple_strtol: no white space, no plus, digits up to f in every base.
    negative = text.startswith(b"-")
    text = text[negative:]
    hexadecimal = re.match(rb"0[xX][0-9a-fA-F]", text) is not None
    if base == 0:
        base = 16 if hexadecimal else 8 if text.startswith(b"0") else 10
    if not 2 <= base <= 36:
        return 0
    if base == 16 and hexadecimal:
        text = text[2:]
    found = re.match(rb"[%s]+" % b"0123456789abcdef"[:base], text, re.IGNORECASE)
    value = int(found[0], base) if found else 0
    return wrap(-value if negative else value)


def _isdigit(_: Machine, text: bytes) -> int:
    # only the first byte counts, as in SystemTap
    return int(text[:1].isdigit())


def _characters(text: bytes) -> Iterator[str | int]:
    """The characters of UTF-8 beyond ASCII as text, everything else as bytes."""
    at = 0
    while at < len(text):
        first = text[at]
        size = next((n for n, top in ((4, 0xF0), (3, 0xE0), (2, 0xC0)) if first >= top), 1)
        try:
            character = text[at : at + size].decode() if size > 1 and first < 0xF8 else ""
        except UnicodeDecodeError:
            character = ""
        yield character or first
        at += size if character else 1


def _escape(character: str | int) -> bytes:
    if isinstance(character, str):
        code = ord(character)
        return b"\\U%08X" % code if code > 0xFFFF else b"\\u%04X" % code
    if character in _ESCAPES:
        return b"\\" + _ESCAPES[character]
    if character in b'\\"':
        return b"\\" + bytes([character])
    return bytes([character]) if 0x20 <= character < 0x7F else b"\\%03o" % character


def escaped(text: bytes, room: int | None = None) -> bytes:
    """Unprintable bytes, quotes and backslashes as C escapes; no escape is cut in two."""
    shown = b""
    for piece in map(_escape, _characters(text)):
        if room is not None and len(shown) + len(piece) > room:
            break
        shown += piece
    return shown


def _text_strn(machine: Machine, text: bytes, length: int, quotes: int) -> bytes:
    """Cut to `length`; with quotes those count, and so do the dots after a text that is cut."""
    most = machine.session.program.limits.maxstringlen - 1
    room = min(length, most) if length > 0 else most
    if not quotes:
        return escaped(text, room)
    room = max(room, 5) - 2
    whole = escaped(text)
    if len(whole) <= room:
        return b'"' + whole + b'"'
    return b'"' + escaped(text, room - 3) + b'"...'


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
    if machine.session.match_failed:
        raise ScriptError(f"Attempted to get subexpression {group} from failed match")
    return found[group] or b""


def _ngroups(machine: Machine) -> int:
    found = machine.session.match
    if found is None or machine.session.match_failed:
        raise ScriptError("Attempted to get subexpression count from failed match")
    return found.re.groups + 1


_SYNONYMS = {35: "EDEADLK", 95: "EOPNOTSUPP"}
"""Names of errors that have several."""


def _error_name(number: int) -> str:
    number = abs(number)
    return _SYNONYMS.get(number, errno.errorcode.get(number, "")) if number <= 131 else ""


def _errno_str(_: Machine, number: int) -> bytes:
    return _error_name(number).encode()


def _errno_p(_: Machine, number: int) -> int:
    return abs(number) if _error_name(number) else 0


def _ctime(_: Machine, seconds: int) -> bytes:
    if not -(1 << 31) <= seconds < 1 << 31:
        when = "future" if seconds > 0 else "past"
        raise ScriptError(f"Time too far in the {when} to be converted")
    return time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(seconds)).encode()


def _randint(_: Machine, below: int) -> int:
    if not 0 <= below <= 1 << 20:
        raise ScriptError("range too wide")
    return random.randrange(below) if below else 0  # noqa: S311 - as the script asked


# --- the system -------------------------------------------------------------------------------


def _env_var(machine: Machine, name: bytes) -> bytes:
    """Of ourselves: the processes that were hit are long gone."""
    return b"" if "pid" in machine.session.hit else os.environb.get(name, b"")


def _load(_: Machine, index: int) -> int:
    if not 0 <= index <= 2:
        raise ScriptError(f"Invalid loadavg index {index} specified.")
    return int(os.getloadavg()[index])


def _append(path: str, text: bytes) -> None:
    with contextlib.suppress(OSError), Path(path).open("ab", buffering=0) as file:
        file.write(text)


def _printk(_: Machine, level: int, text: bytes) -> None:
    _append("/dev/kmsg", b"<%d>%b\n" % (level if 0 <= level < 8 else 4, text))


def _raise(machine: Machine, number: int) -> None:
    """To ourselves in a handler that no hit started."""
    if "pid" in machine.session.hit:
        return
    try:
        os.kill(os.getpid(), _int32(number))
    except OSError as error:
        raise ScriptError(f"raise/send_sig error {-(error.errno or 0)}") from error


FUNCTIONS: dict[str, Callable[..., Item | None]] = {
    "exit": lambda m: m.session.leave(),
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
    "text_str": lambda m, text: _text_strn(m, text, 0, 0),
    "string_quoted": lambda m, text: _text_strn(m, text, 0, 1),
    "tokenize": _tokenize,
    "matched": _matched,
    "ngroups": _ngroups,
    "env_var": _env_var,
    "get_loadavg_index": _load,
    "sprint_loadavg": lambda _: b"%.2f %.2f %.2f\n" % os.getloadavg(),
    "printk": _printk,
    "ftrace": lambda _, text: _append("/sys/kernel/tracing/trace_marker", text),
    "raise": _raise,
    "errno_str": _errno_str,
    "errno_p": _errno_p,
    "ctime": _ctime,
    "randint": _randint,
    **_MEMORY,
    "text_strn": _text_strn,
    "tz_gmtoff": lambda _: time.timezone,
    "tz_name": lambda _: time.tzname[0].encode(),
}
"""By name; the number of arguments is what the front end checked."""
