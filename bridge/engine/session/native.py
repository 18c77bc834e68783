"""A placed program with its machine code -> a session of the C run time.

Every engine uses it: markers reach it as records, begin, end, error and timer handlers run in
it. The rule: the C session copies what it is given, and outlives the code that it calls.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from bridge import declared
from bridge._native import ffi, lib
from bridge.codegen.native.compile import NativeCode, compile_native
from bridge.codegen.native.runtime import CONTEXT_NUMBERS
from bridge.engine.base import (
    EmptyFeed,
    RunResult,
    SessionOptions,
    SessionState,
    known_modules,
    run_session,
)
from bridge.errors import BridgeError, HostError
from bridge.handles import Closing, Handle
from bridge.ir.program import Array, Context, Scalar, Value
from bridge.markers import Timer
from bridge.progress import doing, shown_width

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.artifact import Hook, Placed
    from bridge.codegen.native.patterns import PatternCode
    from bridge.engine.kernel.memory import KernelMemory
    from bridge.ir.program import Conversion, Format, Global, Handler, IrProgram, StatShape

_KINDS = {
    Value.LONG: declared.MB_LONG,
    Value.STRING: declared.MB_STRING,
    None: declared.MB_STATISTIC,
}
_HISTOGRAMS = {"log": declared.MB_LOG, "linear": declared.MB_LINEAR}
_OUT_OF_RANGE = -34


class NativeSession(Closing):
    """A running script. `lent` is the C session, `code` its handlers.

    One thread uses it at a time; after `close` everything is a BridgeError.
    """

    def __init__(self, placed: Placed, options: SessionOptions, code: NativeCode) -> None:
        self.placed = placed
        self.options = options
        self.code = code
        self._memory: KernelMemory | None = None
        program = placed.program
        handle = lib.mb_session_new(_limits(program, options), len(program.globals))
        if handle == ffi.NULL:
            raise HostError("no memory for a session", "lower MAXSTRINGLEN")
        self.lent = Handle(handle, lib.mb_session_free, "the session", BridgeError)
        try:
            self._build(program)
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(
        cls,
        placed: Placed,
        options: SessionOptions,
        memory: KernelMemory | None = None,
        code: NativeCode | None = None,
    ) -> NativeSession:
        """Compile, if there is no `code` yet, and make the session.

        It closes `memory`, the kernel's, at its end.
        """
        if code is None:
            with doing("translating handlers to machine code"):
                code = compile_native(placed)
        session = cls(placed, options, code)
        if memory is not None:
            session._memory = memory
            reader = ffi.addressof(lib, "mb_kernel_read")
            lib.mb_session_read_kernel_by(session.handle, reader, memory.native, memory.task)
        return session

    # --- building -----------------------------------------------------------------------------

    def _build(self, program: IrProgram) -> None:
        for number, variable in enumerate(program.globals):
            _add_global(self.handle, number, variable)
        for site in program.sites:
            lib.mb_session_add_site(self.handle, _latin(site.text))
        for form in program.formats:
            _add_format(self.handle, form)
        for pattern in self.code.patterns:
            _add_pattern(self.handle, pattern)
        for number, handler in enumerate(program.handlers):
            self._add_handler(number, handler)
        for hook in self.placed.hooks:
            _add_hook(self.handle, hook)
        lib.mb_session_outputs(self.handle, self.options.output, self.options.messages)
        width = shown_width()
        if width is not None:
            lib.mb_session_watch_line(self.handle, ffi.from_buffer("int32_t[]", width))
        if self.options.output_path:
            path = os.fsencode(self.options.output_path)
            if lib.mb_session_set_output_path(self.handle, path) < 0:
                raise HostError("no memory for a session")
        self._add_modules()
        lib.mb_session_set_target(self.handle, self.options.target)
        lib.mb_session_set_offset(self.handle, self.options.realtime_offset_ns)

    def _add_modules(self) -> None:
        for path in known_modules(self.placed, self.options):
            lib.mb_session_know(self.handle, os.fsencode(path))

    def _add_handler(self, number: int, handler: Handler) -> None:
        run = self.code.handlers.get(number, 0)
        condition = self.code.conditions.get(number, 0)
        points = (_latin(handler.point), _latin(handler.script_point))
        flags = declared.MB_INTERRUPTIBLE if handler.interruptible else 0
        flags |= declared.MB_RETURNS if handler.expansion.returns else 0
        lib.mb_session_add_handler(self.handle, run, condition, flags, *points)
        match handler.expansion.attachment:
            case Timer(period_ns=period, randomize_ns=spread):
                lib.mb_session_add_timer(self.handle, number, period, spread)
            case _:
                pass

    # --- the protocol of bridge.engine.base ---------------------------------------------------

    @property
    def handle(self) -> Any:  # noqa: ANN401 - cffi
        """The C session, for a caller that no other thread can come between."""
        return self.lent.pointer

    @property
    def longest(self) -> int:
        """How many bytes a string has at most."""
        return self.placed.program.limits.maxstringlen - 1

    @property
    def handlers(self) -> Sequence[Handler]:
        """The handlers in the order of their numbers."""
        return self.placed.program.handlers

    @property
    def state(self) -> SessionState:
        """Where it is."""
        with self.lent as handle:
            return SessionState(lib.mb_session_state(handle))

    @state.setter
    def state(self, state: SessionState) -> None:
        with self.lent as handle:
            lib.mb_session_set_state(handle, int(state))

    def run(self, handler: int) -> SessionState:
        """Run one handler that is not on a marker."""
        with self.lent as handle:
            return SessionState(lib.mb_session_run(handle, handler))

    def serve(self, handler: int, text: bytes, most: int) -> bytes:
        """Run the handler of a served file; what a reader gets."""
        length = ffi.new("uint64_t *")
        with self.lent as handle:
            if lib.mb_session_serve(handle, handler, text, len(text), most) < 0:
                raise HostError("no memory for a file of the session", "lower its maxsize")
            made = lib.mb_session_served(handle, length)
            return bytes(ffi.buffer(made, length[0]))

    def start_timers(self, now_ns: int) -> None:
        """Timers count from now."""
        with self.lent as handle:
            lib.mb_session_start(handle, now_ns)

    def run_timers(self, now_ns: int) -> SessionState:
        """Fire what is due."""
        with self.lent as handle:
            return SessionState(lib.mb_session_timers(handle, now_ns))

    def next_timer(self) -> int | None:
        """When the next timer is due."""
        with self.lent as handle:
            due = int(lib.mb_session_next_timer(handle))
        return None if due == (1 << 64) - 1 else due

    def flush(self) -> None:
        """Write what was printed."""
        with self.lent as handle:
            lib.mb_session_flush(handle)

    def stop(self) -> None:
        """End normally, as exit() does."""
        with self.lent as handle:
            lib.mb_session_stop(handle)

    def set_clock(self, now_ns: int) -> None:
        """In a replay: the time now, for handlers that run without a record."""
        with self.lent as handle:
            lib.mb_session_set_clock(handle, now_ns)

    def warn(self, message: str) -> None:
        """Print a warning on the messages' file descriptor."""
        with self.lent as handle:
            lib.mb_session_warn(handle, message.encode())

    def blame(self, handler: int, site: int | None, message: bytes) -> None:
        """Count an error that a handler had in the kernel."""
        place = declared.MB_NO_SITE if site is None else site
        with self.lent as handle:
            lib.mb_session_error(handle, handler, place, message)

    def consumer(self, live: Any) -> tuple[Any, Any]:  # noqa: ANN401 - cffi
        """The C consumer of records, and its context."""
        live.session = self.handle
        return ffi.addressof(lib, "mb_live_consume"), live

    def note_lost(self, records: int) -> None:
        """Count records that did not arrive."""
        with self.lent as handle:
            lib.mb_session_note_lost(handle, records)

    def watch_files(self) -> None:
        """Keep what processes map: hits may be looked at when they have ended."""
        with self.lent as handle:
            lib.mb_session_watch(handle)

    def take_files(self) -> None:
        """What was mapped since."""
        with self.lent as handle:
            lib.mb_session_take_mapped(handle)

    def print_folded(self) -> None:
        """Print the back traces that were counted instead of printed."""
        with self.lent as handle:
            lib.mb_session_print_folded(handle)

    def stacks(self) -> tuple[int, int]:
        """Back traces that hits brought too few bytes for, and those of ended processes."""
        cut, gone = ffi.new("int64_t *"), ffi.new("int64_t *")
        with self.lent as handle:
            lib.mb_session_stacks(handle, cut, gone)
        return int(cut[0]), int(gone[0])

    def result(self) -> RunResult:
        """Counts and exit code."""
        summary = ffi.new("struct mb_summary *")
        with self.lent as handle:
            lib.mb_session_summary(handle, summary)
        return RunResult(
            int(bool(summary.any_error)), summary.errors, summary.skipped, summary.lost
        )

    def deliver(self, record: bytes) -> SessionState:
        """Hand one record over, timers that are due before it first."""
        data = ffi.from_buffer("struct mb_record *", record)
        with self.lent as handle:
            lib.mb_session_consume(handle, data)
        return self.state

    def close(self) -> None:
        """Free the C side."""
        self.lent.close()
        if self._memory is not None:
            self._memory.close()
            self._memory = None


