"""A placed program with the code of its handlers <-> a file that needs no LLVM to run.

A line of JSON says what the file is and for whom: format, version, machine, and the digest of
what follows. The rule: what is read back is checked first, and of Python's objects only the
values of a program can come out of it, so that a file can be no more than a script can.
"""

from __future__ import annotations

import json
import pickle
import platform
from dataclasses import dataclass, is_dataclass, replace
from enum import Enum
from functools import cache
from hashlib import sha256
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge import __version__
from bridge.codegen import kept
from bridge.codegen.native.load import MACHINE
from bridge.errors import BridgeError, HostError

if TYPE_CHECKING:
    from bridge.artifact import Placed
    from bridge.ir.program import Handler

FORMAT = "markbridge program"
MAGIC = b'{"format": "markbridge program"'
_VALUES = (
    "bridge.artifact",
    "bridge.diagnostics",
    "bridge.ir.ops",
    "bridge.ir.program",
    "bridge.markers",
    "bridge.source",
)
"""The modules whose values a program consists of."""
_BUILT_IN = {"frozenset": frozenset, "set": set, "tuple": tuple}
_MOST_HEAD = 4096


class DamagedError(Exception):
    """Something in the file is not what was written."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a file has: the program, and what it was made of."""

    placed: Placed
    name: str


@cache
def _made_by() -> str:
    """What must be the same where a file is read: the classes of its values, and the C side."""
    from bridge._declarations import ffi

    texts = [Path(str(import_module(name).__file__)).read_bytes() for name in _VALUES]
    number = ffi.integer_const("MB_DECLARATIONS")
    return f"{__version__}-{sha256(b''.join(texts)).hexdigest()[:16]}-{number}"


def is_program(data: bytes) -> bool:
    """Whether the start of a file says that it is one of these."""
    return data.startswith(MAGIC)


# --- writing ----------------------------------------------------------------------------------


def save(placed: Placed, name: str, path: Path, ring_bytes: int) -> None:
    """Write a program for this machine and kernel; HostError, if that cannot be."""
    machine = platform.machine()
    if machine != MACHINE:
        raise HostError(
            f"programs are kept in files on {MACHINE} only, and this is {machine}",
            "compile the script where it runs",
        )
    lean = replace(_lean(placed), portable=True)
    with kept.collected() as code:
        _make(lean, ring_bytes)
    buffer = BytesIO()
    _Writer(buffer).dump((lean, name, code))
    body = buffer.getvalue()
    head = {
        "format": FORMAT,
        "made_by": _made_by(),
        "machine": machine,
        "bytes": len(body),
        "digest": sha256(body).hexdigest(),
    }
    try:
        path.write_bytes(json.dumps(head).encode() + b"\n" + body)
    except OSError as error:
        raise BridgeError(f"cannot write {path}: {error.strerror}") from error


def _make(placed: Placed, ring_bytes: int) -> None:
    """Make all code that the program may need on this kernel."""
    from bridge.codegen.native.compile import compile_native
    from bridge.deferred_reads import first_kernel_read

    forms: tuple[Placed, ...] = (placed,)
    if placed.hooks:
        from bridge.engine.kernel.feed import make_code

        forms = make_code(placed, ring_bytes)
    if first_kernel_read(placed.program) is not None:
        from bridge.codegen.bpf.memory import reader

        reader()
    for form in forms:
        compile_native(form)


def _lean(placed: Placed) -> Placed:
    """The program without what only the compiler asks of a place: its debug information."""
    handlers = [_lean_handler(handler) for handler in placed.program.handlers]
    return replace(placed, program=replace(placed.program, handlers=handlers))


def _lean_handler(handler: Handler) -> Handler:
    place = replace(
        handler.expansion,
        members=None,
        scope=None,
        entry=None,
        reasons=(),
        lacking=(),
        notes=(),
    )
    return replace(handler, expansion=place)


class _Writer(pickle.Pickler):
    """Sequences that are made when they are asked for become plain ones."""

    def reducer_override(self, value: Any) -> Any:  # noqa: ANN401 - of pickle
        """See pickle."""
        own = type(value).__module__ in _VALUES or isinstance(value, type | Enum)
        plain = type(value).__module__ == "builtins" or hasattr(value, "keys")
        if own or plain or not hasattr(value, "__getitem__"):
            return NotImplemented
        return tuple, (list(value),)


# --- reading ----------------------------------------------------------------------------------


def load(path: Path) -> Stored:
    """The program of a file; its code is used from now on. BridgeError says what is wrong."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BridgeError(f"cannot read {path}: {error.strerror}") from error
    head_text, newline, body = data.partition(b"\n")
    if not is_program(data):
        raise BridgeError(f"{path} is no program that `markbridge compile` has written")
    try:
        head = json.loads(head_text)
        whole = newline and head["bytes"] == len(body)
        whole = whole and head["digest"] == sha256(body).hexdigest()
        made_by, machine = str(head["made_by"]), str(head["machine"])
    except (ValueError, KeyError, TypeError) as error:
        raise BridgeError(f"{path} is damaged: compile the script again") from error
    if not whole:
        raise BridgeError(f"{path} is damaged: compile the script again")
    if machine != platform.machine():
        raise BridgeError(
            f"{path} was compiled for {machine}, and this is {platform.machine()}:"
            " compile the script here"
        )
    if made_by != _made_by():
        raise BridgeError(
            f"{path} was compiled by another version of markbridge ({made_by}), and this is"
            f" {_made_by()}: compile the script again"
        )
    try:
        placed, name, code = _Reader(BytesIO(body)).load()
    except (pickle.PickleError, DamagedError, EOFError, AttributeError, TypeError) as error:
        raise BridgeError(f"{path} is damaged: compile the script again") from error
    kept.bring(code)
    return Stored(placed, name)


class _Reader(pickle.Unpickler):
    """Only values of a program."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - of pickle
        """See pickle."""
        if module == "builtins" and name in _BUILT_IN:
            return _BUILT_IN[name]
        found = getattr(import_module(module), name, None) if module in _VALUES else None
        if isinstance(found, type) and (is_dataclass(found) or issubclass(found, Enum)):
            return found
        raise DamagedError(f"{module}.{name}")
