"""The example of the README: the recording that comes with it, and the whole demonstration."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Runner

ROOT = Path(__file__).resolve().parent.parent.parent
ARTICLES = ("tea", "coffee", "bread", "honey", "cheese")


def _orders(count: int) -> list[tuple[int, str, int]]:
    """What examples/shop.c orders: number, article, cents."""
    state, orders = 2006, []

    def draw() -> int:
        nonlocal state
        state = (state * 1103515245 + 12345) & 0xFFFFFFFF
        return state >> 16

    for number in range(1, count + 1):
        article = ARTICLES[draw() % 5]
        orders.append((number, article, 50 + draw() % 1000))
    return orders


def test_the_recording_that_comes_with_it(run: Runner) -> None:
    orders = _orders(1000)

    done = run("run", ROOT / "examples/orders.stp", "--replay", ROOT / "examples/orders.trace")

    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[:5] == [
        f"order {n}: {article:6} {cents:4}" for n, article, cents in orders[:5]
    ]
    sold = Counter(article for _, article, _ in orders).most_common(3)
    assert lines[6:9] == [f"{article:6} {count:5}" for article, count in sold]
    refused = sum(cents > 900 for _, _, cents in orders)
    mean = sum(cents for _, _, cents in orders) // len(orders)
    assert lines[9] == f"refused {refused}, mean price {mean}"


def _demonstrated(folder: Path, path: str) -> str:
    """What the demonstration shows, of a checkout; it leaves no files."""
    temporary = folder / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        ["sh", "examples/demo.sh"],
        cwd=folder,
        env={**os.environ, "PATH": path, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert not [*temporary.iterdir()]
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the demonstration uses."""
    for part in ("examples", "csrc/include"):
        shutil.copytree(ROOT / part, tmp_path / part)
    return tmp_path


@pytest.mark.bpf
def test_the_whole_demonstration(checkout: Path) -> None:
    shown = _demonstrated(checkout, f"{Path(sys.executable).parent}:{os.environ['PATH']}")

    assert shown.endswith("The replay printed the same as the live run.\n")


def test_an_ordinary_user_keeps_the_recording(checkout: Path, tmp_path: Path) -> None:
    """Without root the recording that comes with it is replayed, as often as one likes."""
    commands = tmp_path / "commands"
    commands.mkdir()
    (commands / "id").write_text("#!/bin/sh\necho 1000\n")
    (commands / "id").chmod(0o755)
    recording = checkout / "examples" / "orders.trace"
    before = {file.name: file.read_bytes() for file in recording.iterdir()}

    path = f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    shown = _demonstrated(checkout, path)

    assert "mean price" in shown
    assert {file.name: file.read_bytes() for file in recording.iterdir()} == before
