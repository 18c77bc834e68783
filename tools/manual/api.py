"""The manual of the library, made from its docstrings: `docs/api.md`.

Write it with `python -m tools.manual.api > docs/api.md`. Three pages by what one wants to do
come first (`_PAGES`, whose examples a test checks with mypy), then every public name. One rule:
a public name without a docstring, or outside the sections, is an error.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
import sys
from types import FunctionType, GenericAlias, ModuleType, UnionType
from typing import TYPE_CHECKING

import bridge
from bridge.marker_lookup import markers

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTRODUCTION = """\
# The library

`import bridge` costs nothing; each name is loaded when it is first used. What stands here is
stable: members are added, none goes without a new version. Everything else is private. All
errors are `bridge.BridgeError`s.

Generated from the docstrings by `python -m tools.manual.api`.
"""

_PAGES = {
    "I write a tracer": (
        """\
What a script would attach to, without running it: files, offsets, registers, types. Attach it
yourself (`examples/another_tracer.py` does so with ftrace, in a page), or let us run it and
take the hits. `markbridge explain --format=json` gives other languages the same data,
`markbridge export --to` whole definitions for ftrace, perf, gdb, lttng, bpftrace, SystemTap.
""",
        '''\
import bridge

program = bridge.compile('probe process("examples/shop").mark("*") { println($arg1) }')
for attachment in program.attachments():
    for number, place in enumerate(attachment.places):
        print(place.path, hex(place.offset), place.build_id, hex(place.ref_ctr_offset))
        for argument in attachment.arguments:
            operand = argument.operand(number)
            if isinstance(operand, bridge.Register):
                print(argument.name, "in", operand.name, operand.size, operand.signed)

with program.attach(command=["examples/shop", "10"], events=True) as session:
    for hit in session.events():
        print(hit.name, hit.timestamp_ns, hit.cpu, hit.pid, hit.comm, hit.arguments)
    print("lost:", session.lost.kernel, session.lost.unread)


def large(hit: bridge.Hit) -> None:
    """Called by `run` with each hit."""
    print(hit.arguments["arg1"])


with program.attach(command=["examples/shop", "10"], events=True) as session:
    session.on("shop:order", large)
    session.run()
''',
    ),
    "I analyse traces": (
        """\
Traces of LTT, LTTng and LKET are read as events in order of time, or as columns of numpy;
scripts run over them; other versions are written.
""",
        """\
import bridge

with bridge.open_trace("trace/") as trace:
    for event in trace:
        print(event.timestamp_ns, event.event_class.name, event.cpu, event.fields)
    for name, table in bridge.columns(trace).items():
        print(name, len(table), table.timestamp_ns.min(), sorted(table.fields))

counting = bridge.compile('global n probe kernel.trace("sched_switch") { n[$next_pid]++ }')
print(counting.replay("trace/").text)

with bridge.open_trace("trace/") as trace, bridge.LttWriter("out/", version="2.6") as writer:
    writer.write(trace)
with bridge.open_trace("trace/") as trace, bridge.CtfWriter("ctf/") as ctf:
    ctf.write(trace)
""",
    ),
    "I have scripts": (
        """\
Scripts of SystemTap run from Python: what they print comes line by line, their globals are
values, and what is wrong with them is data. `markbridge import bpftrace FILE.bt` makes a
script of a program of bpftrace. In a notebook, `%load_ext bridge.jupyter` gives `%%stp`,
and `bridge.show` draws what a session has found.
""",
        """\
import bridge

options = bridge.AnalyseOptions(arguments=("5",))
try:
    program = bridge.compile("global n, t probe timer.ms($1) { n++; t <<< n }", options)
except bridge.CompileError as error:
    for diagnostic in error.diagnostics:
        print(diagnostic.code, diagnostic.message, diagnostic.hint)
    raise
with program.attach(seconds=1) as session:
    for line in session:
        print(line.text, line.bytes)
found = session.globals["t"]
if isinstance(found, bridge.Statistic):
    print(found.count, found.avg)
result = session.result
if result is not None:
    print(result.exit_code, result.lost, session.messages)

for marker in bridge.markers(pattern='process("examples/shop").mark("*")'):
    print(marker.provider, marker.name, [variable.name for variable in marker.arguments])
