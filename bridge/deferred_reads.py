"""What handlers read of a process or of the kernel and only know while they run.

That is memory at computed addresses, the stack, the files in memory. At a place in a program
the process is held until the handler is done (`why_held`, csrc/live/hold.h); elsewhere a hit
brings bytes of the stack, and the files are looked at when the handler runs. What it reads of
the kernel, and elsewhere of the process, too, a slice of the handler reads at the hit (`noted`,
ir/slicing.py). What neither can do, and where a hit has to be repeated from a recording, is
refused (`refused`). Handlers without a hit read the kernel's memory as it is
(`first_kernel_read`, engine/kernel/memory.py), and so do those whose address comes from what
only they know, a global above all (`read_later`). One rule: nothing is read at a later moment
than the hit without saying so.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, NamedTuple

from bridge.diagnostics import Diagnostic, Severity
from bridge.ir import ops
from bridge.ir.passes.captures import LOADED_AT
from bridge.ir.program import Conversion, code_of
from bridge.ir.reach import all_operations
from bridge.ir.slicing import READS, Slice, slice_of
from bridge.markers import Kind, MarkerAttachment
from bridge.probes import families
from bridge.script.builtins import BUILTINS, KERNEL_STACK, WRITES, Effect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bridge.ir.program import ErrorSite, Format, Handler, IrProgram


_GLOBAL = "@var"
NO_STACK = "a trace does not hold the kernel's stack"
UNWOUND = "x86_64"
"""The machine whose stacks csrc/backtrace/unwind.h reads."""


class _Read(NamedTuple):
    """A read: `name` as scripts call it, its error site, whose memory it is.

    `of_process`: not of memory at an address, but of the stack or of what is mapped.
    """

    name: str
    site: int
    is_kernel: bool
    sliced: bool = False
    """Whether a slice can make it at the hit."""
    of_process: bool = False
    of_stack: bool = False
    """Of the kernel's stack, which a hit brings with it."""


def _reads(program: IrProgram, handler: Handler) -> Iterator[_Read]:
    for op in all_operations(program, handler):
        yield from _reads_of(program, op)


def _reads_of(program: IrProgram, op: ops.Op) -> Iterator[_Read]:
    match op:
        case ops.CallBuiltin(name=name, arguments=arguments, site=site):
            builtin = BUILTINS.get((name, len(arguments)))
            effect = builtin.effect if builtin is not None else Effect.PURE
            if effect in (Effect.MEMORY, Effect.PROCESS):
                # the library's functions are made of those with such names
                called = name.removesuffix("_error").removeprefix("_")
                called = _GLOBAL if name == LOADED_AT else called
                of_process = effect is Effect.PROCESS
                of_kernel = name.startswith("kernel_")
                yield _Read(called, site, of_kernel, name in READS, of_process)
            elif builtin is not None and KERNEL_STACK in builtin.reads:
                called = name.removeprefix("_")
                yield _Read(called, site, is_kernel=True, of_stack=True)
        case ops.PrintFormat(format=number, site=int(site)):
            yield from _printed("printf", program.formats[number], site)
        case ops.FormatString(format=number, site=int(site)):
            yield from _printed("sprintf", program.formats[number], site)
        case _:
            pass


def needs_hold(program: IrProgram, op: ops.Op) -> bool:
    """Whether the process has to stand still while an operation runs."""
    return any(not read.is_kernel for read in _reads_of(program, op))


def noted(kind: Kind) -> Callable[[ops.Op], bool]:
    """The operations that a slice notes at a kind of marker: reads that no held process has."""
    family = families.of_kind(kind)

    def is_noted(op: ops.Op) -> bool:
        if not isinstance(op, ops.CallBuiltin) or op.name not in READS:
            return False
        return family.slices and (not family.stops or op.name.startswith("kernel_"))

    return is_noted


def slice_at(
    program: IrProgram, kind: Kind, handler: Handler, constants: Mapping[str, int] | None = None
) -> Slice:
    """The slice of a handler at a kind of marker."""
    return slice_of(program, handler, noted(kind), constants)


def takes_notes(program: IrProgram, kind: Kind, handlers: tuple[int, ...]) -> bool:
    """Whether something is to be noted for these handlers."""
    is_noted = noted(kind)
    return any(
        is_noted(op)
        for number in handlers
        for op in all_operations(program, program.handlers[number])
    )


def _printed(name: str, format_: Format, site: int) -> Iterator[_Read]:
    """`%#m` and `%#M` read user memory, `%m` and `%M` the kernel's."""
    for piece in format_.pieces:
        if isinstance(piece, Conversion) and piece.letter in {"m", "M"}:
            yield _Read(name, site, piece.flag != "#")


def why_held(
    program: IrProgram, attachment: MarkerAttachment, handlers: tuple[int, ...]
) -> str:
    """Why the process stands still at the hits of these handlers; "" if it does not."""
    if not families.of_kind(attachment.marker.kind).stops:
        return ""
    for number in handlers:
        for read in _reads(program, program.handlers[number]):
            if not read.is_kernel:
                place = program.sites[read.site].where
                what = "reads a computed address"
                if read.name.startswith(WRITES):
                    what = "writes to the process"
                elif read.of_process:
                    what = "looks at the process"
                return f"{read.name}() at {place} {what}"
    return ""


