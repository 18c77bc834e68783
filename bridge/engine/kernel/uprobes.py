"""The sites of a program -> what makes it run there.

A link for all sites of a file where the kernel has it, else an event of tracefs for all of
them, else an event of the PMU `uprobe` for each (Documentation/trace/uprobetracer.rst,
perf_event_open(2)). Detaching waits for the kernel per event, so few are better than many. One
rule: an event of tracefs has the number of our process in its name, so that those of a process
that was killed are found.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bridge._native import ffi, lib
from bridge.codegen.bpf.object import Attach
from bridge.engine.kernel.features import TRACING, UPROBE_PMU, demand, has

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.codegen.bpf.object import BpfProgram
    from bridge.markers import Site

ONLINE = Path("/sys/devices/system/cpu/online")
EVENTS = TRACING / "uprobe_events"
GROUP = "markbridge_"
FEW = 2
"""So many sites get an event each: those have no names that could be left behind."""
HURRY = Path("/sys/kernel/rcu_expedited")
MANY = 16
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Attached:
    """What keeps a program attached: files that are open, and an event's name ("": none).

    `failed` is a negative errno.
    """

    files: tuple[int, ...] = ()
    event: str = ""
    failed: int = 0


def by_link(program: BpfProgram) -> bool:
    """Whether a program's sites get one link; it is loaded for that, or for events."""
    if program.pid and not has("uprobe_multi_pid"):
        return False
    return has("uprobe_multi")


def attach(program: BpfProgram, descriptor: int) -> Attached:
    """Have a program run at its sites."""
    if by_link(program):
        return _kept(_link(program, descriptor))
    demand("uprobe_pmu")
    named: list[Site] = []
    if _can_be_named(program):
        named = list({site.offset: site for site in program.sites}.values())
    by_itself = [site for site in program.sites if not any(site is other for other in named)]
    attached = _name(program, descriptor, named) if named else Attached()
    if attached.failed:
        return attached
    return _add(attached, program, descriptor, by_itself)


def remove_event(name: str) -> None:
    """Take an event of tracefs away that nothing uses any more."""
    with suppress(OSError):
        _write(f"-:{name}")


@contextmanager
def hurried(files: int) -> Iterator[None]:
    """Have the kernel hurry with its grace periods while many files are closed.

    Detaching an event waits for two of them, one event after the other. The lock is on the
    switch itself: of two sessions one changes it, and puts it back.
    """
    switch = _locked_switch() if files >= MANY else None
    if switch is None:
        yield
        return
    before = os.pread(switch, 16, 0)
    os.pwrite(switch, b"1\n", 0)
    try:
        yield
    finally:
        os.pwrite(switch, before, 0)
        os.close(switch)


