"""codegen.BpfObject -> maps, programs and links in the running kernel.

One rule: whatever the kernel refuses becomes a `HostError` that says what to do about it.
"""

from __future__ import annotations

import errno
import os
import re
import resource
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge._native import ffi, lib
from bridge.codegen.bpf.follow import EXIT, FORK
from bridge.codegen.bpf.lifecycle import NAMESPACE_FINDER
from bridge.codegen.bpf.object import CONTROL_WORDS, Attach, Control
from bridge.engine.kernel.features import TRACING, demand, has
from bridge.engine.kernel.functions import (
    TRAMPOLINES,
    attach_function,
    attach_many,
    load_behind_trampoline,
)
from bridge.engine.kernel.refusals import ROOT, LeftOut, RefusedError, host_error, refused
from bridge.engine.kernel.uprobes import attach as attach_uprobes
from bridge.engine.kernel.uprobes import by_link, hurried, online, remove_event, whom
from bridge.errors import BridgeError, HostError
from bridge.handles import Handle
from bridge.markers import BREAKPOINT

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from bridge.codegen.bpf.object import BpfObject, BpfProgram, KernelGlobal, MapSpec

EVENTS = TRACING / "events"
BTF = Path("/sys/kernel/btf/vmlinux")
BREAKPOINTS = (
    "a machine watches 1, 2, 4 or 8 bytes at a multiple of that, four places at a time (x86-64)"
)
"""What to say where a breakpoint cannot be set."""
UNKNOWN_COUNTER = (-errno.ENOENT, -errno.ENODEV, -errno.EOPNOTSUPP, -errno.EINVAL)
LOG_BYTES = 1 << 20
VERDICTS = frozenset({errno.EACCES, errno.EINVAL, errno.E2BIG})
"""What a load gives when the verifier refused; anything else is the host's."""
ENOTSUPP = 524
"""Of the kernel alone, for an instruction that cannot be executed elsewhere."""
CLOSERS = 32
SPARE_FILES = 256
WAKE_FILES = 520
"""Two pipes with an end for each held process (csrc/live/wake.h)."""
SLEEPABLE = 1 << 4
"""BPF_F_SLEEPABLE."""
PROGRAM_TYPES = {
    Attach.UPROBE: (2, 0),
    Attach.UPROBE_RETURN: (2, 0),
    Attach.TRACEPOINT: (5, 0),
    Attach.RAW_TRACEPOINT: (17, 0),
    Attach.NOWHERE: (17, 0),
    Attach.SAMPLE: (7, 0),
    Attach.KPROBE: (2, 0),
    Attach.KPROBE_RETURN: (2, 0),
}
"""Program type and expected attach type of each way to attach."""
KPROBE_MULTI, UPROBE_MULTI = 42, 48
"""BPF_TRACE_KPROBE_MULTI and the like, of programs that one link attaches to all places."""


_UPROBE_REMEDIES = {
    errno.ESRCH: "process {pid} is gone",
    errno.EOPNOTSUPP: "this kernel cannot count up semaphores of markers; Linux 4.20 can",
    ENOTSUPP: "the instruction there cannot be probed; choose another place",
}


class VerifierError(HostError):
    """The kernel refuses a program that it could run: it needs too much of something."""


