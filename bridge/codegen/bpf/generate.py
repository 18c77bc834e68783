"""artifact.Placed -> BPF programs and maps for the kernel engine.

Each hook gives one program for every distinct set of operands that its sites have. A program
filters by process, captures, runs the bodies of the handlers placed in the kernel, and sends a
record if a handler in user space (or the recorder) wants it. One rule: the result belongs to no
running kernel; maps are named by number, and what depends on the machine stands in the control
map.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from bridge.artifact import Where
from bridge.codegen.bpf import hooks
from bridge.codegen.bpf import lifecycle as life
from bridge.codegen.bpf import text as t
from bridge.codegen.bpf.captures import (
    TASK_CONTEXTS,
    Captures,
    ProbeContext,
    contexts,
    reads_user_memory,
)
from bridge.codegen.bpf.compile import compile_programs
from bridge.codegen.bpf.follow import current_target, follow_programs
from bridge.codegen.bpf.gate import Wanted, gate
from bridge.codegen.bpf.globals import GlobalMaps, handler_variables
from bridge.codegen.bpf.handlers import call_gate, call_handler, gate_text, handler_text
from bridge.codegen.bpf.hold import HELD_BYTES, HELD_ENTRIES, HELD_KEY_BYTES, farewell
from bridge.codegen.bpf.notes import SliceStep, note, steps_of
from bridge.codegen.bpf.object import (
    CONTROL_WORDS,
    MAPPABLE,
    Attach,
    BpfObject,
    BpfProgram,
    LifeMaps,
    MapSpec,
    MapType,
    StartedFile,
)
from bridge.codegen.bpf.record import (
    SCRATCH_SLOTS,
    SHARED_SLOTS,
    RecordMaps,
    RecordWriter,
    is_fixed,
    scratch_bytes,
)
from bridge.codegen.bpf.semaphores import StartMaps, start_programs, started_files
from bridge.codegen.bpf.syscalls import Dispatchers
from bridge.codegen.bpf.text import ProgramText
from bridge.deferred_reads import needs_hold, slice_at, takes_notes
from bridge.errors import HostError
from bridge.ir.program import REGISTERS, Context
from bridge.markers import Kind, LoadBias
from bridge.script.builtins import USER_STACK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bridge.artifact import Hook, Placed
    from bridge.codegen.bpf.hooks import Served
    from bridge.ir.program import Capture

SHARED_LEAST = 4
"""So many functions of the kernel that have the same program have one link."""
_OWN_NAME = re.compile(r"\bmb_\d+_\d+(?:_h\d+)?\b")
"""Of the functions of a program."""
CPUS = 4096
"""More than a machine has."""
PERCPU_BYTES = 32768
"""The most that a value in a map with a value for each CPU can have (PCPU_MIN_UNIT_SIZE)."""
TARGETS_ENTRIES = 65536
"""How many threads a followed target and its descendants can have at a time."""


@dataclass(slots=True)
class _Plan:
    """What code generation for one script collects."""

    placed: Placed
    has: Callable[[str], bool]
    maps: list[MapSpec] = field(default_factory=list)
    control: int = 0
    ring: int = 0
    needs_ring: bool = False
    scratch: int = 0
    shared_scratch: bool = False
    targets: int | None = None
    held: int | None = None
    life: LifeMaps | None = None
    nested: bool = False
    constants: Mapping[str, int] | None = None
    started: tuple[StartedFile, ...] = ()
    steps: dict[str, list[SliceStep]] = field(default_factory=dict)
    """By program: the functions that it gives to bpf_loop."""

    def add(self, spec: MapSpec) -> int:
        """Add a map; returns its number."""
        self.maps.append(spec)
        return len(self.maps) - 1


_TRAMPOLINES = hooks.Ways()


def _everything(_feature: str) -> bool:
    return True


def generate(
    placed: Placed,
    ring_bytes: int,
    ways: hooks.Ways = _TRAMPOLINES,
    *,
    has: Callable[[str], bool] = _everything,
    nested: bool = False,
    constants: Mapping[str, int] | None = None,
) -> BpfObject:
    """Compile everything that runs in the kernel.

    `ring_bytes` is a power of two. `has` says whether there is a feature (docs/kernels.md)
    whether the kernel that is meant has it. HostError, if something needs one that it has not.
    `nested`: processes have the numbers of the PID namespace of the session, which is not the
    first one. `constants` are results of built-ins that stay the same for the session. With
    them a program tells before it stops a process whether the handlers want the hit; without,
    each is wanted.
    """
    plan = _plan(placed, ring_bytes, has)
    plan.nested = nested
    plan.constants = constants
    globals_ = GlobalMaps(placed, plan.add)
    texts: dict[str, str] = {}
    ranked: list[tuple[tuple[object, ...], BpfProgram]] = []
    dispatchers = Dispatchers(plan.add)
    shared: set[int] = set()
    for program, text in _shared(plan, globals_, ways):
        texts[program.name] = text
        ranked.append(((life.Rank.BEFORE,), program))
        shared.update(hook for hook, _ in program.many)
    for hook in placed.hooks:
        if hook.id in shared:
            continue
        for served in hooks.programs(hook, _captures(placed, hook), ways.kprobes):
            program = dispatchers.placed(served.program, hook.attachment.marker)
            if program.sites and _may_sleep(plan, hook, globals_):
                program = replace(program, sleepable=True)
            texts[program.name] = _program_text(plan, globals_, hook, served, program)
            ranked.append((_rank(hook, served), program))
    for rank, program, text in _own_programs(plan, dispatchers):
        texts[program.name] = text
        ranked.append((rank, program))
    texts |= {step.name: step.text for steps in plan.steps.values() for step in steps}
    code = compile_programs(texts)
    ranked.sort(key=lambda item: item[0])
    return BpfObject(
        maps=tuple(plan.maps),
        programs=tuple(_with_code(plan, program, code) for _, program in ranked),
        control=plan.control,
        ring=plan.ring if plan.needs_ring else None,
        held=plan.held,
        targets=plan.targets,
        life=plan.life,
        globals=globals_.all(),
        messages=tuple(globals_.messages),
        nested=nested,
        started=plan.started,
        task_members=any(contexts(_captures(placed, h)) & TASK_CONTEXTS for h in placed.hooks),
    )


def _with_code(plan: _Plan, program: BpfProgram, code: Mapping[str, bytes]) -> BpfProgram:
    """A program, with the functions that it gives to others behind it."""
    parts = [code[program.name]]
    functions = []
    for step in plan.steps.get(program.name, ()):
        functions.append(sum(map(len, parts)))
        parts.append(code[step.name])
    return replace(program, code=b"".join(parts), functions=tuple(functions))


def _plan(placed: Placed, ring_bytes: int, has: Callable[[str], bool]) -> _Plan:
    """The maps that everything needs."""
    plan = _Plan(placed, has)
    plan.control = plan.add(
        MapSpec("control", MapType.ARRAY, 4, 8 * CONTROL_WORDS, 1, MAPPABLE)
    )
    sending = [hook for hook in placed.hooks if _sends(placed, hook)]
    started = started_files(placed.hooks)
    plan.needs_ring = bool(sending or started)
    if plan.needs_ring:
        plan.ring = plan.add(
            MapSpec("ring", MapType.RINGBUF, 0, 0, ring_bytes)
            if has("ringbuf")
            else MapSpec("ring", MapType.PERF_EVENT_ARRAY, 4, 4, CPUS)
        )
    if sending:
        _plan_scratch(plan, sending)
    if any(hook.attachment.follow_target for hook in placed.hooks):
        plan.targets = plan.add(MapSpec("targets", MapType.HASH, 4, 8, TARGETS_ENTRIES))
    if started or any(hook.held for hook in sending):
        plan.held = plan.add(
            MapSpec("held", MapType.HASH, HELD_KEY_BYTES, HELD_BYTES, HELD_ENTRIES)
        )
    processes = [h for h in placed.hooks if h.attachment.marker.kind is Kind.PROCESS]
    if processes:
        plan.life = life.plan(plan.add, processes)
    return plan


def _shared(
    plan: _Plan, globals_: GlobalMaps, ways: hooks.Ways
) -> Iterator[tuple[BpfProgram, str]]:
    """The programs, with their texts, that serve many functions of the kernel at once.

    Those are the same but for the names of what is in them, and the number of the hook.
    """
    groups: dict[tuple[str, int], list[tuple[int, Served, str]]] = {}
    times: Counter[tuple[str, int]] = Counter()
    for hook in plan.placed.hooks:
        captures = _captures(plan.placed, hook)
        served = hooks.shareable(hook, captures, ways)
        if served is None or Context("memory") in hook.layout.captures or hook.held:
            continue
        text = _program_text(plan, globals_, hook, served, served.program, by_cookie=True)
        shape = _OWN_NAME.sub("mb", text)
        place = served.program.kernel
        assert place is not None
        # a link tells one word for a function, so a second probe of it is in another link
        turn = times[shape, place.address]
        times[shape, place.address] += 1
        groups.setdefault((shape, turn), []).append((hook.id, served, text))
    for members in groups.values():
        if len(members) >= SHARED_LEAST:
            _, first, text = members[0]
            places = ((hook, served.program.kernel) for hook, served, _ in members)
            many = tuple((hook, place) for hook, place in places if place is not None)
            yield replace(first.program, many=many), text


def _own_programs(
    plan: _Plan, dispatchers: Dispatchers
) -> Iterator[tuple[tuple[object, ...], BpfProgram, str]]:
    """The programs that no hook asks for by itself, with their ranks."""
    for program, text in dispatchers.programs(plan.control):
        yield (life.Rank.BEFORE,), program, text
    if plan.life is not None:
        for moment, program, text in life.keepers(plan.life, plan.control, nested=plan.nested):
            yield (moment.rank,), program, text
        program, text = life.finder(plan.control)
        yield (), program, text
    if plan.targets is not None:
        for program, text in follow_programs(plan.control, plan.targets, nested=plan.nested):
            yield (life.Rank.LAST,), program, text
    if plan.held is not None:
        program, text = farewell(plan.control, nested=plan.nested)
        yield (life.Rank.BEFORE,), program, text
        maps = StartMaps(
            plan.control,
            plan.ring,
            plan.held,
            plan.targets,
            plan.nested,
            by_cpu=not plan.has("ringbuf"),
            atomics=plan.has("atomics"),
        )
        for file, program, text in start_programs(started_files(plan.placed.hooks), maps):
            plan.started += (file,)
            yield (), program, text
    if plan.nested:
        program, text = life.namespace_finder(plan.control)
        yield (), program, text


def _rank(hook: Hook, served: Served) -> tuple[object, ...]:
    """The order of attaching: SystemTap asks by path, then by number, then as written."""
    if served.moment is None:
        return (life.Rank.BEFORE,)
    marker = hook.attachment.marker
    path, pid = marker.provider, hook.attachment.pid
    return served.moment.rank, not path, path, pid, hook.id


def _sends(placed: Placed, hook: Hook) -> bool:
    return bool(hook.user) or placed.recorded


def _plan_scratch(plan: _Plan, sending: list[Hook]) -> None:
    limits = plan.placed.program.limits
    sizes = [
        scratch_bytes(hook.layout, limits)
        for hook in sending
        if not (plan.has("ringbuf") and is_fixed(hook.layout, limits))
    ]
    if not sizes:
        return
    largest = max(sizes)
    plan.shared_scratch = largest > PERCPU_BYTES
    if not plan.shared_scratch:
        spec = MapSpec("scratch", MapType.PERCPU_ARRAY, 4, largest, SCRATCH_SLOTS)
    elif plan.has("atomics"):
        spec = MapSpec("scratch", MapType.ARRAY, 4, largest, SHARED_SLOTS)
    else:
        raise HostError(
            f"with strings of {limits.maxstringlen} bytes (MAXSTRINGLEN) a hit of this script"
            f" takes {largest} bytes; on this kernel it can take {PERCPU_BYTES}",
            "make MAXSTRINGLEN smaller; Linux 5.12 or later has no such limit",
        )
    plan.scratch = plan.add(spec)


# --- hooks ------------------------------------------------------------------------------------


def _kernel_handlers(placed: Placed, hook: Hook) -> list[int]:
    return [h for h in hook.handlers if placed.placements[h].where is Where.KERNEL]


def _captures(placed: Placed, hook: Hook) -> tuple[Capture, ...]:
    """All captures that a hook's program makes."""
    wanted = list(hook.layout.captures) if _sends(placed, hook) else []
    for handler in _kernel_handlers(placed, hook):
        wanted += placed.program.handlers[handler].captures
    return tuple(wanted)


