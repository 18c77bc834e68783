"""A hook -> the BPF programs that serve it: by the kind of its marker, how each is attached.

A function for each kind of attachment gives the programs, still without code, and the operands
that the variables have there. One rule: sites whose operands are the same share a program.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.codegen.bpf import lifecycle as life
from bridge.codegen.bpf.captures import contexts
from bridge.codegen.bpf.object import Attach, BpfProgram
from bridge.errors import HostError
from bridge.ir.program import REGISTERS, variables
from bridge.markers import (
    ARGUMENT_REGISTERS,
    ENTERED,
    RESULT_REGISTERS,
    Constant,
    Kind,
    RawArgument,
    Register,
    is_argument_only,
)
from bridge.script.builtins import KERNEL_STACK, USER_STACK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.artifact import Hook
    from bridge.ir.program import Capture
    from bridge.markers import Marker, Operand, Site, Variable

EVERYWHERE = -1
"""Among the hooks that do without trampolines: all of them do."""
_TRAMPOLINES = frozenset({Attach.FENTRY, Attach.FEXIT})


@dataclass(frozen=True, slots=True)
class Ways:
    """How functions of the kernel are attached to, by the numbers of the hooks.

    Those in `kprobes` do without trampolines; those in `together` share a program and a link
    with others whose programs are the same.
    """

    kprobes: frozenset[int] = frozenset()
    together: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Served:
    """What one program serves: sites of a hook, or a moment in the life of a process.

    `operands` are where the variables lie there, by name.
    """

    program: BpfProgram
    operands: dict[str, Operand]
    moment: life.Moment | None = None

    @property
    def trampoline(self) -> bool:
        """Whether it runs behind a trampoline, and so has the arguments and no registers."""
        return self.program.attach in _TRAMPOLINES


@dataclass(frozen=True, slots=True)
class _Asked:
    """A hook, what its program captures, and the variables that are read for it."""

    hook: Hook
    captures: tuple[Capture, ...]
    used: list[Variable]
    by_kprobe: bool

    @property
    def marker(self) -> Marker:
        return self.hook.attachment.marker

    def program(self, attach: Attach) -> BpfProgram:
        return BpfProgram("", self.hook.id, attach, b"")


def programs(
    hook: Hook, captures: tuple[Capture, ...], kprobes: frozenset[int]
) -> Iterator[Served]:
    """The programs of a hook; those in `kprobes` do without trampolines."""
    marker = hook.attachment.marker
    wanted = variables(captures)
    # a place has its variables read from debug information when it is asked for them
    readable = marker.readable if wanted else ()
    used = [variable for variable in readable if variable.name in wanted]
    by_kprobe = hook.id in kprobes or EVERYWHERE in kprobes
    made = _BY_KIND[marker.kind](_Asked(hook, captures, used, by_kprobe))
    for number, served in enumerate(made):
        yield replace(served, program=replace(served.program, name=f"mb_{hook.id}_{number}"))


def _in_programs(asked: _Asked) -> Iterator[Served]:
    """Uprobes, at the sites of a file that have the same operands together."""
    returns = asked.marker.kind is Kind.FUNCTION_RETURN
    program = asked.program(Attach.UPROBE_RETURN if returns else Attach.UPROBE)
    program = replace(program, pid=asked.hook.attachment.pid)
    groups: dict[tuple[str, tuple[Operand, ...]], list[Site]] = {}
    for number, site in enumerate(asked.marker.sites):
        key = site.path, tuple(variable.operand(number) for variable in asked.used)
        groups.setdefault(key, []).append(site)
    names = [variable.name for variable in asked.used]
    for (_, operands), sites in groups.items():
        yield Served(
            replace(program, sites=tuple(sites)), dict(zip(names, operands, strict=True))
        )


def _at_tracepoint(asked: _Asked) -> Iterator[Served]:
    marker, operands = asked.marker, _tracepoint_operands(asked.used)
    # without an id (no tracefs) only the name is left to attach by
    unread = not marker.id and not operands
    raw = unread or any(isinstance(operand, RawArgument) for operand in operands.values())
    program = asked.program(Attach.RAW_TRACEPOINT if raw else Attach.TRACEPOINT)
    yield Served(replace(program, tracepoint=marker.name, tracepoint_id=marker.id), operands)


def _tracepoint_operands(used: list[Variable]) -> dict[str, Operand]:
    """All as raw arguments if one is an argument, unless another is only a field."""
    arguments = [v for v in used if isinstance(v.operand(0), RawArgument)]
    fields = [v for v in used if v.raw is None]
    if arguments and not fields:
        return {v.name: v.raw for v in used if v.raw is not None}
    assert not any(map(is_argument_only, arguments)), "refused by attachable"
    return {v.name: v.field if v.field is not None else v.operand(0) for v in used}


def _moments(asked: _Asked) -> Iterator[Served]:
    """Tracepoints, at the moments in a process's life that an event stands for."""
    plain = {variable.name: variable.operand(0) for variable in asked.used}
    for moment in life.moments(asked.hook.attachment):
        hidden = life.hidden_operands(moment, asked.marker.machine)
        program = replace(asked.program(moment.attach), tracepoint=moment.tracepoint)
        yield Served(program, plain | hidden, moment)


