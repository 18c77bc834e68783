"""Programs in containers, probed from outside: their files are theirs, not ours."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import containers
from tests.support.command import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.command import Runner

pytestmark = [pytest.mark.root, pytest.mark.bpf]

LIBRARY = r"""
#include <sys/sdt.h>
__attribute__((noipa)) int library_work(int n) { DTRACE_PROBE1(ctr, inside, n); return n + 1; }
"""
PROGRAM = r"""
#include <unistd.h>
#include <sys/sdt.h>
int library_work(int);
static volatile int sum;
__attribute__((noipa)) int work(int number)
{
	DTRACE_PROBE1(ctr, tick, number);
	return library_work(number) * 2;
}
int main(void)
{
	for (int i = 0; i < 60000; i++) {
		sum += work(42);
		usleep(10000);
	}
	return 0;
}
"""
AT = "bin/true"
"""Where the program is in its root: the host has another one there."""
MODES = {
    "mount over the program": "mb",
    "chroot": "c",
    "chroot in a mount namespace": "mc",
    "pivot_root": "mv",
    "container": "mpvt",
}
WAYS = (
    "process",
    "process({pid})",
    'process("/proc/{pid}/exe")',
    'process("/proc/{pid}/root/bin/true")',
)
PROBES = """
probe {way}.mark("tick") {{ if ($arg1 == 42) seen[{n}, "mark"] = 1 }}
probe {way}.function("work") {{ if ($number == 42) seen[{n}, "function"] = 1 }}
probe {way}.function("work").return {{ if ($return == 86) seen[{n}, "return"] = 1 }}
probe {way}.library("libwork.so").mark("inside") {{ if ($arg1 == 42) seen[{n}, "library"] = 1 }}
probe {way}.library("{library}").function("library_work") {{ seen[{n}, "path"] = 1 }}
"""
PLACES = 5


@dataclass(frozen=True)
class Contained:
    """A program that runs in a container."""

    pid: int
    library: str
    """Its library, as it sees it."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program `work` and its library, their debug information apart, and `enter`."""
    folder = tmp_path_factory.mktemp("containers")
    (folder / "library.c").write_text(LIBRARY)
    (folder / "program.c").write_text(PROGRAM)
    for words in (
        "gcc -O2 -shared -fPIC library.c -o libwork.so",
        "gcc -O2 -g -fno-omit-frame-pointer program.c -o work -L. -lwork",
        "objcopy --only-keep-debug work work.debug",
        "cp work work.whole",
        "strip work",
    ):
        subprocess.run(words.split(), cwd=folder, check=True)
    containers.enter(folder)
    return folder


def _build_id(program: Path) -> str:
    shown = subprocess.run(
        ["readelf", "-n", program], capture_output=True, text=True, check=True
    ).stdout
    return shown.partition("Build ID: ")[2].split()[0]


def _fill(root: Path, built: Path) -> None:
    """A root with the program; the name of its library and of its debug file are links."""
    containers.fill(root, built / "work", AT, built / "libwork.so")
    (root / "lib" / "libwork.so").rename(root / "lib" / "libwork.so.1")
    (root / "lib" / "libwork.so").symlink_to("/lib/libwork.so.1")
    identity = _build_id(built / "work")
    debug = root / "usr/lib/debug/.build-id" / identity[:2] / f"{identity[2:]}.debug"
    debug.parent.mkdir(parents=True)
    shutil.copy(built / "work.debug", root / "work.debug")
    debug.symlink_to("/work.debug")


def _child(pid: int) -> int:
    """The process in the container, once it runs its program."""

    def children() -> list[str]:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()

    def runs() -> bool:
        return any(Path(f"/proc/{n}/comm").read_text() == "true\n" for n in children())

    wait_until(runs)
    return int(children()[0])


@pytest.fixture(params=MODES)
def contained(
    request: pytest.FixtureRequest, built: Path, tmp_path: Path
) -> Iterator[Contained]:
    """The program in one kind of container."""
    how, library = MODES[request.param], "/lib/libwork.so"
    root, environment = tmp_path / "root", {}
    if "b" in how:
        root, library = built / "work.whole", f"{built}/libwork.so"
        environment = {"LD_LIBRARY_PATH": str(built)}
    else:
        _fill(root, built)
    started = subprocess.Popen([built / "enter", how, root, f"/{AT}"], env=environment)
    try:
        yield Contained(_child(started.pid), library)
    finally:
        started.kill()
        started.wait()


def test_files_of_a_process(run: Runner, contained: Contained) -> None:
    """Named in all ways at once."""
    script = "global seen\n"
    for n, way in enumerate(WAYS):
        named = way.format(pid=contained.pid)
        script += PROBES.format(way=named, n=n, library=contained.library)
    script += f"""
function count() {{ n = 0 foreach ([a, b] in seen) n++ return n }}
probe timer.ms(50) {{ if (count() == {PLACES * len(WAYS)}) exit() }}
probe timer.s({PATIENCE - 60}) {{ foreach ([a, b] in seen) println(a, b) exit() }}
probe end {{ println(count()) }}
"""
    done = run("run", "-e", script, "-x", contained.pid)
    assert (done.code, done.out) == (0, f"{PLACES * len(WAYS)}\n"), done.out + done.err


@pytest.mark.parametrize("engine", ["native", "interpreter"])
def test_back_traces(run: Runner, contained: Contained, engine: str) -> None:
    script = 'probe process.library("libwork.so").mark("inside") { print_ubacktrace() exit() }'
    done = run("run", "-e", script, "-x", contained.pid, "--engine", engine)
    assert done.code == 0, done.err
    names = [line.split(" : ")[-1].split("+")[0] for line in done.out.splitlines()]
    assert names[:3] == ["library_work", "work", "main"], done.out


def test_processes_that_run_already(run: Runner, contained: Contained) -> None:
    path = f"/proc/{contained.pid}/root/{AT}"
    script = f'probe process("{path}").begin {{ println(pid()) exit() }}'
    done = run("run", "-e", script)
    assert (done.code, done.out, done.err) == (0, f"{contained.pid}\n", "")
