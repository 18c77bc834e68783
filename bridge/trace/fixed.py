"""Files of fixed-size records whose layout the user writes down in TOML -> events.

For tracers whose format is not known here, such as LKST. The layout is a construct expression
over the names of construct (`Struct("time" / Int64ul, "cpu" / Int8ul, …)`), which runs with no
builtins. The rule: the file says everything; nothing about the tracer is guessed.

    name = "lkst"
    record = 'Struct("time" / Int64ul, "cpu" / Int8ul, "type" / Int16ul, "arg" / Int64ul[4])'
    header_bytes = 64        # skipped at the start of each file
    time = "time"            # field with the clock, and its ticks a second
    frequency = 1000000000
    cpu = "cpu"              # optional
    event = "type"           # optional: field that says which event it is
    [names]                  # optional: names of the values of that field
    1 = "process.switch"
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bridge.diagnostics import Diagnostic, FileOffset, Severity
from bridge.errors import TraceError
from bridge.handles import Closing, Opened
from bridge.trace import model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

NANOSECONDS = 1_000_000_000
_KEYS = {"name", "record", "header_bytes", "time", "frequency", "cpu", "event", "names"}


@dataclass(frozen=True, slots=True)
class RowLayout:
    """A layout file."""

    name: str
    record: Any
    time: str
    frequency: int = NANOSECONDS
    header_bytes: int = 0
    cpu: str = ""
    event: str = ""
    names: Mapping[int, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of a record."""
        return int(self.record.sizeof())


def _compile(expression: str, where: str) -> Any:  # noqa: ANN401 - construct is untyped
    import construct

    names = {n: getattr(construct, n) for n in construct.__all__ if not n.startswith("_")}
    try:
        # The layout is the user's own file, and the expression sees construct and nothing else.
        layout = eval(expression, {"__builtins__": {}}, names)  # noqa: S307 - see above
        if not isinstance(layout, construct.Struct):
            raise TraceError(f"{where}: record is no Struct")
        layout.sizeof()
    except (SyntaxError, NameError, TypeError, construct.ConstructError) as error:
        raise TraceError(f"{where}: record is no layout of fixed size: {error}") from None
    return layout


def load_layout(path: Path) -> RowLayout:
    """Read a layout file."""
    try:
        data = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TraceError(f"{path}: {error}") from None
    unknown = data.keys() - _KEYS
    if unknown:
        raise TraceError(f"{path}: no such setting: {', '.join(sorted(unknown))}")
    for key in ("name", "record", "time"):
        if not isinstance(data.get(key), str):
            raise TraceError(f"{path}: {key} is missing")
    record = _compile(data["record"], str(path))
    fields = {sub.name for sub in record.subcons}
    for key in ("time", "cpu", "event"):
        if data.get(key, "") and data[key] not in fields:
            raise TraceError(f"{path}: the record has no field {data[key]}")
    frequency = data.get("frequency", NANOSECONDS)
    if not isinstance(frequency, int) or frequency <= 0:
        raise TraceError(f"{path}: frequency is no positive number")
    try:
        names = {int(number): str(name) for number, name in data.get("names", {}).items()}
    except ValueError as error:
        raise TraceError(f"{path}: names: {error}") from None
    return RowLayout(
        data["name"],
        record,
        data["time"],
        frequency,
        int(data.get("header_bytes", 0)),
        data.get("cpu", ""),
        data.get("event", ""),
        names,
    )


def _type(sub: Any) -> model.FieldType:  # noqa: ANN401 - construct is untyped
    import construct

    inner = getattr(sub, "subcon", None)
    if isinstance(sub, construct.Array):
        return model.FixedArray(_type(inner), int(sub.count))
    if isinstance(sub, construct.FormatField):
        code = sub.fmtstr[-1]
        big = sub.fmtstr[0] in ">!"
        if code in "fd":
            return model.Float(8 * sub.length, big_endian=big)
        return model.Integer(8 * sub.length, signed=code.islower(), big_endian=big)
    if isinstance(sub, construct.Struct):
        members = ((s.name, _type(s)) for s in sub.subcons if s.name)
        return model.Struct(tuple(model.Field(name, kind) for name, kind in members))
    if isinstance(sub, construct.Renamed) and inner is not None:
        return _type(inner)
    return model.Text()


