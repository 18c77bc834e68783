"""What BPF code generation hands to the kernel engine: maps, and programs that number them.

One rule: nothing here belongs to a running kernel. Code refers to map number `n` of `maps`
where the kernel wants a file descriptor; the engine creates the maps and puts them in.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, unique
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.ir.program import Global
    from bridge.markers import KernelPlace, Sampling, Site


class MapType(IntEnum):
    """The kinds of BPF maps that are used (enum bpf_map_type)."""

    HASH = 1
    ARRAY = 2
    PROGRAM_ARRAY = 3
    PERF_EVENT_ARRAY = 4
    PERCPU_ARRAY = 6
    ARRAY_OF_MAPS = 12
    RINGBUF = 27


MAPPABLE = 1 << 10
"""BPF_F_MMAPABLE: user space maps the values of an array map."""

NO_PREALLOC = 1 << 0
"""BPF_F_NO_PREALLOC: entries are allocated when they are made."""


@dataclass(frozen=True, slots=True)
class MapSpec:
    """A map to create; `inner` is the number of the template of a map of maps."""

    name: str
    type: MapType
    key_bytes: int
    value_bytes: int
    entries: int
    flags: int = 0
    inner: int | None = None
    initial: bytes = b""
    """What the first element starts as; "" is zero."""


class Attach(Enum):
    """How a program is attached."""

    UPROBE = "uprobe"
    UPROBE_RETURN = "uprobe-return"
    TRACEPOINT = "tracepoint"
    RAW_TRACEPOINT = "raw-tracepoint"
    NOWHERE = "nowhere"
    """User space runs it itself."""
    SAMPLE = "sample"
    KPROBE = "kprobe"
    KPROBE_RETURN = "kprobe-return"
    FENTRY = "fentry"
    FEXIT = "fexit"

    @property
    def result(self) -> int:
        """What its programs return.

        After 0 of a program at a tracepoint the kernel hides the hit from all who record it
        with perf_event_open(2), of any process (kernel/trace/bpf_trace.c, trace_call_bpf).
        """
        return 1 if self is Attach.TRACEPOINT else 0


@dataclass(frozen=True, slots=True)
class BpfProgram:
    """A program and where it goes: the sites of a marker, a kernel tracepoint, or a counter.

    `pid` restricts uprobes to one process (0: all). A `sleepable` program may bring in pages.
    With a `slot` (map number, index) the program is not attached but put there, for another to
    go on with.
    """

    name: str
    hook: int
    attach: Attach
    code: bytes
    sites: tuple[Site, ...] = ()
    tracepoint: str = ""
    tracepoint_id: int = 0
    pid: int = 0
    sleepable: bool = False
    sampling: Sampling | None = None
    slot: tuple[int, int] | None = None
    dispatches: bool = False
    """Whether it is one that goes on with those in slots."""
    kernel: KernelPlace | None = None
    """The function of the kernel that it is attached to."""
    many: tuple[tuple[int, KernelPlace], ...] = ()
    """The functions of a link of many, each with the hook that the link tells the program."""
    functions: tuple[int, ...] = ()
    """Where in its code the functions begin that it gives to others to call, in bytes."""


@unique
class Control(IntEnum):
    """The words of the control map, which user space has mapped, by their index.

    ARMED lets the programs run. The offsets are byte offsets in task_struct and what it points
    to; a member that programs do not need is 0.
    """

    ARMED = 0
    LOST = 1
    """Records for which there was no room."""
    ERROR = 2
    """The first error of a handler: `error_word`."""
    SEQUENCE = 3
    """How many entries programs have made: gives each its place in the order."""
    UNREADABLE = 4
    """Arguments of markers whose memory could not be read; they count as 0."""
    REALTIME_OFFSET = 5
    """What to add to CLOCK_MONOTONIC for nanoseconds since 1970."""
    REAL_PARENT = 6
    TGID = 7
    CRED = 8
    EUID = 9
    EGID = 10
    SCRATCH_LOST = 11
    """Records for which no scratch memory was free."""
    FORK_CHILD = 12
    """Where the tracepoint sched_process_fork has the new thread's id."""
    ERROR_ADDRESS = 14
    """The address that ERROR is about, where it is about memory."""
    CONTENDED = 13
    """Minima and maxima that lost too many races."""
    COMM = 15
    SIGNAL = 16
    PIDS = 17
    NUMBERS = 18
    MM = 19
    ARG_START = 20
    ARG_END = 21

    BEAT = 22
    """When user space last took care of held processes, by CLOCK_MONOTONIC."""
    COMPAT_WORD = 23
    """Where task_struct has a flag that is set in system calls of another word size."""
    COMPAT_FLAG = 24
    """That flag, as a mask of the 32-bit word."""
    TASK_PID = 25
    TASK_FLAGS = 26
    LIVE = 27
    EXE_FILE = 28
    F_INODE = 29
    FILES = 30
    FDT = 31
    FD = 32
    INODE = 33
    """Where `mb_inode` puts what it found."""
    GROUP_DEAD = 34
    """Where sched_process_exit says whether a process is over; 0 where it does not."""
    UNKEPT = 35
    """Threads of which nothing could be kept, for want of room."""
    NAMESPACE = 36
    """The PID namespace whose numbers are meant, as `mb_namespace` finds it, and its level."""
    NAMESPACE_LEVEL = 37
    THREAD_PID = 38
    PID_LEVEL = 39
    OWN = 40
    """The session's process id."""
    GUARDS = 41
    SECOND_GUARD = 42
    """The guards' process ids."""
    LEAVING = 43
    """Whether the session ends as it should."""
    OWN_HITS = 44
    """Hits that would have stopped the session itself, or another one of ours."""
    TTY = 45
    COMMAND = 46
    """The number of the process that -c started."""
    UNCOUNTED = 47
    """Processes whose semaphores could not be counted up."""


