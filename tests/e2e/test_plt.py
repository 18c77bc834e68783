"""Calls of a program into other files, at its procedure linkage table."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Runner

pytestmark = pytest.mark.bpf

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int count, char **words)
{
	int sum = 0;
	for (int i = 0; i < 5; i++) sum += atoi("17") + (int)strlen(words[0]);
	puts(sum ? "done" : "");
	return 0;
}
"""
LAYOUTS = {
    "plain": ("-fcf-protection=none",),
    "second table": ("-fcf-protection=full", "-Wl,-z,ibtplt"),
    "fixed": ("-no-pie",),
    "bound": ("-Wl,-z,now",),
}


@pytest.fixture(params=list(LAYOUTS))
def program(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    (tmp_path / "calls.c").write_text(PROGRAM)
    words = ("gcc", "-O0", "-fno-builtin", *LAYOUTS[request.param], "calls.c", "-o", "calls")
    subprocess.run(words, cwd=tmp_path, check=True)
    return tmp_path / "calls"


def test_calls_are_those_that_objdump_names(run: Runner, program: Path) -> None:
    listed = run("list", f'process("{program}").plt("*")')

    words = ("objdump", "-d", "-j", ".plt", "-j", ".plt.sec", program)
    code = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    called = {*re.findall(r"<(\w+)@plt>:$", code, re.MULTILINE)}
    assert (
        {*re.findall(r'\.plt\("(\w+)"\)', listed.out)} == called == {"atoi", "puts", "strlen"}
    )


def test_each_call_hits_with_its_arguments_and_result(run: Runner, program: Path) -> None:
    script = f"""
        global calls, results
        probe process("{program}").plt {{ calls[$$name]++ }}
        probe process.plt("atoi") {{ results["given", user_string($arg1)]++ }}
        probe process.plt("atoi").return {{ results["taken", sprint($return)]++ }}
        probe process.plt("str*").return {{ results[pp(), "returns"]++ }}
        probe end {{
            foreach (name+ in calls) println(name, " ", calls[name])
            foreach ([what+, of] in results) println(what, " ", of, " ", results[what, of])
        }}
    """
    done = run("run", "-e", script, "-c", program)

    assert done.err == ""
    assert done.out.replace("done\n", "").splitlines() == [
        "atoi 5",
        "puts 1",
        "strlen 5",
        "given 17 5",
        f'process("{program}").plt("strlen").return returns 5',
        "taken 17 5",
    ]


def test_calls_of_a_library(run: Runner, program: Path) -> None:
    (program.parent / "inner.c").write_text(
        '#include <stdlib.h>\nint inner(void) { return atoi("3") + atoi("4"); }\n'
    )
    (program.parent / "outer.c").write_text("int inner(void); int main() { return inner(); }\n")
    for words in (
        ("-fno-builtin", "-shared", "-fPIC", "inner.c", "-o", "libinner.so"),
        ("outer.c", "-o", "outer", "-L.", "-linner", "-Wl,-rpath,$ORIGIN"),
    ):
        subprocess.run(("gcc", *words), cwd=program.parent, check=True)
    outer, library = program.parent / "outer", program.parent / "libinner.so"
    point = f'process("{outer}").library("{library}").plt("atoi")'

    done = run(
        "run", "-e", f"probe {point} {{ println(pp()) }}", "-c", f"sh -c '{outer}; true'"
    )

    assert (done.out, done.err) == (f"{point}\n" * 2, "")


def test_a_name_that_is_not_called(run: Runner, program: Path) -> None:
    done = run("check", "-e", f'probe process("{program}").plt("strlne") {{ }}')

    assert done.code == 1
    assert "strlen" in done.err
