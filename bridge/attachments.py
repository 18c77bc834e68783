"""A placed program -> what it would attach to, as plain frozen data that is stable.

Other tracers take it instead of a run: each `Attachment` is a marker with its places (file,
build-id, offset, semaphore), where its arguments lie there (register, memory), and the handlers
with what they read. The rule: members are only ever added; `VERSION` goes up if one goes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING

from bridge.ir.program import (
    Argument,
    Array,
    Computed,
    Context,
    Literal,
    Load,
    Value,
    capture_text,
    capture_type,
    variables,
)
from bridge.markers import (
    Begin,
    End,
    Error,
    MarkerAttachment,
    Never,
    ServedFile,
    Timer,
    TracepointField,
)
from bridge.tracefs_words import fetched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.artifact import Placed
    from bridge.ir.program import Capture, Global, Handler
    from bridge.markers import Marker, Operand, Variable
    from bridge.world import World

VERSION = 1
"""Of the JSON form."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a marker is: in a file (`path`), or in the kernel (`symbol`).

    `offset` is the byte of the file that a uprobe is put at, `address` the same as a link-time
    virtual address, `ref_ctr_offset` the byte of the file with the marker's semaphore (0:
    none), `build_id` in hexadecimal ("": the file has none). In the kernel, `offset` counts
    from the entry of `symbol`, and `address` is 0 where the kernel hides it. `unsafe` says why
    a probe here would disturb the program ("": safe).
    """

    path: str = ""
    build_id: str = ""
    offset: int = 0
    address: int = 0
    ref_ctr_offset: int = 0
    unsafe: str = ""
    symbol: str = ""
    module: str = ""

    def event_words(self) -> str:
        """The place as tracefs's `uprobe_events` and `kprobe_events` take it."""
        if not self.path:
            module = f"{self.module}:" if self.module else ""
            return f"{module}{self.symbol}{f'+{self.offset}' if self.offset else ''}"
        counter = f"({self.ref_ctr_offset:#x})" if self.ref_ctr_offset else ""
        return f"{self.path}:{self.offset:#x}{counter}"


@dataclass(frozen=True, slots=True)
class AttachedArgument:
    """`$name` of a marker: its type for a script ("long", "string"), and in C ("": unknown).

    `operands` has one for each of the attachment's places, or one that holds for all.
    `used` says whether a handler reads it.
    """

    name: str
    type: str
    ctype: str
    operands: tuple[Operand, ...]
    used: bool

    def operand(self, place: int) -> Operand:
        """The operand at place number `place`."""
        return self.operands[place] if len(self.operands) > 1 else self.operands[0]

    def event_words(self, place: int) -> str | None:
        """What fetches it in an event of tracefs (`%ax:s32`); None if nothing there can."""
        words = fetched(self.operand(place))
        return None if words is None or self.type != "long" else ":".join(words)


@dataclass(frozen=True, slots=True)
class Read:
    """What a handler reads at the hit; `text` is how a script writes it.

    Either a context of the hit (`context`: pid, execname, ...), or what starts at the argument
    `variable`. `offsets` are followed from the argument's value: for each but the last, add it
    and read the pointer there; at the last one lie `size` bytes, or a text up to its NUL of at
    most `limit` bytes (0: the session's limit). Without offsets it is the argument itself. A
    read that is computed in another way has neither `context` nor `variable`.
    """

    text: str
    type: str
    context: str = ""
    variable: str = ""
    offsets: tuple[int, ...] = ()
    space: str = ""
    size: int = 8
    signed: bool = True
    limit: int = 0