def _locked_switch() -> int | None:
    try:
        switch = os.open(HURRY, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(switch, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(switch)
        return None
    return switch


def online(path: Path = ONLINE) -> list[int]:
    """The CPUs that run, in a list as the kernel writes it: `0-3,8`."""
    found: list[int] = []
    for part in path.read_text().strip().split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def whom(pid: int) -> tuple[int, int]:
    """The process and the CPU of an event; one of any CPU is one of all."""
    return (pid, -1) if pid else (-1, online()[0])


def _kept(file: int) -> Attached:
    return Attached(failed=file) if file < 0 else Attached((file,))


def _link(program: BpfProgram, descriptor: int) -> int:
    probes = ffi.new("struct mb_uprobes *")
    name = ffi.new("char[]", os.fsencode(program.sites[0].path))
    offsets = ffi.new("uint64_t[]", [site.offset for site in program.sites])
    semaphores = ffi.new("uint64_t[]", [site.ref_ctr_offset for site in program.sites])
    probes.path, probes.offsets, probes.count = name, offsets, len(program.sites)
    if any(site.ref_ctr_offset for site in program.sites):
        probes.semaphores = semaphores
    probes.at_return = program.attach is Attach.UPROBE_RETURN
    probes.pid = program.pid
    made: int = lib.mb_bpf_attach_uprobes(descriptor, probes)
    return made


# --- events of the PMU ------------------------------------------------------------------------


@cache
def _pmu() -> tuple[int, int, int]:
    """Its number, the bit for returns, and the lowest bit of the semaphore's place."""
    number = int((UPROBE_PMU / "type").read_text())
    return number, _lowest_bit("retprobe"), _lowest_bit("ref_ctr_offset")


def _lowest_bit(name: str) -> int:
    """Of a field of `config`, as `config:32-63` says it."""
    try:
        text = (UPROBE_PMU / "format" / name).read_text()
    except OSError:
        return 0
    found = re.match(r"config:(\d+)", text)
    return 0 if found is None else int(found[1])


def _add(
    attached: Attached, program: BpfProgram, descriptor: int, sites: list[Site]
) -> Attached:
    """An event for each of some sites, beside what is attached already."""
    files = list(attached.files)
    for site in sites:
        made = _event(program, descriptor, site)
        if made < 0:
            for file in files:
                os.close(file)
            if attached.event:
                remove_event(attached.event)
            return Attached(failed=made)
        files.append(made)
    return Attached(tuple(files), attached.event)


def _event(program: BpfProgram, descriptor: int, site: Site) -> int:
    number, returns, semaphore = _pmu()
    if site.ref_ctr_offset and not has("semaphores"):
        return -errno.EOPNOTSUPP
    probe, path = ffi.new("struct mb_uprobe *"), ffi.new("char[]", os.fsencode(site.path))
    probe.path, probe.offset, probe.type = path, site.offset, number
    probe.config = site.ref_ctr_offset << semaphore if site.ref_ctr_offset else 0
    if program.attach is Attach.UPROBE_RETURN:
        probe.config |= 1 << returns
    probe.pid, probe.cpu = whom(program.pid)
    made: int = lib.mb_bpf_attach_uprobe(descriptor, probe)
    return made


# --- events of tracefs ------------------------------------------------------------------------


def _can_be_named(program: BpfProgram) -> bool:
    """Words of its definition end at white space."""
    path = program.sites[0].path
    many = len(program.sites) > FEW
    return many and not re.search(r"\s", path) and has("uprobe_append")


def _name(program: BpfProgram, descriptor: int, sites: list[Site]) -> Attached:
    """One event of all these sites."""
    _remove_left_behind()
    name = f"{GROUP}{os.getpid()}/{program.name}_{next(_numbers)}"
    kind = "r" if program.attach is Attach.UPROBE_RETURN else "p"
    try:
        for site in sites:
            semaphore = f"({site.ref_ctr_offset:#x})" if site.ref_ctr_offset else ""
            _write(f"{kind}:{name} {site.path}:{site.offset:#x}{semaphore}")
        number = int((TRACING / "events" / name / "id").read_text())
    except OSError as error:
        remove_event(name)
        return Attached(failed=-(error.errno or errno.EIO))
    made = lib.mb_bpf_attach_tracepoint(descriptor, number, *whom(program.pid))
    if made < 0:
        remove_event(name)
        return Attached(failed=made)
    return Attached((made,), name)


def _write(line: str) -> None:
    """Append, without looking for the end, which tracefs does not know."""
    file = os.open(EVENTS, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(file, os.fsencode(line) + b"\n")
    finally:
        os.close(file)


@cache
def _remove_left_behind() -> None:
    """Events of processes of ours that are no more, once a process."""
    for name, pid in _events():
        if not Path(f"/proc/{pid}").exists():
            remove_event(name)


def _events() -> Iterator[tuple[str, int]]:
    try:
        text = EVENTS.read_text(errors="replace")
    except OSError:
        return
    for found in re.finditer(rf"^[pr]:({GROUP}(\d+)/\S+) ", text, re.MULTILINE):
        yield found[1], int(found[2])
