"""Scripts with the output of the real SystemTap: which there are, options, running one."""

from __future__ import annotations

import json
import os
import re
import shlex
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.engine.base import SessionOptions
from bridge.engine.session.native import run_native
from bridge.errors import CompileError, HostError
from bridge.pipeline import compile_script
from bridge.probes.live import LiveTargets
from bridge.script.options import AnalyseOptions
from bridge.source import SourceMap
from bridge.world import LiveWorld

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("MARKBRIDGE_REFERENCE", ROOT.parent / "shared" / "data"))
CASES = sorted(path.stem for path in (FOLDER / "stap" / "run").glob("*.stp"))
OPTIONS = {"-c", "-l", "-L", "-V", "-o", "-x", "-d"}
"""Options that say what to run, or what to do instead of running."""

NOT_CODE = re.compile(r"/\*.*?\*/|//[^\n]*|#[^\n]*|\"(\\.|[^\"\\])*\"", re.DOTALL)
POINT = re.compile(r"\bprobe\b[^{]*?\b(process|kernel|kprobe)\b\s*[.(]")

DIFFERENT = {
    "guest_c14_user_string": "memory that is not loaded yet is an error in SystemTap's kernel",
    "guest_c24_arg_cast_str": "SystemTap takes an unsigned byte in memory for signed",
}
"""Cases that differ on purpose, and why."""

TOOL = {
    "guest_m01_ctx": rb"\A\S+|(?<=\nbegin\n)\S+",
    "ts_indent": rb"\S+\(\d+\)",
}
"""Where cases print the names of the tool's own process and of its kernel module."""

UNORDERED = {
    "guest_e07_array_overflow_caught",
    "guest_f03b_stats",
    "guest_f09_stat_order",
    "guest_g03_stats",
    "guest_g14_stat_array_ties",
}
"""SystemTap walks arrays of statistics in the order of a hash that is new in every run."""


@dataclass
class Case:
    text: str
    options: dict[str, Any]
    quiet: bool = False
    extra: list[str] = field(default_factory=list)


def needs_target(name: str) -> bool:
    """Whether a case probes something or is about the command line; the others are plain."""
    known = json.loads((FOLDER / "stap" / "run" / f"{name}.json").read_text())
    script = (FOLDER / "stap" / "run" / f"{name}.stp").read_text(errors="replace")
    line = (known.get("command_line") or "").partition("ARGS:")[0]
    words = [*shlex.split(line), *(known.get("options") or [])]
    strange = any(w.startswith("--") and w != "--no-global-var-display" for w in words)
    return strange or bool(OPTIONS & {*words}) or bool(POINT.search(NOT_CODE.sub("", script)))


def read_case(name: str, known: dict[str, Any]) -> Case:
    """The script with its options, in our terms."""
    text = (FOLDER / "stap" / "run" / f"{name}.stp").read_bytes().decode("latin-1")
    line = known.get("command_line") or ""
    own, _, arguments = line.partition("ARGS:")
    words = [*shlex.split(own), *(known.get("options") or [])]
    given = [*shlex.split(arguments), *(known.get("arguments") or [])]
    case = Case(text, {"defines": {}, "globals_": {}, "arguments": tuple(given)})
    while words:
        word = words.pop(0)
        if word.startswith("-D"):
            key, _, value = (word[2:] or words.pop(0)).partition("=")
            case.options["defines"][key] = value or "1"
        elif word == "-G":
            key, _, value = words.pop(0).partition("=")
            case.options["globals_"][key] = value
        elif word == "-E":
            case.extra.append(words.pop(0))
        elif word == "-e":
            case.text = words.pop(0)
        elif word == "--no-global-var-display":
            case.options["global_display"] = False
        else:
            case.options["guru"] = word == "-g"
            case.quiet = word == "-w"
    return case


def run(name: str, case: Case, folder: Path) -> tuple[bytes, int]:
    sources = SourceMap()
    source = sources.add(f"{name}.stp", case.text)
    options = AnalyseOptions(extra=tuple(case.extra), **case.options)
    path = folder / "output"
    end = time.monotonic() + 600
    try:
        placed = compile_script(source, sources, LiveTargets(LiveWorld()), options).placed
    except CompileError:
        return b"", 1
    output = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        given = SessionOptions(output=output, messages=2, quiet=case.quiet)
        result = run_native(placed, given, lambda: time.monotonic() > end)
    except HostError:
        return path.read_bytes(), 1
    finally:
        os.close(output)
    return path.read_bytes(), result.exit_code


PLAIN = [name for name in CASES if not needs_target(name)]


def comparable(name: str, output: bytes) -> bytes | list[bytes]:
    """An output without what belongs to the tool, or to chance."""
    if name in UNORDERED:
        return sorted(output.split())
    return re.sub(TOOL[name], b"TOOL", output) if name in TOOL else output
