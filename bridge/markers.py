"""The one marker model: whatever can be traced is a `Marker`; consumers are bound to markers.

A probe point of a script (`bridge.script.syntax.ast.ProbePoint`) is *expanded* by a `Targets`
implementation into `Attachment`s. The live one is `bridge.probes.live.LiveTargets`, the one for
a recorded trace `bridge.probes.recorded.RecordedTargets`; tests pass their own. An attachment
names what fires (a marker, a timer, the begin of the session) and which variables a handler can
read there, each with the operand that says where its value lies.
"""

from __future__ import annotations

import sys
from dataclasses import field
from enum import Enum
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

from bridge.source import NOWHERE, Span
from bridge.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bridge.diagnostics import Diagnostic


class Kind(Enum):
    """What a marker is, in the field's words."""

    USDT = "usdt"
    FUNCTION = "function"
    FUNCTION_RETURN = "function-return"
    TRACEPOINT = "tracepoint"
    PROCESS = "process"
    """Processes and threads begin, end, and make system calls."""
    SAMPLE = "sample"
    KERNEL_FUNCTION = "kernel-function"
    KERNEL_RETURN = "kernel-function-return"
    RECORDED = "recorded"


class ValueType(Enum):
    """The type of a value that a script can read: a 64-bit integer, or bytes up to a NUL."""

    LONG = "long"
    STRING = "string"


# --- where a value lies -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Register:
    """The low `size` bytes of a machine register;

    `name` is the architecture's full name (`rax`, `x0`).
    """

    name: str
    size: int
    signed: bool
    high: bool = False
    """Whether it is bits 8..15 (`ah bh ch dh`)."""


@dataclass(frozen=True, slots=True)
class Constant:
    """An immediate operand."""

    value: int


@dataclass(frozen=True, slots=True)
class Memory:
    """`size` bytes of user (or kernel) memory at base + index * scale + displacement;

    a register may be missing (None).
    """

    base: str | None
    index: str | None
    scale: int
    displacement: int
    size: int
    signed: bool
    space: str = "user"


@dataclass(frozen=True, slots=True)
class TracepointField:
    """A field of a tracepoint record, as tracefs `format` describes it.

    Offset and size in bytes. `array` "" is a number, "char" a fixed character array, "data_loc"
    a dynamic one whose u32 holds offset and length, "rel_loc" the same relative to the field's
    end. Source: Documentation/trace/events.rst.
    """

    offset: int
    size: int
    signed: bool
    array: str = ""


@dataclass(frozen=True, slots=True)
class RecordedField:
    """A field of a recorded event class, by its name in the trace."""

    name: str


@dataclass(frozen=True, slots=True)
class RawArgument:
    """Argument number `index` of a kernel tracepoint, as a raw tracepoint program gets it.

    The word is sign- or zero-extended from `size` bytes. Of a function of the kernel it is
    what a trampoline (fentry, fexit) passes on; its result has the index -1.
    """

    index: int
    size: int = 8
    signed: bool = True


@dataclass(frozen=True, slots=True)
class LoadBias:
    """How far from its link-time addresses the file of a site is loaded.

    It is told by the instruction pointer: the site's link-time address is `address`. Where a
    function returns (`returns`), that is asked of the kernel, which knows what it returns from.
    """

    address: int
    returns: bool = False


@dataclass(frozen=True, slots=True)
class SavedRegister:
    """A register of a program in a system call, where the kernel saved it (struct pt_regs).

    `name` is the full name, or that of a word beside the registers (`orig`, `syscallno`), of
    `size` bytes. `forgotten` is what -1 stands for: returning from a signal handler puts that
    where the number of the system call was. `compat` is the register of a 32-bit program, where
    that is another one.
    """

    name: str
    size: int = 8
    forgotten: int | None = None
    compat: str = ""


_InProgram = Register | Constant | Memory | LoadBias
_OfEvent = TracepointField | RawArgument | SavedRegister | RecordedField
Operand = _InProgram | _OfEvent
"""Where a value is: in a program at a site, in the record of an event, or in a trace."""


