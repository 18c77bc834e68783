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
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.interpreter import floats, memory, stacks, symbols, writes
from bridge.interpreter.faults import AbortedError, ScriptError
from bridge.interpreter.text import buffer_quoted, escaped, int32
from bridge.ir.arithmetic import MASK, wrap
from bridge.ir.place_names import function_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.interpreter.machine import IrMachine, Item

# --- the session ------------------------------------------------------------------------------


def _error(_: IrMachine, message: bytes) -> None:
    raise ScriptError(message)


def _abort(machine: IrMachine) -> None:
    machine.session.leave()
    raise AbortedError


def _system(machine: IrMachine, command: bytes) -> None:
    machine.session.commands.append(command)


def _speculation(machine: IrMachine) -> int:
    machine.session.speculated += 1
    return machine.session.speculated


def _speculate(machine: IrMachine, number: int, text: bytes) -> None:
    held = machine.session.speculations
    held[number] = held.get(number, b"") + text


def _commit(machine: IrMachine, number: int) -> None:
    machine.session.write(machine.session.speculations.pop(number, b""))


def _discard(machine: IrMachine, number: int) -> None:
    machine.session.speculations.pop(number, None)


def _function(machine: IrMachine) -> bytes:
    """The function in the name of the probe point."""
    return function_of(machine.point.decode("latin-1")).encode("latin-1")


# --- strings ----------------------------------------------------------------------------------


def _substr(_: IrMachine, text: bytes, start: int, length: int) -> bytes:
    if start < 0 or length <= 0 or length == MASK >> 1:
        return b""
    return text[start : start + length]


def _stringat(_: IrMachine, text: bytes, at: int) -> int:
    if not 0 <= at < len(text):
        raise ScriptError("Position out of bounds")
    return text[at] - (text[at] >> 7 << 8)


def _replace(_: IrMachine, text: bytes, old: bytes, new: bytes) -> bytes:
    return text.replace(old, new) if old else text


def _strtol(_: IrMachine, text: bytes, base: int) -> int:
    # As the kernel's simple_strtol: no white space, no plus, digits up to f in every base.
    negative = text.startswith(b"-")
    text = text[negative:]
    hexadecimal = re.match(rb"0[xX][0-9a-fA-F]", text) is not None
    base &= 0xFFFFFFFF
    if base == 0:
        base = 16 if hexadecimal else 8 if text.startswith(b"0") else 10
    if base == 16 and hexadecimal:
        text = text[2:]
    found = re.match(rb"[%s]*" % b"0123456789abcdef"[:base], text, re.IGNORECASE)
    value = 0
    for digit in found[0] if found else b"":
        value = value * base + int(chr(digit), 16)
    return wrap(-value if negative else value)


def _isdigit(_: IrMachine, text: bytes) -> int:
    # only the first byte counts, as in SystemTap
    return int(text[:1].isdigit())


def _text_strn(machine: IrMachine, text: bytes, length: int, quotes: int) -> bytes:
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


_BYTES_QUOTED = 58


def _bytes_quoted(machine: IrMachine, *arguments: int) -> bytes:
    """Of the words that hold the start of a buffer: where in them, how long it is, at most."""
    *words, skip, size, most = arguments
    longest = machine.session.program.limits.maxstringlen - 1
    data = b"".join((word & MASK).to_bytes(8, "little") for word in words)[skip & 7 :]
    size = size if 0 < size < longest else longest
    most = most if 0 < most < _BYTES_QUOTED else _BYTES_QUOTED
    return buffer_quoted(data[:size], most, longest, size)


def _tokenize(machine: IrMachine, *arguments: bytes) -> bytes:
    *text, separators = arguments
    session = machine.session
    if text and text[0]:
        session.tokens = text[0]
    rest = session.tokens.lstrip(separators)
    end = next((at for at, byte in enumerate(rest) if byte in separators), len(rest))
    session.tokens = rest[end + 1 :]
    return rest[:end]


def _file_set(machine: IrMachine, text: bytes) -> bytes:
    machine.session.file.clear()
    _file_append(machine, text)
    return text


def _file_append(machine: IrMachine, text: bytes) -> bytes:
    session = machine.session
    session.file += text[: session.file_most - len(session.file)]
    return bytes(session.file)


def _matched(machine: IrMachine, group: int) -> bytes:
    found = machine.session.match
    if found is None or not 0 <= group < found.groups:
        raise ScriptError(f"Attempted to get nonexistent subexpression {group}")
    if machine.session.match_failed:
        raise ScriptError(f"Attempted to get subexpression {group} from failed match")
    return found.group(group)


