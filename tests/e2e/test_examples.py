"""Scripts that come with SystemTap run unmodified, read where the Debian package put them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Interrupter, Runner

EXAMPLES = Path("/usr/share/systemtap/examples")
pytestmark = pytest.mark.tools


def test_helloworld(run: Runner) -> None:
    done = run("run", EXAMPLES / "general/helloworld.stp")

    assert (done.code, done.out, done.err) == (0, "hello world\n", "")


@pytest.mark.parametrize(("name", "cells"), [("ansi_colors", 128), ("ansi_colors2", 256)])
def test_ansi_colors(run: Runner, name: str, cells: int) -> None:
    done = run("run", EXAMPLES / f"general/{name}.stp")

    assert done.code == 0, done.err
    assert len(re.findall(r"\x1b\[\d+;\d+;?\d*m", done.out)) >= cells
    assert "fg,t \\ bg |" in done.out


def test_lifegame_moves_its_glider(interrupt_after: Interrupter) -> None:
    done = interrupt_after(3, "run", EXAMPLES / "stapgames/lifegame.stp")

    assert done.code == 0, done.err
    screens = done.out.split("\x1b[1;1H\x1b[J")[1:]
    cells = [frozenset(re.findall(r"\x1b\[(\d+);(\d+)Ho", screen)) for screen in screens]
    assert len(cells[0]) == 5
    moved = frozenset((str(int(y) + 1), str(int(x) - 1)) for y, x in cells[0])
    assert cells[4] == moved