CONTROL_WORDS = len(Control)
_SITE_BITS, _HANDLER_BITS = 24, 20
_MARK = 1 << 62
"""So that no error is 0."""


def error_word(handler: int, site: int | None, message: int) -> int:
    """An error of a handler in the kernel, in one word."""
    place = 0 if site is None else site + 1
    return _MARK | (message << _HANDLER_BITS | handler) << _SITE_BITS | place


def split_error_word(word: int) -> tuple[int, int | None, int]:
    """Handler, site and message number of an `error_word`."""
    site = word & ((1 << _SITE_BITS) - 1)
    handler = word >> _SITE_BITS & ((1 << _HANDLER_BITS) - 1)
    message = (word & ~_MARK) >> (_SITE_BITS + _HANDLER_BITS)
    return handler, site - 1 if site else None, message


@dataclass(frozen=True, slots=True)
class KernelGlobal:
    """A global that kernel programs use: its map, and how its entries look.

    Keys are `key_bytes` long: a LONG takes 8 bytes, a STRING `STRING_BYTES`. Values are a
    sequence number, then the payload: a number, or the statistic's count, sum, min, max and
    buckets. `outer` is the number of the map of maps through which programs reach the map when
    it is moved to user space while they run.
    """

    variable: int
    declaration: Global
    map: int
    outer: int | None
    key_bytes: int
    value_bytes: int
    blame: tuple[int, int]
    """The handler and the site that an overflow while moving entries is charged to."""
    template: int | None = None
    """The map whose value new entries of a statistic start as."""
    resident: bool = False


@dataclass(frozen=True, slots=True)
class LifeMaps:
    """The maps of hooks on processes, by number.

    `life`: thread id (with WATCHED, for those meant by number) -> inode of its program (or 1).
    `images`: the inodes that scripts name. `programs`: the inodes by path, as in `paths`.
    `born`: threads that began while the session armed.
    """

    life: int
    images: int
    programs: int
    born: int
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StartedFile:
    """A file with semaphores that we count up when a process begins to run it.

    `semaphores`: link-time address -> how many uprobes of the session count it up.
    """

    number: int
    semaphores: dict[int, int]


@dataclass(frozen=True, slots=True)
class BpfObject:
    """Everything that the kernel engine loads.

    `control`, `ring` and `targets` are map numbers; `ring` is None when no record is ever sent,
    `held` (processes that stand still) when no hook holds, `targets` (thread ids of the target
    and its descendants) when no program asks.
    `task_members` says whether the offsets of the control map are needed, `life` those for
    hooks on processes.
    """

    maps: tuple[MapSpec, ...]
    programs: tuple[BpfProgram, ...]
    control: int
    ring: int | None = None
    held: int | None = None
    targets: int | None = None
    life: LifeMaps | None = None
    started: tuple[StartedFile, ...] = ()
    globals: tuple[KernelGlobal, ...] = ()
    task_members: bool = False
    nested: bool = False
    """Whether processes are numbered as in another PID namespace than the first."""
    messages: tuple[bytes, ...] = ()
    """Messages of errors in kernel handlers, by number."""

    @property
    def probes(self) -> int:
        """How many places its programs are attached to."""
        return sum(max(1, len(p.sites)) for p in self.programs if p.hook >= 0)