def _value(content: Any) -> model.Value:  # noqa: ANN401 - construct is untyped
    if isinstance(content, dict):
        return {k: _value(v) for k, v in content.items() if not str(k).startswith("_")}
    if isinstance(content, list):
        return [_value(v) for v in content]
    if isinstance(content, bytes):
        return content.rstrip(b"\0").decode("utf8", "surrogateescape")
    return content if isinstance(content, (int, float, str)) else str(content)


class FixedReader(Closing):
    """Files of fixed records, read in the order of their names."""

    def __init__(self, layout: RowLayout, paths: list[Path]) -> None:
        self._layout = layout
        self._paths = paths
        self._payload = _type(layout.record)
        self._classes: dict[int, model.EventClass] = {}
        self._reported: set[Path] = set()
        self._opened = Opened(f"the {layout.name} trace")
        self.format = f"fixed-{layout.name}"
        self.diagnostics: list[Diagnostic] = []
        self.attributes: Mapping[str, str] = {"frequency": str(layout.frequency)}
        for number in layout.names if layout.event else (0,):
            self._class(number)

    @property
    def event_classes(self) -> Mapping[str, model.EventClass]:
        """Classes by full name, as far as they are known now."""
        return {c.name: c for c in self._classes.values()}

    def _class(self, number: int) -> model.EventClass:
        if number not in self._classes:
            layout = self._layout
            kind = f"event_{number}" if layout.event else "record"
            name = layout.names.get(number, f"{layout.name}.{kind}")
            payload = self._payload
            if not isinstance(payload, model.Struct):
                raise TraceError(f"{layout.name}: record is no Struct")
            self._classes[number] = model.EventClass(name, number, payload)
        return self._classes[number]

    def _events(self, path: Path) -> Iterator[model.Event]:
        layout, size = self._layout, self._layout.size
        with path.open("rb") as file:
            file.seek(layout.header_bytes)
            while data := file.read(size):
                if len(data) < size:
                    self._report(path, file.tell() - len(data))
                    return
                fields = _value(layout.record.parse(data))
                if isinstance(fields, dict):
                    yield self._event(path, fields)

    def _event(self, path: Path, fields: dict[str, model.Value]) -> model.Event:
        layout = self._layout

        def number(name: str, default: int) -> int:
            value = fields.get(name, default)
            return value if isinstance(value, int) else default

        tsc = number(layout.time, 0)
        cpu = number(layout.cpu, -1) if layout.cpu else -1
        return model.Event(
            self._class(number(layout.event, 0) if layout.event else 0),
            tsc * NANOSECONDS // layout.frequency,
            tsc,
            cpu,
            path.name,
            fields,
        )

    def _report(self, path: Path, at: int) -> None:
        if path in self._reported:
            return
        self._reported.add(path)
        self.diagnostics.append(
            Diagnostic(
                "fixed-truncated",
                f"the file does not end with a whole record of {self._layout.size} bytes",
                severity=Severity.WARNING,
                phase="trace",
                file=FileOffset(str(path), at),
            )
        )

    def __iter__(self) -> Iterator[model.Event]:
        import heapq

        streams = [self._events(path) for path in self._paths]
        return self._opened.guard(heapq.merge(*streams, key=lambda event: event.timestamp_ns))

    def statistics(self) -> dict[str, model.StreamStatistics]:
        """Totals per file, by a full pass."""
        from bridge.trace.select import tally

        counted = tally(self)
        names = (path.name for path in self._paths)
        return {name: counted.get(name, model.StreamStatistics()) for name in names}

    def close(self) -> None:
        """Give nothing more. Files are open only while they are read."""
        self._opened.close()


def open_fixed(layout: Path, *paths: Path) -> FixedReader:
    """Open files (or all files of folders) by a layout file."""
    found: list[Path] = []
    for path in paths:
        found += sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    return FixedReader(load_layout(layout), found)
