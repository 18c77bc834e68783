"""artifact.Placed -> BPF programs and maps for the kernel engine.

Each hook gives one program for every distinct set of operands that its sites have. A program
filters by process, captures, runs the bodies of the handlers placed in the kernel, and sends a
record if a handler in user space (or the recorder) wants it. One rule: the result belongs to no
running kernel; maps are named by number, and what depends on the machine stands in the control
map.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge.artifact import Where
from bridge.codegen import bpf_text as t
from bridge.codegen.bpf_captures import (
    TASK_CONTEXTS,
    Captures,
    contexts,
    reads_user_memory,
)
from bridge.codegen.bpf_compile import compile_programs
from bridge.codegen.bpf_follow import current_target, follow_programs
from bridge.codegen.bpf_globals import GlobalMaps, handler_variables
from bridge.codegen.bpf_handlers import call_handler, handler_text
from bridge.codegen.bpf_hold import HELD_BYTES, HELD_ENTRIES, HELD_KEY_BYTES
from bridge.codegen.bpf_object import (
    CONTROL_WORDS,
    MAPPABLE,
    Attach,
    BpfObject,
    BpfProgram,
    MapSpec,
    MapType,
)
from bridge.codegen.bpf_record import (
    SCRATCH_SLOTS,
    RecordMaps,
    RecordWriter,
    is_fixed,
    scratch_bytes,
)
from bridge.codegen.bpf_syscalls import Dispatchers
from bridge.codegen.bpf_text import Text
from bridge.errors import BridgeError
from bridge.ir.program import variables
from bridge.markers import Kind, RawArgument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.artifact import Hook, Placed
    from bridge.ir.program import Capture
    from bridge.markers import Operand, Site, Variable

TARGETS_ENTRIES = 65536
"""How many threads a followed target and its descendants can have at a time."""


@dataclass(frozen=True, slots=True)
class _Group:
    """The sites of a hook that one program serves."""

    sites: tuple[Site, ...]
    operands: dict[str, Operand]


@dataclass(slots=True)
class _Plan:
    """What code generation for one script collects."""

    placed: Placed
    maps: list[MapSpec] = field(default_factory=list)
    control: int = 0
    ring: int = 0
    scratch: int = 0
    targets: int | None = None
    held: int | None = None

    def add(self, spec: MapSpec) -> int:
        """Add a map; returns its number."""
        self.maps.append(spec)
        return len(self.maps) - 1


def generate(placed: Placed, ring_bytes: int) -> BpfObject:
    """Compile everything that runs in the kernel. `ring_bytes` is a power of two."""
    plan = _Plan(placed)
    plan.control = plan.add(
        MapSpec("control", MapType.ARRAY, 4, 8 * CONTROL_WORDS, 1, MAPPABLE)
    )
    sending = [hook for hook in placed.hooks if _sends(placed, hook)]
    if sending:
        plan.ring = plan.add(MapSpec("ring", MapType.RINGBUF, 0, 0, ring_bytes))
        _plan_scratch(plan, sending)
    if any(hook.attachment.follow_target for hook in placed.hooks):
        plan.targets = plan.add(MapSpec("targets", MapType.HASH, 4, 8, TARGETS_ENTRIES))
    if any(hook.held for hook in sending):
        plan.held = plan.add(
            MapSpec("held", MapType.HASH, HELD_KEY_BYTES, HELD_BYTES, HELD_ENTRIES)
        )
    globals_ = GlobalMaps(placed, plan.add)
    texts: dict[str, str] = {}
    unfinished: list[BpfProgram] = []
    dispatchers = Dispatchers(plan.add)
    for hook in placed.hooks:
        for number, group in enumerate(_groups(placed, hook)):
            program = dispatchers.placed(_program(hook, number, group), hook.attachment.marker)
            if program.sites and _may_sleep(placed, hook, globals_):
                program = replace(program, sleepable=True)
            texts[program.name] = _program_text(plan, globals_, hook, group, program)
            unfinished.append(program)
    if plan.targets is not None:
        for program, text in follow_programs(plan.control, plan.targets):
            texts[program.name] = text
            unfinished.append(program)
    dispatching = dict(dispatchers.programs(plan.control))
    for program, text in dispatching.items():
        texts[program.name] = text
        unfinished.append(program)
    code = compile_programs(texts)
    return BpfObject(
        maps=tuple(plan.maps),
        programs=tuple(replace(program, code=code[program.name]) for program in unfinished),
        control=plan.control,
        ring=plan.ring if sending else None,
        held=plan.held,
        targets=plan.targets,
        globals=globals_.all(),
        messages=tuple(globals_.messages),
        dispatches=bool(dispatching),
        task_members=any(contexts(_captures(placed, h)) & TASK_CONTEXTS for h in placed.hooks),
    )


def _sends(placed: Placed, hook: Hook) -> bool:
    return bool(hook.user) or placed.recorded


def _plan_scratch(plan: _Plan, sending: list[Hook]) -> None:
    maximum = plan.placed.program.limits.maxstringlen
    sizes = [
        scratch_bytes(hook.layout, maximum)
        for hook in sending
        if not is_fixed(hook.layout, maximum)
    ]
    if sizes:
        plan.scratch = plan.add(
            MapSpec("scratch", MapType.PERCPU_ARRAY, 4, max(sizes), SCRATCH_SLOTS)
        )


# --- hooks ------------------------------------------------------------------------------------


def _kernel_handlers(placed: Placed, hook: Hook) -> list[int]:
    return [h for h in hook.handlers if placed.placements[h].where is Where.KERNEL]


def _captures(placed: Placed, hook: Hook) -> tuple[Capture, ...]:
    """All captures that a hook's program makes."""
    wanted = list(hook.layout.captures) if _sends(placed, hook) else []
    for handler in _kernel_handlers(placed, hook):
        wanted += placed.program.handlers[handler].captures
    return tuple(wanted)


