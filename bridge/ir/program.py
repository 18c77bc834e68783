"""The IR program: globals, functions, handlers and their captures, formats, error sites.

A handler is *captures* plus a *body over the captures*. A capture is something that can only be
read at the moment of the hit (an argument of the marker, `pid()`, a string in user memory) and
whose place depends on nothing but other captures and constants. That is what lets one body run
in the kernel, in user space behind a ring buffer, or over a recorded trace: each engine
supplies the captures in its own way and the body does not know.
"""

from __future__ import annotations

from dataclasses import field
from enum import Enum
from typing import TYPE_CHECKING, NewType

from bridge.source import NOWHERE
from bridge.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.ir.ops import Op, Terminator
    from bridge.markers import Expansion
    from bridge.source import Span

Reg = NewType("Reg", int)
"""A virtual register of one function.

Registers are typed, mutable, and 0 or "" before their first assignment.
"""

Label = NewType("Label", int)
"""The index of a block in its function."""


class Value(Enum):
    """The type of a register:

    64-bit integer, or bytes up to a NUL (at most MAXSTRINGLEN - 1).
    """

    LONG = "i64"
    STRING = "str"


# --- globals ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Buckets:
    """A histogram shape: `log` or `linear` with low, high, step (spec section 7)."""

    kind: str
    low: int = 0
    high: int = 0
    step: int = 1


@dataclass(frozen=True, slots=True)
class StatShape:
    """Which parts of a statistic some expression uses:

    `parts` out of count sum min max avg variance.
    """

    parts: frozenset[str]
    variance_bits: int = 0
    buckets: Buckets | None = None


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar global:

    its initial value is an int, bytes, or None for a statistic (`stat` set).
    """

    name: str
    type: Value | None
    initial: int | bytes | None
    stat: StatShape | None = None


@dataclass(frozen=True, slots=True)
class Array:
    """An associative array.

    `value` is None for statistics. Entries keep insertion order; `wrap` recycles the oldest.
    """

    name: str
    keys: tuple[Value, ...]
    value: Value | None
    size: int
    wrap: bool = False
    sized: bool = False
    """Whether `size` was written in the script (decides the overflow message)."""
    stat: StatShape | None = None


Global = Scalar | Array


# --- captures ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Argument:
    """The value of variable `name` of the marker."""

    name: str
    type: Value


@dataclass(frozen=True, slots=True)
class Context:
    """A property of the hit: one of the words of `CONTEXTS`."""

    name: str


REGISTERS = (
    *("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp"),
    *(f"r{number}" for number in range(8, 16)),
    "ip",
)
"""Contexts that are registers of the process, by DWARF's numbers for x86-64.

All but `ip`, where the process was, are known on that machine only.
"""

CONTEXTS: dict[str, Value] = {
    "pid": Value.LONG,
    "tid": Value.LONG,
    "ppid": Value.LONG,
    "uid": Value.LONG,
    "euid": Value.LONG,
    "gid": Value.LONG,
    "egid": Value.LONG,
    "cpu": Value.LONG,
    "execname": Value.STRING,
    "realtime_ns": Value.LONG,
    "monotonic_ns": Value.LONG,
    "pgrp": Value.LONG,
    "sid": Value.LONG,
    "task": Value.LONG,
    "pexecname": Value.STRING,
    "command": Value.STRING,
    "user_mode": Value.LONG,
    **dict.fromkeys(REGISTERS, Value.LONG),
    "kernel_stack": Value.STRING,
    "memory": Value.STRING,
    "user_stack": Value.STRING,
}
"""What an engine can tell of a hit.

Times are in nanoseconds: since 1970 (UTC), and of CLOCK_MONOTONIC. `task` is the address of the
kernel's task_struct, `command` the arguments of the process with `\\037` between them,
`kernel_stack` the kernel's return addresses as 64-bit numbers, which only built-ins read,
`memory` what handlers read at computed addresses (`bridge.ir.slicing`), as `mb_memory_piece`s,
`user_mode` 1 where user code was running, else 0, `user_stack` a `mb_user_stack` with bytes of
the stack of the process behind it.
"""


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant inside a capture."""

    value: int


@dataclass(frozen=True, slots=True)
class Computed:
    """A binary operation (of `ops.ARITHMETIC`) over captures;

    division is not allowed here, so it cannot fail.
    """

    op: str
    left: Capture
    right: Capture


@dataclass(frozen=True, slots=True)
class Load:
    """Memory at an address: `space` is "user" or "kernel".

    A string (`type` STRING) is read up to its NUL, to `limit` bytes (None: MAXSTRINGLEN - 1,
    and one less in user memory, as in SystemTap); a LONG is `size` bytes. A fault is part of
    the captured value and becomes an error only where the body uses it.
    """

    space: str
    type: Value
    address: Capture
    limit: int | None = None
    size: int = 8
    signed: bool = True


Capture = Argument | Context | Literal | Computed | Load


def capture_type(capture: Capture) -> Value:
    """The type of the captured value."""
    match capture:
        case Argument(type=type_) | Load(type=type_):
            return type_
        case Context(name=name):
            return CONTEXTS[name]
        case Literal() | Computed():
            return Value.LONG