def _may_sleep(plan: _Plan, hook: Hook, globals_: GlobalMaps) -> bool:
    """Whether a hook's program reads user memory, and may wait for it.

    Exchanging maps waits for all programs but those that sleep, so a program that uses such a
    map must not. Nor may one that writes to a perf buffer.
    """
    placed = plan.placed
    if not plan.has("sleepable") or not plan.has("ringbuf"):
        return False
    used = handler_variables(placed, _kernel_handlers(placed, hook))
    if any(globals_[variable].outer is not None for variable in used):
        return False
    return reads_user_memory(_captures(placed, hook))


def _program_text(
    plan: _Plan,
    globals_: GlobalMaps,
    hook: Hook,
    served: Served,
    program: BpfProgram,
    *,
    by_cookie: bool = False,
) -> str:
    """One function, with the bodies of its kernel handlers in front.

    `by_cookie`: its link tells it which hook is hit.
    """
    placed = plan.placed
    _refuse_missing(plan, hook, served)
    text = ProgramText()
    control = text.map(plan.control, t.MAP_VALUE)
    place = ProbeContext(
        served.operands,
        hook.attachment.marker.machine,
        sleepable=program.sleepable,
        task=life.CHILD if life.CHILD in served.operands else "",
        interrupted=program.attach is Attach.SAMPLE,
        nested=plan.nested,
        trampoline=served.trampoline,
        kprobe=program.attach is Attach.KPROBE,
        in_program=bool(program.sites),
    )
    captures = Captures(text, place, control)
    _require_armed(text, control)
    if served.moment is None:
        _filter(plan, captures, hook, text, is_uprobe=bool(program.sites))
    else:
        assert plan.life is not None
        machine = hook.attachment.marker.machine
        filter_ = life.Filter(
            text, captures, plan.life, control, plan.targets, served.moment, machine
        )
        filter_.whom(hook.attachment)
        filter_.what(hook.attachment.marker.name)
    bodies = ""
    for handler in _kernel_handlers(placed, hook):
        name = f"{program.name}_h{handler}"
        bodies += handler_text(placed.program, handler, name, globals_)
        call_handler(text, captures, placed.program.handlers[handler], name, control)
    if _sends(placed, hook):
        held = plan.held if hook.held else None
        maps = RecordMaps(
            plan.ring,
            plan.scratch,
            control,
            held,
            by_cpu=not plan.has("ringbuf"),
            atomics=plan.has("atomics"),
            shared_scratch=plan.shared_scratch,
        )
        _take_notes(plan, text, captures, hook, program.name)
        wanted, gates = _wanted(plan, globals_, text, captures, hook)
        bodies += gates
        number = ""
        if by_cookie:
            number = text.value(f"shl i64 {text.call(t.COOKIE, 'ptr %ctx')}, 32")
        RecordWriter(text, captures, hook, maps, placed.program.limits).send(wanted, number)
    text.jump("out")
    text.open("out")
    text.emit(f"ret i64 {program.attach.result}")
    return bodies + text.function(program.name, captures.entry)