@dataclass(frozen=True, slots=True)
class AttachedHandler:
    """A handler: its probe point as SystemTap derives it, and as the script has it.

    `where` is "kernel" or "user" and says where its body runs, `reason` why. `stops` says why
    the process stands still meanwhile ("": it does not).
    """

    point: str
    written: str
    where: str
    reason: str
    reads: tuple[Read, ...] = ()
    conditional: bool = False
    stops: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """What fires, where, with which arguments, and what runs then.

    `kind` is that of the marker ("usdt", "function", "function-return", "tracepoint",
    "process", "sample", "kernel-function", "kernel-function-return"), or "begin", "end",
    "error", "timer", "never". `provider` and `name` are the marker's names. `pid` restricts it
    to a process (0: all), `follow_target` to the command and its descendants. `machine` is the
    ELF machine of the places. `id` is the number of a tracepoint. `unreadable` are arguments
    that exist but cannot be read, with the reason. Times in nanoseconds.
    """

    kind: str
    provider: str = ""
    name: str = ""
    places: tuple[Place, ...] = ()
    arguments: tuple[AttachedArgument, ...] = ()
    handlers: tuple[AttachedHandler, ...] = ()
    pid: int = 0
    follow_target: bool = False
    machine: str = ""
    id: int = 0
    unreadable: tuple[tuple[str, str], ...] = ()
    priority: int = 0
    period_ns: int = 0
    randomize_ns: int = 0


@dataclass(frozen=True, slots=True)
class AttachedGlobal:
    """A global variable: types are "long", "string" or "statistic"; a scalar has no `keys`.

    `held` is "user", "accumulated" (the kernel adds, merged before each read) or "resident" (in
    the kernel while the script runs).
    """

    name: str
    type: str
    keys: tuple[str, ...] = ()
    held: str = "user"


def attachments(placed: Placed, world: World) -> tuple[Attachment, ...]:
    """What a program attaches to: its markers in the order of the script, then the rest."""
    build_ids: dict[str, str] = {}

    def build_id(path: str) -> str:
        if path not in build_ids:
            build_ids[path] = _build_id(path, world)
        return build_ids[path]

    return (*_on_markers(placed, build_id), *_without_markers(placed))


def _build_id(path: str, world: World) -> str:
    from bridge.diagnostics import Sink
    from bridge.probes.elf import open_elf
    from bridge.probes.separate import build_id

    elf = open_elf(path, world, Sink())
    return "" if elf is None else build_id(elf).hex()


def _on_markers(placed: Placed, build_id: Callable[[str], str]) -> Iterator[Attachment]:
    for hook in placed.hooks:
        attachment, marker = hook.attachment, hook.attachment.marker
        captures = [c for n in hook.handlers for c in placed.program.handlers[n].captures]
        used = variables(captures)
        yield Attachment(
            marker.kind.value,
            marker.provider,
            marker.name,
            tuple(_places(marker, build_id)),
            tuple(_argument(v, used) for v in marker.readable if _is_shown(v, marker, used)),
            tuple(
                _handler(placed, n, hook.held if n in hook.user else "") for n in hook.handlers
            ),
            attachment.pid,
            attachment.follow_target,
            marker.machine,
            marker.id,
            marker.unreadable,
        )


def _is_shown(variable: Variable, marker: Marker, used: frozenset[str]) -> bool:
    """All arguments; of the registers and other hidden things those that are read."""
    return variable in marker.variables or variable.name in used


def _places(marker: Marker, build_id: Callable[[str], str]) -> Iterator[Place]:
    for site in marker.sites:
        yield Place(
            site.path,
            build_id(site.path),
            site.offset,
            site.address,
            site.ref_ctr_offset,
            site.unsafe,
        )
    if marker.kernel is not None:
        kernel = marker.kernel
        yield Place(
            offset=kernel.offset,
            address=kernel.address,
            symbol=kernel.symbol,
            module=kernel.module,
        )


def _argument(variable: Variable, used: frozenset[str]) -> AttachedArgument:
    type_ = variable.type.value
    return AttachedArgument(
        variable.name, type_, variable.ctype, variable.operands, variable.name in used
    )


