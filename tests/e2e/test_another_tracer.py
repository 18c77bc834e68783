"""examples/another_tracer.py attaches what a script would, and sees what the script sees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bridge

if TYPE_CHECKING:
    from tests.support.command import Compiler

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "another_tracer.py"
VICTIM = """
#include <markbridge/marker.h>
struct shelf { short left; int right; };
__attribute__((noinline)) void count(struct shelf *shelf, long i)
{
	MARKBRIDGE_MARK(shop, stock, shelf->left, shelf->right, i, 42);
}
int main(void)
{
	for (long i = 0; i < 30; i++) {
		struct shelf shelf = { (short)(5 - i), (int)(i * -100000) };
		count(&shelf, i << 40);
		if (i % 3 == 0)
			MARKBRIDGE_MARK(shop, third, (unsigned char)(i * 9));
	}
	return 0;
}
"""
STOCK = """probe process("VICTIM").mark("stock") {
    printf("shop_stock arg1=%d arg2=%d arg3=%d arg4=%d\\n", $arg1, $arg2, $arg3, $arg4)
}"""
THIRD = 'probe process("VICTIM").mark("third") { printf("shop_third arg1=%d\\n", $arg1) }'

pytestmark = pytest.mark.bpf


@pytest.mark.parametrize("script", [STOCK, THIRD, f"{STOCK}\n{THIRD}"])
def test_it_sees_what_the_script_sees(script: str, compile_c: Compiler, tmp_path: Path) -> None:
    victim, file = compile_c("victim", VICTIM), tmp_path / "script.stp"
    file.write_text(script.replace("VICTIM", str(victim)))
    with bridge.compile(file).attach(command=[str(victim)]) as session:
        ours = [line.text for line in session]

    command = [sys.executable, EXAMPLE, file, victim]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ours
    assert len(ours) in (10, 30, 40)
