"""What a machine has of what markbridge uses: one answer for each thing that may be missing.

Comes in: the machine's files (below a folder, for tests) and what the kernel answers. Goes out:
for each thing whether it is there, what is lost without it, and what to do. One rule: nothing
is changed, and nothing raises.
"""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from bridge._native import ffi, lib
from bridge.engine.kernel.features import (
    FEATURES,
    KPROBE_PMU,
    TRACING,
    UPROBE_PMU,
    has,
    taken_away,
)
from bridge.world import WITHOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.engine.kernel.features import Feature

CAPABILITIES = {
    "CAP_BPF": 39,
    "CAP_PERFMON": 38,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_PTRACE": 19,
    "CAP_DAC_OVERRIDE": 1,
}
"""Numbers of capabilities(7)."""
MACHINES = ("x86_64", "aarch64")
FENTRY, EXIT = 0, bytes.fromhex("b7000000000000009500000000000000")
"""A program that gives 0."""
KNOWN_FUNCTION = "bpf_fentry_test1"
"""Of the kernel, there for such questions."""


class Health(Enum):
    """How it stands."""

    OK = "ok"
    LIMITED = "limited"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing: what was found, what is lost without it, what to do.

    `needed`: no live session without it.
    """

    name: str
    state: Health
    found: str
    costs: str = ""
    remedy: str = ""
    needed: bool = False


@dataclass(frozen=True, slots=True)
class ExaminedMachine:
    """The machine that is looked at; `root` is where its files are."""

    root: Path = Path("/")
    has: Callable[[str], bool] = has

    def file(self, path: str | Path) -> Path:
        """A file of the machine."""
        return self.root / str(path).lstrip("/")

    def text(self, path: str | Path) -> str:
        """What is in a file; "" if it cannot be read."""
        try:
            return self.file(path).read_text(errors="replace").strip()
        except OSError:
            return ""


def examine(machine: ExaminedMachine | None = None) -> Iterator[Finding]:
    """All findings, in the order in which a person would mend them."""
    machine = ExaminedMachine() if machine is None else machine
    for check in CHECKS:
        yield check(machine)


# --- the kernel -------------------------------------------------------------------------------


def _kernel(machine: ExaminedMachine) -> Finding:
    told = f"Linux {os.uname().release}, {platform.machine()}"
    if platform.machine() not in MACHINES:
        costs = "programs' arguments and registers are not known"
        return Finding("kernel", Health.MISSING, told, costs, f"use {' or '.join(MACHINES)}")
    needed = [f for f in FEATURES if f.needed and not machine.has(f.name)]
    if needed:
        lost = "; ".join(feature.what for feature in needed)
        return Finding(
            "kernel",
            Health.MISSING,
            told,
            f"no live session: the kernel lacks {lost}",
            "boot Linux 5.8 or later (docs/kernels.md says where the line is)",
            needed=True,
        )
    missing = [f for f in FEATURES if not f.needed and not machine.has(f.name)]
    if not missing:
        return Finding("kernel", Health.OK, f"{told}; has all of docs/kernels.md")
    names = ", ".join(feature.name for feature in missing)
    costs = "; ".join(f"{feature.name}: {feature.instead}" for feature in missing)
    remedy = _who_has(missing)
    if taken_away():
        remedy = f"{WITHOUT} takes {', '.join(sorted(taken_away()))} away; {remedy}"
    return Finding("kernel", Health.LIMITED, f"{told}; without {names}", costs, remedy)


def _who_has(missing: list[Feature]) -> str:
    """Which kernel has what this one has not."""
    newest = max((feature.since for feature in missing), key=_version)
    if _version(os.uname().release.partition("-")[0]) >= _version(newest):
        return "a kernel that is built with them, as distributions' are, has them"
    return f"Linux {newest} or later has them"


def _version(text: str) -> list[int]:
    return [int(part) for part in text.split(".") if part.isdigit()]


def _bpf(machine: ExaminedMachine) -> Finding:
    native = ffi.new("struct mb_bpf_map *")
    native.type, native.key_size, native.value_size, native.entries = 2, 4, 8, 1
    native.name = b"mb_probe"
    made = lib.mb_bpf_map_create(native)
    costs = "no live session; recorded traces, begin, end and timers work"
    if made < 0:
        remedy = "run markbridge as root, or with CAP_BPF and CAP_PERFMON"
        if os.strerror(-made) == os.strerror(38):
            remedy = "boot a kernel with CONFIG_BPF_SYSCALL"
        return Finding("bpf", Health.MISSING, os.strerror(-made), costs, remedy, needed=True)
    os.close(made)
    if machine.text("/proc/sys/net/core/bpf_jit_enable") == "0":
        return Finding(
            "bpf",
            Health.LIMITED,
            "interpreted",
            "programs in the kernel are several times slower",
            "sysctl net.core.bpf_jit_enable=1",
        )
    return Finding("bpf", Health.OK, "maps can be made, programs are compiled")


def _btf(machine: ExaminedMachine) -> Finding:
    path = machine.file("/sys/kernel/btf/vmlinux")
    try:
        size = path.stat().st_size
    except OSError:
        return Finding(
            "btf",
            Health.MISSING,
            "no /sys/kernel/btf/vmlinux",
            "no typed arguments of tracepoints and functions, ppid(), process.begin …",
            "boot a kernel with CONFIG_DEBUG_INFO_BTF",
        )
    modules = sum(1 for _ in path.parent.iterdir()) - 1
    found = f"types of the kernel ({size >> 20} MB) and of {modules} modules"
    return Finding("btf", Health.OK, found)


def _tracefs(machine: ExaminedMachine) -> Finding:
    events = machine.file(TRACING / "events")
    try:
        systems = sum(1 for entry in events.iterdir() if entry.is_dir())
    except OSError as error:
        mounted = machine.file(TRACING).is_dir()
        remedy = "mount -t tracefs none /sys/kernel/tracing"
        if isinstance(error, PermissionError):
            remedy = (
                "run markbridge as root, or `mount -o remount,mode=755 /sys/kernel/tracing`"
            )
        elif not mounted:
            remedy = "boot a kernel with CONFIG_FTRACE"
        found = str(error.strerror)
        return Finding("tracefs", Health.MISSING, found, "no kernel tracepoints", remedy)
    return Finding("tracefs", Health.OK, f"{systems} systems of tracepoints")


def _uprobes(machine: ExaminedMachine) -> Finding:
    if not machine.file(UPROBE_PMU).exists():
        return Finding(
            "uprobes",
            Health.MISSING,
            f"no {UPROBE_PMU}",
            "no markers and no functions of programs",
            "boot a kernel with CONFIG_UPROBE_EVENTS",
        )
    way = "events of tracefs" if machine.has("uprobe_append") else "events of perf"
    if machine.has("uprobe_multi"):
        way = "one link for all places of a file"
    return Finding("uprobes", Health.OK, way)


def _kprobes(machine: ExaminedMachine) -> Finding:
    if machine.file(KPROBE_PMU).exists():
        return Finding("kprobes", Health.OK, "perf_event_open(2) makes them")
    return Finding(
        "kprobes",
        Health.MISSING,
        f"no {KPROBE_PMU}",
        "no functions of the kernel that fentry does not reach",
        "boot a kernel with CONFIG_KPROBE_EVENTS",
    )


def _fentry(machine: ExaminedMachine) -> Finding:
    refused = _refused_trampoline(machine)
    if not refused:
        return Finding("fentry", Health.OK, "trampolines on functions of the kernel")
    costs = (
        "functions of the kernel are probed by kprobes: slower, and no $arguments at returns"
    )
    remedy = "boot a kernel with CONFIG_FUNCTION_TRACER and CONFIG_DEBUG_INFO_BTF"
    return Finding("fentry", Health.MISSING, refused, costs, remedy)


def _refused_trampoline(machine: ExaminedMachine) -> str:
    """Why no trampoline can be made; "" if one can."""
    from bridge.probes.btf import Btf, BtfError, BtfKind

    try:
        types = Btf(machine.file("/sys/kernel/btf/vmlinux").read_bytes())
    except (OSError, BtfError):
        return "no BTF"
    number = types.find(BtfKind.FUNC, KNOWN_FUNCTION)
    if number is None:
        return f"BTF has no {KNOWN_FUNCTION}"
    place = ffi.new("struct mb_trampoline *", {"function": number})
    loaded = lib.mb_bpf_trampoline_load(place, b"mb_probe", EXIT, len(EXIT), ffi.NULL, 0)
    if loaded < 0:
        return f"refused: {os.strerror(-loaded)}"
    os.close(loaded)
    return ""


def _lockdown(machine: ExaminedMachine) -> Finding:
    text = machine.text("/sys/kernel/security/lockdown")
    level = text.partition("[")[2].partition("]")[0]
    match level:
        case "confidentiality":
            costs = "no memory of the kernel can be read: no fields of tracepoints by pointer"
            remedy = "boot without lockdown=confidentiality"
            return Finding("lockdown", Health.LIMITED, level, costs, remedy)
        case "integrity":
            costs = "nothing can be written into programs or the kernel ($x = v in guru mode)"
            remedy = "boot without lockdown=integrity (secure boot may ask for it)"
            return Finding("lockdown", Health.LIMITED, level, costs, remedy)
        case _:
            return Finding("lockdown", Health.OK, "none")


# --- rights -----------------------------------------------------------------------------------


MOUNT_PROC = "mount -t proc proc /proc"


def _capabilities(machine: ExaminedMachine) -> Finding:
    mask = 0
    status = machine.text("/proc/self/status")
    if not status:
        return Finding(
            "capabilities",
            Health.LIMITED,
            "not known: /proc is not mounted",
            "what processes run, their libraries and stacks, functions of the kernel",
            MOUNT_PROC,
        )
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            mask = int(value, 16)
    held = [name for name, bit in CAPABILITIES.items() if mask >> bit & 1]
    missing = [name for name in CAPABILITIES if name not in held]
    if not missing:
        return Finding("capabilities", Health.OK, "all that is used")
    found = f"without {', '.join(missing)}"
    able = "CAP_SYS_ADMIN" in held or {"CAP_BPF", "CAP_PERFMON"} <= set(held)
    if able:
        costs = {
            "CAP_BPF": "",
            "CAP_PERFMON": "",
            "CAP_SYS_ADMIN": "some kernels let only it make maps of maps, or stop processes",
            "CAP_SYS_PTRACE": "memory of other users' processes is not read",
            "CAP_DAC_OVERRIDE": "other users' programs may be unreadable",
        }
        lost = "; ".join(costs[name] for name in missing if costs[name])
        remedy = "run markbridge as root where that matters"
        return Finding(
            "capabilities", Health.LIMITED if lost else Health.OK, found, lost, remedy
        )
    return Finding(
        "capabilities",
        Health.MISSING,
        found,
        "no live session; recorded traces, begin, end and timers work",
        "run markbridge as root, or give it CAP_BPF and CAP_PERFMON (setcap, systemd)",
        needed=True,
    )


def _addresses(machine: ExaminedMachine) -> Finding:
    shown = any(
        line.split()[0].strip("0")
        for line in machine.text("/proc/kallsyms")[:4096].splitlines()[:-1]
    )
    if shown:
        return Finding("symbols", Health.OK, "addresses in /proc/kallsyms")
    if not machine.text("/proc/kallsyms"):
        return Finding(
            "symbols",
            Health.LIMITED,
            "/proc/kallsyms cannot be read",
            "kernel addresses are not told by name; functions of the kernel are not known",
            MOUNT_PROC,
        )
    return Finding(
        "symbols",
        Health.LIMITED,
        "/proc/kallsyms hides addresses",
        "kernel addresses are not told by name; functions of one name cannot be probed",
        "run markbridge as root, with sysctl kernel.kptr_restrict=0 or 1",
    )


# --- files ------------------------------------------------------------------------------------


def _debug_information(machine: ExaminedMachine) -> Finding:
    release = os.uname().release
    kernels = (
        f"/usr/lib/debug/boot/vmlinux-{release}",
        f"/usr/lib/debug/lib/modules/{release}/vmlinux",
    )
    kernel = next((path for path in kernels if machine.file(path).exists()), "")
    folder = machine.file("/usr/lib/debug/.build-id")
    files = 0
    with suppress(OSError):
        files = sum(1 for _ in folder.glob("*/*.debug"))
    found = f"{files} files below /usr/lib/debug/.build-id, " + (kernel or "none of the kernel")
    if files and kernel:
        return Finding("debuginfo", Health.OK, found)
    lost = [] if files else ["variables and lines of stripped programs"]
    lost += [] if kernel else ["local variables, inlined functions and lines of the kernel"]
    remedy = "install the packages NAME-dbgsym (Debian: NAME-dbg) or NAME-debuginfo (Red Hat)"
    return Finding("debuginfo", Health.LIMITED, found, f"no {', no '.join(lost)}", remedy)


def _python(_machine: ExaminedMachine) -> Finding:
    told = f"{platform.python_version()} at {sys.executable}"
    try:
        import llvmlite

        from bridge.codegen.bpf.compile import compile_programs

        compile_programs({})
    except ImportError as error:
        costs = "scripts cannot be compiled; `--engine=interpreter` and traces work"
        remedy = f"{sys.executable} -m pip install 'llvmlite'"
        return Finding("python", Health.MISSING, f"{told}; {error}", costs, remedy)
    return Finding("python", Health.OK, f"{told}, llvmlite {llvmlite.__version__}")


def _cache(_machine: ExaminedMachine) -> Finding:
    from bridge.parsing import cache_folder

    folder = cache_folder()
    if folder is not None:
        return Finding("cache", Health.OK, str(folder))
    costs = "every run builds its grammars anew, which takes a second"
    remedy = "set XDG_CACHE_HOME to a folder that can be written"
    return Finding("cache", Health.LIMITED, "no folder that can be written", costs, remedy)


CHECKS: tuple[Callable[[ExaminedMachine], Finding], ...] = (
    _kernel,
    _capabilities,
    _bpf,
    _btf,
    _tracefs,
    _uprobes,
    _kprobes,
    _fentry,
    _lockdown,
    _addresses,
    _debug_information,
    _python,
    _cache,
)
"""In the order in which they are shown."""