def _take_notes(
    plan: _Plan, text: ProgramText, captures: Captures, hook: Hook, program: str
) -> None:
    """Let the record have the memory that its handlers read, if they do."""
    if Context("memory") not in hook.layout.captures:
        return
    script, kind = plan.placed.program, hook.attachment.marker.kind
    slices = [
        slice_at(script, kind, script.handlers[number], plan.constants or {})
        for number in hook.user
        if takes_notes(script, kind, (number,))
    ]
    plan.steps[program] = steps_of(program, slices, script.limits)
    captures.note = partial(note, text, captures, slices, script.limits)


def _refuse_missing(plan: _Plan, hook: Hook, served: Served) -> None:
    """Say what a hook wants that the kernel does not have."""
    marker = hook.attachment.marker
    name = f"{marker.provider}:{marker.name}"
    if hook.held and not plan.has("send_signal"):
        what = "stop the process, to read its memory at computed addresses"
        raise HostError(f"{name}: this kernel cannot {what}", "Linux 5.6 or later can")
    if Context("memory") in hook.layout.captures and not plan.has("loop"):
        what = "read memory at a hit whose address a handler computes"
        raise HostError(f"{name}: this kernel cannot {what}", "Linux 5.17 or later can")
    returns = any(isinstance(o, LoadBias) and o.returns for o in served.operands.values())
    if returns and not plan.has("func_ip"):
        what = "tell where a program is loaded, in a probe on a function's return"
        remedy = "read its globals in a probe on the call; Linux 6.7 or later can do both"
        raise HostError(f"{name}: this kernel cannot {what}", remedy)
    elsewhere = not marker.sites
    wanted = contexts(_captures(plan.placed, hook)) & set(REGISTERS)
    if wanted and elsewhere and not plan.has("task_registers"):
        what = "give the registers of the process at a tracepoint"
        raise HostError(f"{name}: this kernel cannot {what}", "Linux 5.15 or later can")