@dataclass(slots=True)
class LoadedObject:
    """A BPF object in the kernel. `maps` are file descriptors by map number."""

    object: BpfObject
    maps: list[int] = field(default_factory=list)
    spare: dict[int, int] = field(default_factory=dict)
    """The second map of each global that is moved while programs run."""
    programs: list[int] = field(default_factory=list)
    links: list[int] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    """Of tracefs, made for this object."""
    dispatching: bool = False
    """Whether programs in slots are reached through others, rather than attached."""
    control: Handle = field(default_factory=lambda: control_words(None))

    def map(self, number: int) -> int:
        """The file descriptor of a map; BridgeError after `close`."""
        with self.control:
            return self.maps[number]

    def word(self, word: Control) -> int:
        """A word of the control map; BridgeError after `close`."""
        with self.control as control:
            return int(control[word])

    def set_word(self, word: Control, value: int) -> None:
        """Set a word of the control map; BridgeError after `close`."""
        with self.control as control:
            control[word] = value

    def disarm(self) -> None:
        """Stop and detach all programs; maps stay."""
        with self.control.lock:
            self._disarm()

    def _disarm(self) -> None:
        if not self.control.closed:
            self.set_word(Control.ARMED, 0)
        links, self.links = self.links, []
        with hurried(0 if has("uprobe_multi") else len(links)):
            _close_together(links)
        events, self.events = self.events, []
        for event in events:
            remove_event(event)

    def close(self) -> None:
        """Release everything."""
        with self.control.lock:
            self._disarm()
            self.control.close()
            for descriptor in (*self.programs, *self.maps, *self.spare.values()):
                os.close(descriptor)
            self.programs, self.maps, self.spare = [], [], {}


def control_words(memory: Any) -> Handle:  # noqa: ANN401 - of cffi
    """The memory of the control map, as an array of 64-bit words."""
    return Handle(memory, _unmap, "what the session has in the kernel", BridgeError)


def _unmap(memory: Any) -> None:  # noqa: ANN401 - of cffi
    lib.mb_bpf_unmap_memory(memory, 8 * CONTROL_WORDS)


def _close_together(links: list[int]) -> None:
    """Detach. The kernel waits for its grace period in every close, so they go side by side."""
    if len(links) < 2:
        for link in links:
            os.close(link)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(len(links), CLOSERS)) as pool:
        list(pool.map(os.close, links))


def load(bpf: BpfObject, realtime_offset_ns: int) -> LoadedObject:
    """Create maps and load programs; what is attached already does nothing so far."""
    demand("mmapable", "read_user")
    loaded = LoadedObject(bpf)
    sites = sum(len(program.sites) for program in bpf.programs)
    wakes = 0 if bpf.held is None else WAKE_FILES
    _allow_files(len(bpf.maps) + 2 * len(bpf.programs) + sites + wakes + SPARE_FILES)
    _allow_memory()
    try:
        for spec in bpf.maps:
            loaded.maps.append(_create(spec, loaded.maps))
        _prepare_globals(loaded)
        _map_control(loaded, realtime_offset_ns)
        descriptors = ffi.new("int32_t[]", loaded.maps)
        for program in bpf.programs:
            loaded.programs.append(_load_program(program, descriptors, len(loaded.maps)))
        if bpf.nested:
            run(loaded, NAMESPACE_FINDER, 0)
        _attach_trampolines(loaded)
    except BaseException:
        loaded.close()
        raise
    return loaded


