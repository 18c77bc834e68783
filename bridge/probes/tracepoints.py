"""tracefs -> kernel tracepoints with their fields, from the `format` files.

Names are `subsystem:event`. Source: Documentation/trace/events.rst. Numbers become LONG, `char`
arrays and dynamic strings STRING. Of a short array of numbers each element is a variable
(`args_0`), which lists of all variables leave out; other arrays cannot be read by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bridge.diagnostics import Diagnostic, FileOffset
from bridge.markers import (
    SYSTEM_CALL_FUNCTIONS,
    Kind,
    Marker,
    RawArgument,
    TracepointField,
    ValueType,
    Variable,
)
from bridge.probes import syscall_arguments, syscalls
from bridge.probes.btf import BtfKind
from bridge.probes.points import is_wild
from bridge.world import tracefs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bridge.diagnostics import Sink
    from bridge.probes.btf import Btf
    from bridge.world import World

NUMBERS = (1, 2, 4, 8)
MOST_ELEMENTS = 16
"""Of an array of numbers whose elements are variables."""
# `ftrace` holds the record types of tracers, which nothing can be attached to.
NOT_EVENTS = ("ftrace",)
# A kernel has thousands of these files, all alike; `signed` is younger than the rest.
_HEADER = re.compile(r"\s*name:\s*(\S+)\s+ID:\s*(\d+)\s+format:\s*")
_FIELD = re.compile(
    r"field:\s*([^;\n]+);\s*offset:\s*(\d+);\s*size:\s*(\d+);\s*(?:signed:\s*(\d+);\s*)?"
)
_DECLARATION = re.compile(
    r"(?:__(?P<located>data_loc|rel_loc)\s+)?(?P<type>.*?)\s*(?P<open>\[\])?\s*"
    r"\b(?P<name>\w+)\s*(?P<array>\[[^]]*\])?$"
)
_TEXT = re.compile(r"^(const\s+)?char$")
_CONST = re.compile(r"^const\s+")
_IN_REGISTER = {
    **dict.fromkeys(("int", "__s32", "pid_t", "clockid_t", "timer_t", "mqd_t"), (4, True)),
    **dict.fromkeys(("key_t", "key_serial_t", "rwf_t", "enum landlock_rule_type"), (4, True)),
    **dict.fromkeys(("unsigned int", "unsigned", "u32", "__u32"), (4, False)),
    **dict.fromkeys(("uid_t", "gid_t", "qid_t"), (4, False)),
    "umode_t": (4, False),
    **dict.fromkeys(("long", "loff_t", "off_t"), (8, True)),
}
"""Size and sign of the types of system calls' arguments. Each is in a register, all of whose
bytes are in the record, whatever is in those that the type does not have. The mode of a file is
mode_t for the program that calls, half as large for the kernel."""


@dataclass(frozen=True, slots=True)
class FieldLayout:
    """A field as the file describes it."""

    declaration: str
    offset: int
    size: int
    signed: bool


@dataclass(frozen=True, slots=True)
class TracepointFormat:
    """A `format` file."""

    name: str
    id: int
    fields: tuple[FieldLayout, ...]


def parse_format(text: str) -> TracepointFormat | None:
    """A `format` file's text as data; None if it is none."""
    header = _HEADER.match(text)
    if header is None:
        return None
    fields, at = [], header.end()
    while field := _FIELD.match(text, at):
        declaration, offset, size, signed = field.groups()
        fields.append(FieldLayout(declaration.strip(), int(offset), int(size), signed == "1"))
        at = field.end()
    if not text.startswith("print fmt:", at):
        return None
    return TracepointFormat(header[1], int(header[2]), tuple(fields))


