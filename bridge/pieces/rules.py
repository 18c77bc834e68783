"""Which scripts may run over pieces of a recording, with the result of one run.

The rule: what a hit does may depend on `begin` and on the hit, and adds to what `end` sees; all
else depends on the hits before it, which another piece has. What does is refused by its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.diagnostics import Diagnostic
from bridge.ir import ops
from bridge.ir.kernel import mergeable
from bridge.ir.reach import all_operations
from bridge.markers import MarkerAttachment, ServedFile, Timer
from bridge.placement import ADDITIONS, on_globals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.ir.ops import Op
    from bridge.ir.program import Handler, IrProgram

_ENDING = frozenset({"exit", "abort"})
_READING = (ops.GlobalGet, ops.ArrayGet, ops.ArrayHas, ops.IterBegin)
_STATISTICS = (ops.StatGet, ops.HistogramGet, ops.HistogramText)


def _refusal(what: str, handler: Handler) -> Diagnostic:
    return Diagnostic("not-in-pieces", what, handler.span)


class Roles:
    """What hits do to the globals of a program.

    `blame` has the globals that they add to, each with a handler and an error site that do;
    `constant` those that they only read.
    """

    def __init__(self, program: IrProgram) -> None:
        self._program = program
        self.blame: dict[str, tuple[int, int]] = {}
        self._uses: dict[int, list[tuple[Handler, Op]]] = {}
        for number, handler in enumerate(program.handlers):
            if isinstance(handler.expansion.attachment, MarkerAttachment):
                for variable, op in on_globals(all_operations(program, handler)):
                    self._uses.setdefault(variable, []).append((handler, op))
                    if isinstance(op, ADDITIONS):
                        name = program.globals[variable].name
                        self.blame.setdefault(name, (number, getattr(op, "site", 0)))
        self.constant = frozenset(
            program.globals[variable].name
            for variable, uses in self._uses.items()
            if all(isinstance(op, _READING) for _, op in uses)
        )

    def refused(self) -> Iterator[Diagnostic]:
        """Why a program cannot run over pieces; nothing if it can."""
        for handler in self._program.handlers:
            yield from self._ends(handler)
        for variable, uses in self._uses.items():
            yield from self._depends(variable, uses)

    def _ends(self, handler: Handler) -> Iterator[Diagnostic]:
        match handler.expansion.attachment:
            case Timer() | ServedFile():
                what = f"{handler.point} runs between the hits of all pieces"
                yield _refusal(what, handler)
            case MarkerAttachment():
                for op in all_operations(self._program, handler):
                    if isinstance(op, ops.CallBuiltin) and op.name in _ENDING:
                        what = f"{op.name}() in {handler.point} ends the pieces after it, too"
                        yield _refusal(what, handler)
                        return
            case _:
                pass

    def _depends(self, variable: int, uses: list[tuple[Handler, Op]]) -> Iterator[Diagnostic]:
        """Why a global does not merge."""
        name = self._program.globals[variable].name
        adds = [handler for handler, op in uses if isinstance(op, ADDITIONS)]
        reads = [handler for handler, op in uses if isinstance(op, (*_READING, *_STATISTICS))]
        sets = [
            h for h, op in uses if not isinstance(op, (*ADDITIONS, *_READING, *_STATISTICS))
        ]
        reason = mergeable(self._program, variable) if adds else ""
        if reason:
            yield _refusal(f"`{name}` {reason}", adds[0])
        elif sets:
            what = f"`{name}` is set in {sets[0].point}, so the order of all hits decides"
            yield _refusal(what, sets[0])
        elif reads and name not in self.constant:
            what = f"`{name}` is read in {reads[0].point}, and depends on the pieces before"
            yield _refusal(what, reads[0])
