"""The table of built-in functions: signature, effects, and what each means to the engines.

Adding one is one line here, one in the native operation table, and, where the kernel can do it,
one in the BPF table. A script may define a function of the same name and arity; its own wins,
as in SystemTap.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bridge.ir.passes.captures import LOADED_AT
from bridge.ir.program import REGISTERS
from bridge.script.analysis.types import Type

KERNEL_STACK, USER_STACK = "kernel_stack", "user_stack"
SET_USER = "_set_user"
"""What an assignment to the traced program calls."""
WRITES = "set_user"
"""What the names of functions that write to it start with, behind an underscore or not."""
LONG, STRING, VOID = Type.LONG, Type.STRING, Type.UNKNOWN


class Effect(Enum):
    """What a call does besides its value.

    PURE: nothing, may be dropped and folded. CONTEXT: reads the current hit (`context` names
    the IR context, `scale` divides a time). MEMORY: reads memory of the traced program or the
    kernel at the moment of the hit. PROCESS: looks at the process that was hit, which has to
    stand still meanwhile: its stack, the files in its memory. STATE: changes the session (exit,
    error, output) or reads what changes by itself (the clock in a begin probe, random numbers).
    """

    PURE = "pure"
    CONTEXT = "context"
    MEMORY = "memory"
    PROCESS = "process"
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
    guru: bool = False
    """Whether a script may call it with -g only."""
    reads: tuple[str, ...] = ()
    """Contexts that the function itself asks for."""

    @property
    def names(self) -> tuple[str, ...]:
        """What listings call the parameters."""
        count = len(self.parameters)
        known = _NAMES.get((self.name, count))
        return tuple(known.split()) if known else ("addr",) * count

    @property
    def signature(self) -> str:
        """The function as listings write it."""
        named = zip(self.names, self.parameters, strict=True)
        parameters = ", ".join(f"{name}:{type_.value}" for name, type_ in named)
        return f"{self.name}:{self.result.value} ({parameters})"


def _context(
    name: str, context: str, result: Type = LONG, scale: int = 1, doc: str = ""
) -> Builtin:
    return Builtin(name, (), result, Effect.CONTEXT, context, scale, doc=doc)


def _memory(name: str, doc: str, result: Type = LONG, parameters: int = 1) -> Builtin:
    return Builtin(name, (LONG,) * parameters, result, Effect.MEMORY, can_fail=True, doc=doc)


def _stack(name: str, doc: str, result: Type = VOID, parameters: int = 0) -> Builtin:
    """A function of the stack of the process that was hit."""
    reads = ("pid", "execname", *REGISTERS, USER_STACK)
    return Builtin(name, (LONG,) * parameters, result, Effect.PROCESS, doc=doc, reads=reads)


def _backtrace(name: str, doc: str, result: Type = VOID, parameters: int = 0) -> Builtin:
    """A function of the kernel's stack at the hit."""
    reads = ("execname", KERNEL_STACK)
    return Builtin(name, (LONG,) * parameters, result, Effect.STATE, doc=doc, reads=reads)


def _write(name: str, doc: str, parameters: tuple[Type, ...], result: Type = VOID) -> Builtin:
    """A function that writes to the memory of the process that was hit."""
    return Builtin(
        name,
        parameters,
        result,
        Effect.PROCESS,
        can_fail=True,
        doc=doc,
        guru=True,
        reads=("pid",),
    )


