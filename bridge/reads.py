"""What handlers read of a process or of the kernel at addresses known only while they run.

Such a read cannot be made at the hit. At a place in a program the process is held until the
handler is done (`why_held`, csrc/hold.h); everywhere else, and where a hit has to be repeated
from a recording, it is refused (`refused`). One rule: nothing is read at a later moment than
the hit without saying so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.diagnostics import Diagnostic
from bridge.ir import ops
from bridge.ir.reach import all_operations
from bridge.markers import Kind, MarkerAttachment
from bridge.script.builtins import BUILTINS, Effect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.ir.program import Handler, Program

PLACES = frozenset({Kind.USDT, Kind.FUNCTION, Kind.FUNCTION_RETURN})
"""Kinds of markers at which a process can be held: it is in its own code there."""


def _reads(program: Program, handler: Handler) -> Iterator[ops.CallBuiltin]:
    for op in all_operations(program, handler):
        if isinstance(op, ops.CallBuiltin):
            builtin = BUILTINS.get((op.name, len(op.arguments)))
            if builtin is not None and builtin.effect is Effect.MEMORY:
                yield op


def _is_kernel(op: ops.CallBuiltin) -> bool:
    return op.name.startswith("kernel_")


def _name(op: ops.CallBuiltin) -> str:
    """As scripts call it: the tapset's functions are made of these."""
    return op.name.removesuffix("_error")


def why_held(program: Program, attachment: MarkerAttachment, handlers: tuple[int, ...]) -> str:
    """Why the process stands still at the hits of these handlers; "" if it does not."""
    if attachment.marker.kind not in PLACES:
        return ""
    for number in handlers:
        for op in _reads(program, program.handlers[number]):
            if not _is_kernel(op):
                place = program.sites[op.site].text.partition(" at ")[2].partition(" ")[0]
                return f"{_name(op)}() at {place} reads what only the handler knows"
    return ""


def refused(program: Program, *, record: bool) -> Iterator[Diagnostic]:
    """The reads that cannot be made."""
    told: set[int] = set()
    for handler in program.handlers:
        attachment = handler.expansion.attachment
        if not isinstance(attachment, MarkerAttachment):
            continue
        for op in _reads(program, handler):
            reason = _reason(attachment.marker.kind, op, record=record)
            if reason and op.site not in told:
                told.add(op.site)
                yield _diagnostic(program, op, reason)


def _reason(kind: Kind, op: ops.CallBuiltin, *, record: bool) -> str:
    if kind is Kind.RECORDED:
        return "its address is known only while the handler runs, so the trace does not have it"
    if _is_kernel(op):
        return "its address is known only while the handler runs, after the hit"
    if kind not in PLACES:
        return (
            "its address is known only while the handler runs, and a process cannot be held at"
            " a tracepoint"
        )
    if record:
        return "its address is known only while the handler runs, so a trace cannot hold it"
    return ""


def _diagnostic(program: Program, op: ops.CallBuiltin, reason: str) -> Diagnostic:
    site = program.sites[op.site]
    return Diagnostic(
        "computed-address",
        f"{_name(op)}() cannot read here: {reason}",
        site.span,
        site.text.partition(" at ")[0],
    )
