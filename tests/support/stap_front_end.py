"""The front ends of stap and of this project, asked the same: a script -> a verdict of each.

stap wants the build folder of a kernel, which is made here of a few files. Its library is
parsed anew in every run; where a script is only parsed, nothing but the library's macros can
matter, so a library folder with those alone is shown to it (20 times as fast).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

from bridge.diagnostics import Diagnostic, Sink, render
from bridge.probes.live import LiveTargets
from bridge.script.analysis.analyse import analyse
from bridge.script.analysis.assumed import AssumedTargets
from bridge.script.library import Library
from bridge.script.options import AnalyseOptions
from bridge.script.printing.print_typed import typed_text
from bridge.script.syntax import ast
from bridge.script.syntax.parse import parse
from bridge.source import Source, SourceMap
from bridge.world import LiveWorld

LIBRARY = Path("/usr/share/systemtap/tapset")
EXAMPLES = Path("/usr/share/systemtap/examples")
RELEASE = "6.1.0-1-amd64"
OPTIONS = AnalyseOptions(
    include=(LIBRARY,),
    conditions={"arch": "x86_64", "kernel_v": "6.1.0", "kernel_vr": RELEASE},
    compatible="4.8",
)
"""What the stap of these tests is told, and what it is."""

_ERROR = re.compile(
    r"^(?:parse|semantic) error: (?P<message>.*)\n"
    r"(?P<rest>(?:(?!^(?:parse|semantic) error: |^\d+ parse error|^WARNING|^Pass ).*\n)*)",
    re.MULTILINE,
)
_PLACE = re.compile(r"^ +(?:saw|at): (.*) at .*?:(\d+):(\d+)$", re.MULTILINE)
_SHOWN = re.compile(r"^     source: (.*)\n {13}([ \t\v\f\r]*)\^$", re.MULTILINE)
_RENDERED = re.compile(r"^ *\d+ \| (.*)\n *\| ([ \t\v\f\r]*)\^+$", re.MULTILINE)
_FILE = re.compile(r"^Input file '.*' (is empty.*)$", re.MULTILINE)


class Crashed(Exception):
    """stap itself did not survive a script."""


Place = tuple[int, int] | None


@dataclass(frozen=True)
class Said:
    """One error: its first line, and its line and column (None: the end, or no place)."""

    message: str
    place: Place


@dataclass(frozen=True)
class Verdict:
    """Whether a script is accepted, and the errors in order."""

    accepted: bool
    errors: tuple[Said, ...] = field(default=())


Excerpt = tuple[str, str]
"""A line of a script, and the white space before the caret under it."""


@dataclass(frozen=True)
class Stap:
    """The real one, with its kernel and its library."""

    kernel: Path
    tapset: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One run; -v, because it hides repeated errors otherwise."""
        ran = subprocess.run(
            ["stap", "-v", "-r", str(self.kernel), *words],
            capture_output=True,
            env={**os.environ, "SYSTEMTAP_TAPSET": str(self.tapset)},
            check=False,
        )
        # decoded here, or carriage returns would become line feeds
        said = ran.stdout.decode("latin-1"), ran.stderr.decode("latin-1")
        return subprocess.CompletedProcess(ran.args, ran.returncode, *said)

    def parse(self, path: Path, *arguments: str, guru: bool = True) -> Verdict:
        """The verdict of `-p1`."""
        return self.parse_and_show(path, *arguments, guru=guru)[0]

    def parse_and_show(
        self, path: Path, *arguments: str, guru: bool = True
    ) -> tuple[Verdict, list[Excerpt]]:
        """The verdict of `-p1`, and the lines that it shows."""
        ran = self.run(*(["-g"] if guru else []), "-p1", str(path), *arguments)
        if ran.returncode < 0 or "\nbad lexical cast\n" in ran.stderr:
            raise Crashed(ran.args)
        verdict = Verdict(ran.returncode == 0, tuple(_parse_errors(ran.stderr)))
        return verdict, _SHOWN.findall(ran.stderr)


def _parse_errors(text: str) -> list[Said]:
    found = []
    for error in _ERROR.finditer(text):
        place = _PLACE.search(error["rest"])
        message = error["message"] + (f": {place[1]}" if place else "")
        found.append(Said(message, (int(place[2]), int(place[3])) if place else None))
    return found + [Said(empty[1], None) for empty in _FILE.finditer(text)]


