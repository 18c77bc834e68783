"""A program built with `markbridge dtrace`: its arguments have names in lists and scripts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.command import Runner

pytestmark = [pytest.mark.bpf, pytest.mark.tools]

PROVIDER = """provider app {
    probe query__start(const char *sql, int id, int);
    probe done(unsigned long long, long rows);
};
"""
SOURCE = """#include "app.h"
int main(int count, char **words) {
    (void)words;
    for (int n = 0; n < 3; n++) {
        if (APP_QUERY_START_ENABLED()) count += 10;
        APP_QUERY_START("select", n + count, 5);
        APP_DONE(5ULL, -7L * n);
    }
    return 0;
}
"""
SCRIPT = """
probe process.mark("query__start") {
    printf("%s %d %d %s\\n", user_string($sql), $id, $arg3, @defined($arg2) ? "both" : "")
    assert($id == $arg2, "one value")
    printf("%d\\n", strlen($$vars) - strlen(sprintf("%p%d%d", $sql, $id, 5)))
}
probe process.mark("done") { println($rows) }
"""


@pytest.fixture
def program(tmp_path: Path, run: Runner) -> Path:
    (tmp_path / "app.d").write_text(PROVIDER)
    (tmp_path / "app.c").write_text(SOURCE)
    for flag, suffix in (("-h", "h"), ("-G", "o")):
        out = tmp_path / f"app.{suffix}"
        assert run("dtrace", flag, "-s", tmp_path / "app.d", "-o", out).code == 0
    command = ["gcc", "-O2", "app.c", "app.o", "-o", "app"]
    subprocess.run(command, cwd=tmp_path, check=True)
    return tmp_path / "app"


def test_named_arguments(program: Path, run: Runner) -> None:
    listed = run("list", f'process("{program}").mark("*")')
    assert [line.partition(" ")[2] for line in listed.out.splitlines()] == [
        "$arg1:long $arg2:long $rows:long",
        "$arg1:long $arg2:long $arg3:long $sql:const char * $id:int",
    ]
    done = run("run", "-e", SCRIPT, "-c", program)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0::3] == ["select 11 5 both", "select 22 5 both", "select 33 5 both"]
    assert lines[2::3] == ["0", "-7", "-14"]


def test_names_in_a_recording(program: Path, run: Runner, tmp_path: Path) -> None:
    script = 'probe process.mark("query__start") { printf("%d %s\\n", $id, $$parms) }'
    trace = tmp_path / "trace"
    live = run("run", "-e", script, "-c", program, "--trace", trace)
    assert live.code == 0, live.err
    replayed = run("run", "-e", script, "--replay", trace)
    assert replayed.out == live.out
    assert "$sql" not in live.out
