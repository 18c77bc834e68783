"""What debug information says, beside `stap -L`: places, variables and their types."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.tools, pytest.mark.shared]

COMMAND = Path(sys.executable).with_name("markbridge")
CONFIG = "CONFIG_TRACEPOINTS=y\nCONFIG_ARCH_SUPPORTS_UPROBES=y\nCONFIG_UPROBES=y\n"
PATTERNS = (
    'function("*@target1.c")',
    'function("*@target1.c").call',
    'function("inl").inline',
    'function("add").exported',
    'statement("*@target1.c:*")',
    'statement("main@target1.c:28-30")',
    'statement("main@target1.c+3")',
    'statement("add")',
)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stap takes for a kernel's build folder, of a kernel that has uprobes."""
    folder = tmp_path_factory.mktemp("kernel")
    (folder / "include" / "config").mkdir(parents=True)
    (folder / "include" / "generated").mkdir()
    (folder / "include" / "config" / "kernel.release").write_text("6.1.0-1-amd64\n")
    (folder / ".config").write_text(CONFIG)
    for name in ("Makefile", "Module.symvers"):
        (folder / name).write_text("")
    return folder


def _lines(command: list[str], folder: Path) -> list[str]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return sorted(line for line in done.stdout.splitlines() if line.startswith("process("))


CASES = [
    *((pattern, "-O0") for pattern in PATTERNS),
    # in optimised code stap leaves out lines that are only parts of others
    *((pattern, "-O2") for pattern in PATTERNS if "statement" not in pattern),
]


@pytest.mark.parametrize(("pattern", "level"), CASES)
def test_lists_are_the_same(
    reference: Path, kernel: Path, tmp_path: Path, pattern: str, level: str
) -> None:
    source = reference / "stap" / "targets" / "target1.c"
    (tmp_path / "target1.c").write_bytes(source.read_bytes())
    compile_ = ["gcc", "-g", level, "target1.c", "-o", "target1"]
    subprocess.run(compile_, cwd=tmp_path, check=True, capture_output=True)
    point = f'process("./target1").{pattern}'

    theirs = _lines(["stap", "-r", str(kernel), "-L", point], tmp_path)
    ours = _lines([str(COMMAND), "list", point], tmp_path)
    if level == "-O2":  # which variables stap lists there depends on their locations
        theirs, ours = ([x.split(" $")[0] for x in lines] for lines in (theirs, ours))

    assert ours == theirs
    assert ours or (level == "-O2" and "inl" in pattern)