def run_native(
    placed: Placed,
    options: SessionOptions | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> RunResult:
    """Run a program that has no markers."""
    with NativeSession.open(placed, options or SessionOptions()) as session:
        return run_session(session, EmptyFeed(), stopped)


# --- descriptions for the C side --------------------------------------------------------------


def _latin(text: str) -> bytes:
    return text.encode("latin-1", "replace").replace(b"\0", b"")


def _limits(program: IrProgram, options: SessionOptions) -> Any:  # noqa: ANN401 - cffi
    flags = (
        declared.MB_QUIET * options.quiet
        | declared.MB_REPEAT_WARNINGS * options.repeat_warnings
        | declared.MB_SUPPRESS_ERRORS * options.suppress_errors
        | declared.MB_FOLDED * options.folded
        | declared.MB_TRACE_TIME * options.replay
    )
    limits = program.limits
    return ffi.new(
        "struct mb_limits *",
        {
            "maxstringlen": limits.maxstringlen,
            "maxnesting": limits.maxnesting,
            "maxaction": limits.maxaction,
            "maxaction_interruptible": limits.maxaction_interruptible,
            "maxerrors": limits.maxerrors,
            "maxskipped": limits.maxskipped,
            "hist_elision": limits.hist_elision,
            "maxbacktrace": limits.maxbacktrace,
            "flags": flags,
        },
    )


def _add_global(session: Any, number: int, variable: Global) -> None:  # noqa: ANN401 - cffi
    match variable:
        case Scalar(stat=shape) if shape is not None:
            status = lib.mb_session_set_stat(session, number, _stat(shape))
        case Scalar(initial=bytes() as initial):
            status = lib.mb_session_set_string(session, number, initial)
        case Scalar(type=Value.STRING):
            status = lib.mb_session_set_string(session, number, b"")
        case Scalar(initial=initial):
            status = lib.mb_session_set_long(
                session, number, initial if isinstance(initial, int) else 0
            )
        case Array():
            stat = _stat(variable.stat) if variable.stat else ffi.NULL
            status = lib.mb_session_set_array(session, number, _array(variable), stat)
    if status == _OUT_OF_RANGE:
        lib.mb_session_warn(session, b"histogram: Number of buckets must be between 1 and 126")
    if status < 0:
        raise HostError(f"global variable '{variable.name}' allocation failed")


def _stat(shape: StatShape) -> Any:  # noqa: ANN401 - cffi
    buckets = shape.buckets
    return ffi.new(
        "struct mb_stat_shape *",
        {
            "histogram": _HISTOGRAMS[buckets.kind] if buckets else declared.MB_NO_HISTOGRAM,
            "variance": "variance" in shape.parts,
            "variance_bits": shape.variance_bits,
            "low": buckets.low if buckets else 0,
            "high": buckets.high if buckets else 0,
            "step": buckets.step if buckets else 1,
        },
    )


def _array(array: Array) -> Any:  # noqa: ANN401 - cffi
    strings = sum(1 << n for n, key in enumerate(array.keys) if key is Value.STRING)
    return ffi.new(
        "struct mb_array_shape *",
        {
            "key_count": len(array.keys),
            "string_keys": strings,
            "value": _KINDS[array.value],
            "size": array.size,
            "wrap": array.wrap,
            "sized": array.sized,
        },
    )


def _add_format(session: Any, form: Format) -> None:  # noqa: ANN401 - cffi
    texts = [ffi.from_buffer("char[]", p) for p in form.pieces if isinstance(p, bytes)]
    unused = iter(texts)
    pieces = ffi.new("struct mb_piece[]", max(1, len(form.pieces)))
    for piece, source in zip(pieces, form.pieces, strict=False):
        if isinstance(source, bytes):
            piece.text, piece.length = next(unused), len(source)
        else:
            _fill_conversion(piece, source)
    lib.mb_session_add_format(session, pieces, len(form.pieces))


def _add_pattern(session: Any, pattern: PatternCode) -> None:  # noqa: ANN401 - cffi
    operations = ffi.new("struct mb_regex_op[]", pattern.operations)
    sets = ffi.from_buffer("uint8_t[]", b"".join(pattern.sets))
    counts = len(pattern.operations), sets, len(pattern.sets), pattern.groups
    if lib.mb_session_add_regex(session, operations, *counts) < 0:
        raise HostError("no memory for a regular expression")


def _fill_conversion(piece: Any, source: Conversion) -> None:  # noqa: ANN401 - cffi
    piece.letter = source.letter.encode()
    piece.flag = source.flag.encode() or b"\0"
    piece.star_width = source.width == "*"
    piece.star_precision = source.precision == "*"
    piece.width = source.width if isinstance(source.width, int) else -1
    piece.precision = source.precision if isinstance(source.precision, int) else -1


def _add_hook(session: Any, hook: Hook) -> None:  # noqa: ANN401 - cffi
    offsets = [-1] * len(CONTEXT_NUMBERS)
    for capture in hook.layout.captures:
        if isinstance(capture, Context):
            offsets[CONTEXT_NUMBERS[capture.name]] = hook.layout.offset(capture)
    number = lib.mb_session_add_hook(session, list(hook.user), len(hook.user), offsets)
    if hook.held:
        lib.mb_session_hold(session, number, hook.layout.stopped_offset)
