"""The page of probe points: what works is hit, what is refused says why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.probes import families
from bridge.probes.points import refused
from tests.support.victims import compile_c
from tools.manual.probes import DESCRIBED, ROWS, UNFIRED, Row, probe_manual

if TYPE_CHECKING:
    from tests.support.command import Runner

ROOT = Path(__file__).resolve().parent.parent.parent
INCLUDE = f"-I{ROOT / 'csrc' / 'include'}"
PROGRAM = """\
#include <markbridge/marker.h>
#include <pthread.h>
#include <unistd.h>
long twice(long x);
#define ALWAYS inline __attribute__((always_inline))
static ALWAYS long copied(long x) { __asm__ volatile("nop"); return x * 3; }
__attribute__((noinline)) long work(long x)
{
    MARKBRIDGE_MARK(table, here, x);
    if (x > 1000) goto inside;
    x += copied(x);
inside:
    return twice(x);
}
static void *thread(void *given) { return given; }
int main(void)
{
    char bytes[4];
    int ends[2];
    long sum = pipe(ends) + write(ends[1], "abc", 3) + read(ends[0], bytes, 3);
    pthread_t other;
    pthread_create(&other, 0, thread, 0);
    pthread_join(other, 0);
    for (long i = 0; i < 40; i++) { sum += work(i); usleep(1000); }
    return sum == 0;
}
"""
LIBRARY = "long twice(long x) { return 2 * x; }\n"
NOT_HERE = frozenset({UNFIRED, DESCRIBED})
NEVER = frozenset({"end", "error", "never"})
"""What does not run while the session goes on."""
LIVE = [row for row in ROWS if not row.refused and row.example not in NEVER]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("table")
    library = compile_c(folder, "libtable.so", LIBRARY, "-shared", "-fPIC", "-g")
    flags = "-g", "-O1", "-pthread", INCLUDE, str(library), f"-Wl,-rpath,{folder}"
    return compile_c(folder, "program", PROGRAM, *flags)


def _example(row: Row, program: Path) -> str:
    library = program.parent / "libtable.so"
    example = row.example.replace("PROGRAM", str(program)).replace("LIBRARY", str(library))
    return example.replace("ADDRESS", _address("vfs_read")) if "ADDRESS" in example else example


def _address(function: str) -> str:
    """Where a function of the kernel is."""
    with Path("/proc/kallsyms").open() as lines:
        return next(f"0x{line.split()[0]}" for line in lines if line.split()[2] == function)


def _not_hit(run: Runner, program: Path, rows: list[Row]) -> tuple[list[str], str]:
    """All examples in one session; those that were not hit, and what it said."""
    probes = [
        f"probe {_example(row, program)} {{ if (!hit[{number}]++) println({number}) }}"
        for number, row in enumerate(rows)
    ]
    done = run("run", "-e", "\n".join(["global hit", *probes]), "-c", program)
    hit = set(map(int, done.out.split()))
    return [row.example for n, row in enumerate(rows) if n not in hit], done.err


@pytest.mark.bpf
def test_what_works_is_hit(run: Runner, program: Path) -> None:
    rows = [row for row in LIVE if not row.wants and "fired in " not in row.note]

    missing, said = _not_hit(run, program, rows)

    assert missing == [], said
    assert len(rows) > 25


@pytest.mark.root
@pytest.mark.bpf
@pytest.mark.guest
@pytest.mark.needs("kprobes")
def test_functions_of_the_kernel_are_hit(run: Runner, program: Path) -> None:
    rows = [row for row in LIVE if row.wants == "kprobes" and row.note not in NOT_HERE]

    missing, said = _not_hit(run, program, rows)

    assert missing == [], said


@pytest.mark.bpf
def test_ends(run: Runner) -> None:
    text = "probe {} {{ println(pp()) }} probe begin {{ {} }} probe never {{ println(1) }}"

    done = run("run", "-e", text.format("end", "exit()"))
    failed = run("run", "-e", text.format("error", 'error("x")'))

    assert (done.out, failed.out) == ("end\n", "error\n")


REFUSED = [row for row in ROWS if row.refused]


@pytest.mark.parametrize("row", REFUSED, ids=[row.example for row in REFUSED])
def test_what_is_refused_says_why(run: Runner, program: Path, row: Row) -> None:
    done = run("check", "-e", f"probe {_example(row, program)} {{ }}")

    assert done.code == 1
    assert row.refused in done.err


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "probes.md").read_text() == probe_manual()


def test_no_word_of_a_probe_point_is_missing_in_the_table() -> None:
    told = " ".join(row.points for row in ROWS)
    shapes = [shape for family in families.all_families() for shape in family.shapes]
    words = {part.split(" ")[0] for shape in shapes for part in shape.split("/")}
    words |= {name for first in ("", *families.WORDS) for name in refused(first)}
    absent = {word for word in words if word not in told}

    assert absent == set()
