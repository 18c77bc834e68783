"""Globals of a file, by its path: in functions, from other programs, where no program runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.errors import CompileError
from bridge.pipeline import compile_script
from bridge.probes.live import LiveTargets
from bridge.source import SourceMap
from bridge.world import LiveWorld
from tests.support.victims import compile_c

if TYPE_CHECKING:
    from tests.support.command import Runner

LIBRARY = """
struct node { int value; struct node *next; };
static struct node last = { 7 }, first = { 5, &last };
struct node *head = &first;
int counter = 10, table[3] = { 50, 60, 70 };
__attribute__((noinline)) void step(int n) { counter += n; }
"""
PROGRAM = """
#ifdef LIBRARY
void step(int n);
#else
static void step(int n) { }
#endif
int level = 40;
__attribute__((noinline)) void here(int n) { __asm__ volatile("" : : "r"(n) : "memory"); }
int main(void) { for (int i = 1; i < 3; i++) { step(i); level += i; here(i); } return 0; }
"""


@dataclass
class Programs:
    """One that is at any address and has the library, one that is always at the same."""

    moving: Path
    fixed: Path
    library: Path

    @property
    def both(self) -> str:
        """The command that runs them, one after the other."""
        return f"sh -c '{self.moving}; {self.fixed}'"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    folder = tmp_path_factory.mktemp("globals")
    library = compile_c(folder, "libstep.so", LIBRARY, "-g", "-O1", "-shared", "-fPIC")
    flags = ("-g", "-O1", "-pie", "-fPIE", "-DLIBRARY", str(library))
    moving = compile_c(folder, "moving", PROGRAM, *flags, f"-Wl,-rpath,{folder}")
    fixed = compile_c(folder, "fixed", PROGRAM, "-g", "-O1", "-no-pie", "-fno-pie")
    return Programs(moving, fixed, library)


def _accepted(script: str) -> str:
    """What is wrong with a script; "" if nothing is."""
    sources = SourceMap()
    try:
        compile_script(sources.add("a.stp", script), sources, LiveTargets(LiveWorld()))
    except CompileError as error:
        return error.diagnostics[0].message
    return ""


BODIES = {
    "own": ('@var("level@moving.c", "{0.moving}")', "{0.moving}", "41 43"),
    "always at the same address": ('@var("level", "{0.fixed}")', "{0.fixed}", "41 43"),
    "of a library": ('@var("counter", "{0.library}")', "{0.moving}", "11 13"),
    "members": ('@var("head", "{0.library}")->next->value', "{0.moving}", "7 7"),
    "an element": ('@var("table", "{0.library}")[n]', "{0.moving}", "60 70"),
    "the first of two files": (
        '@var("counter", "{0.moving}:{0.library}")',
        "{0.moving}",
        "11 13",
    ),
    "a text": ('strlen(@var("head", "{0.library}")->next$)', "{0.moving}", "21 21"),
    "its address": ('&@var("counter", "{0.library}") % 4096 == {counter}', "{0.moving}", "1 1"),
}


@pytest.mark.bpf
@pytest.mark.parametrize("engine", ["native", "interpreter"])
def test_functions_read_globals(run: Runner, programs: Programs, engine: str) -> None:
    """Each in a function of its own, called by handlers of two programs; else an error."""
    counter = _address(programs.library, "counter") % 4096
    script, expected = "", []
    for number, (expression, program, values) in enumerate(BODIES.values()):
        value = expression.format(programs, counter=counter)
        script += f"function f{number}(n) {{ return {value} }}\n"
        script += f'probe process("{program.format(programs)}").function("here")'
        script += f' {{ printf("{number}:%d\\n", f{number}($n)) }}\n'
        expected += [f"{number}:{word}" for word in values.split()]
    ran = run(
        "run",
        f"--engine={engine}",
        "-e",
        script,
        "-c",
        programs.both,
    )
    assert sorted(ran.out.split()) == sorted(expected), ran.err


@pytest.mark.bpf
@pytest.mark.parametrize("engine", ["native", "interpreter"])
def test_one_function_of_several_programs(run: Runner, programs: Programs, engine: str) -> None:
    """The file has to be in the process that was hit: SystemTap reads at 0 else."""
    script = f"""
function level() {{ return @var("level", "{programs.moving}") }}
function where() {{ return &@var("level", "{programs.moving}") }}
probe process("{programs.moving}").function("here") {{ println("moving ", level()) }}
probe process("{programs.fixed}").function("here") {{
  try {{ println(level()) }} catch (why) {{ println(where(), " ", substr(why, 0, 10)) }}
}}
probe begin {{ try {{ println(level()) }} catch (why) {{ println(substr(why, 0, 10)) }} }}
"""
    ran = run(
        "run",
        f"--engine={engine}",
        "-e",
        script,
        "-c",
        programs.both,
    )
    hits = ["moving 41", "moving 43", "0 read fault", "0 read fault"]
    assert ran.out.splitlines() == ["read fault", *hits], ran.err


def test_what_is_not_there(programs: Programs) -> None:
    point = f'probe process("{programs.moving}").function("here")'
    missing = {
        f'@var("nope", "{programs.library}")': f"'nope' in {programs.library}",
        f'@var("level@other.c", "{programs.moving}")': "in other.c",
        '@var("level", "/no/such/file")': "'level' in /no/such/file",
        '@var("level")': "'level' in kernel",
    }
    for value, words in missing.items():
        script = f"function f() {{ return {value} }} {point} {{ println(f()) }}"
        message = _accepted(script)
        assert "unable to find global" in message, message
        assert words in message
        asked = f"function f() {{ return @defined({value}) }} {point} {{ println(f()) }}"
        assert not _accepted(asked)


@pytest.mark.root
def test_a_tracepoint_cannot_hold_the_process(programs: Programs) -> None:
    """So a file that moves cannot be looked for; one at its own address needs no look."""
    script = 'probe kernel.trace("sched:sched_switch") {{ println(@var("level", "{}")) }}'
    assert not _accepted(script.format(programs.fixed))
    assert "@var() cannot look here" in _accepted(script.format(programs.moving))


def _address(path: Path, symbol: str) -> int:
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        return int(table.get_symbol_by_name(symbol)[0]["st_value"])