""",
    ),
}

_SECTIONS = {
    "Scripts": (
        "compile",
        "Program",
        "load_program",
        "StoredProgram",
        "AnalyseOptions",
        "Replayed",
        "RunResult",
    ),
    "A running script": (
        "Session",
        "Line",
        "Hit",
        "Argument",
        "Batch",
        "Lost",
        "GlobalValue",
        "Statistic",
        "Bucket",
        "show",
        "Figure",
    ),
    "Attachments": (
        *("Attachment", "Place", "AttachedArgument", "AttachedHandler", "AttachedGlobal"),
        "Read",
    ),
    "Markers": (
        *(
            "markers",
            "markers_of",
            "marker",
            "PythonMarker",
            "Marker",
            "Kind",
            "Site",
            "Semaphore",
            "Variable",
            "Operand",
        ),
        *("ValueType", "Register", "Memory", "Constant", "RawArgument", "SavedRegister"),
        *("RecordedField", "LoadBias", "KernelPlace", "Sampling", "TracepointField"),
    ),
    "Traces": (
        *("open_trace", "Reader", "Event", "EventClass", "columns", "Columns"),
        *("Selection", "StreamStatistics", "Writer", "CtfWriter", "EventWriter", "Spec"),
        *("Kept", "Clock", "LttWriter", "Value", "FieldType"),
        *("Struct", "Field", "Integer", "Float", "Text", "Enumeration", "FixedArray"),
        *("Sequence", "Variant", "Ranges", "Optional"),
    ),
    "What is wrong": (
        *("BridgeError", "CompileError", "HostError", "ProgramError", "TraceError"),
        *(
            "Diagnostic",
            "Severity",
            "FileOffset",
            "SourceMap",
            "Source",
            "Span",
            "SourceLocation",
            "render",
        ),
    ),
}


_MADE_BY_US = frozenset(
    {"EventWriter", "Program", "StoredProgram", "Session", "Source", "SourceMap"}
)
"""Classes that nobody makes but the library."""


def examples() -> dict[str, str]:
    """The example of each page by its title."""
    return {title: example for title, (_, example) in _PAGES.items()}


def api_manual() -> str:
    """The text of docs/api.md."""
    parts = [_INTRODUCTION]
    for title, (text, example) in _PAGES.items():
        parts += [f"## {title}\n", text, f"```python\n{example}```\n"]
    missing = set(bridge.__all__) - {name for names in _SECTIONS.values() for name in names}
    if missing:
        raise LookupError(f"in no section: {' '.join(sorted(missing))}")
    for title, names in _SECTIONS.items():
        parts += [f"## {title}\n", *(_entry(name) for name in names)]
    return "\n".join(parts)


def _entry(name: str) -> str:
    thing = getattr(bridge, name)
    if isinstance(thing, ModuleType):
        thing = markers
    if isinstance(thing, GenericAlias | UnionType):
        return f"### `{name}`\n\n{_alias(name)}\n"
    lines = [f"### `{_head(name, thing)}`\n", _doc(name, thing), ""]
    if inspect.isclass(thing) and not issubclass(thing, enum.Enum | BaseException):
        for member, value in _members(thing):
            lines += [f"* `{_head(member, value)}`: {_line(_doc(f'{name}.{member}', value))}"]
        lines.append("")
    return "\n".join(lines)


def _alias(name: str) -> str:
    """What stands behind the definition of a type's other name."""
    pattern = re.compile(rf'^{name} = (?:(?!"""|\n\n).)*"""(.*?)"""', re.MULTILINE | re.DOTALL)
    for home, module in sorted(sys.modules.items()):
        if home.startswith("bridge.") and vars(module).get(name) is getattr(bridge, name):
            found = pattern.search(inspect.getsource(module))
            if found is not None:
                return found[1].strip()
    raise LookupError(f"{name} has no docstring")


def _members(thing: type) -> Iterator[tuple[str, object]]:
    for name, value in vars(thing).items():
        if name.startswith("_"):
            continue
        if isinstance(value, property):
            yield name, value
        elif isinstance(value, FunctionType | classmethod):
            yield name, getattr(thing, name)


def _head(name: str, thing: object) -> str:
    """The name with its signature, where it has one."""
    if isinstance(thing, property):
        result = str(inspect.signature(thing.fget).return_annotation) if thing.fget else ""
        return f"{name}: {result}"
    if inspect.isclass(thing):
        made_by_us = name in _MADE_BY_US or getattr(thing, "_is_protocol", False)
        if made_by_us or issubclass(thing, enum.Enum | BaseException):
            return name
        fields = getattr(thing, "__dataclass_fields__", None)
        if fields is not None:
            return f"{name}({', '.join(map(_field, fields.values()))})"
        if hasattr(thing, "_fields"):
            shown = (f"{f}: {_name_of(kind)}" for f, kind in thing.__annotations__.items())
            return f"{name}({', '.join(shown)})"
    signature = str(inspect.signature(thing)) if callable(thing) else ""
    signature = re.sub(r"= Selection\([^)]*\)", "= EVERYTHING", signature)
    signature = (
        signature.replace("= ''", '= ""')
        .replace("'", "")
        .replace("(self, ", "(")
        .replace("(self)", "()")
    )
    return f"{name}{signature}"


def _field(field: dataclasses.Field[object]) -> str:
    """A field of a dataclass, with what it is if it is not given."""
    text = f"{field.name}: {field.type}"
    if field.default is not dataclasses.MISSING:
        return f"{text} = {field.default!r}".replace("'", '"')
    return text if field.default_factory is dataclasses.MISSING else f"{text} = {{}}"


def _name_of(kind: object) -> str:
    return getattr(kind, "__forward_arg__", str(kind))


def _doc(name: str, thing: object) -> str:
    text = inspect.getdoc(thing)
    if not text:
        raise LookupError(f"{name} has no docstring")
    return text


def _line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    sys.stdout.write(api_manual())
