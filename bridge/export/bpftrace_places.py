"""Where a probe is, and where its variables lie -> bpftrace's probes and expressions.

One rule: what bpftrace would read elsewhere, or not at all, is `None` here, and refused by who
asks. Source: bpftrace(8), of version 0.17.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.diagnostics import Sink
from bridge.markers import (
    Constant,
    Kind,
    Memory,
    RawArgument,
    Register,
    TracepointField,
    is_argument_only,
)
from bridge.probes.elf import open_elf
from bridge.probes.symbols import address_of
from bridge.tracefs_words import X86

if TYPE_CHECKING:
    from collections.abc import Collection

    from bridge.markers import Access, Marker, Sampling, Variable
    from bridge.world import World

_EVENTS = (
    ("cycles", "instructions", "cache-references", "cache-misses", "branch-instructions",
     "branch-misses", "bus-cycles", "frontend-stalls", "backend-stalls", "ref-cycles"),
    ("cpu-clock", "task-clock", "page-faults", "context-switches", "cpu-migrations",
     "minor-faults", "major-faults", "alignment-faults", "emulation-faults", "dummy",
     "bpf-output"),
)  # fmt: skip
"""bpftrace's names of counters, by type (hardware, software) and number."""
_ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
_IN_PROGRAM = frozenset({Kind.USDT, Kind.FUNCTION, Kind.FUNCTION_RETURN})


def probe_point(marker: Marker, site: int, world: World, *, raw: bool) -> str | None:
    """The probe at one of the marker's sites; `raw`: as a tracepoint with its arguments."""
    match marker.kind:
        case Kind.USDT:
            return f"usdt:{marker.sites[site].path}:{marker.provider}:{marker.name}"
        case Kind.TRACEPOINT if raw:
            return f"rawtracepoint:{marker.name}"
        case Kind.TRACEPOINT:
            return f"tracepoint:{marker.provider}:{marker.name}"
        case Kind.FUNCTION | Kind.FUNCTION_RETURN:
            return _function(marker, site, world)
        case Kind.KERNEL_FUNCTION | Kind.KERNEL_RETURN if marker.kernel:
            place = marker.kernel
            word = "kprobe" if marker.kind is Kind.KERNEL_FUNCTION else "kretprobe"
            return f"{word}:{place.symbol}{f'+{place.offset}' if place.offset else ''}"
        case Kind.SAMPLE if marker.sampling is not None:
            return _sampled(marker.sampling)
        case _:
            return None


def _function(marker: Marker, site: int, world: World) -> str | None:
    place = marker.sites[site]
    elf = open_elf(place.path, world, Sink())
    start = None if elf is None else address_of(elf, marker.name)
    if marker.kind is Kind.FUNCTION_RETURN:
        return f"uretprobe:{place.path}:{marker.name}" if start == place.address else None
    if start is None or not marker.name.isidentifier():
        return f"uprobe:{place.path}:{place.address:#x}"
    offset = place.address - start
    if offset < 0:
        return f"uprobe:{place.path}:{place.address:#x}"
    return f"uprobe:{place.path}:{marker.name}{f'+{offset}' if offset else ''}"


def _sampled(sampling: Sampling) -> str | None:
    family = ("hardware", "software")[sampling.type] if sampling.type in (0, 1) else None
    if family is None or sampling.config >= len(_EVENTS[sampling.type]):
        return None
    if sampling.hertz:
        clock = family == "software" and sampling.config == 0
        return f"profile:hz:{sampling.rate}" if clock else None
    return f"{family}:{_EVENTS[sampling.type][sampling.config]}:{sampling.rate}"


def needs_arguments(used: Collection[Variable]) -> bool:
    """Whether a tracepoint has to be a raw one, because a handler reads what it passes on."""
    return any(map(is_argument_only, used))


def needs_sites(marker: Marker, used: Collection[Variable]) -> bool:
    """Whether a probe for each site is needed, since its variables lie elsewhere there."""
    return marker.kind is Kind.FUNCTION and any(len(one.operands) > 1 for one in used)


def read(marker: Marker, variable: Variable, site: int, *, raw: bool) -> str | None:
    """The value of a variable; None if bpftrace cannot read it."""
    if marker.kind is Kind.USDT:
        number = list(marker.variables).index(variable)
        operand = variable.operand(0)
        size, signed = getattr(operand, "size", 8), getattr(operand, "signed", True)
        return _cast(f"arg{number}", size, signed=signed)
    if variable.name == "return" and marker.kind in (Kind.FUNCTION_RETURN, Kind.KERNEL_RETURN):
        operand = variable.operand(0)
        return _cast(
            "retval", getattr(operand, "size", 8), signed=getattr(operand, "signed", True)
        )
    return _operand(variable.raw or variable.operand(site), marker, raw=raw)


def _operand(operand: object, marker: Marker, *, raw: bool) -> str | None:
    match operand:
        case RawArgument(index=index, size=size, signed=signed) if raw or marker.kernel:
            return None if index < 0 else _cast(f"arg{index}", size, signed=signed)
        case Register(high=False, name=name, size=size, signed=signed):
            if marker.kind is Kind.FUNCTION and name in _ARGUMENTS:
                return _cast(f"arg{_ARGUMENTS.index(name)}", size, signed=signed)
            return _cast(f'reg("{X86.get(name, name)}")', size, signed=signed)
        case Constant(value=value):
            return f"(int64){value}" if value < 0 else str(value)
        case Memory(base=str(base), index=None, displacement=offset, size=size, signed=signed):
            place = f'reg("{X86.get(base, base)}") + {offset}'
            return load(f"({place})", size, signed=signed, space="")
        case _:
            return None


def field(marker: Marker, variable: Variable) -> tuple[str, bool] | None:
    """A field of a tracepoint, and whether bpftrace has the address of its text."""
    match variable.field or variable.operand(0):
        case TracepointField(array="data_loc"):
            return f"args->{variable.name}", True
        case TracepointField(array="") if variable.ctype.endswith("*"):
            # typed pointers count in their own units when something is added to them
            return f"(uint64)args->{variable.name}", False
        case TracepointField(array="" | "char"):
            return f"args->{variable.name}", False
        case _:
            return None


def _cast(text: str, size: int, *, signed: bool) -> str:
    """Values are 64 bits wide and unsigned until they are cast."""
    if size == 8 and not signed:
        return text
    return f"({'' if signed else 'u'}int{8 * size}){text}"


def load(address: str, size: int, *, signed: bool, space: str) -> str:
    """What lies at an address; `space` is "uptr", "kptr" or "": the probe's own."""
    inner = f"{space}{address}" if space else address
    return f"*({'' if signed else 'u'}int{8 * size} *){inner}"


def space_for(marker: Marker | None, wanted: str) -> str:
    """What makes a pointer one of the "user" or of the "kernel": "" where it is already."""
    own = "kernel"
    if marker is not None and marker.kind in _IN_PROGRAM:
        own = "user"
    if marker is not None and marker.provider == "syscalls":
        own = "syscall"
    return "" if own == wanted else {"user": "uptr", "kernel": "kptr"}[wanted]


def follow(access: Access, start: str, marker: Marker) -> str | None:
    """`$p->member`: pointers are followed, then what is at the end is read."""
    if access.indices or access.bits or access.shift:
        return None
    if not access.offsets:
        return start
    space = space_for(marker, access.space)
    *steps, last = access.offsets
    for step in steps:
        start = load(f"({start} + {step})", 8, signed=False, space=space)
    address = f"({start} + {last})"
    return (
        load(address, access.size, signed=access.signed, space=space)
        if access.size
        else address
    )
