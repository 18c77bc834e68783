"""`%%stp` in IPython's shell, as a notebook's kernel runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import bridge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.command import Compiler

VICTIM = """
#include <markbridge/marker.h>
int main(void)
{
	for (long i = 0; i < 40; i++)
		MARKBRIDGE_MARK(shop, order, i, i % 3);
	return 0;
}
"""
SCRIPT = """global n, s
probe process("VICTIM").mark("order") { n[$arg2]++; s <<< $arg1 }
probe end { printf("%d orders of %s\\n", @count(s), @1) print(@hist_log(s)) delete n }"""

pytestmark = pytest.mark.bpf


@pytest.fixture
def shell() -> Iterator[object]:
    pytest.importorskip("IPython", reason="IPython is not installed")
    from IPython.core.interactiveshell import InteractiveShell

    made = InteractiveShell.instance()
    made.run_line_magic("load_ext", "bridge.jupyter")
    yield made
    InteractiveShell.clear_instance()


def test_a_cell_runs_a_script(
    shell, compile_c: Compiler, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = compile_c("victim", VICTIM)
    cell = SCRIPT.replace("VICTIM", str(victim)).replace(" delete n", "")
    shell.run_cell_magic("stp", f"-c {victim} --as counts plums", cell)

    assert "40 orders of plums\n" in capsys.readouterr().out
    shell.run_cell("n, s = counts.globals['n'], counts.globals['s']")
    assert shell.user_ns["n"] == {0: 14, 1: 13, 2: 13}
    shell.run_cell("import bridge; picture = bridge.show(s, 'orders')")
    picture = shell.user_ns["picture"]
    shown, _ = shell.display_formatter.format(picture)
    assert shown["image/svg+xml"] == shown["text/html"] == picture.svg
    assert "<title>32 … 63: 8</title>" in picture.svg


def test_what_is_wrong_is_an_error_of_the_cell(shell) -> None:
    with pytest.raises(bridge.BridgeError, match=r"<input>:1:\d+.*operator ';'"):
        shell.run_cell_magic("stp", "", "probe begin { x = ; }")
    with pytest.raises(bridge.BridgeError, match=r"%%stp: .*seconds"):
        shell.run_cell_magic("stp", "--seconds often", "probe begin { exit() }")


def test_a_trace_is_replayed(
    shell, compile_c: Compiler, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = compile_c("victim", VICTIM)
    script = f'probe process("{victim}").mark("order") {{ }}'
    with bridge.compile(script).attach([str(victim)], trace=tmp_path / "trace") as session:
        assert list(session) == []
    cell = 'global t probe process("VICTIM").mark("order") { t++ } probe end { println(t) }'
    shell.run_cell_magic(
        "stp", f"--trace {tmp_path / 'trace'}", cell.replace("VICTIM", str(victim))
    )

    assert capsys.readouterr().out == "40\n"
    assert shell.user_ns["stp"].result.exit_code == 0
