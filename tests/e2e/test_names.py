"""Names outside of ASCII: their bytes are those of UTF-8, in scripts and in traces."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("markbridge")
SOURCE = """
#include <sys/sdt.h>
struct größe { int länge; };
int zähler = 4;
__attribute__((noinline)) int añadir(int naïve, struct größe *g)
{ STAP_PROBE1(tür, größer, naïve); return naïve + g->länge + zähler; }
int main(int argc, char **argv) { struct größe g = { 3 }; return añadir(argc, &g) > 100; }
"""
PROBES = """
probe process("{0}").function("añadir") {{
  println(pp()); println($$parms$$); println(@var("zähler"));
  println(@cast($g, "größe")$); println(ppfunc())
}}
probe process("{0}").mark("gr*") {{ println($$provider, " ", $$name, " ", $arg1) }}
"""
EXPECTED = """\
process("{0}").function("añadir@{0}.c:5")
naïve=1 g={{.länge=3}}
4
{{.länge=3}}
añadir
tür größer 1
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    folder = tmp_path / "dé ü 中"
    folder.mkdir()
    (folder / "tick.c").write_text(SOURCE)
    command = ["gcc", "-g", "-O0", str(folder / "tick.c"), "-o", str(folder / "tick")]
    subprocess.run(command, check=True)
    return folder / "tick"


def _markbridge(*words: str) -> str:
    done = subprocess.run([COMMAND, *words], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_lists_and_listings(program: Path) -> None:
    listed = _markbridge("list", f'process("{program}").function("*ñadir")')
    assert listed == (
        f'process("{program}").function("añadir@{program}.c:5") $naïve:int $g:struct größe*\n'
    )
    marks = _markbridge("list", f'process("{program}").mark("größ??")')
    assert marks == f'process("{program}").mark("größer") $arg1:long\n'
    script = program.parent / "größe.stp"
    script.write_text(PROBES.format(program))
    assert f'function("añadir@{program}.c:5")' in _markbridge("check", "-p2", str(script))


def test_what_is_not_there_is_named(program: Path) -> None:
    point = f'process("{program}").function("nädir")'
    done = subprocess.run([COMMAND, "list", point], capture_output=True, check=False)
    assert done.returncode
    assert "nädir" in done.stderr.decode()
    missing = f'process("{program}x").function("nädir")'
    done = subprocess.run([COMMAND, "list", missing], capture_output=True, check=False)
    assert f"{program}x: no such file" in done.stderr.decode()


@pytest.mark.bpf
@pytest.mark.parametrize("engine", ["native", "interpreter"])
def test_a_script_prints_bytes_of_utf_8(program: Path, engine: str) -> None:
    script = program.parent / "größe.stp"
    script.write_text(PROBES.format(program))
    out = _markbridge("run", f"--engine={engine}", str(script), "-c", f'"{program}"')
    # the mark may be at the very instruction where the function's prologue ends
    assert sorted(out.splitlines()) == sorted(EXPECTED.format(program).splitlines())


@pytest.mark.bpf
def test_a_trace_has_the_names(program: Path, tmp_path: Path) -> None:
    trace = tmp_path / "aufzeichnung"
    script = f'probe process("{program}").mark("größer") {{ println($arg1) }}'
    _markbridge("run", "--trace", str(trace), "-e", script, "-c", f'"{program}"')

    assert "tür:größer" in _markbridge("read", str(trace))
    replayed = f'probe process("{program}").mark("größer") {{ println(pp(), $$name, $arg1) }}'
    out = _markbridge("run", "--replay", str(trace), "-e", replayed)
    assert "größer" in out
    assert out.endswith("größer1\n")
