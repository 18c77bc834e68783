"""A program of bpftrace, imported: it prints what bpftrace prints of the same run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bridge
from bridge.cli.imports import fields_of
from bridge.imports.bpftrace import translate
from tests.support.beside import beside

if TYPE_CHECKING:
    from tests.support.command import Compiler, Runner

LOAD = (Path(__file__).resolve().parent.parent / "support" / "load.c").read_text()
PROGRAMS = {
    "functions": """
uprobe:LOAD:allocate {
    @calls = count(); @bytes[arg1] = sum(arg0); @most[arg1] = max(arg0); @least = min(arg0 + 1);
    @mean[arg1] = avg(arg0); @all[arg1] = stats(arg0);
    $i = 0; while ($i < 5) { $i++; if ($i == 3) { break; } }
    @turns = sum($i); unroll (2) { @unrolled = count(); }
}
uretprobe:LOAD:allocate /(int32)retval < 0/ { @failed[(int32)retval] = count(); }
END { printf("end\\n"); clear(@calls); }""",
    "texts": """
uretprobe:LOAD:readline {
    $what = str(retval);
    @typed[$what, comm] = count();
    if (strncmp($what, "make", 4) == 0) { printf("made %s %d\\n", $what, 1e3); }
    else if ($what == "ls -l") { @listed++; } else { exit(); }
}
BEGIN {
    @names[1] = "one"; @names[2] = "two"; printf("%s\\n", @names[2]); delete(@names[2]); }""",
    "calls": """
#define WANTED 10
tracepoint:syscalls:sys_enter_write / comm == "load" && args->count > 3 / {
    @sizes[args->count / 10] = count();
    @last = args->count > WANTED ? args->count : 0;
}
tracepoint:task:task_newtask / comm == "load" / { @new[args->comm] = count(); }
tracepoint:sock:inet_sock_set_state / comm == "load" && args->newstate == 2 /
{ print(args->family); @connects[args->protocol == 6, "tcp"] = count(); }""",
}

pytestmark = [pytest.mark.bpf, pytest.mark.tools]


@pytest.fixture
def load(compile_c: Compiler) -> Path:
    return compile_c("load", LOAD, "-g", "-pthread")


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_prints_what_bpftrace_prints(name: str, load: Path, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.bt"
    file.write_text(PROGRAMS[name].replace("LOAD", str(load)))
    made = translate(file.read_text(), str(file), fields_of)
    assert made.left_out == []

    other = ["bpftrace", file, "-c", "COMMAND"]
    ours, shown = beside(other, bridge.compile(made.text), [str(load)], tmp_path)

    theirs = [line for line in shown.splitlines() if line and not line.startswith("Attaching")]
    assert sorted(filter(None, ours.lines)) == sorted(theirs)
    assert len(theirs) > 3


def test_what_is_left_out_is_said(run: Runner, tmp_path: Path) -> None:
    file = tmp_path / "x.bt"
    file.write_text("BEGIN {\n\t@a = count();\n\t$c = cgroup;\n\texit();\n}\n")

    made = run("import", "bpftrace", file)

    assert made.code == 0
    assert f"warning: {file}:3: not translated: the number of a cgroup" in made.err
    script = tmp_path / "x.stp"
    script.write_text(made.out)
    assert run("run", script).out == "@a: 1\n"


def test_a_file_that_is_not_there(run: Runner) -> None:
    made = run("import", "bpftrace", "/nonexistent.bt")

    assert (made.code, made.out) == (1, "")
    assert made.err == "error: /nonexistent.bt: No such file or directory\n"
