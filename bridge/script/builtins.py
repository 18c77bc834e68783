"""The table of built-in functions: signature, effects, and what each means to the engines.

Adding one is one line here, one in the native operation table, and, where the kernel can do it,
one in the BPF table. A script may define a function of the same name and arity; its own wins,
as in SystemTap.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bridge.script.types import Type

LONG, STRING, VOID = Type.LONG, Type.STRING, Type.UNKNOWN


class Effect(Enum):
    """What a call does besides its value.

    PURE: nothing, may be dropped and folded. CONTEXT: reads the current hit (`context` names
    the IR context, `scale` divides a time). MEMORY: reads memory of the traced program or the
    kernel at the moment of the hit. STATE: changes the session (exit, error, output) or reads
    what changes by itself (the clock in a begin probe, random numbers).
    """

    PURE = "pure"
    CONTEXT = "context"
    MEMORY = "memory"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Builtin:
    """One function;

    several of one name differ by arity. `minimum` parameters are needed, the rest is optional.
    """

    name: str
    parameters: tuple[Type, ...]
    result: Type
    effect: Effect
    context: str = ""
    scale: int = 1
    can_fail: bool = False
    doc: str = ""


def _context(
    name: str, context: str, result: Type = LONG, scale: int = 1, doc: str = ""
) -> Builtin:
    return Builtin(name, (), result, Effect.CONTEXT, context, scale, doc=doc)


_TABLE = (
    _context("pid", "pid", doc="process (thread group) id"),
    _context("tid", "tid", doc="thread id"),
    _context("ppid", "ppid", doc="process id of the parent"),
    _context("uid", "uid", doc="real user id"),
    _context("euid", "euid", doc="effective user id"),
    _context("gid", "gid", doc="real group id"),
    _context("egid", "egid", doc="effective group id"),
    _context("cpu", "cpu", doc="number of the CPU"),
    _context("execname", "execname", STRING, doc="name of the process, 15 bytes at most"),
    _context("gettimeofday_ns", "realtime_ns", doc="nanoseconds since 1970"),
    _context("gettimeofday_us", "realtime_ns", scale=1_000, doc="microseconds since 1970"),
    _context("gettimeofday_ms", "realtime_ns", scale=1_000_000, doc="milliseconds since 1970"),
    _context("gettimeofday_s", "realtime_ns", scale=1_000_000_000, doc="seconds since 1970"),
    Builtin("target", (), LONG, Effect.PURE, doc="process id given by -x or started by -c"),
    Builtin(
        "user_string",
        (LONG,),
        STRING,
        Effect.MEMORY,
        can_fail=True,
        doc="string in user memory",
    ),
    Builtin(
        "user_string_n",
        (LONG, LONG),
        STRING,
        Effect.MEMORY,
        can_fail=True,
        doc="string in user memory, at most n bytes",
    ),
    Builtin(
        "kernel_string",
        (LONG,),
        STRING,
        Effect.MEMORY,
        can_fail=True,
        doc="string in kernel memory",
    ),
    Builtin("ctime", (LONG,), STRING, Effect.PURE, doc="seconds since 1970 as text, in UTC"),
    Builtin("exit", (), VOID, Effect.STATE, doc="end the session after this handler"),
    Builtin("error", (STRING,), VOID, Effect.STATE, can_fail=True, doc="raise an error"),
    Builtin("warn", (STRING,), VOID, Effect.STATE, doc="print a warning on standard error"),
    Builtin("log", (STRING,), VOID, Effect.STATE, doc="print a line"),
)

BUILTINS: dict[tuple[str, int], Builtin] = {(b.name, len(b.parameters)): b for b in _TABLE}
"""By name and number of parameters."""