def variables(captures: Iterable[Capture]) -> frozenset[str]:
    """The names of the marker's variables that captures use."""
    found: set[str] = set()
    for capture in captures:
        match capture:
            case Argument(name=name):
                found.add(name)
            case Computed(left=left, right=right):
                found |= variables((left, right))
            case Load(address=address):
                found |= variables((address,))
            case _:
                pass
    return frozenset(found)


def capture_text(capture: Capture) -> str:
    """The capture as a reader would write it (`user_string($arg2)`);

    equal texts are equal captures.
    """
    match capture:
        case Argument(name=name):
            return f"${name}"
        case Context(name=name):
            return f"{name}()"
        case Literal(value=value):
            return str(value)
        case Computed(op=op, left=left, right=right):
            return f"({capture_text(left)} {op} {capture_text(right)})"
        case Load(space=space, type=Value.STRING, address=address, limit=None):
            return f"{space}_string({capture_text(address)})"
        case Load(space=space, type=Value.STRING, address=address, limit=limit):
            return f"{space}_string_n({capture_text(address)}, {limit})"
        case Load(space=space, address=address, size=size, signed=signed):
            return f"{space}_{'int' if signed else 'uint'}{size * 8}({capture_text(address)})"


FAULT_ADDRESS = "%#x"
"""What stands in a message for the address that could not be read."""
_NUMBERS = {1: "char", 2: "short", 4: "int", 8: "long"}


def fault_text(load: Load) -> str:
    """SystemTap's words when the memory cannot be read, with FAULT_ADDRESS in them."""
    if load.type is Value.STRING:
        code = " -14" if load.space == "user" else ""
        return f"{load.space} string copy fault{code} at {FAULT_ADDRESS} [man error::fault]"
    if load.space == "user":
        return f"read fault [man error::fault] at {FAULT_ADDRESS}"
    kind = _NUMBERS[load.size] if load.signed or load.size < 8 else "pointer"
    return f"kernel {kind} copy fault at {FAULT_ADDRESS} [man error::fault]"


# --- code -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ErrorSite:
    """Where an operation that can fail stands:

    `operator '/' at a.stp:2:44`, as messages name it.
    """

    text: str
    span: Span = field(default=NOWHERE, compare=False)
    what: str = field(default="", compare=False)
    """What stands there: `operator '/'`."""
    where: str = field(default="", compare=False)
    """Its place in the sources: `a.stp:2:44`."""


@dataclass(slots=True)
class BasicBlock:
    """Straight-line ops and one terminator.

    An error in it goes to block `on_error` (None: out of the function).
    """

    ops: list[Op]
    terminator: Terminator
    on_error: Label | None = None


@dataclass(slots=True)
class Function:
    """A function or the body of a handler.

    Parameters are registers 0..n-1; `registers` types all; block 0 is the entry.
    """

    name: str
    parameters: int
    registers: list[Value]
    result: Value | None
    blocks: list[BasicBlock]
    names: dict[Reg, str] = field(default_factory=dict)
    """Names of the registers that stand for script variables, for the printer only."""
    site: int | None = None
    """Where a function is declared, which "MAXNESTING exceeded" names."""


@dataclass(slots=True)
class Handler:
    """What runs at one expansion of a probe point.

    `captures` are read by `ops.Capture` by index. `condition` is a function without parameters
    and with a LONG result over globals only. `body` takes no parameters.
    """

    point: str
    script_point: str
    expansion: Expansion
    captures: tuple[Capture, ...]
    body: Function
    condition: Function | None = None
    interruptible: bool = False
    """Whether the ten times larger MAXACTION applies (begin, end, error)."""
    optional: bool = False
    """Whether the session goes on where this place cannot be attached to."""
    span: Span = field(default=NOWHERE, compare=False)
    """Its probe point in the script."""


def code_of(handler: Handler) -> tuple[int, int, int]:
    """What is equal for handlers that share their code, as those of one probe mostly do."""
    return id(handler.body), id(handler.captures), id(handler.condition)


def by_code(handlers: Iterable[Handler]) -> dict[tuple[int, int, int], Handler]:
    """The first handler of every code, in their order."""
    found: dict[tuple[int, int, int], Handler] = {}
    for handler in handlers:
        found.setdefault(code_of(handler), handler)
    return found


@dataclass(frozen=True, slots=True)
class Conversion:
    """One `%` conversion (spec section 8).

    `flag` is one of "" `0 + - space #`; `width` and `precision` are a number, "*" (taken from
    the next argument) or None.
    """

    letter: str
    flag: str = ""
    width: int | str | None = None
    precision: int | str | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """A parsed format:

    literal bytes and conversions in order. Every member of the print family becomes one.
    """

    pieces: tuple[bytes | Conversion, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """The run-time limits (spec section 10), settable with -D."""

    maxstringlen: int = 512
    maxaction: int = 1000
    maxaction_interruptible: int = 10000
    maxnesting: int = 10
    maxmapentries: int = 2048
    maxerrors: int = 0
    maxskipped: int = 100
    hist_elision: int = 2
    maxbacktrace: int = 20
    maxuserstack: int = 16384
    """The bytes that a hit brings of the stack of a process that does not stand still."""


@dataclass(slots=True)
class IrProgram:
    """A whole script, ready for placement and code generation.

    Indices in ops refer to these lists.
    """

    globals: list[Global] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    handlers: list[Handler] = field(default_factory=list)
    formats: list[Format] = field(default_factory=list)
    sites: list[ErrorSite] = field(default_factory=list)
    limits: Limits = field(default_factory=Limits)