def _may_sleep(placed: Placed, hook: Hook, globals_: GlobalMaps) -> bool:
    """Whether a hook's program reads user memory, and may wait for it.

    Exchanging maps waits for all programs but those that sleep, so a program that uses such a
    map must not.
    """
    used = handler_variables(placed, _kernel_handlers(placed, hook))
    if any(globals_[variable].outer is not None for variable in used):
        return False
    return reads_user_memory(_captures(placed, hook))


def _groups(placed: Placed, hook: Hook) -> Iterator[_Group]:
    marker = hook.attachment.marker
    wanted = variables(_captures(placed, hook))
    used = [variable for variable in marker.readable if variable.name in wanted]
    if not marker.sites:
        yield _Group((), _tracepoint_operands(f"{marker.provider}:{marker.name}", used))
        return
    groups: dict[tuple[str, tuple[Operand, ...]], list[Site]] = {}
    for number, site in enumerate(marker.sites):
        key = site.path, tuple(variable.operand(number) for variable in used)
        groups.setdefault(key, []).append(site)
    for (_, operands), sites in groups.items():
        names = [variable.name for variable in used]
        yield _Group(tuple(sites), dict(zip(names, operands, strict=True)))


def _tracepoint_operands(name: str, used: list[Variable]) -> dict[str, Operand]:
    """All as raw arguments if one is an argument, unless another is only a field."""
    arguments = [v for v in used if isinstance(v.operand(0), RawArgument)]
    fields = [v for v in used if v.raw is None]
    if arguments and not fields:
        return {v.name: v.raw for v in used if v.raw is not None}
    without = [v for v in arguments if v.field is None]
    if without:
        raise BridgeError(
            f"tracepoint {name}: the field ${fields[0].name} of its record cannot be read where"
            f" its argument ${without[0].name} is"
        )
    return {v.name: v.field if v.field is not None else v.operand(0) for v in used}


def _program(hook: Hook, number: int, group: _Group) -> BpfProgram:
    marker = hook.attachment.marker
    name = f"mb_{hook.id}_{number}"
    match marker.kind:
        case Kind.TRACEPOINT:
            # without an id (no tracefs) only the name is left to attach by
            unread = not marker.id and not group.operands
            raw = unread or any(isinstance(o, RawArgument) for o in group.operands.values())
            return BpfProgram(
                name,
                hook.id,
                Attach.RAW_TRACEPOINT if raw else Attach.TRACEPOINT,
                b"",
                tracepoint=marker.name,
                tracepoint_id=marker.id,
            )
        case Kind.FUNCTION_RETURN:
            attach = Attach.UPROBE_RETURN
        case _:
            attach = Attach.UPROBE
    return BpfProgram(name, hook.id, attach, b"", sites=group.sites, pid=hook.attachment.pid)


def _program_text(
    plan: _Plan, globals_: GlobalMaps, hook: Hook, group: _Group, program: BpfProgram
) -> str:
    """One function, with the bodies of its kernel handlers in front."""
    placed = plan.placed
    text = Text()
    control = text.map(plan.control, t.MAP_VALUE)
    captures = Captures(
        text,
        group.operands,
        hook.attachment.marker.machine,
        control,
        sleepable=program.sleepable,
    )
    _filter(plan, text, hook, control, is_uprobe=bool(group.sites))
    bodies = ""
    for handler in _kernel_handlers(placed, hook):
        name = f"{program.name}_h{handler}"
        bodies += handler_text(placed.program, handler, name, globals_)
        call_handler(text, captures, placed.program.handlers[handler], name, control)
    if _sends(placed, hook):
        maps = RecordMaps(plan.ring, plan.scratch, control, plan.held if hook.held else None)
        maximum = placed.program.limits.maxstringlen
        RecordWriter(text, captures, hook, maps, maximum).send()
    text.jump("out")
    text.open("out")
    text.emit("ret i64 0")
    return bodies + text.function(program.name, captures.entry)


def _filter(plan: _Plan, text: Text, hook: Hook, control: str, *, is_uprobe: bool) -> None:
    """Leave if the session is not armed, or if the hit is not of a wanted process."""
    attachment = hook.attachment
    armed = text.value(f"load volatile i64, ptr {control}, align 8")
    _require(text, text.value(f"icmp ne i64 {armed}, 0"))
    if attachment.pid and not is_uprobe:
        pid = text.value(f"lshr i64 {text.call(t.PID_TGID)}, 32")
        _require(text, text.value(f"icmp eq i64 {pid}, {attachment.pid}"))
    if attachment.follow_target and plan.targets is not None:
        found = current_target(text, plan.targets)
        _require(text, text.value(f"icmp ne ptr {found}, null"))


def _require(text: Text, condition: str) -> None:
    on = text.name("on")
    text.branch(condition, on, "out")
    text.open(on)