class _Unread(NamedTuple):
    """A read that a hit does not bring, and why; `later`: whether the handler can make it."""

    read: _Read
    reason: str
    later: bool


def _unread(program: IrProgram, *, record: bool) -> Iterator[_Unread]:
    """The reads that no hit brings, each place in the script once."""
    told: set[int] = set()
    known: dict[tuple[int, int, int], list[_Read]] = {}
    slices: dict[tuple[tuple[int, int, int], bool], Slice] = {}
    for handler in program.handlers:
        attachment = handler.expansion.attachment
        if not isinstance(attachment, MarkerAttachment):
            continue
        code = code_of(handler)
        if code not in known:
            known[code] = list(_reads(program, handler))
        for read in known[code]:
            reason, later = _reason(attachment, read, record=record), False
            kind = attachment.marker.kind
            family = families.of_kind(kind)
            if reason and read.sliced and family.slices and not record:
                key = (code, family.stops)
                if key not in slices:
                    slices[key] = slice_at(program, kind, handler)
                reason = _slice_reason(slices[key], read)
                later = read.site in slices[key].later
            if reason and read.site not in told:
                told.add(read.site)
                yield _Unread(read, reason, later)


def refused(program: IrProgram, *, record: bool) -> Iterator[Diagnostic]:
    """The reads that cannot be made."""
    for read, reason, later in _unread(program, record=record):
        if not later:
            yield _diagnostic(program, read, reason)


def read_later(program: IrProgram) -> Iterator[Diagnostic]:
    """The reads that are made after the hit, when the handler runs."""
    for read, reason, later in _unread(program, record=False):
        if later:
            site = program.sites[read.site]
            message = (
                f"{read.name}() reads when the handler runs, shortly after the hit: {reason}"
            )
            place = site.text.partition(" at ")[0]
            yield Diagnostic("read-later", message, site.span, place, severity=Severity.WARNING)


def first_kernel_read(program: IrProgram) -> tuple[str, ErrorSite] | None:
    """The first read of the kernel's memory that no hit brings, and where it stands."""
    for handler in program.handlers:
        if isinstance(handler.expansion.attachment, MarkerAttachment):
            continue
        for read in _reads(program, handler):
            if read.is_kernel and not read.of_stack:
                return read.name, program.sites[read.site]
    unread = _unread(program, record=False)
    first = next((one.read for one in unread if one.later and one.read.is_kernel), None)
    return None if first is None else (first.name, program.sites[first.site])


def looks_at_processes(program: IrProgram) -> bool:
    """Whether anything in it needs what is known of the files in processes."""
    return any(
        read.of_process for handler in program.handlers for read in _reads(program, handler)
    )


def _reason(attachment: MarkerAttachment, read: _Read, *, record: bool) -> str:
    """Why something cannot be read at a marker; "" if it can."""
    family = families.of_kind(attachment.marker.kind)
    if read.of_stack:
        return NO_STACK if record or not family.live else ""
    if read.of_process:
        return _process_reason(attachment, read, record=record)
    if not family.live:
        return "its address is known only while the handler runs, so the trace does not have it"
    if read.is_kernel:
        return "its address is known only while the handler runs, after the hit"
    if not family.stops:
        return (
            "its address is known only while the handler runs, and a process cannot be held"
            f" {family.where}"
        )
    if record:
        return "its address is known only while the handler runs, so a trace cannot hold it"
    return ""


def _slice_reason(slice_: Slice, read: _Read) -> str:
    reason = slice_.refused.get(read.site, "")
    return f"{reason}, which is known only after the hit" if reason else ""


def _process_reason(attachment: MarkerAttachment, read: _Read, *, record: bool) -> str:
    family = families.of_kind(attachment.marker.kind)
    if not family.live:
        return "it looks at the process, which a trace does not hold"
    stops = family.stops
    if read.name.startswith(WRITES) and not stops:
        return "the process cannot be stopped, and a write would come later than the hit"
    if not stops and read.name == _GLOBAL:
        return "it looks at the process, which cannot be held at a tracepoint"
    if record:
        return "it looks at the process, which a trace cannot hold"
    machine = attachment.marker.machine if stops else platform.machine()
    if machine != UNWOUND and read.name != _GLOBAL and not read.name.startswith(WRITES):
        return f"stacks and symbols are known on {UNWOUND} only"
    return ""


def _diagnostic(program: IrProgram, read: _Read, reason: str) -> Diagnostic:
    site = program.sites[read.site]
    code, verb = "computed-address", "read"
    if read.of_process or read.of_stack:
        code, verb = "no-process", "look"
    if read.name.startswith(WRITES):
        code, verb = "unsupported-write", "write"
    return Diagnostic(
        code,
        f"{read.name}() cannot {verb} here: {reason}",
        site.span,
        site.what,
    )
