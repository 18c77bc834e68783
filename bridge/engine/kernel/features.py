"""What the engine wants of a kernel: how it is found out, and what is used instead.

One rule: the kernel is asked, never its version, because distributions carry features back.
`MARKBRIDGE_WITHOUT=uprobe_multi,ringbuf` takes features away, so that what replaces them can be
tried on any kernel.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bridge._native import ffi, lib
from bridge.errors import BridgeError, HostError
from bridge.suggest import similar
from bridge.world import WITHOUT
from bridge.world import taken_away as named

if TYPE_CHECKING:
    from collections.abc import Callable

BTF = Path("/sys/kernel/btf/vmlinux")
KPROBE_PMU = Path("/sys/bus/event_source/devices/kprobe")
UPROBE_PMU = Path("/sys/bus/event_source/devices/uprobe")
TRACING = Path("/sys/kernel/tracing")

ARRAY, RINGBUF = 2, 27
MMAPABLE = 1 << 10
SOCKET_FILTER, KPROBE, RAW_TRACEPOINT = 1, 2, 17
SLEEPABLE, KPROBE_MULTI, UPROBE_MULTI = 1 << 4, 42, 48
REFUSED = frozenset({-errno.EPERM, -errno.EACCES})
"""What says nothing of the kernel: the right is missing. Then the attempt itself tells."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing that a kernel may have.

    `since` is the Linux that brought it, for the reader only. `instead` is what the engine does
    without it; `needed` that it does nothing.
    """

    name: str
    since: str
    what: str
    how: str
    instead: str
    probe: Callable[[], bool]
    needed: bool = False


# --- asking -----------------------------------------------------------------------------------


def _insn(code: int, dst: int = 0, src: int = 0, off: int = 0, imm: int = 0) -> bytes:
    head = bytes((code, src << 4 | dst)) + off.to_bytes(2, "little", signed=True)
    return head + (imm & 0xFFFFFFFF).to_bytes(4, "little")


def _set(register: int, value: int) -> bytes:
    return _insn(0xB7, register, imm=value)


def _call(helper: int) -> bytes:
    return _insn(0x85, imm=helper)


_EXIT = _set(0, 0) + _insn(0x95)
_BUFFER = _insn(0xBF, 1, 10) + _insn(0x07, 1, imm=-8)
"""r1 = 8 bytes of the stack."""


def _load(code: bytes, attach: int = 0, flags: int = 0, type_: int = KPROBE) -> int:
    data = ffi.new("uint8_t[]", code)
    name = b"mb_probe"
    loaded: int = lib.mb_bpf_program_load(
        type_, attach, flags, name, data, len(code), ffi.NULL, 0
    )
    return loaded


def _accepts(code: bytes, flags: int = 0, type_: int = KPROBE) -> bool:
    """Whether the verifier takes a program."""
    program = _load(code, 0, flags, type_)
    if program >= 0:
        os.close(program)
    return program >= 0 or program in REFUSED


def _makes(type_: int, key: int, value: int, entries: int, flags: int = 0) -> bool:
    native = ffi.new("struct mb_bpf_map *")
    native.type, native.key_size, native.value_size = type_, key, value
    native.entries, native.flags, native.name = entries, flags, b"mb_probe"
    made: int = lib.mb_bpf_map_create(native)
    if made >= 0:
        os.close(made)
    return made >= 0 or made in REFUSED


def _links_uprobes(pid: int, answer: int) -> bool:
    """Whether a link of uprobes on a folder is refused with the answer that tells."""
    program = _load(_EXIT, UPROBE_MULTI)
    if program < 0:
        return program in REFUSED
    probes = ffi.new("struct mb_uprobes *")
    path, offsets = ffi.new("char[]", b"/"), ffi.new("uint64_t[]", [0])
    probes.path, probes.offsets, probes.count, probes.pid = path, offsets, 1, pid
    got = lib.mb_bpf_attach_uprobes(program, probes)
    os.close(program)
    return bool(got == -answer)


def _takes_trampolines() -> bool:
    """Whether a program for a trampoline is refused for its function, which is none."""
    place = ffi.new("struct mb_trampoline *")
    place.function = 1  # of the types the first one, a number
    got = lib.mb_bpf_trampoline_load(place, b"mb_probe", _EXIT, len(_EXIT), ffi.NULL, 0)
    return bool(got == -errno.EINVAL)


def _links_functions() -> bool:
    """Whether a link of functions is refused for the name of one, which there is not."""
    program = _load(_EXIT, KPROBE_MULTI)
    if program < 0:
        return program in REFUSED
    probes, name = ffi.new("struct mb_kprobes *"), ffi.new("char[]", b"mb_no_such_function")
    names = ffi.new("uint64_t[]", [int(ffi.cast("uint64_t", name))])
    probes.names, probes.count = names, 1
    got = lib.mb_bpf_attach_kprobes(program, probes)
    os.close(program)
    return bool(got == -errno.ESRCH)


def _runs_programs() -> bool:
    """Whether user space can run a program that is attached nowhere."""
    program = _load(_EXIT, type_=RAW_TRACEPOINT)
    if program < 0:
        return program in REFUSED
    code = lib.mb_bpf_program_run(program, ffi.NULL, 0)
    os.close(program)
    return bool(code >= 0)


def _has_member(structure: bytes, member: bytes) -> bool:
    try:
        data = BTF.read_bytes()
    except OSError:
        return False
    types = ffi.from_buffer("char[]", data)
    return bool(lib.mb_btf_member(types, len(data), structure, member) >= 0)


def _appends_uprobes() -> bool:
    """Whether events of tracefs can be made, and may have several places."""
    try:
        known = (TRACING / "README").read_text()
    except OSError:
        return False
    return "uprobe_events" in known and os.access(TRACING / "uprobe_events", os.W_OK)


_ATOMIC = _set(1, 1) + _insn(0x7B, 10, 1, -8) + _insn(0xDB, 10, 1, -8, 1) + _EXIT
_COPY = _BUFFER + _set(2, 8) + _set(3, 0) + _call(148) + _EXIT
_REGISTERS = _call(158) + _insn(0xBF, 1, 0) + _call(175) + _EXIT
_SIGNAL = _set(1, 0) + _call(117) + _EXIT
_LOOP = (
    _set(1, 1)
    + _insn(0x18, 2, 4, imm=6)  # the address of what comes behind the program's end
    + _insn(0)
    + _insn(0xBF, 3, 10)
    + _set(4, 0)
    + _call(181)
    + _EXIT
)
_READ_USER = _BUFFER + _set(2, 8) + _set(3, 0) + _call(112) + _EXIT

FEATURES = (
    Feature(
        "uprobe_multi",
        "6.6",
        "one link for all places of a file",
        "a link on the folder `/` is refused with EBADF",
        "an event of tracefs for the places of a program, or one of the PMU `uprobe` for each",
        lambda: _links_uprobes(0, errno.EBADF),
    ),
    Feature(
        "uprobe_multi_pid",
        "6.10",
        "such a link for all threads of one process",
        "a link for the process -1 is refused with EINVAL",
        "as without `uprobe_multi`, for `process(PID)`",
        lambda: _links_uprobes(0, errno.EBADF) and _links_uprobes(-1, errno.EINVAL),
    ),
    Feature(
        "uprobe_append",
        "5.4",
        "events of tracefs with several places",
        "`uprobe_events` can be written, and tracefs's README has it",
        "an event of the PMU `uprobe` for each place, slower to detach",
        _appends_uprobes,
    ),
    Feature(
        "semaphores",
        "4.20",
        "counting up the semaphores of USDT markers",
        "the PMU `uprobe` has the format `ref_ctr_offset`",
        "markers with a semaphore are refused",
        (UPROBE_PMU / "format" / "ref_ctr_offset").exists,
    ),
    Feature(
        "ringbuf",
        "5.8",
        "one buffer for the records of all CPUs, in their order",
        "a map of this type is made",
        "a perf buffer for each CPU, whose records user space puts in order by their times",
        lambda: _makes(RINGBUF, 0, 0, os.sysconf("SC_PAGESIZE")),
    ),
    Feature(
        "sleepable",
        "6.0",
        "programs of uprobes that may wait for a page",
        "the verifier takes one that calls bpf_copy_from_user",
        "pages that a program has not touched yet cannot be read; the end tells how many",
        lambda: _accepts(_COPY, SLEEPABLE),
    ),
    Feature(
        "atomics",
        "5.12",
        "atomic operations that give the old value",
        "the verifier takes one",
        "all handlers run in user space",
        lambda: _accepts(_ATOMIC),
    ),
    Feature(
        "func_ip",
        "6.7",
        "the address of the probe, in a program on a function's return",
        "BTF has bpf_trace_run_ctx.is_uprobe",
        "globals of a position-independent program are refused in probes on returns",
        lambda: _has_member(b"bpf_trace_run_ctx", b"is_uprobe"),
    ),
    Feature(
        "task_registers",
        "5.15",
        "registers of the process at a tracepoint",
        "the verifier takes a call of bpf_task_pt_regs",
        "handlers that want them there are refused",
        lambda: _accepts(_REGISTERS),
    ),
    Feature(
        "program_run",
        "5.10",
        "reading the kernel's memory in `begin`, `end`, `error` and timers",
        "a program of a raw tracepoint runs by BPF_PROG_TEST_RUN",
        "such reads are refused",
        _runs_programs,
    ),
    Feature(
        "send_signal",
        "5.6",
        "stopping a process at a hit",
        "the verifier takes a call of bpf_send_signal_thread",
        "handlers that read memory at computed addresses are refused",
        lambda: _accepts(_SIGNAL),
    ),
    Feature(
        "btf",
        "5.4",
        "the kernel's types: ppid(), process.begin, tracepoints' arguments …",
        "/sys/kernel/btf/vmlinux is there (CONFIG_DEBUG_INFO_BTF)",
        "these are refused; tracepoints have the fields of their records",
        BTF.exists,
    ),
    Feature(
        "fentry",
        "5.17",
        "functions of the kernel behind trampolines, which have their arguments at the return",
        "a program for one on a type that is no function is refused with EINVAL",
        "kprobes; so too for a function that the kernel refuses a trampoline for",
        _takes_trampolines,
    ),
    Feature(
        "kprobes",
        "4.17",
        "functions of the kernel by perf_event_open(2): registers, any instruction",
        "/sys/bus/event_source/devices/kprobe is there (CONFIG_KPROBE_EVENTS)",
        "trampolines only; without them tracepoints at the same places, else no functions",
        KPROBE_PMU.exists,
    ),
    Feature(
        "kprobe_multi",
        "5.18",
        "one link for the functions of the kernel that a wildcard finds",
        "a link on a function that there is not is refused with ESRCH (CONFIG_FPROBE)",
        "a trampoline or a kprobe for each",
        _links_functions,
    ),
    Feature(
        "loop",
        "5.17",
        "loops of many steps: memory at addresses that handlers compute",
        "the verifier takes a call of bpf_loop",
        "such a read is refused, but of the memory of a program at a place in it",
        lambda: _accepts(_LOOP + _EXIT),
    ),
    Feature(
        "memcg",
        "5.11",
        "memory of maps counts as other memory of the process",
        "the verifier takes a call of bpf_ktime_get_coarse_ns, which came with it",
        "the limit of locked memory (RLIMIT_MEMLOCK) is raised",
        lambda: _accepts(_call(160) + _EXIT, 0, SOCKET_FILTER),
    ),
    Feature(
        "mmapable",
        "5.5",
        "words that programs and user space share",
        "a map of this kind is made",
        "",
        lambda: _makes(ARRAY, 4, 8, 1, MMAPABLE),
        needed=True,
    ),
    Feature(
        "read_user",
        "5.5",
        "reading the memory of programs",
        "the verifier takes a call of bpf_probe_read_user",
        "",
        lambda: _accepts(_READ_USER),
        needed=True,
    ),
    Feature(
        "uprobe_pmu",
        "4.17",
        "uprobes by perf_event_open(2)",
        "/sys/bus/event_source/devices/uprobe is there (CONFIG_UPROBE_EVENTS)",
        "",
        UPROBE_PMU.exists,
        needed=True,
    ),
)
"""The table of docs/kernels.md."""

STANDS_ON = {"sleepable": "ringbuf"}
"""What is of no use without another one: programs that sleep cannot write to perf buffers."""

BY_NAME = {feature.name: feature for feature in FEATURES}


@cache
def taken_away() -> frozenset[str]:
    """What the environment says to do without."""
    names = sorted(named())
    for name in names:
        if name not in BY_NAME:
            near = similar(name, BY_NAME)[0]
            raise BridgeError(
                f"{WITHOUT}: there is no feature `{name}`; did you mean `{near}`?"
            )
    return frozenset(names)


@cache
def has(name: str) -> bool:
    """Whether the running kernel has a feature, and it has not been taken away."""
    if name in taken_away() or not BY_NAME[name].probe():
        return False
    return name not in STANDS_ON or has(STANDS_ON[name])


def demand(*names: str) -> None:
    """Refuse a kernel without what nothing replaces."""
    for feature in map(BY_NAME.__getitem__, names):
        if not has(feature.name):
            reason = f"this kernel has nothing for {feature.what} (`{feature.name}`)"
            raise HostError(reason, f"Linux {feature.since} or later has it, if it is built in")


def reaches_functions() -> bool:
    """Whether functions of the kernel can be probed."""
    return has("kprobes") or has("fentry")