def _without_markers(placed: Placed) -> Iterator[Attachment]:
    for number, handler in enumerate(placed.program.handlers):
        handlers = (_handler(placed, number, ""),)
        match handler.expansion.attachment:
            case Begin(priority) | End(priority) | Error(priority) as session:
                kind = type(session).__name__.lower()
                yield Attachment(kind, handlers=handlers, priority=priority)
            case Timer(period_ns=period, randomize_ns=spread):
                yield Attachment(
                    "timer", handlers=handlers, period_ns=period, randomize_ns=spread
                )
            case ServedFile(name=name):
                yield Attachment("file", name=name, handlers=handlers)
            case Never():
                yield Attachment("never", handlers=handlers)
            case MarkerAttachment():
                pass


def _handler(placed: Placed, number: int, stops: str) -> AttachedHandler:
    handler, placement = placed.program.handlers[number], placed.placements[number]
    return AttachedHandler(
        handler.point,
        handler.script_point,
        placement.where.value,
        placement.reason,
        reads(handler),
        handler.condition is not None,
        stops,
    )


def reads(handler: Handler) -> tuple[Read, ...]:
    """What a handler reads at the hit, in the order of its captures."""
    return tuple(map(_read, handler.captures))


def _read(capture: Capture) -> Read:
    text = capture_text(capture)
    type_ = "long" if capture_type(capture) is Value.LONG else "string"
    match capture:
        case Context(name=name):
            return Read(text, type_, context=name)
        case Argument(name=name):
            return Read(text, type_, variable=name)
        case Load(space=space, size=size, signed=signed, limit=limit):
            way = _way(capture)
            if way is not None:
                return Read(text, type_, "", *way, space, size, signed, limit or 0)
    return Read(text, type_)


def _way(load: Load) -> tuple[str, tuple[int, ...]] | None:
    """The argument that a read starts at, and the offsets from there; None: another way."""
    address, offset = load.address, 0
    match address:
        case Computed(op="+", left=left, right=Literal(value=offset)):
            address = left
    match address:
        case Argument(name=name):
            return name, (offset,)
        case Load(type=Value.LONG, size=8, space=load.space):
            before = _way(address)
            return None if before is None else (before[0], (*before[1], offset))
    return None


def attached_globals(placed: Placed) -> tuple[AttachedGlobal, ...]:
    """The globals of a program, by their numbers."""
    return tuple(
        _global(variable, _held(placed, number))
        for number, variable in enumerate(placed.program.globals)
    )


def _held(placed: Placed, number: int) -> str:
    if number in placed.accumulators:
        return "accumulated"
    return "resident" if number in placed.resident else "user"


_TYPES = {Value.LONG: "long", Value.STRING: "string", None: "statistic"}


def _global(variable: Global, held: str) -> AttachedGlobal:
    if isinstance(variable, Array):
        keys = tuple(_TYPES[key] for key in variable.keys)
        return AttachedGlobal(variable.name, _TYPES[variable.value], keys, held)
    type_ = "statistic" if variable.stat is not None else _TYPES[variable.type]
    return AttachedGlobal(variable.name, type_, (), held)


# --- JSON -------------------------------------------------------------------------------------


def document(
    found: tuple[Attachment, ...], variables: tuple[AttachedGlobal, ...]
) -> dict[str, object]:
    """The JSON form: the members of the classes by their names.

    An operand has besides its members a `kind`: its class in lower case, words with "-".
    """
    return {
        "version": VERSION,
        "attachments": [plain(attachment) for attachment in found],
        "globals": [plain(variable) for variable in variables],
    }


def plain(value: object) -> object:
    """A frozen dataclass as dicts, lists, text and numbers."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        members = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        if type(value).__module__ == "bridge.markers":
            return {"kind": _KINDS.get(type(value)) or _kind(type(value).__name__), **members}
        return members
    return value


_KINDS: dict[type, str] = {TracepointField: "field"}
"""Kinds that are not called as their classes are."""


def _kind(name: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")
