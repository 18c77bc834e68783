"""`markbridge list` names the markers that stap, bpftrace and gdb's notes name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.markers import NoMatch
from bridge.probes import markers_of
from bridge.probes.live import LiveTargets
from bridge.suggest import among
from bridge.world import LiveWorld
from tests.support.annotated import SOURCE, WARNINGS
from tests.support.points import parts
from tests.support.victims import compile_c

pytestmark = pytest.mark.tools

POSTGRES = Path("/usr/lib/postgresql/15/bin/postgres")
# Without these, stap does not look for probes in programs.
KERNEL_CONFIGURATION = """CONFIG_TRACEPOINTS=y
CONFIG_UPROBES=y
CONFIG_ARCH_SUPPORTS_UPROBES=y
"""


@pytest.fixture(scope="module")
def build_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As much of a kernel's build tree as stap wants to see."""
    tree = tmp_path_factory.mktemp("kernel")
    for name in ("include/config/kernel.release", "include/generated/utsrelease.h"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / "include/config/kernel.release").write_text("6.1.0\n")
    (tree / "include/generated/utsrelease.h").write_text('#define UTS_RELEASE "6.1.0"\n')
    (tree / ".config").write_text(KERNEL_CONFIGURATION)
    for name in ("Makefile", "Module.symvers", "System.map"):
        (tree / name).touch()
    return tree


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("programs")
    found = [
        compile_c(folder, "demo", SOURCE, "-O2", *WARNINGS),
        compile_c(folder, "demo_cc", SOURCE, "-O1", *WARNINGS, compiler="g++"),
        Path("/usr/bin/python3.11"),
        Path("/usr/bin/stap"),
        POSTGRES,
    ]
    return [path for path in found if path.exists()]


def ours(point: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "list", point],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.splitlines()


def theirs(tree: Path, point: str) -> list[str]:
    done = subprocess.run(
        ["stap", "-r", tree, "-L", point], capture_output=True, text=True, check=False
    )
    return [line.rstrip() for line in done.stdout.splitlines() if line.strip()]


def _without_floats(line: str, program: Path) -> str:
    """stap lists floating point arguments as long; we do not list them."""
    for marker in markers_of(str(program), LiveWorld()):
        if f'mark("{marker.name}")' in line:
            for name, reason in marker.unreadable:
                assert "floating point" in reason
                line = line.replace(f" ${name}:long", "", 1)
    return line


def test_marks_are_those_of_stap(build_tree: Path, programs: list[Path]) -> None:
    for program in programs:
        point = f'process("{program}").mark("*")'

        expected = {_without_floats(line, program) for line in theirs(build_tree, point)}

        assert expected != set()
        assert ours(point) == sorted(expected)


def test_functions_are_those_of_stap(build_tree: Path, programs: list[Path]) -> None:
    for program in programs[:2]:
        point = f'process("{program}").function("*")'

        expected = {line.split()[0] for line in theirs(build_tree, point)}

        assert expected
        assert expected == {line.split()[0] for line in ours(point)}


def test_other_points_are_those_of_stap(build_tree: Path) -> None:
    points = "begin, end(3), timer.s(1), timer.ms(20).randomize(5), never"

    assert ours(points) == sorted(theirs(build_tree, points))


@pytest.mark.bpf
def test_marks_are_those_of_bpftrace(programs: list[Path]) -> None:
    for program in programs[1:3]:
        done = subprocess.run(
            ["bpftrace", "-l", f"usdt:{program}:*"], capture_output=True, text=True, check=True
        )
        expected = {tuple(line.split(":")[2:4]) for line in done.stdout.splitlines() if line}

        found = set()
        for line in ours(f'process("{program}").provider("*").mark("*")'):
            match = re.search(r'provider\("(.*?)"\)\.mark\("(.*?)"\)', line)
            assert match is not None
            found.add((match[1], match[2]))

        assert expected
        assert found == expected


MESSAGES = [
    "timer.s(0)",
    "timer.ms(0)",
    "timer.us(99)",
    "timer.ns(99999)",
    "timer.hz(0)",
    "timer.hz(10001)",
    "timer.jiffies(0)",
    "timer.jiffies(5).randomize(6)",
    "timer.s(1).randomize(2)",
    "timer.s(5).foo",
    "begin.foo",
    'process("zzz").mark("x")',
    'process.mark("x")',
    f'process("{POSTGRES}").mark("query__star")',
    f'process("{POSTGRES}").provider("x").mark("query__start")',
    'process(99999999).mark("x")',
    "timer.foo(1)",
    "timer.ms",
]


def test_messages_are_those_of_stap(build_tree: Path, tmp_path: Path) -> None:
    points = [p for p in MESSAGES if str(POSTGRES) not in p or POSTGRES.exists()]
    script = tmp_path / "all.stp"
    script.write_text("".join(f"probe {point} {{ exit() }}\n" for point in points))
    done = subprocess.run(
        ["stap", "-r", build_tree, "-p2", script], capture_output=True, text=True, check=False
    )
    expected = re.findall(
        r"^semantic error: (?!while)(.*?)(?: \[man .*|: identifier .*)?$", done.stderr, re.M
    )

    found = []
    binder = LiveTargets(LiveWorld())
    for point in points:
        problem = binder.expand(parts(point))
        assert isinstance(problem, NoMatch), point
        near = problem.near() if problem.near is not None else among(problem.similar)
        found.append(problem.message + near)

    # stap suppresses errors that are similar to earlier ones. Which names it finds similar
    # depends on its version; the nearest mark does not.
    rest = iter([_with_nearest(message) for message in found])
    assert len(expected) >= 10
    assert [m for m in map(_with_nearest, expected) if m not in rest] == []


def _with_nearest(message: str) -> str:
    return message.partition(",")[0] if "marks: " in message else message.partition(" (")[0]


@pytest.mark.parametrize(
    "point",
    [
        "begin",
        "begin(-3)",
        "end(0)",
        "never",
        "timer.s(1)",
        "timer.ms(5).randomize(2)",
        "timer.*(5)",
        "oneshot",
        "ones*",
        "init",
        "foo",
    ],
)
def test_points_of_the_session_are_those_of_stap(build_tree: Path, point: str) -> None:
    assert ours(point) == theirs(build_tree, point)


@pytest.mark.parametrize(
    "point",
    [
        'process("PROGRAM").thread.*',
        'process("/nowhere").end',
        "process(1).syscall.return",
    ],
)
def test_events_of_processes_are_listed_as_by_stap(
    build_tree: Path, programs: list[Path], point: str
) -> None:
    point = point.replace("PROGRAM", str(programs[0]))

    listed = ours(point)

    assert listed == theirs(build_tree, point)
    assert listed