def variable(layout: FieldLayout) -> Variable | tuple[str, str] | None:
    """A field as a variable, or its name and why it is none; None for `common_` fields."""
    match = _DECLARATION.match(layout.declaration)
    if match is None:
        return None
    name, ctype = match["name"], match["type"].strip()
    if name.startswith("common_"):
        return None
    if match["located"]:
        if not _TEXT.match(ctype):
            return name, f"it is a dynamic array of `{ctype}`"
        field = TracepointField(
            layout.offset, layout.size, signed=False, array=match["located"]
        )
        return Variable(name, ValueType.STRING, (field,), "char[]")
    if match["array"]:
        if not _TEXT.match(ctype):
            return name, f"it is an array of `{ctype}`"
        field = TracepointField(layout.offset, layout.size, signed=False, array="char")
        return Variable(name, ValueType.STRING, (field,), f"char{match['array']}")
    if layout.size not in NUMBERS:
        return name, f"it is a `{ctype}` of {layout.size} bytes"
    field = TracepointField(layout.offset, layout.size, layout.signed)
    return Variable(name, ValueType.LONG, (field,), ctype)


def elements(layout: FieldLayout) -> list[Variable]:
    """The elements of a short array of numbers: `args_0`, `args_1`."""
    match = _DECLARATION.match(layout.declaration)
    length = (match["array"] or "")[1:-1] if match else ""
    if match is None or match["located"] or not length.isdecimal():
        return []
    count, ctype = int(length), match["type"].strip()
    if not 0 < count <= MOST_ELEMENTS or _TEXT.match(ctype) or layout.size % count:
        return []
    size = layout.size // count
    if size not in NUMBERS:
        return []
    fields = [
        TracepointField(layout.offset + n * size, size, layout.signed) for n in range(count)
    ]
    return [
        Variable(f"{match['name']}_{n}", ValueType.LONG, (field,), ctype, alias=True)
        for n, field in enumerate(fields)
    ]


def _in_register(layout: FieldLayout) -> FieldLayout:
    """An argument of a system call with the size and the sign of its type."""
    declared = _DECLARATION.match(layout.declaration)
    ctype = _CONST.sub("", declared["type"].strip()) if declared else ""
    size, signed = _IN_REGISTER.get(ctype, (layout.size, layout.signed))
    return FieldLayout(layout.declaration, layout.offset, size, signed)


def merge_arguments(
    arguments: Sequence[Variable], fields: Sequence[Variable]
) -> tuple[Variable, ...]:
    """The arguments of a tracepoint's function, then the fields of its record.

    What has the same name and the same form is one variable, readable either way. Where the
    forms differ (`prev_state` of `sched_switch`), the argument counts, as in SystemTap, and the
    field only for a handler that reads other fields.
    """
    by_name = {field.name: field for field in fields}
    merged = []
    for argument in arguments:
        field = by_name.pop(argument.name, None)
        merged.append(_merged(argument, field) if field is not None else argument)
    return (*merged, *by_name.values())


def _merged(argument: Variable, field: Variable) -> Variable:
    match argument.operands[0], field.operands[0]:
        case RawArgument(size=size, signed=signed), TracepointField(array="") as same:
            if (size, signed) == (same.size, same.signed):
                return replace(field, raw=argument.raw)
            return replace(argument, field=same)
    return argument


def marker(subsystem: str, form: TracepointFormat, machine: str = "") -> Marker:
    """The marker of a tracepoint; `machine` (uname -m) tells the numbers of system calls."""
    layouts = form.fields
    if subsystem == syscalls.SUBSYSTEM:
        layouts = tuple(_in_register(layout) for layout in layouts)
    found = [variable(layout) for layout in layouts]
    plain = [v for v in found if isinstance(v, Variable)]
    names = {v.name for v in plain}
    parts = [v for layout in layouts for v in elements(layout) if v.name not in names]
    return Marker(
        Kind.TRACEPOINT,
        subsystem,
        form.name,
        variables=(*plain, *parts),
        unreadable=tuple(v for v in found if isinstance(v, tuple)),
        id=form.id,
        syscall=syscalls.number(subsystem, form.name, machine),
    )


def _names(folder: str, world: World, pattern: str) -> Iterator[tuple[str, str]]:
    """What there may be: a name without wildcards is given back without a look."""
    subsystem_pattern, colon, event_pattern = pattern.rpartition(":")
    for subsystem in _listed(folder, world, subsystem_pattern if colon else "*"):
        if subsystem in NOT_EVENTS or not world.exists(f"{folder}/{subsystem}/enable"):
            continue
        for event in _listed(f"{folder}/{subsystem}", world, event_pattern):
            yield subsystem, event


