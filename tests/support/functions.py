"""Run scripts that need no target in both engines: native code, reference interpreter."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from bridge.engine.base import SessionOptions
from bridge.engine.session.native import run_native
from bridge.interpreter.interpret import Interpreter
from bridge.pipeline import compile_script
from bridge.probes.live import LiveTargets
from bridge.script.builtins import CONTEXTS
from bridge.script.options import AnalyseOptions
from bridge.source import SourceMap
from bridge.world import LiveWorld

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.pipeline import Compiled

ENGINES = ("native", "interpreter")


class Printed(NamedTuple):
    """What a run printed, and its messages."""

    output: bytes
    messages: tuple[str, ...]
    code: int


def compiled(text: str, **options: object) -> Compiled:
    """Compile for this machine."""
    sources = SourceMap()
    analyse = AnalyseOptions(**options)  # type: ignore[arg-type]  # by name
    source = sources.add("a.stp", text)
    return compile_script(source, sources, LiveTargets(LiveWorld()), analyse)


def run(engine: str, text: str, folder: Path, **options: object) -> Printed:
    """Run a script to its end."""
    placed = compiled(text, **options).placed
    if engine == "interpreter":
        outcome = Interpreter(placed.program, CONTEXTS).run_session()
        return Printed(outcome.output, tuple(outcome.messages), outcome.exit_code)
    end = time.monotonic() + 600
    flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC
    files = [os.open(folder / name, flags) for name in ("output", "messages")]
    try:
        given = SessionOptions(output=files[0], messages=files[1])
        code = run_native(placed, given, lambda: time.monotonic() > end).exit_code
    finally:
        for file in files:
            os.close(file)
    messages = (folder / "messages").read_text(errors="surrogateescape").splitlines()
    return Printed((folder / "output").read_bytes(), tuple(messages), code)
