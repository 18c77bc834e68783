"""The walks of docs/architecture.md: each list of files is what runs, in that order."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bridge
from bridge.cli.front import dispatch
from bridge.codegen.bpf.generate import generate
from bridge.pipeline import compile_script
from bridge.probes.live import LiveTargets
from bridge.source import SourceMap
from bridge.world import LiveWorld

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

ROOT = Path(__file__).resolve().parents[2]
WALKS = (ROOT / "docs" / "architecture.md").read_text().partition("## 9. Three walks")[2]
FILE = re.compile(r"`(bridge/[\w/]+\.py)`")


def _walk(title: str) -> list[str]:
    """The files of a walk in the document, in order."""
    text = WALKS.partition(f"**{title}**")[2].partition("\n\n")[0]
    files = FILE.findall(text)
    assert files, title
    return files


def _files_called(run: Callable[[], object]) -> list[str]:
    """The files of which functions were called, in the order of the first call."""
    files: dict[str, None] = {}

    def on_call(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_flags & inspect.CO_OPTIMIZED:  # no module, no class
            files.setdefault(code.co_filename)

    threading.setprofile(on_call)
    sys.setprofile(on_call)
    try:
        run()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return [str(Path(f).relative_to(ROOT)) for f in files if f.startswith(f"{ROOT}/bridge/")]


def _in_order(walk: list[str], called: list[str]) -> None:
    assert [file for file in walk if file not in called] == []
    assert [file for file in called if file in set(walk)] == walk


def test_a_script_becomes_bpf() -> None:
    sources = SourceMap()
    main = sources.add("a.stp", "global n probe perf.type(1).config(0) { n[pid()]++ }")

    def run() -> None:
        compiled = compile_script(main, sources, LiveTargets(LiveWorld()))
        assert generate(compiled.placed, 1 << 16).programs

    _in_order(_walk("A .stp text to BPF"), _files_called(run))


@pytest.mark.bpf
def test_a_note_becomes_an_attached_site(tmp_path: Path) -> None:
    program = tmp_path / "shop"
    command = ["gcc", "-I", str(ROOT / "csrc" / "include"), "-o", str(program)]
    subprocess.run([*command, str(ROOT / "examples" / "shop.c")], check=True)
    script = bridge.compile(f'probe process("{program}").mark("order") {{ println("hit") }}')

    def run() -> None:
        with script.attach(command=[str(program)]) as session:
            assert "hit" in {line.text for line in session}

    _in_order(_walk("A USDT note to an attached site"), _files_called(run))


def test_a_sub_buffer_becomes_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (
        bridge.open_trace(ROOT / "examples" / "orders.trace") as trace,
        bridge.LttWriter(tmp_path / "ltt", version="2.6") as writer,
    ):
        writer.write(trace)

    called = _files_called(lambda: dispatch(["read", str(tmp_path / "ltt")]))

    assert "order" in capsys.readouterr().out
    _in_order(_walk("An LTT sub-buffer to a line"), called)