def _name(name: str, doc: str, *, can_fail: bool = False) -> Builtin:
    """What an address in the process that was hit is called."""
    return Builtin(
        name, (LONG,), STRING, Effect.PROCESS, can_fail=can_fail, doc=doc, reads=("pid",)
    )


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
    _context("pexecname", "pexecname", STRING, doc="name of the parent process"),
    _context("pgrp", "pgrp", doc="process group id"),
    _context("sid", "sid", doc="session id"),
    _context(
        "task_current",
        "task",
        doc="address of the kernel's task_struct; that of markbridge where no hit started the"
        " handler (0 if nothing there reads the kernel's memory)",
    ),
    _context("user_mode", "user_mode", doc="whether user code was running"),
    _context("_command", "command", STRING, doc="arguments of the process, joined by \\037"),
    _context("gettimeofday_ns", "realtime_ns", doc="nanoseconds since 1970"),
    _context("gettimeofday_us", "realtime_ns", scale=1_000, doc="microseconds since 1970"),
    _context("gettimeofday_ms", "realtime_ns", scale=1_000_000, doc="milliseconds since 1970"),
    _context("gettimeofday_s", "realtime_ns", scale=1_000_000_000, doc="seconds since 1970"),
    Builtin("target", (), LONG, Effect.PURE, doc="process id given by -x or started by -c"),
    Builtin(
        "ctime",
        (LONG,),
        STRING,
        Effect.PURE,
        can_fail=True,
        doc="seconds since 1970 as text, in UTC",
    ),
    # --- memory of the traced program and of the kernel
    _memory("user_string", "string in user memory", STRING),
    _memory("user_string_n", "string in user memory, at most n bytes", STRING, 2),
    _memory("kernel_string", "string in kernel memory", STRING),
    _memory("kernel_string_n", "string in kernel memory, at most n bytes", STRING, 2),
    *(
        _memory(f"{space}_string_utf{bits}", f"UTF-{bits} in {space} memory, as UTF-8", STRING)
        for space in ("user", "kernel")
        for bits in (16, 32)
    ),
    *(
        _memory(
            f"{space}_{'int' if signed else 'uint'}{bits}{'_error' * (space == 'user')}",
            f"{'signed' if signed else 'unsigned'} {bits}-bit number in {space} memory",
        )
        for space in ("user", "kernel")
        for bits in (8, 16, 32, 64)
        for signed in (True, False)
    ),
    *(
        _memory(f"kernel_{kind}", f"{kind} in kernel memory")
        for kind in ("char", "short", "int", "long", "pointer")
    ),
    # --- writes to the process that was hit, which stands still meanwhile
    *(
        _write(f"set_user_{kind}", f"write a {kind} to user memory", (LONG, LONG))
        for kind in ("char", "short", "int", "long", "pointer")
    ),
    _write("set_user_string", "write a string, with a NUL, to user memory", (LONG, STRING)),
    _write("set_user_string_n", "the same, at most n bytes", (LONG, LONG, STRING)),
    _write("_set_user", "write so many bytes of a number", (LONG, LONG, LONG), LONG),
    _memory("user_buffer_quoted", "bytes escaped: address, length, at most", STRING, 3),
    _memory("user_buffer_quoted_error", "the same, or an error", STRING, 3),
    _memory("kernel_buffer_quoted_error", "bytes escaped: address, length, at most", STRING, 3),
    # --- strings
    Builtin("strlen", (STRING,), LONG, Effect.PURE, doc="length in bytes"),
    Builtin("substr", (STRING, LONG, LONG), STRING, Effect.PURE, doc="part: start, length"),
    Builtin(
        "stringat", (STRING, LONG), LONG, Effect.PURE, can_fail=True, doc="byte at a position"
    ),
    Builtin("isinstr", (STRING, STRING), LONG, Effect.PURE, doc="whether it contains"),
    Builtin("strpos", (STRING, STRING), LONG, Effect.PURE, doc="where it contains, or -1"),
    Builtin("str_replace", (STRING, STRING, STRING), STRING, Effect.PURE, doc="replace all"),
    Builtin("strtol", (STRING, LONG), LONG, Effect.PURE, doc="number by C's rules: text, base"),
    Builtin("isdigit", (STRING,), LONG, Effect.PURE, doc="whether the first byte is a digit"),
    Builtin("text_str", (STRING,), STRING, Effect.PURE, doc="unprintable bytes escaped"),
    Builtin(
        "text_strn", (STRING, LONG, LONG), STRING, Effect.PURE, doc="escaped: length, quotes"
    ),
    Builtin("string_quoted", (STRING,), STRING, Effect.PURE, doc="escaped, in quotes"),
    Builtin(
        "_bytes_quoted",
        (LONG,) * 11,
        STRING,
        Effect.PURE,
        doc="bytes escaped: eight words with them, where in those, how many, at most 58",
    ),
    Builtin(
        "tokenize", (STRING, STRING), STRING, Effect.STATE, doc="next piece: text, separators"
    ),
    Builtin("tokenize", (STRING,), STRING, Effect.STATE, doc="next piece: separators"),
    Builtin("matched", (LONG,), STRING, Effect.STATE, can_fail=True, doc="group of a match"),
    Builtin("ngroups", (), LONG, Effect.STATE, can_fail=True, doc="groups of the last match"),
    Builtin("errno_str", (LONG,), STRING, Effect.PURE, doc="symbolic name of an error number"),
    Builtin(
        "errno_p", (LONG,), LONG, Effect.PURE, doc="the number of an error, 0 if it is none"
    ),
    # --- where we are
    Builtin("pp", (), STRING, Effect.PURE, doc="probe point that is running"),
    Builtin("pn", (), STRING, Effect.PURE, doc="its name in the script"),
    Builtin("ppfunc", (), STRING, Effect.PURE, doc="function of the probe point"),
    Builtin("probefunc", (), STRING, Effect.PURE, doc="function that was hit"),
    Builtin("is_return", (), LONG, Effect.PURE, doc="whether the probe point is a return"),
    Builtin("symname", (LONG,), STRING, Effect.STATE, doc="kernel symbol at an address"),
    Builtin("symdata", (LONG,), STRING, Effect.STATE, doc="it with offset, size, module"),
    Builtin("modname", (LONG,), STRING, Effect.STATE, can_fail=True, doc="its module"),
    # --- the stack of the kernel
    _backtrace("backtrace", "addresses of the kernel's calls that led there", STRING),
    _backtrace("sprint_backtrace", "the kernel's calls that led there, one a line", STRING),
    _backtrace("print_backtrace", "print the kernel's calls that led there"),
    _backtrace("_stack", "one of the addresses, 0 if there are fewer", LONG, 1),
    _context("uaddr", "ip", doc="where the process was"),
    *(
        _context(
            f"_entered_{register}", register, doc=f"{register} where it entered the kernel"
        )
        for register in ("rdi", "rsi", "rdx", "r10", "r8", "r9")
    ),
    # --- the stack of the process, names of addresses in it
    _stack("ubacktrace", "addresses of the calls that led there, in hexadecimal", STRING),
    _stack("sprint_ubacktrace", "the calls that led there, one a line", STRING),
    _stack("print_ubacktrace", "print the calls that led there"),
    _stack("print_ubacktrace", "print the calls that led to pc, sp, fp", parameters=3),
    _stack("print_ubacktrace_brief", "print only their names"),
    _stack("_ustack", "one of the addresses, 0 if there are fewer", LONG, 1),
    _name("usymname", "symbol at an address of the process"),
    _name("usymdata", "it with offset, size, module"),
    _name("umodname", "file that is there", can_fail=True),
    Builtin(
        LOADED_AT,
        (STRING, LONG, LONG),
        LONG,
        Effect.PROCESS,
        doc="where an address of a file is: path, address, whether the file is always there",
        reads=("pid",),
    ),
    # --- floating point, carried in 64 bits
    Builtin(
        "string_to_fp", (STRING,), LONG, Effect.PURE, can_fail=True, doc="number in a text"
    ),
    Builtin("fp32_to_fp64", (LONG,), LONG, Effect.PURE, doc="from 32 bits"),
    Builtin("long_to_fp", (LONG,), LONG, Effect.PURE, doc="from an integer"),
    Builtin("fp_to_string", (LONG, LONG), STRING, Effect.PURE, doc="text: value, decimals"),
    Builtin(
        "fp_to_long", (LONG, LONG, LONG), LONG, Effect.PURE, doc="rounded: value, mode, exact"
    ),
    *(
        Builtin(f"fp_{name}", (LONG, LONG), LONG, Effect.PURE, doc=doc)
        for name, doc in (
            ("add", "sum"),
            ("sub", "difference"),
            ("mul", "product"),
            ("div", "quotient"),
            ("rem", "remainder"),
            ("eq", "whether equal"),
            ("le", "whether less or equal"),
            ("lt", "whether less"),
        )
    ),
    Builtin("fp_sqrt", (LONG,), LONG, Effect.PURE, doc="square root"),
    # --- time, chance
    _context("local_clock_ns", "monotonic_ns", doc="nanoseconds of a steady clock"),
    _context("local_clock_us", "monotonic_ns", scale=1_000, doc="microseconds of it"),
    _context("local_clock_ms", "monotonic_ns", scale=1_000_000, doc="milliseconds of it"),
    _context("local_clock_s", "monotonic_ns", scale=1_000_000_000, doc="seconds of it"),
    _context("ktime_get_ns", "monotonic_ns", doc="nanoseconds of a steady clock"),
    _context("get_cycles", "monotonic_ns", doc="a steady count (nanoseconds here)"),
    Builtin("tz_gmtoff", (), LONG, Effect.STATE, doc="seconds west of UTC of the local time"),
    Builtin("tz_name", (), STRING, Effect.STATE, doc="name of the local time zone"),
    Builtin("randint", (LONG,), LONG, Effect.STATE, can_fail=True, doc="random number below n"),
    # --- the session
    Builtin("stp_pid", (), LONG, Effect.STATE, doc="process id of this tool"),
    Builtin("module_name", (), STRING, Effect.STATE, doc="name of this tool"),
    Builtin("switch_file", (), VOID, Effect.STATE, doc="go on in the next file of -o"),
    Builtin("abort", (), VOID, Effect.STATE, can_fail=True, doc="end the session at once"),
    Builtin("system", (STRING,), VOID, Effect.STATE, doc="run a shell command"),
    Builtin("speculation", (), LONG, Effect.STATE, doc="a new speculative buffer"),
    Builtin("speculate", (LONG, STRING), VOID, Effect.STATE, doc="append to a buffer"),
    Builtin("discard", (LONG,), VOID, Effect.STATE, doc="drop a buffer"),
    Builtin("commit", (LONG,), VOID, Effect.STATE, doc="print a buffer"),
    Builtin(
        "env_var",
        (STRING,),
        STRING,
        Effect.STATE,
        doc="variable of the process's environment",
        reads=("pid",),
    ),
    Builtin("pid2execname", (LONG,), STRING, Effect.STATE, doc="name of a process, or empty"),
    Builtin(
        "_process_pages", (LONG, LONG), LONG, Effect.STATE, doc="a number of /proc/PID/statm"
    ),
    Builtin(
        "get_loadavg_index",
        (LONG,),
        LONG,
        Effect.STATE,
        can_fail=True,
        doc="load of the machine",
    ),
    Builtin("sprint_loadavg", (), STRING, Effect.STATE, doc="the three loads, as a line"),
    Builtin(
        "printk", (LONG, STRING), VOID, Effect.STATE, doc="line in the kernel's log", guru=True
    ),
    Builtin("ftrace", (STRING,), VOID, Effect.STATE, doc="line in the kernel's trace"),
    Builtin(
        "raise",
        (LONG,),
        VOID,
        Effect.STATE,
        can_fail=True,
        doc="send a signal to the thread",
        guru=True,
        reads=("pid", "tid"),
    ),
    Builtin("__file_text", (), STRING, Effect.STATE, doc="text of the file that is served"),
    Builtin("__file_set", (STRING,), STRING, Effect.STATE, doc="make it the text"),
    Builtin("__file_append", (STRING,), STRING, Effect.STATE, doc="add it to the text"),
    Builtin("exit", (), VOID, Effect.STATE, doc="end the session after this handler"),
    Builtin("error", (STRING,), VOID, Effect.STATE, can_fail=True, doc="raise an error"),
    Builtin("warn", (STRING,), VOID, Effect.STATE, doc="print a warning on standard error"),
    Builtin("log", (STRING,), VOID, Effect.STATE, doc="print a line"),
)