def _samples(asked: _Asked) -> Iterator[Served]:
    """Counters, which have no variables."""
    yield Served(replace(asked.program(Attach.SAMPLE), sampling=asked.marker.sampling), {})


_KERNEL_ATTACH = {
    (Kind.KERNEL_FUNCTION, False): Attach.KPROBE,
    (Kind.KERNEL_RETURN, False): Attach.KPROBE_RETURN,
    (Kind.KERNEL_FUNCTION, True): Attach.FENTRY,
    (Kind.KERNEL_RETURN, True): Attach.FEXIT,
}


def _in_kernel(asked: _Asked) -> Iterator[Served]:
    """A function of the kernel: behind a trampoline, unless something needs the registers."""
    place, used = asked.marker.kernel, asked.used
    assert place is not None
    trampoline = not (
        not place.trampoline
        or place.offset
        or asked.by_kprobe
        or any(v.raw is None and not isinstance(v.operand(0), Constant) for v in used)
        or KERNEL_STACK in contexts(asked.captures)
    )
    kept = [v.name for v in used if v.name.startswith(ENTERED)]
    if kept and place.trampoline and not asked.by_kprobe:
        trampoline = all(v.raw is not None or isinstance(v.operand(0), Constant) for v in used)
    if kept and not trampoline:
        raise HostError(
            f"{asked.marker.name}: its return does not have the argument"
            f" `{kept[0].removeprefix(ENTERED)}`: the kernel takes no trampoline there",
            "keep the argument in an array at the function's call, by tid()",
        )
    operands = {v.name: v.operand(0) for v in used}
    if trampoline:
        operands |= {v.name: v.raw for v in used if v.raw is not None}
    program = asked.program(_KERNEL_ATTACH[asked.marker.kind, trampoline])
    yield Served(replace(program, kernel=place), operands)


_RESULTS = frozenset(RESULT_REGISTERS.values())
_PASSED = frozenset(register for names in ARGUMENT_REGISTERS.values() for register in names)


def shareable(hook: Hook, captures: tuple[Capture, ...], ways: Ways) -> Served | None:
    """The program of a function that may have a link with others; None if it may not.

    ftrace calls it, with no registers but those of arguments, or of the result. It has room for
    so many calls that have not returned; behind a trampoline none is missed.
    """
    marker, place = hook.attachment.marker, hook.attachment.marker.kernel
    if place is None or place.offset or place.module or not place.address:
        return None
    behind = place.trampoline and not {hook.id, EVERYWHERE} & ways.kprobes
    if hook.id not in ways.together or (behind and marker.kind is Kind.KERNEL_RETURN):
        return None
    if contexts(captures) & {*REGISTERS, KERNEL_STACK, USER_STACK}:
        return None
    returns = marker.kind is Kind.KERNEL_RETURN
    passed = _RESULTS if returns else _PASSED
    wanted = variables(captures)
    readable = marker.readable if wanted else ()
    operands = {v.name: v.operand(0) for v in readable if v.name in wanted}
    for operand in operands.values():
        if not isinstance(operand, Constant) and not (
            isinstance(operand, Register) and operand.name in passed
        ):
            return None
    attach = Attach.KPROBE_RETURN if returns else Attach.KPROBE
    program = BpfProgram(f"mb_{hook.id}_0", hook.id, attach, b"", kernel=place)
    return Served(program, operands)


_BY_KIND: dict[Kind, Callable[[_Asked], Iterator[Served]]] = {
    Kind.USDT: _in_programs,
    Kind.FUNCTION: _in_programs,
    Kind.FUNCTION_RETURN: _in_programs,
    Kind.TRACEPOINT: _at_tracepoint,
    Kind.PROCESS: _moments,
    Kind.SAMPLE: _samples,
    Kind.KERNEL_FUNCTION: _in_kernel,
    Kind.KERNEL_RETURN: _in_kernel,
}
