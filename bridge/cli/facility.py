"""`markbridge facility FILE --to FORM`: a description of events in another form.

FILE is a facility file of LTT, a DTrace provider file, a `format` file of tracefs or a
`Module.markers`. What a form cannot say is an error, and nothing is written.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.cli.front import UsageError
from bridge.cli.terminal import say
from bridge.errors import TraceError
from bridge.progress import doing

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from bridge.facility.model import Facility

FORMS = {
    "xml": "bridge.facility.writers.xml",
    "json": "bridge.facility.writers.json",
    "markers": "bridge.facility.writers.markers",
    "tapset": "bridge.facility.writers.tapset",
    "c-header": "bridge.facility.writers.c_header",
    "tsdl": "bridge.describe.tsdl",
    "ctf2": "bridge.describe.ctf2",
    "lttng-ust": "bridge.facility.writers.lttng_ust",
    "barectf": "bridge.facility.writers.barectf",
}
"""Each form with the module that writes it."""
_LENIENT = ("xml", "json")
"""What a reader takes and a generator would guess at may be written in these."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("source", metavar="FILE", type=Path, help="the description")
    add("--to", required=True, choices=FORMS, help="what to write")
    add(
        "-o",
        dest="out",
        metavar="OUT",
        type=Path,
        help="where to (default: standard output); a folder gets all headers of c-header",
    )
    add("--name", metavar="NAME", help="of several facilities in the file, the one to write")
    add("--program", metavar="FILE", default="", help="whose markers a tapset means")
    add(
        "--word-size",
        type=int,
        choices=(4, 8),
        default=8,
        help="bytes of a pointer (tsdl, ctf2, barectf)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the description; 1 if it could not be read or the form not hold it."""
    from bridge.describe.read import read

    with doing(f"reading {arguments.source}"):
        facilities, notes = read(arguments.source, strict=arguments.to not in _LENIENT)
    for note in notes:
        say(f"note: {note}")
    facility = _chosen(arguments, facilities)
    out: Path | None = arguments.out
    try:
        if arguments.to == "c-header" and out is not None and out.is_dir():
            from bridge.facility.writers.c_header import files

            made = {out / name: text for name, text in files(facility).items()}
            for path, text in made.items():
                _put(path, text)
            return 0
        text = _writer(arguments)(facility)
    except TraceError as error:
        raise TraceError(f"{arguments.source}: {error}") from None
    _put(out, text)
    return 0


def _put(out: Path | None, text: str) -> None:
    from bridge.facility.checksum import text_bytes

    if out is None:
        print(text, end="")
        return
    try:
        out.write_bytes(text_bytes(text))
    except OSError as error:
        raise TraceError(f"{out}: {error.strerror}") from None


def _chosen(arguments: argparse.Namespace, facilities: list[Facility]) -> Facility:
    names = [facility.name for facility in facilities]
    if arguments.name:
        if arguments.name not in names:
            raise UsageError(f"{arguments.source} has no {arguments.name}: {', '.join(names)}")
        return facilities[names.index(arguments.name)]
    if len(facilities) != 1:
        listed = ", ".join(names) or "none"
        raise UsageError(f"{arguments.source} describes {listed}; --name says which to write")
    return facilities[0]


def _writer(arguments: argparse.Namespace) -> Callable[[Facility], str]:
    """The function that writes the form, with what the command line says about it."""
    write: Callable[..., str] = import_module(FORMS[arguments.to]).write
    match arguments.to:
        case "tapset":
            return partial(write, program=arguments.program)
        case "lttng-ust":
            return partial(write, file=f"./{arguments.out.name}" if arguments.out else "")
        case "tsdl" | "ctf2" | "barectf":
            return partial(write, word_size=arguments.word_size)
        case _:
            return write
