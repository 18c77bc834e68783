"""docs/api.md is that of the docstrings, and its examples pass strict type checking."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import FunctionType

import bridge
from tools.manual.api import api_manual, examples

ROOT = Path(__file__).resolve().parents[3]
MEMBERS = (FunctionType, classmethod, staticmethod, property)


def test_the_manual_is_made_from_the_docstrings() -> None:
    assert (ROOT / "docs" / "api.md").read_text() == api_manual()


def test_every_public_name_has_an_entry() -> None:
    entries = re.findall(r"^### `(\w+)", api_manual(), re.MULTILINE)

    assert sorted(entries) == sorted(bridge.__all__)


def test_the_examples_pass_strict_type_checking(tmp_path: Path) -> None:
    """They use what other programs would; mypy sees the package as it is installed."""
    files = [ROOT / "examples" / "another_tracer.py"]
    for number, text in enumerate(examples().values()):
        files.append(tmp_path / f"example_{number}.py")
        files[-1].write_text(text)
    assert len(files) == 4
    files.append(tmp_path / "example_wrong.py")
    files[-1].write_text(
        "import bridge\n\nnumber: int = bridge.compile('probe never { }').name\n"
    )
    cache = f"--cache-dir={ROOT / '.mypy_cache' / 'examples'}"
    command = [sys.executable, "-m", "mypy", "--strict", cache, "--config-file=", *files]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    wrong = [line for line in done.stdout.splitlines() if "example" in line.partition(":")[0]]
    assert len(wrong) == 1, wrong
    assert "example_wrong.py:3: error" in wrong[0]


def test_a_program_that_uses_everything_passes_strict_type_checking(tmp_path: Path) -> None:
    text = (ROOT / "tests" / "support" / "everything.py").read_text()
    used = set(re.findall(r"\bbridge\.(\w+)", text))
    members = {
        name
        for thing in (getattr(bridge, name) for name in bridge.__all__)
        if isinstance(thing, type) and not issubclass(thing, Exception)
        for name, member in vars(thing).items()
        if name[0] != "_" and isinstance(member, MEMBERS)
    }
    assert set(bridge.__all__) <= used
    assert {name for name in members if not re.search(rf"\.{name}\b", text)} == set()

    program = tmp_path / "everything.py"
    program.write_text(text)
    cache = f"--cache-dir={ROOT / '.mypy_cache' / 'examples'}"
    command = [sys.executable, "-m", "mypy", "--strict", cache, "--config-file=", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    assert [line for line in done.stdout.splitlines() if line.startswith("everything.py")] == []