_KERNEL_IS_READ_ONLY = "no BPF program may write to the kernel's memory"
REFUSED = {
    **{
        f"set_kernel_{kind}": _KERNEL_IS_READ_ONLY
        for kind in ("char", "short", "int", "long", "pointer", "string", "string_n")
    },
    "mdelay": "no BPF program may wait, and a handler in user space delays nobody but itself",
    "udelay": "no BPF program may wait, and a handler in user space delays nobody but itself",
    "panic": "a script does not bring the machine down here; call exit() or abort()",
}
"""Functions of SystemTap that there will not be, each with the reason."""

_NAMES = {
    ("print_ubacktrace", 3): "pc sp fp",
    (LOADED_AT, 3): "path addr fixed",
    ("ctime", 1): "epochsecs",
    **{
        (f"set_user_{kind}", 2): "addr val"
        for kind in ("char", "short", "int", "long", "pointer", "string")
    },
    ("set_user_string_n", 3): "addr n val",
    ("_set_user", 3): "addr val size",
    ("__file_set", 1): "text",
    ("__file_append", 1): "text",
    ("user_string_n", 2): "addr n",
    ("kernel_string_n", 2): "addr n",
    ("user_buffer_quoted", 3): "addr inlen outlen",
    ("user_buffer_quoted_error", 3): "addr inlen outlen",
    ("kernel_buffer_quoted_error", 3): "addr inlen outlen",
    ("strlen", 1): "s",
    ("substr", 3): "str start length",
    ("stringat", 2): "str pos",
    ("isinstr", 2): "s1 s2",
    ("strpos", 2): "s1 s2",
    ("str_replace", 3): "prnt_str srch_str rplc_str",
    ("strtol", 2): "str base",
    ("isdigit", 1): "str",
    ("text_str", 1): "input",
    ("text_strn", 3): "input len quoted",
    ("string_quoted", 1): "str",
    ("matched", 1): "n",
    ("errno_str", 1): "err",
    ("errno_p", 1): "err",
    ("symname", 1): "addr",
    ("symdata", 1): "addr",
    ("string_to_fp", 1): "input",
    ("fp32_to_fp64", 1): "input",
    ("long_to_fp", 1): "input",
    ("fp_to_string", 2): "infp precision",
    ("fp_to_long", 3): "infp roundingMode exact",
    ("fp_add", 2): "add1 add2",
    ("fp_sub", 2): "sub1 sub2",
    ("fp_mul", 2): "mul1 mul2",
    ("fp_div", 2): "div1 div2",
    ("fp_rem", 2): "div1 div2",
    ("fp_eq", 2): "infp1 infp2",
    ("fp_le", 2): "infp1 infp2",
    ("fp_lt", 2): "infp1 infp2",
    ("fp_sqrt", 1): "infp",
    ("randint", 1): "n",
    ("system", 1): "cmd",
    ("speculate", 2): "id output",
    ("discard", 1): "id",
    ("commit", 1): "id",
    ("env_var", 1): "name",
    ("pid2execname", 1): "pid",
    ("_process_pages", 2): "pid number",
    ("get_loadavg_index", 1): "indx",
    ("printk", 2): "level msg",
    ("ftrace", 1): "msg",
    ("raise", 1): "signo",
    ("error", 1): "msg",
    ("warn", 1): "msg",
    ("log", 1): "msg",
    ("tokenize", 2): "input delim",
    ("tokenize", 1): "delim",
}
"""What listings call the parameters; of memory it is `addr`."""

BUILTINS: dict[tuple[str, int], Builtin] = {(b.name, len(b.parameters)): b for b in _TABLE}
"""By name and number of parameters."""

CONTEXTS = {
    builtin.name: (builtin.context, builtin.scale)
    for builtin in BUILTINS.values()
    if builtin.effect is Effect.CONTEXT
}
"""What the built-ins mean that describe a hit: a context of the IR, and what divides it."""
