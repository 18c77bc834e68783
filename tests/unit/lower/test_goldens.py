"""Scripts and their IR: tests/cases/ir/x.stp -> x.ir. MARKBRIDGE_UPDATE=1 writes them anew."""

import os
from pathlib import Path

import pytest

from bridge.ir.dump import dump
from bridge.ir.read import read
from bridge.ir.verify import verify
from tests.support.scripts import compile_text

CASES = Path(__file__).resolve().parents[2] / "cases" / "ir"


def _text(case: Path) -> str:
    placed = compile_text(case.read_text(), case.name).placed
    lines = [dump(placed.program), "\n"]
    for handler, placement in zip(placed.program.handlers, placed.placements, strict=True):
        lines.append(f"# {placement.where.value}: {handler.point}: {placement.reason}\n")
    names = [declaration.name for declaration in placed.program.globals]
    for word, chosen in (("accumulator", placed.accumulators), ("resident", placed.resident)):
        lines += [f"# {word}: {names[at]}\n" for at in sorted(chosen)]
    return "".join(lines)


@pytest.mark.parametrize("case", sorted(CASES.glob("*.stp")), ids=lambda case: case.stem)
def test_ir(case: Path) -> None:
    text = _text(case)
    golden = case.with_suffix(".ir")
    if os.environ.get("MARKBRIDGE_UPDATE"):
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("golden", sorted(CASES.glob("*.ir")), ids=lambda case: case.stem)
def test_goldens_can_be_read(golden: Path) -> None:
    program = read(golden.read_text())
    verify(program)
    assert golden.read_text().startswith(dump(program))