def _allow_files(wanted: int) -> None:
    """Every map, program and link is an open file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _allow_memory() -> None:
    """Where maps count as locked memory, the usual limit of it is far too low."""
    if has("memcg"):
        return
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY,) * 2)
    except (OSError, ValueError):  # only root may; what is allowed has to do
        _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))


def _create(spec: MapSpec, maps: Sequence[int]) -> int:
    native = ffi.new("struct mb_bpf_map *")
    native.type, native.key_size, native.value_size = (
        spec.type,
        spec.key_bytes,
        spec.value_bytes,
    )
    native.entries, native.flags = spec.entries, spec.flags
    native.inner = 0 if spec.inner is None else maps[spec.inner]
    native.name = spec.name.encode()[:15]
    made: int = lib.mb_bpf_map_create(native)
    if made < 0:
        locked = made == -errno.EPERM and not has("memcg")
        remedy = (
            "raise the limit of locked memory (ulimit -l unlimited), as root" if locked else ""
        )
        raise host_error(f"create the BPF map `{spec.name}`", made, remedy)
    if spec.initial:
        _initialize(made, spec)
    return made


def _initialize(map_: int, spec: MapSpec) -> None:
    code = lib.mb_bpf_map_update(map_, ffi.new("uint32_t *", 0), spec.initial, 0)
    if code < 0:
        raise host_error(f"fill the BPF map `{spec.name}`", code)


def _prepare_globals(loaded: LoadedObject) -> None:
    """Maps that are moved while programs run come in pairs, behind a map of maps."""
    for kernel_global in loaded.object.globals:
        if kernel_global.outer is None:
            continue
        spec = loaded.object.maps[kernel_global.map]
        loaded.spare[kernel_global.variable] = _create(spec, loaded.maps)
        switch(loaded, kernel_global, loaded.maps[kernel_global.map])


def switch(loaded: LoadedObject, kernel_global: KernelGlobal, map_: int) -> None:
    """Make programs use `map_` from now on; returns when none uses the other any more."""
    assert kernel_global.outer is not None
    outer = loaded.maps[kernel_global.outer]
    key, value = ffi.new("uint32_t *", 0), ffi.new("uint32_t *", map_)
    code = lib.mb_bpf_map_update(outer, key, value, 0)
    if code < 0:
        raise host_error("exchange BPF maps", code)


def _map_control(loaded: LoadedObject, realtime_offset_ns: int) -> None:
    memory = lib.mb_bpf_map_memory(loaded.maps[loaded.object.control], 8 * CONTROL_WORDS)
    if memory == ffi.NULL:
        raise HostError("cannot map the memory of a BPF map", ROOT)
    loaded.control = control_words(ffi.cast("int64_t *", memory))
    loaded.set_word(Control.REALTIME_OFFSET, realtime_offset_ns)
    if loaded.object.targets is not None:
        loaded.set_word(Control.FORK_CHILD, _needed(FORK, "child_pid"))
    kept = loaded.object.life is not None or loaded.object.nested
    _set_task_members(loaded, kept=kept)
    dispatches = any(program.dispatches for program in loaded.object.programs)
    loaded.dispatching = dispatches and has("btf")
    if loaded.dispatching or loaded.object.life is not None:
        from bridge.engine.kernel.task import compat_flag

        word, flag = compat_flag(BTF)
        loaded.set_word(Control.COMPAT_WORD, word)
        loaded.set_word(Control.COMPAT_FLAG, flag)


def _set_task_members(loaded: LoadedObject, *, kept: bool) -> None:
    from bridge.engine.kernel.task import (
        CONTEXT_MEMBERS,
        LIFE_MEMBERS,
        NAMESPACE_MEMBERS,
        TERMINAL_MEMBERS,
        member_offsets,
    )

    members = CONTEXT_MEMBERS if loaded.object.task_members or kept else {}
    if loaded.object.started and BTF.exists():
        members = members | TERMINAL_MEMBERS
    if loaded.object.nested:
        members = members | NAMESPACE_MEMBERS
    if loaded.object.life is not None or loaded.object.nested:
        members = members | LIFE_MEMBERS
        loaded.set_word(Control.GROUP_DEAD, _field_offset(EXIT, "group_dead"))
    for word, offset in member_offsets(BTF, members).items() if members else ():
        loaded.set_word(word, offset)


def _load_program(program: BpfProgram, descriptors: Any, count: int) -> int:  # noqa: ANN401
    code = ffi.new("uint8_t[]", program.code)
    size = len(program.code)
    functions = ffi.new("uint32_t[]", program.functions)
    relocated = lib.mb_bpf_relocate(
        code, size, descriptors, count, functions, len(program.functions)
    )
    if relocated < 0:
        raise host_error("relocate the references of a BPF program", relocated)
    if program.attach in TRAMPOLINES:
        return load_behind_trampoline(program, bytes(ffi.buffer(code, size)))
    kind, attach = PROGRAM_TYPES[program.attach]
    if program.sites and by_link(program):
        attach = UPROBE_MULTI
    if program.many:
        attach = KPROBE_MULTI
    flags = SLEEPABLE if program.sleepable else 0
    name = program.name.encode()[:15]
    loaded: int = lib.mb_bpf_program_load(kind, attach, flags, name, code, size, ffi.NULL, 0)
    if loaded >= 0:
        return loaded
    if -loaded not in VERDICTS:
        raise host_error("load a BPF program", loaded)
    log = ffi.new("char[]", LOG_BYTES)
    again = lib.mb_bpf_program_load(kind, attach, flags, name, code, size, log, LOG_BYTES)
    if again >= 0:
        return int(again)
    tail = "\n".join(ffi.string(log).decode(errors="replace").splitlines()[-12:])
    raise VerifierError(
        f"the kernel's verifier refuses the program `{program.name}`:\n{tail}",
        "this is a fault of markbridge; please report it with the script",
    )


# --- attaching --------------------------------------------------------------------------------


def attach(
    loaded: LoadedObject, optional: Container[int] = (), *, go_on: bool = False
) -> list[LeftOut]:
    """Attach all programs. They do nothing before ARMED is set.

    What cannot be attached of the hooks in `optional` is left out and given back. It is an
    error with the kernel's reason for any other hook, and if nothing is left of all hooks,
    unless the session can `go_on` without them.
    """
    left: list[LeftOut] = []
    problem: RefusedError | None = None
    hooks = attached = 0
    for program, descriptor in zip(loaded.object.programs, loaded.programs, strict=True):
        hooks += program.hook >= 0
        try:
            if program.hook in optional:
                left += _attach_possible(loaded, program, descriptor)
            else:
                _attach(loaded, program, descriptor)
            attached += program.hook >= 0
        except RefusedError as error:
            if program.hook not in optional:
                raise
            problem = problem or error
            left.append(LeftOut(error.place, error.reason))
    if problem is not None and hooks and not attached and not go_on:
        raise problem
    return left


def _attach_possible(
    loaded: LoadedObject, program: BpfProgram, descriptor: int
) -> list[LeftOut]:
    """Attach a program to those of its sites that can be; RefusedError, if none can."""
    safe = [site for site in program.sites if not site.unsafe]
    left = [
        LeftOut(f"`{site.path}` at {site.address:#x}", site.unsafe)
        for site in program.sites
        if site.unsafe
    ]
    if left and not safe:
        raise RefusedError(left[0].place, left[0].reason)
    try:
        _attach(loaded, replace(program, sites=tuple(safe)), descriptor)
    except RefusedError as together:
        if len(safe) < 2:
            raise
        refused = []
        for site in safe:
            try:
                _attach(loaded, replace(program, sites=(site,)), descriptor)
            except RefusedError as error:
                refused.append(LeftOut(f"`{site.path}` at {site.address:#x}", error.reason))
        if len(refused) == len(safe):
            raise together from None
        left += refused
    return left


def _attach(loaded: LoadedObject, program: BpfProgram, descriptor: int) -> None:
    if program.slot is not None and loaded.dispatching:
        _put(loaded, program.slot, descriptor)
        return
    if program.dispatches and not loaded.dispatching:
        return
    match program.attach:
        case Attach.UPROBE | Attach.UPROBE_RETURN:
            _attach_uprobes(loaded, program, descriptor)
        case Attach.TRACEPOINT:
            number = program.tracepoint_id or tracepoint_id(program.tracepoint)
            link = lib.mb_bpf_attach_tracepoint(descriptor, number, *whom(0))
            _keep(loaded, link, f"the tracepoint `{program.tracepoint}`")
        case Attach.SAMPLE:
            _attach_sample(loaded, program, descriptor)
        case Attach.RAW_TRACEPOINT:
            link = lib.mb_bpf_attach_raw(descriptor, program.tracepoint.encode())
            _keep(loaded, link, f"the tracepoint `{program.tracepoint}`")
        case Attach.KPROBE | Attach.KPROBE_RETURN if not program.many:
            loaded.links.append(attach_function(program, descriptor))
        case _:  # by now, or nowhere
            pass


def _attach_trampolines(loaded: LoadedObject) -> None:
    """Attach what goes on trampolines or has links of many functions now.

    Those that are refused can have kprobes yet.
    """
    for program, descriptor in zip(loaded.object.programs, loaded.programs, strict=True):
        if program.many:
            loaded.links.append(attach_many(program, descriptor))
        elif program.attach in TRAMPOLINES:
            loaded.links.append(attach_function(program, descriptor))


def run(loaded: LoadedObject, name: str, argument: int) -> None:
    """Run a program that is attached nowhere."""
    names = [program.name for program in loaded.object.programs]
    descriptor = loaded.programs[names.index(name)]
    code = lib.mb_bpf_program_run(descriptor, ffi.new("uint64_t *", argument), 8)
    if code < 0:
        raise host_error(f"run the BPF program `{name}`", code)


def _put(loaded: LoadedObject, slot: tuple[int, int], program: int) -> None:
    """Make a program one that another goes on with."""
    map_, index = slot
    key, value = ffi.new("uint32_t *", index), ffi.new("uint32_t *", program)
    code = lib.mb_bpf_map_update(loaded.maps[map_], key, value, 0)
    if code < 0:
        raise host_error("put a BPF program into an array", code)


def _keep(loaded: LoadedObject, link: int, place: str) -> None:
    if link < 0:
        raise refused(place, link)
    loaded.links.append(link)


def _attach_uprobes(loaded: LoadedObject, program: BpfProgram, descriptor: int) -> None:
    path = program.sites[0].path
    attached = attach_uprobes(program, descriptor)
    if attached.failed:
        remedy = _UPROBE_REMEDIES.get(-attached.failed, "").format(pid=program.pid)
        one = f" at {program.sites[0].address:#x}" if len(program.sites) == 1 else ""
        raise refused(f"`{path}`{one}", attached.failed, remedy)
    loaded.links.extend(attached.files)
    if attached.event:
        loaded.events.append(attached.event)


def _attach_sample(loaded: LoadedObject, program: BpfProgram, descriptor: int) -> None:
    """A counter on every CPU that is there."""
    wanted = program.sampling
    assert wanted is not None
    sampling = ffi.new("struct mb_sampling *")
    sampling.type, sampling.config = wanted.type, wanted.config
    sampling.rate, sampling.hertz = wanted.rate, wanted.hertz
    sampling.address, sampling.length = wanted.address, wanted.length
    sampling.only_writes = wanted.only_writes
    doing = f"count events of type {wanted.type}, config {wanted.config}"
    remedy = "this machine has no such counter; see `perf list`"
    if wanted.type == BREAKPOINT:
        doing = f"watch {wanted.length} bytes at {wanted.address:#x}"
        remedy = BREAKPOINTS
    for cpu in online():
        event = lib.mb_bpf_attach_sample(descriptor, sampling, cpu)
        if event in UNKNOWN_COUNTER or (event < 0 and wanted.type == BREAKPOINT):
            raise host_error(doing, event, remedy)
        if event < 0:
            raise host_error(doing, event)
        loaded.links.append(event)


def tracepoint_id(name: str) -> int:
    """The id of a tracepoint, of the scheduler if `name` has no subsystem in front."""
    subsystem, _, event = name.rpartition(":")
    try:
        return int((EVENTS / (subsystem or "sched") / event / "id").read_text())
    except OSError as error:
        raise HostError(f"cannot read the tracepoint `{name}`: {error}", ROOT) from error


def _needed(name: str, wanted: str) -> int:
    offset = _field_offset(name, wanted)
    if not offset:
        raise HostError(f"the tracepoint `{name}` has no field `{wanted}`")
    return offset


def _field_offset(name: str, wanted: str) -> int:
    """Where a scheduler tracepoint's record has a field; 0 if it has none."""
    try:
        text = (EVENTS / "sched" / name / "format").read_text()
    except OSError as error:
        raise HostError(f"cannot read the tracepoint `{name}`: {error}", ROOT) from error
    found = re.search(rf"\b{wanted};\s*offset:(\d+);", text)
    return 0 if found is None else int(found[1])