def make_kernel(folder: Path, configuration: str = "") -> Path:
    """What stap takes for a kernel's build folder."""
    for name in ("include/config/kernel.release", "include/generated/utsrelease.h"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / "include/config/kernel.release").write_text(f"{RELEASE}\n")
    (folder / "include/generated/utsrelease.h").write_text(f'#define UTS_RELEASE "{RELEASE}"\n')
    (folder / ".config").write_text(configuration)
    for name in ("Makefile", "Module.symvers"):
        (folder / name).touch()
    return folder


def macros_only(folder: Path) -> Path:
    """A copy of stap's library without all that is no macro."""
    for path in LIBRARY.rglob("*.stpm"):
        copy = folder / path.relative_to(LIBRARY)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return folder


def library_without(pattern: str, folder: Path, *, stable: bool = True) -> Path:
    """A copy of stap's library without files of some names; unless `stable`, not marked so."""
    for path in LIBRARY.rglob("*.stp*"):
        if re.match(pattern, path.name):
            continue
        copy = folder / path.relative_to(LIBRARY)
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_bytes()
        copy.write_bytes(text if stable else text.replace(b"/* stable */", b""))
    return folder


@dataclass(frozen=True)
class Parsed:
    """Our verdict, and the tree."""

    verdict: Verdict
    script: ast.Script | None
    name: str
    shown: list[Excerpt]
    """The lines that the messages show, but for those at the end of the text."""


def parse_here(
    data: bytes,
    *arguments: str,
    guru: bool = True,
    options: AnalyseOptions = OPTIONS,
    tokens: bool = True,
) -> Parsed:
    """What our parser says about a text; with `tokens`, what it was said against."""
    sources, sink = SourceMap(), Sink()
    options = replace(options, guru=guru, arguments=arguments)
    source = sources.add("script.stp", data)
    script = parse(
        source, sources, sink, options, macros=Library(sources, sink, options).macros
    )
    said = (one for error in sink.errors for one in (error, *error.chain))
    errors = tuple(_said(error, source, sources, token=tokens) for error in said)
    # at the end of the text SystemTap shows nothing
    placed = [error for error in sink.errors if _said(error, source, sources).place]
    shown = _RENDERED.findall("".join(f"{render(error, sources)}\n" for error in placed))
    return Parsed(Verdict(script is not None, errors), script, source.name, shown)


def _said(
    error: Diagnostic, source: Source, sources: SourceMap, *, token: bool = False
) -> Said:
    place = sources.place(error.span)
    at_end = error.span.start >= source.base + len(source.text.partition("\0")[0])
    message = error.message.partition("\n")[0].removeprefix(f"Input file '{source.name}' ")
    if place is None or (place.name == source.name and at_end):
        return Said(message, None)
    if token and error.token:
        message += f": {error.token}"
    return Said(message, (place.line, place.column))


def analyse_here(data: bytes, options: AnalyseOptions) -> Verdict:
    """What our front end says about a script, with the kernel's types taken for there."""
    sources, sink = SourceMap(), Sink()
    targets = AssumedTargets(LiveTargets(LiveWorld()))
    source = sources.add("script.stp", data)
    typed = analyse(source, sources, targets, sink, options)
    errors = (_said(error, source, sources, token=True) for error in sink.errors)
    return Verdict(typed is not None, tuple(errors))


def listed_here(path: Path, options: AnalyseOptions, *, verbose: bool = False) -> str | None:
    """What our `-p2` prints about a script; None if it is refused."""
    sources, sink = SourceMap(), Sink()
    targets = AssumedTargets(LiveTargets(LiveWorld()))
    typed = analyse(sources.add(str(path), path.read_bytes()), sources, targets, sink, options)
    return None if typed is None else typed_text(typed, verbose=verbose)


def analyse_said(
    text: str, options: AnalyseOptions
) -> list[tuple[str, tuple[int, int] | None]]:
    """All our errors with what they go back to, in order, each with the token that it names."""
    sources, sink = SourceMap(), Sink()
    targets = AssumedTargets(LiveTargets(LiveWorld()))
    analyse(sources.add("script.stp", text.encode()), sources, targets, sink, options)
    said: list[tuple[str, tuple[int, int] | None]] = []

    def add(error: Diagnostic) -> None:
        place = sources.place(error.span)
        message = f"{error.message}: {error.token}" if error.token else error.message
        said.append((message, (place.line, place.column) if place else None))
        for further in error.chain:
            add(further)

    for error in sink.errors:
        add(error)
    return said