def _wanted(
    plan: _Plan, globals_: GlobalMaps, text: ProgramText, captures: Captures, hook: Hook
) -> tuple[str, str]:
    """What a hit that costs much is to the handlers in user space, as an i64; "" for others.

    It holds its process, or brings its stack. With the functions that say so.
    """
    takes_stack = Context(USER_STACK) in hook.layout.captures
    if not hook.held and not (takes_stack and plan.constants is not None):
        return "", ""
    if plan.constants is None:
        return str(int(Wanted.HOLD)), ""
    program = plan.placed.program
    bodies, result = "", str(int(Wanted.NOTHING))
    for number in hook.user:
        function = f"gate{number}"
        needs = partial(needs_hold, program)
        made = gate(program, program.handlers[number], plan.constants, needs)
        bodies += gate_text(number, made, function, globals_)
        value = call_gate(text, captures, made, function)
        larger = text.value(f"icmp ugt i64 {value}, {result}")
        result = text.value(f"select i1 {larger}, i64 {value}, i64 {result}")
    return result, bodies


def _require_armed(text: ProgramText, control: str) -> None:
    armed = text.value(f"load volatile i64, ptr {control}, align 8")
    text.require(text.value(f"icmp ne i64 {armed}, 0"))


def _filter(
    plan: _Plan, captures: Captures, hook: Hook, text: ProgramText, *, is_uprobe: bool
) -> None:
    """Leave if the hit is not of a wanted process."""
    attachment = hook.attachment
    if attachment.pid and not is_uprobe:
        text.require(text.value(f"icmp eq i64 {captures.process()}, {attachment.pid}"))
    if attachment.follow_target and plan.targets is not None:
        found = current_target(text, captures, plan.targets)
        text.require(text.value(f"icmp ne ptr {found}, null"))