@dataclass(frozen=True, slots=True)
class Variable:
    """`$name` of a marker, its name without the dollar; `ctype` is "" where unknown.

    `operands` has one operand per entry of the marker's `sites`; one only if it is the same
    everywhere.
    """

    name: str
    type: ValueType
    operands: tuple[Operand, ...]
    ctype: str = ""
    raw: RawArgument | None = None
    """For a tracepoint field that a raw tracepoint program can also read, where it is there.

    For a variable of a function of the kernel, where a trampoline has it.
    """
    field: TracepointField | None = None
    """For a tracepoint argument: the field of its name, for handlers that read other fields."""
    alias: bool = False
    """A second name of another variable, which lists of all variables leave out."""

    def operand(self, site: int) -> Operand:
        """The operand at the marker's site number `site`."""
        return self.operands[site] if len(self.operands) > 1 else self.operands[0]


def is_argument_only(variable: Variable) -> bool:
    """Whether only a raw tracepoint program can read it."""
    return isinstance(variable.operands[0], RawArgument) and variable.field is None


def is_field_only(variable: Variable) -> bool:
    """Whether only a program that gets a tracepoint's record can read it."""
    return isinstance(variable.operands[0], TracepointField) and variable.raw is None


BIAS = "%bias"
"""The variable of a place in a program that says where its file is loaded."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Where a way to a global starts that no place has to offer: at an address of a file.

    `path` is that of the file, "" for the kernel. Unless it is `fixed`, the address counts from
    where the process that was hit has the file in memory.
    """

    path: str = ""
    fixed: bool = True


Part = str | int | None
"""A part of a path: a member's name, a constant index, or None for a computed index."""


@dataclass(frozen=True, slots=True)
class Index:
    """A computed index on a way.

    At step `level`, the path's computed index number `number` times `scale` bytes are added.
    """

    level: int
    number: int
    scale: int


@dataclass(frozen=True, slots=True)
class Access:
    """How to get from a variable to `variable->member[1]`: the offsets to follow, in bytes.

    Start with the value of `base` (None: with the value that is cast); for every offset but the
    last, add it and read the pointer there; add the last one. That is the address of the thing:
    its value, if `size` is 0 (an array, or `&`), else an integer of `size` bytes is read there.
    Of the value, the `bits` from bit `shift` on (0: all) count. `space` is "kernel" or "user".
    """

    base: Variable | Loaded | None
    offsets: tuple[int, ...]
    size: int
    signed: bool
    space: str
    shift: int = 0
    bits: int = 0
    indices: tuple[Index, ...] = ()
    structure: Structure | None = field(default=None, compare=False)
    """What further paths from its value are resolved with."""
    moved: tuple[str, ...] = field(default=(), compare=False)
    """Which names of the path are others today, to be told."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A value in a pretty print.

    `form` is "d", "u", "x" (`%p`), "#x" (`%#x`), "c" or "text" (quoted).
    """

    access: Access | Variable
    form: str


@dataclass(frozen=True, slots=True)
class Pretty:
    """The text of a pretty print: literal pieces, and values."""

    pieces: tuple[str | Shown, ...]


@dataclass(frozen=True, slots=True)
class Enumerator:
    """A constant by its name."""

    value: int


@dataclass(frozen=True, slots=True)
class NoAccess:
    """There is no such thing, in SystemTap's words; `part` is the path's part to blame."""

    message: str
    part: int = -1


Result = Variable | Access | Pretty | Enumerator | NoAccess
"""What a target expression stands for."""


@dataclass(frozen=True, slots=True)
class GlobalAccess:
    """`@var("name@file", "module")` and the path behind it.

    `file` is a source file, "" for any; `module` is "kernel" or the path of a program or
    library, "" for the place's own. `pretty` is "", "$" or "$$" for a text of the whole thing.
    """

    name: str
    file: str = ""
    module: str = ""
    path: tuple[Part, ...] = ()
    address_of: bool = False
    pretty: str = ""

    def missing(self, where: str = "") -> NoAccess:
        """The answer if `where`, else its module, has no such global."""
        return NoAccess(f"unable to find global '{self.name}' in {where or self.module}")


class Structure(Protocol):
    """What is known of the type of a value."""

    def access(
        self, path: Sequence[Part], *, address_of: bool = False, pretty: str = ""
    ) -> Result:
        """The way from such a value along a path; `base` of the result is None."""
        ...


class Members(Protocol):
    """What is known about the types of a place's variables."""

    def access(
        self,
        name: str,
        path: Sequence[Part],
        *,
        address_of: bool = False,
        pretty: str = "",
    ) -> Result:
        """The way to `name` (without its dollar), then along a path.

        `pretty` is "", "$" or "$$" for a text of the whole thing.
        """
        ...