def _ngroups(machine: IrMachine) -> int:
    found = machine.session.match
    if found is None or machine.session.match_failed:
        raise ScriptError("Attempted to get subexpression count from failed match")
    return found.groups


_SYNONYMS = {35: "EDEADLK", 95: "EOPNOTSUPP"}
"""Names of errors that have several."""


def _error_name(number: int) -> str:
    number = abs(number)
    return _SYNONYMS.get(number, errno.errorcode.get(number, "")) if number <= 131 else ""


def _errno_str(_: IrMachine, number: int) -> bytes:
    return _error_name(number).encode()


def _errno_p(_: IrMachine, number: int) -> int:
    return abs(number) if _error_name(number) else 0


def _ctime(_: IrMachine, seconds: int) -> bytes:
    if not -(1 << 31) <= seconds < 1 << 31:
        when = "future" if seconds > 0 else "past"
        raise ScriptError(f"Time too far in the {when} to be converted")
    return time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(seconds)).encode()


def _randint(_: IrMachine, below: int) -> int:
    if not 0 <= below <= 1 << 20:
        raise ScriptError("range too wide")
    return random.randrange(below) if below else 0  # noqa: S311 - as the script asked


# --- the system -------------------------------------------------------------------------------


def _env_var(machine: IrMachine, name: bytes) -> bytes:
    pid = machine.session.pid
    if pid is None:
        return os.environb.get(name, b"")
    for line in machine.session.host.environment(pid).split(b"\0"):
        found, equals, value = line.partition(b"=")
        if found == name and equals:
            return value
    return b""


def _pid2execname(machine: IrMachine, pid: int) -> bytes:
    return machine.session.host.name(pid)


def _process_pages(machine: IrMachine, pid: int, number: int) -> int:
    words = machine.session.host.pages(pid)
    return int(words[number]) if number < len(words) else 0


def _load(_: IrMachine, index: int) -> int:
    if not 0 <= index <= 2:
        raise ScriptError(f"Invalid loadavg index {index} specified.")
    return int(os.getloadavg()[index])


def _append(path: str, text: bytes) -> None:
    with contextlib.suppress(OSError), Path(path).open("ab", buffering=0) as file:
        file.write(text)


def _printk(_: IrMachine, level: int, text: bytes) -> None:
    _append("/dev/kmsg", b"<%d>%b\n" % (level if 0 <= level < 8 else 4, text))


def _raise(machine: IrMachine, number: int) -> None:
    session = machine.session
    try:
        if session.pid is None:
            os.kill(os.getpid(), int32(number))
        else:
            session.host.signal(session.pid, session.tid, int32(number))
    except OSError as error:
        raise ScriptError(f"raise/send_sig error {-(error.errno or 0)}") from error


def _switch_file(machine: IrMachine) -> None:
    try:
        machine.session.host.switch_file()
    except OSError as error:
        path, why = os.fsencode(error.filename), os.strerror(error.errno or 0)
        machine.session.warn(b"cannot switch the output to %b: %b" % (path, why.encode()))


FUNCTIONS: dict[str, Callable[..., Item | None]] = {
    "exit": lambda m: m.session.leave(),
    "abort": _abort,
    "error": _error,
    "warn": lambda m, text: m.session.warn(text),
    "log": lambda m, text: m.session.write(text + b"\n"),
    "system": _system,
    "switch_file": _switch_file,
    "speculation": _speculation,
    "speculate": _speculate,
    "commit": _commit,
    "discard": _discard,
    "target": lambda m: m.session.target,
    "pp": lambda m: m.point,
    "pn": lambda m: m.script_point,
    "ppfunc": _function,
    "probefunc": _function,
    "is_return": lambda m: int(m.handler is not None and m.handler.expansion.returns),
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
    "__file_text": lambda machine: bytes(machine.session.file),
    "__file_set": _file_set,
    "__file_append": _file_append,
    "pid2execname": _pid2execname,
    "_process_pages": _process_pages,
    "get_loadavg_index": _load,
    "sprint_loadavg": lambda _: b"%.2f %.2f %.2f\n" % os.getloadavg(),
    "printk": _printk,
    "ftrace": lambda _, text: _append("/sys/kernel/tracing/trace_marker", text),
    "raise": _raise,
    "errno_str": _errno_str,
    "errno_p": _errno_p,
    "ctime": _ctime,
    "randint": _randint,
    **memory.FUNCTIONS,
    **writes.FUNCTIONS,
    **symbols.FUNCTIONS,
    **stacks.FUNCTIONS,
    "text_strn": _text_strn,
    "_bytes_quoted": _bytes_quoted,
    "tz_gmtoff": lambda _: time.timezone,
    "tz_name": lambda _: time.tzname[0].encode(),
}
"""By name; the number of arguments is what the front end checked."""