def _listed(folder: str, world: World, pattern: str) -> Iterable[str]:
    if not is_wild(pattern):
        return (pattern,)
    return (name for name in world.list_dir(folder) if fnmatchcase(name, pattern))


def event_names(world: World) -> list[tuple[str, str]]:
    """All (subsystem, event) names; empty where tracefs cannot be read."""
    mounted = tracefs(world)
    if mounted is None:
        return []
    try:
        found = list(_names(f"{mounted}/events", world, "*"))
    except OSError:
        return []
    return [
        (subsystem, event) for subsystem, event in found if event not in ("enable", "filter")
    ]


def find_in_types(pattern: str, types: Btf) -> list[Marker]:
    """The same from the kernel's types alone: no fields, and no subsystem but one given.

    Which events a subsystem has is not in the types: a pattern can only name one of them.
    """
    subsystem, _, event = pattern.rpartition(":")
    anywhere = subsystem in ("", "*")
    if not anywhere and (is_wild(subsystem) or is_wild(event)):
        return []
    provider = "" if anywhere else subsystem
    names = types.tracepoints()
    return [
        Marker(Kind.TRACEPOINT, provider, name) for name in names if fnmatchcase(name, event)
    ]


def find_system_calls(pattern: str, world: World, types: Btf | None) -> list[Marker]:
    """The events of system calls from our own table, for whom tracefs is closed.

    They have their fields, and no ids. Of a call that is younger than the kernel there is none:
    its types do not have the function.
    """
    subsystem, _, wanted = pattern.rpartition(":")
    if not fnmatchcase(syscalls.SUBSYSTEM, subsystem or "*"):
        return []
    prefix = SYSTEM_CALL_FUNCTIONS.get(world.machine, "")
    markers = []
    for name, arguments in sorted(syscall_arguments.calls().items()):
        # of those without arguments, all of them old, the types have not every function
        if types is not None and arguments and not types.find(BtfKind.FUNC, prefix + name):
            continue
        for event in (f"{syscalls.ENTER}{name}", f"{syscalls.EXIT}{name}"):
            if not fnmatchcase(event, wanted):
                continue
            if syscalls.number(syscalls.SUBSYSTEM, event, world.machine) is None:
                continue
            fields = syscall_arguments.fields(event) or ()
            form = TracepointFormat(event, 0, tuple(FieldLayout(*field) for field in fields))
            markers.append(marker(syscalls.SUBSYSTEM, form, world.machine))
    return markers


def find(pattern: str, world: World, sink: Sink) -> list[Marker]:
    """The tracepoints that `event` or `subsystem:event`, with wildcards, stands for.

    Where tracefs cannot be read, the sink says so in `no-tracefs`.
    """
    mounted = tracefs(world)
    if mounted is None:
        path = "/sys/kernel/tracing"
        remedy = f"run as root, or `mount -t tracefs none {path}`"
        message = f"tracefs cannot be read, which needs root; {remedy}"
        sink.report(Diagnostic("no-tracefs", message, file=FileOffset(path, 0)))
        return []
    folder = f"{mounted}/events"
    markers = []
    try:
        for subsystem, event in _names(folder, world, pattern):
            path = f"{folder}/{subsystem}/{event}/format"
            if not world.exists(path):
                continue
            form = parse_format(world.read_file(path).decode("utf-8", "replace"))
            if form is None:
                message = "its format is not understood"
                place = FileOffset(path, 0)
                sink.report(Diagnostic("tracefs-format", f"{path}: {message}", file=place))
            else:
                markers.append(marker(subsystem, form, world.machine))
    except OSError as error:
        place = FileOffset(str(error.filename or folder), 0)
        message = f"{place.path}: {error.strerror}; reading tracefs needs root"
        sink.report(Diagnostic("no-tracefs", message, file=place))
    return markers
