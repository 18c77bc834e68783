"""ir.IrProgram -> artifact.Placed: where each handler runs, and one hook per marker.

A handler runs in the kernel only if nothing can tell that it does. What its globals allow is
decided for all handlers together: a handler that must run in user space takes along all that
share a global with it, because the handlers of a script are atomic towards each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge import deferred_reads as reads
from bridge.artifact import Hook, Placed, Placement, RecordLayout, Where
from bridge.ir import ops
from bridge.ir.kernel import mergeable, obstacle, operations
from bridge.ir.place_names import at_place
from bridge.ir.program import (
    Argument,
    Array,
    Context,
    Value,
    capture_text,
    code_of,
    variables,
)
from bridge.ir.reach import all_operations
from bridge.ir.values import State, analyse
from bridge.markers import MarkerAttachment, RawArgument, ServedFile, Timer, ValueType
from bridge.probes import families
from bridge.script.builtins import BUILTINS, USER_STACK, Effect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bridge.ir.ops import Op
    from bridge.ir.program import Capture, Handler, IrProgram
    from bridge.markers import Attachment, Variable

RECORDED_CONTEXTS = ("pid", "tid", "ppid", "uid", "cpu", "execname", "realtime_ns")
"""What every hit of a recording carries."""
ENDING = frozenset({"exit", "abort", "error"})
"""Calls that end the session (an error does if MAXERRORS is 0, as it mostly is)."""
ADDITIONS = (ops.GlobalAdd, ops.ArrayAdd, ops.StatAdd)
ELEMENTS = (ops.ArrayGet, ops.ArraySet, ops.ArrayAdd, ops.ArrayHas, ops.ArrayDelete)
VARIABLES = (
    *ELEMENTS,
    ops.GlobalGet,
    ops.GlobalSet,
    ops.GlobalAdd,
    ops.StatAdd,
    ops.StatGet,
    ops.HistogramGet,
    ops.HistogramText,
    ops.IterBegin,
)


def place(
    program: IrProgram, *, record: bool = False, kernel: bool = True, apart: bool = False
) -> Placed:
    """Decide for every handler.

    With `record`, every hit is captured in full; with `apart`, too, once for handlers that read
    the arguments of a tracepoint and once for those that do not. Without `kernel`, nothing runs
    there.
    """
    decision = _Decision(program, record)
    if not kernel:
        reason = "the kernel was not asked for"
        decision.user = dict.fromkeys(range(len(program.handlers)), reason)
    decision.run()
    placements = tuple(decision.placement(number) for number in range(len(program.handlers)))
    kernel_handlers = [
        at_place(handler) if placement.where is Where.KERNEL else handler
        for handler, placement in zip(program.handlers, placements, strict=True)
    ]
    program = replace(program, handlers=kernel_handlers)
    return Placed(
        program,
        placements,
        tuple(_hooks(program, placements, record=record, apart=apart or not record)),
        frozenset(decision.accumulators),
        frozenset(decision.resident),
        record,
        apart,
    )


# --- what code touches ------------------------------------------------------------------------


def on_globals(found: Iterable[Op]) -> Iterator[tuple[int, Op]]:
    """The operations on globals, each with the number of its global."""
    for op in found:
        if isinstance(op, VARIABLES):
            yield op.variable, op


# --- the decision -----------------------------------------------------------------------------


@dataclass(slots=True)
class _Decision:
    """Handlers start in the kernel unless they have an obstacle; then globals pull them out."""

    program: IrProgram
    record: bool
    user: dict[int, str] = field(default_factory=dict)
    """Why a handler runs in user space, by its number."""
    uses: dict[int, dict[int, list[Op]]] = field(default_factory=dict)
    """By global, then by handler: the operations on it."""
    accumulators: set[int] = field(default_factory=set)
    resident: set[int] = field(default_factory=set)

    def run(self) -> None:
        """Find the largest set of handlers that may run in the kernel."""
        touched: dict[tuple[int, int, int], list[tuple[int, Op]]] = {}
        reasons: dict[object, str] = {}
        for number, handler in enumerate(self.program.handlers):
            code = code_of(handler)
            # the names of its place are constants in a handler, whose lengths count
            alike = code, _kind(handler.expansion.attachment), len(handler.point)
            if alike not in reasons:
                reasons[alike] = _user_reason(self.program, handler)
            if reasons[alike]:
                self.user.setdefault(number, reasons[alike])
            if code not in touched:
                touched[code] = list(on_globals(all_operations(self.program, handler)))
            for variable, op in touched[code]:
                self.uses.setdefault(variable, {}).setdefault(number, []).append(op)
        self._stop_together()
        changed = True
        while changed:
            changed = any(self._settle(variable) for variable in self.uses)

    def _stop_together(self) -> None:
        """What ends the session at a hit ends all counting at that hit."""
        enders = self._on_markers() + (self._on_timers() if self.record else [])
        for number in enders:
            calls = {
                op.name
                for op in all_operations(self.program, self.program.handlers[number])
                if isinstance(op, ops.CallBuiltin)
            }
            if calls & ENDING:
                name = sorted(calls & ENDING)[0]
                reason = f"another handler calls {name}(), at which all handlers stop"
                for other in self._on_markers():
                    self.user.setdefault(other, reason)
                return

    def _on_timers(self) -> list[int]:
        """Timers end a session at their time; a recording has to keep what counted before.

        Readers of served files come in between as timers do.
        """
        return [
            number
            for number, handler in enumerate(self.program.handlers)
            if isinstance(handler.expansion.attachment, Timer | ServedFile)
        ]

    def _on_markers(self) -> list[int]:
        return [
            number
            for number, handler in enumerate(self.program.handlers)
            if isinstance(handler.expansion.attachment, MarkerAttachment)
        ]

    def _settle(self, variable: int) -> bool:
        """Decide about a global as things stand; whether a handler left the kernel."""
        self.accumulators.discard(variable)
        self.resident.discard(variable)
        markers = set(self._on_markers())
        kernel = {n for n in self.uses[variable] if n not in self.user}
        if not kernel:
            return False
        reason = self._against(variable, kernel, markers)
        if not reason:
            return False
        name = self.program.globals[variable].name
        for number in kernel:
            self.user[number] = f"{name} {reason}"
        return True

    def _against(self, variable: int, kernel: set[int], markers: set[int]) -> str:
        """Why the handlers in the kernel cannot have a global there; notes its kind if not."""
        uses = self.uses[variable]
        if any(n in self.user for n in uses if n in markers):
            return "is shared with a handler in user space"
        if any(self._in_condition(variable, n) for n in range(len(self.program.handlers))):
            return "is part of a condition"
        if self.record and self._timers_use(variable):
            return "is used by a timer, and a replay has to see it as the timer does now"
        if all(isinstance(op, ADDITIONS) for n in kernel for op in uses[n]):
            reason = mergeable(self.program, variable)
            if not reason:
                self.accumulators.add(variable)
            return reason
        if self._timers_use(variable):
            return "is read at hits and used by a timer"
        if self._by_thread(variable, kernel):
            self.resident.add(variable)
            return ""
        return "is read at hits, which is exact only in order"

    def _in_condition(self, variable: int, number: int) -> bool:
        condition = self.program.handlers[number].condition
        if condition is None:
            return False
        return any(v == variable for v, _ in on_globals(operations(condition)))

    def _timers_use(self, variable: int) -> bool:
        return any(number in self.uses[variable] for number in self._on_timers())

    def _by_thread(self, variable: int, kernel: set[int]) -> bool:
        """Whether all handlers index an array by tid() at the same key position."""
        declaration = self.program.globals[variable]
        if not isinstance(declaration, Array) or declaration.wrap:
            return False
        if declaration.value is not Value.LONG:
            return False
        positions = set(range(len(declaration.keys)))
        for number in kernel:
            positions &= _thread_positions(self.program.handlers[number], variable)
        return bool(positions)

    def placement(self, number: int) -> Placement:
        """The decision for one handler."""
        if number in self.user:
            return Placement(Where.USER, self.user[number])
        return Placement(Where.KERNEL, "everything it does is exact in the kernel")


def _kind(attachment: Attachment) -> object:
    """What is equal for attachments that give handlers of one code the same reasons."""
    if isinstance(attachment, MarkerAttachment):
        return attachment.marker.kind, attachment.marker.begins
    return type(attachment)


def _user_reason(program: IrProgram, handler: Handler) -> str:
    match handler.expansion.attachment:
        case MarkerAttachment(marker=marker) if not families.of_kind(marker.kind).live:
            return "its hits come from a trace"
        case MarkerAttachment(marker=marker) if marker.begins:
            return "existing processes are reported from user space"
        case MarkerAttachment():
            return obstacle(program, at_place(handler))
        case attachment:
            return f"{type(attachment).__name__.lower()} probes run in user space"


def _thread_positions(handler: Handler, variable: int) -> set[int]:
    """The key positions that are tid() in every operation of a handler on an array."""
    positions: set[int] | None = None
    values = analyse(handler.body, handler.captures)
    for number in values.at_start:
        states = values.before(number)
        for op, state in zip(handler.body.blocks[number].ops, states, strict=False):
            if isinstance(op, VARIABLES) and op.variable == variable:
                here = _tid_positions(op, state)
                positions = here if positions is None else positions & here
    return positions or set()


def _tid_positions(op: Op, state: State) -> set[int]:
    if not isinstance(op, ELEMENTS):
        return set()
    if any(key is None for key in op.keys):
        return set()
    return {
        at
        for at, key in enumerate(op.keys)
        if key is not None and state.get(key) == Context("tid")
    }


# --- hooks ------------------------------------------------------------------------------------


def _hooks(
    program: IrProgram, placements: tuple[Placement, ...], *, record: bool, apart: bool
) -> Iterator[Hook]:
    """One hook per distinct attachment, in the order of the script.

    Handlers that read the arguments of a tracepoint have another one than those that read the
    fields of its record, except in a recording of a script, which has each hit once.
    """
    at: dict[tuple[MarkerAttachment, bool], list[int]] = {}
    for number, handler in enumerate(program.handlers):
        attachment = handler.expansion.attachment
        if isinstance(attachment, MarkerAttachment):
            raw = apart and _reads_arguments(attachment, variables(handler.captures))
            at.setdefault((attachment, raw), []).append(number)
    made: dict[object, tuple[RecordLayout, str]] = {}
    for hook, ((attachment, _), written) in enumerate(at.items()):
        numbers = tuple(_in_order(program, written))
        user = tuple(n for n in numbers if placements[n].where is Where.USER)
        taken = numbers if record else user
        codes = tuple(code_of(program.handlers[n]) for n in taken)
        # a recording has the variables of its marker, too
        alike = (_kind(attachment), codes, attachment if record else None)
        if alike not in made:
            held = reads.why_held(program, attachment, user)
            captures = _layout(program, attachment, taken, record=record)
            if held and Context("pid") not in captures:
                captures = (*captures, Context("pid"))
            made[alike] = RecordLayout(captures, bool(held)), held
        layout, held = made[alike]
        yield Hook(hook, attachment, numbers, user, layout, held)


def _in_order(program: IrProgram, numbers: list[int]) -> list[int]:
    """The order in which the handlers of one marker run."""
    newest_first = program.handlers[numbers[0]].expansion.newest_first
    return numbers[::-1] if newest_first else numbers


def _layout(
    program: IrProgram, attachment: MarkerAttachment, numbers: tuple[int, ...], *, record: bool
) -> tuple[Capture, ...]:
    """What handlers read, what their calls read, and for a recording everything there is."""
    wanted: dict[str, Capture] = {}

    def add(captures: Iterable[Capture]) -> None:
        for capture in captures:
            wanted.setdefault(capture_text(capture), capture)

    if record:
        captures = [c for n in numbers for c in program.handlers[n].captures]
        add(_arguments(attachment, variables(captures)))
        add(Context(name) for name in RECORDED_CONTEXTS)
    elif reads.takes_notes(program, attachment.marker.kind, numbers):
        add([Context("memory")])  # in front, so that its place in the record is fixed
    for number in numbers:
        handler = program.handlers[number]
        add(handler.captures)
        called = _called_contexts(program, handler)
        if record or families.of_kind(attachment.marker.kind).stops:
            called.discard(USER_STACK)  # it is read where it is
        add(Context(name) for name in sorted(called))
    return tuple(wanted.values())


def _arguments(attachment: MarkerAttachment, used: frozenset[str]) -> Iterator[Capture]:
    """All variables of a marker that can be read together with those that are used."""
    found = attachment.marker.variables
    raw = any(v.name in used and _is_only_raw(v) for v in found)
    if raw and any(v.name in used and v.raw is None for v in found):
        return  # arguments and fields are refused together, and the message names what is used
    for variable in found:
        if variable.raw is None if raw else _is_only_raw(variable):
            continue
        is_long = variable.type is ValueType.LONG
        yield Argument(variable.name, Value.LONG if is_long else Value.STRING)


def _reads_arguments(attachment: MarkerAttachment, used: frozenset[str]) -> bool:
    """Whether what is used are arguments of a tracepoint, and not fields of its record."""
    if families.of_kind(attachment.marker.kind).stops:
        return False  # a place in a program: its variables are not looked up for this
    found = [v for v in attachment.marker.variables if v.name in used] if used else []
    if any(v.raw is None for v in found):
        return False
    return any(isinstance(v.operand(0), RawArgument) for v in found)


def _is_only_raw(variable: Variable) -> bool:
    """Whether it is an argument of a tracepoint that no field of its record holds."""
    return isinstance(variable.operand(0), RawArgument) and variable.field is None


def _called_contexts(program: IrProgram, handler: Handler) -> set[str]:
    """The contexts that built-ins need which run in user space."""
    found: set[str] = set()
    for op in all_operations(program, handler):
        if isinstance(op, ops.CallBuiltin):
            builtin = BUILTINS.get((op.name, len(op.arguments)))
            if builtin is None:
                continue
            if builtin.effect is Effect.CONTEXT:
                found.add(builtin.context)
            elif builtin.effect is Effect.MEMORY:
                found.add("pid")
            found.update(builtin.reads)
        elif isinstance(op, ops.PrintFormat | ops.FormatString) and op.site is not None:
            found.add("pid")
    return found
