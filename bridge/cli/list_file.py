"""`markbridge list FILE`: the markers in an ELF file, or in a `Module.markers`, of any age.

USDT markers are probe points; markers of old kernels are those that a recorded trace of them
has; tracepoints of LTTng-UST are reached by the function that runs while lttng records them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bridge.cli.terminal import say
from bridge.progress import doing
from bridge.source import machine_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.probes.elf_markers import OldMarker

MAGIC = b"\x7fELF"
MODULE_MARKERS = ("Module.markers", "modules.markers")


def is_file_of_markers(name: str) -> bool:
    """Whether a word of the command line is a file to look into, and no probe point."""
    path = Path(name)
    if path.name in MODULE_MARKERS:
        return path.is_file()
    try:
        with path.open("rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):
        return False


def look_into(name: str) -> tuple[list[str], str]:
    """A line for each marker that is no USDT marker, and the point of those that are.

    The point is "" where there are only others.
    """
    path = Path(name)
    if path.name in MODULE_MARKERS:
        return list(_of_list(path)), ""
    from bridge.probes.elf_markers import read_markers

    with doing(f"looking into {name}"), path.open("rb") as stream:
        found = read_markers(stream, name)
    for note in found.notes:
        say(f"warning: {name}: {note}")
    lines = [_line(name, one) for one in found.markers]
    if lines and not found.has_usdt:
        return lines, ""
    return lines, f'process({_quoted(str(path.resolve()))}).mark("*")'


def _quoted(text: str) -> str:
    escaped = machine_text(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _line(path: str, one: OldMarker) -> str:
    name = f"{one.channel}.{one.name}" if one.channel else one.name
    if "UST" not in one.kind:
        shown = f".format({_quoted(one.format)})" if one.format else ""
        return f"kernel.mark({_quoted(name)}){shown}  # {one.kind}"
    what = f"{one.channel}:{one.name}({one.format})"
    if one.function:
        point = f"process({_quoted(path)}).function({_quoted(one.function)})"
        return f"{point}  # {what}, {one.kind}, while lttng records it"
    return f"# {what}, {one.kind}; its probe is in another file"


def _of_list(path: Path) -> Iterator[str]:
    from bridge.describe.marker_formats import facilities
    from bridge.facility.writers import markers

    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    found, notes = facilities(text, str(path))
    for note in notes:
        say(f"warning: {note}")
    channels = bool(notes)
    for facility in found:
        for row in markers.write(facility).splitlines():
            event, module, format_ = row.split("\t", 2)
            if channels:
                yield f"kernel.mark({_quoted(f'{module}.{event}')})  # LTTng patches"
            else:
                yield f"kernel.mark({_quoted(event)}).format({_quoted(format_)})  # {module}"