@dataclass(frozen=True, slots=True)
class Listed:
    """A variable of `$$vars`; of some only a `mark` can be shown (`{...}`)."""

    name: str
    ctype: str
    parameter: bool
    mark: str = ""
    number: int = 0
    """Of a parameter: which it is where the function is declared, from 1."""


class Scope(Members, Protocol):
    """The variables that debug information describes at a place."""

    def result(self) -> Sequence[Listed]:
        """`$return`, where a function that has a result returns."""
        ...

    def listed(self) -> Sequence[Listed]:
        """What `$$vars` shows, in its order."""
        ...

    def static(self, wanted: GlobalAccess) -> Result:
        """The way to a global, as `@var`."""
        ...

    def structure(self, name: str, module: str) -> Structure | NoAccess:
        """What a pointer to the type of that name points to, as `@cast`."""
        ...

    def enumerator(self, name: str) -> Enumerator | NoAccess:
        """A constant of an enumeration, as `@enum`."""
        ...


REGISTER_NAMES = {
    "x86_64": (
        *("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "rip"),
        *(f"r{number}" for number in range(8, 16)),
    ),
    "aarch64": (*(f"x{number}" for number in range(31)), "sp"),
}
"""The registers of each machine that a script can read by name."""
REGISTER = "register_"
"""What the name of the hidden variable starts with that is a register."""
RESULT_REGISTERS = {"x86_64": "rax", "aarch64": "x0"}
# System V x86-64 psABI, figure 3.4; AAPCS64, section 6.8.2.
ARGUMENT_REGISTERS = {
    "x86_64": ("rdi", "rsi", "rdx", "rcx", "r8", "r9"),
    "aarch64": ("x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"),
}


@cache
def registers(machine: str) -> tuple[Variable, ...]:
    """A variable for each register of a place in a program."""
    return tuple(
        Variable(REGISTER + name, ValueType.LONG, (Register(name, 8, signed=True),), "long")
        for name in REGISTER_NAMES.get(machine, ())
    )


def full_register(name: str) -> tuple[str, int]:
    """The full name of a register, and how many of its bits are meant: `eax` -> `rax`, 32."""
    if name.startswith("e"):
        return f"r{name[1:]}", 32
    if name.startswith("r") and name[1:-1].isdigit() and name.endswith("d"):
        return name[:-1], 32
    if name.startswith("w") and name[1:].isdigit():
        return f"x{name[1:]}", 32
    return name, 64


# --- markers ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Semaphore:
    """A USDT semaphore that the kernel may count up in the wrong place when a process starts.

    `address` is its link-time address. A process that begins to run the file comes to the
    file offset `start_offset` first, at the link-time address `start_address`.
    """

    address: int
    start_offset: int
    start_address: int


@dataclass(frozen=True, slots=True)
class Site:
    """One place of a marker in an ELF file.

    `offset` is the file offset to put the uprobe at, `address` the link-time virtual address,
    `ref_ctr_offset` the file offset of the USDT semaphore (0: none). `unsafe` says why a uprobe
    here would disturb the program ("" : safe). `semaphore`: where we have to count it up.
    """

    path: str
    offset: int
    address: int
    ref_ctr_offset: int = 0
    unsafe: str = ""
    semaphore: Semaphore | None = None


@dataclass(frozen=True, slots=True)
class KernelPlace:
    """Where a function of the kernel is probed.

    `symbol` is the name in kallsyms, `module` "" for the kernel itself, `address` 0 where it is
    hidden from us, `offset` how far behind the function's entry. `trampoline` is the number of
    the function in BTF, where a trampoline can be put there (0: only a kprobe can).
    """

    symbol: str
    module: str = ""
    address: int = 0
    offset: int = 0
    trampoline: int = 0


BREAKPOINT = 5
"""PERF_TYPE_BREAKPOINT."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """A counter of perf_event_open(2), and after how many counts it hits.

    `hertz` says that `rate` is a frequency that the kernel keeps to instead. A breakpoint of
    the machine (`BREAKPOINT`) counts accesses to `length` bytes at an `address`: writes, or
    all.
    """

    type: int
    config: int
    rate: int
    hertz: bool = False
    address: int = 0
    length: int = 0
    only_writes: bool = False


@dataclass(frozen=True, slots=True)
class Marker:
    """A traceable place: USDT note, function, kernel tracepoint, sample, recorded event class.

    `provider` and `name` are its two-part name (function: path and symbol; tracepoint:
    subsystem and event; process: path of the program or "" for all, and `thread.begin` or so).
    `machine` is the ELF machine of its sites ("x86_64", "aarch64"), "" where it has none. `id`
    is the kernel's tracepoint id, or the class id of a trace.
    """

    kind: Kind
    provider: str
    name: str
    sites: tuple[Site, ...] = ()
    variables: Sequence[Variable] = ()
    machine: str = ""
    id: int = 0
    unreadable: tuple[tuple[str, str], ...] = ()
    """Arguments that exist but cannot be read: (name, why), told when one is used."""
    syscall: int | None = None
    """The number of the system call that a tracepoint is about, where it is about one."""
    sampling: Sampling | None = None
    """What a sample counts."""
    hidden: Sequence[Variable] = ()
    """What values are computed from and nobody sees: registers, where the file is loaded."""
    kernel: KernelPlace | None = None
    """Where a function of the kernel is."""

    def __hash__(self) -> int:
        """Of few fields, which tell nearly all apart: wildcards find tens of thousands."""
        places = tuple(site.offset for site in self.sites)
        return hash((self.kind, self.provider, self.name, places, self.id))

    @property
    def begins(self) -> bool:
        """Whether it is where processes or threads begin: what exists already hits it, too."""
        return self.kind is Kind.PROCESS and self.name in ("begin", "thread.begin")

    @property
    def readable(self) -> tuple[Variable, ...]:
        """The variables and what is hidden, each name once."""
        names = {variable.name for variable in self.variables}
        more = (*self.hidden, *(registers(self.machine) if self.sites else ()))
        return (*self.variables, *(v for v in more if v.name not in names))

    @property
    def arguments(self) -> Sequence[Variable]:
        """The positional arguments or fields, in order."""
        return self.variables


# --- attachments ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MarkerAttachment:
    """Runs at each hit of a marker; `pid` restricts it to one process (0: all)."""

    marker: Marker
    pid: int = 0
    follow_target: bool = False
    """Whether only the `-c`/`-x` process and its descendants count."""

    def __hash__(self) -> int:
        return hash((self.marker, self.pid))


@dataclass(frozen=True, slots=True)
class Begin:
    """Runs before anything is armed, by ascending priority."""

    priority: int = 0


@dataclass(frozen=True, slots=True)
class End:
    """Runs when the session ends normally, by ascending priority."""

    priority: int = 0


@dataclass(frozen=True, slots=True)
class Error:
    """Runs instead of `End` when the session ends by an error."""

    priority: int = 0


@dataclass(frozen=True, slots=True)
class Timer:
    """Runs every `period_ns` (plus or minus a uniform random part up to `randomize_ns`)."""

    period_ns: int
    randomize_ns: int = 0


@dataclass(frozen=True, slots=True)
class Never:
    """Compiles but never runs."""


@dataclass(frozen=True, slots=True)
class ServedFile:
    """Runs when somebody reads a file of the session, or writes to it (`writes`).

    `name` may have slashes. `permissions` are those of the file, as chmod takes them. `most` is
    how many bytes a reader gets at most; 0: one less than MAXSTRINGLEN.
    """

    name: str
    writes: bool
    permissions: int
    most: int = 0


Attachment = MarkerAttachment | Begin | End | Error | Timer | ServedFile | Never


@dataclass(frozen=True, slots=True)
class PointPart:
    """A component of a probe point: its name, and its literal argument."""

    name: str
    argument: int | str | None = None
    token: Span = NOWHERE


OWN_NAME = "own name"
"""Among the strings of a place: what pp() calls it, where that is not its full name."""


ENTERED = "entered "
"""What the name of the hidden variable of a return starts with that is an argument, as the
function was called: no script can write it."""


SYSTEM_CALL_FUNCTIONS = {"x86_64": "__x64_sys_", "aarch64": "__arm64_sys_"}
"""What the kernel puts before the name of the function of a system call."""


def ordinal(number: int) -> str:
    """What `renamed` calls an argument by its number, from 1: no script can write it."""
    return f"argument {number}"


CALL_BIAS = "load bias"
"""What the values of `Callers` count from: a name that no script can write."""
Callers = tuple[tuple[tuple[str, int], ...], ...]
"""Of the calls of a function, those that count: names of a scope with their values."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """One result of expanding a probe point: where it attaches, and its full name.

    `point` is the derived probe point as SystemTap prints it (`process("/bin/x").mark("hit")`).
    `strings` are the constants that the place offers by name, for instance `$$name` and
    `$$provider` of a USDT marker. `members` resolves paths like `$next->pid`, where types are
    known.
    """

    attachment: Attachment
    point: str
    strings: Mapping[str, str] = field(default_factory=dict)
    members: Members | None = field(default=None, compare=False)
    scope: Scope | None = field(default=None, compare=False)
    """What debug information describes at the place; it is `members`, too."""
    entry: Expansion | None = field(default=None, compare=False)
    """For the return of a function: the same function where it is entered."""
    entered: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Which arguments a return still has as they were at the entry, by their names there.

    What stands for one is a hidden variable, or a call (`name()`)."""
    reasons: tuple[Diagnostic, ...] = field(default=(), compare=False)
    """Why it may have more variables than are known here."""
    lacking: tuple[Diagnostic, ...] = field(default=(), compare=False)
    """What the machine lacks for more variables; `@defined` does not see them."""
    members_list: bool = field(default=False, compare=False)
    """Whether `$$parms` and so on are asked of `members`, too."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Other names of its variables: `$return` where a system call's event has `$ret`.

    What stands for a name may be a way: `bio->bi_bdev`."""
    only: tuple[str, int] | None = None
    """A way from a variable (`sk->sk_protocol`) and the value there that a hit must have."""
    callers: Callers = ()
    """What the variables that the scope has for it must be at a hit: all of one of these."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """Why a variable is not there, by its name; "*": any other."""
    newest_first: bool = field(default=False, compare=False)
    """Whether the handlers of one marker run from the newest to the oldest.

    Each of SystemTap's probes in a program is a uprobe of its own, and the kernel runs those of
    one place in that order."""
    dollars: bool = field(default=False, compare=False)
    """Whether `$$vars` names the variables with their dollars, as SystemTap does at marks."""
    returns: bool = field(default=False, compare=False)
    """Whether a function or call is left here."""
    serves_text: bool = field(default=False, compare=False)
    """Whether `$value` is the text that the reader of a file gets: with --assume-types only."""
    notes: tuple[Diagnostic, ...] = field(default=(), compare=False)
    """Warnings about how the point was expanded; the first of its expansions has them."""

    @property
    def own_name(self) -> str:
        """What pp() and messages call it."""
        return self.strings.get(OWN_NAME, self.point)

    @property
    def variables(self) -> Sequence[Variable]:
        """What a handler here can read."""
        match self.attachment:
            case MarkerAttachment(marker=marker):
                return marker.variables
            case _:
                return ()


@dataclass(frozen=True, slots=True)
class NoMatch:
    """Nothing there:

    `part` is the index of the component that failed, `similar` near names, `reasons`
    binary-input faults.
    """

    part: int
    message: str = "no match"
    code: str = field(default="no-match", kw_only=True)
    """That of the message (bridge.codes); of "no match" the reasons say more."""
    similar: tuple[str, ...] = ()
    near: Callable[[], str] | None = field(default=None, compare=False)
    """The end of the message, about near names among very many: a library asks for much that is
    not there, and the message is never shown."""
    reasons: tuple[Diagnostic, ...] = ()


class Targets(Protocol):
    """What there is to probe.

    `begin`, `end`, `error`, `never` and timers are also expanded here.
    """

    def expand(self, parts: Sequence[PointPart]) -> tuple[Expansion, ...] | NoMatch:
        """All places that a probe point stands for, in a stable order.

        Aliases are already replaced; wildcards are still in.
        """
        ...

    def structure(self, name: str, module: str) -> Structure | NoAccess:
        """What a pointer to a type of a module ("kernel", a path) points to, as `@cast`."""
        ...

    def static(self, wanted: GlobalAccess) -> Result:
        """The way to a module's global, from a `Loaded`: `@var` where no place has it."""
        ...


# --- the module as a function -----------------------------------------------------------------


class _Module(ModuleType):
    """`bridge.markers(path=...)` looks up markers, also once this module has that name."""

    def __call__(self, **where: object) -> object:
        """See `bridge.marker_lookup.markers`."""
        return import_module("bridge.marker_lookup").markers(**where)


sys.modules[__name__].__class__ = _Module
