"""Scripts run natively: text in, what it printed out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.engine.base import RunResult, SessionOptions
from bridge.engine.session.native import run_native
from bridge.pipeline import compile_script
from bridge.probes.live import LiveTargets
from bridge.script.options import AnalyseOptions
from bridge.source import SourceMap
from bridge.world import LiveWorld


@dataclass
class Ran:
    output: str
    messages: str
    result: RunResult


class Native:
    """Runs scripts that need no markers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, text: str, defines: dict[str, str] | None = None, **options: Any) -> Ran:
        sources = SourceMap()
        source = sources.add("t.stp", text.encode())
        binder = LiveTargets(LiveWorld())
        compiled = compile_script(
            source, sources, binder, AnalyseOptions(defines=defines or {})
        )
        paths = [self._folder / name for name in ("output", "messages")]
        files = [os.open(p, os.O_CREAT | os.O_TRUNC | os.O_WRONLY) for p in paths]
        try:
            given = SessionOptions(output=files[0], messages=files[1], **options)
            result = run_native(compiled.placed, given)
        finally:
            for file in files:
                os.close(file)
        return Ran(*(p.read_bytes().decode("latin-1") for p in paths), result)


@pytest.fixture
def native(tmp_path: Path) -> Native:
    return Native(tmp_path)
