"""Inlined places beside `stap -l`: two compilers, DWARF 4 and 5, with and without LTO."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from bridge.markers import MarkerAttachment, NoMatch, PointPart
from bridge.probes.live import LiveTargets
from bridge.world import LiveWorld

pytestmark = [pytest.mark.tools]

CONFIG = "CONFIG_TRACEPOINTS=y\nCONFIG_ARCH_SUPPORTS_UPROBES=y\nCONFIG_UPROBES=y\n"
SOURCE = """
#include <stdio.h>
#include <stdlib.h>
static const char *const names[] = { "tea", "coffee", "bread" };
static unsigned next(unsigned *state)
{ *state = *state * 1103515245u + 12345u; return *state >> 16; }
static inline int small(int a) { return a > 3 ? a * 7 : a - 1; }
static int take(long number, const char *name, long cents)
{ if (cents > 900) { puts(name); return small((int)number); } return small((int)cents); }
int main(int argc, char **argv)
{
  unsigned state = 2006; long taken = 0, orders = argc > 1 ? atol(argv[1]) : 20;
  for (long n = 0; n < orders; n++) {
    const char *name = names[next(&state) % 3]; long cents = 50 + next(&state) % 1000;
    taken += take(n, name, cents);
  }
  printf("%ld\\n", taken);
  return small(argc);
}
"""
BUILDS = [
    (compiler, version, level, lto)
    for compiler in ("gcc", "clang")
    for version in (4, 5)
    for level in ("-O2", "-Os")
    for lto in (False, True)
]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kernel")
    (folder / "include" / "config").mkdir(parents=True)
    (folder / "include" / "generated").mkdir()
    (folder / "include" / "config" / "kernel.release").write_text("6.1.0-1-amd64\n")
    (folder / ".config").write_text(CONFIG)
    for name in ("Makefile", "Module.symvers"):
        (folder / name).write_text("")
    return folder


def _build(folder: Path, compiler: str, version: int, level: str, *, lto: bool) -> Path:
    if shutil.which(compiler) is None or (lto and compiler == "clang" and not _has_lld()):
        pytest.skip(f"no {compiler}")
    (folder / "prog.c").write_text(SOURCE)
    flags = [level, "-g", f"-gdwarf-{version}"]
    flags += ["-flto", *(["-fuse-ld=lld"] if compiler == "clang" else [])] if lto else []
    subprocess.run([compiler, *flags, "prog.c", "-o", "prog"], cwd=folder, check=True)
    return folder / "prog"


def _has_lld() -> bool:
    return shutil.which("ld.lld") is not None


def _stap(kernel: Path, program: Path) -> Counter[tuple[str, int]]:
    """How many addresses stap probes for a function, by its name and line."""
    script = f'probe process("{program}").function("*") {{ println(1) }}'
    done = subprocess.run(
        ["stap", "-r", kernel, "-p2", "-v", "-e", script],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.findall(r'function\("(\w+)@[^"]*:(\d+)"\) /\* pc=\S*\+(0x\w+)', done.stdout)
    return Counter((name, int(line)) for name, line, _ in set(found))


def _ours(program: Path) -> Counter[tuple[str, int]]:
    parts = [PointPart("process", str(program)), PointPart("function", "*")]
    places = LiveTargets(LiveWorld()).expand(parts)
    assert not isinstance(places, NoMatch)
    found = set()
    for place in places:
        assert isinstance(place.attachment, MarkerAttachment)
        (site,) = place.attachment.marker.sites
        match = re.search(r'function\("(\w+)@[^"]*:(\d+)"', place.point)
        if match is not None:
            found.add((match[1], int(match[2]), site.address))
    return Counter((name, line) for name, line, _ in found)


@pytest.mark.parametrize(("compiler", "version", "level", "lto"), BUILDS)
def test_every_inlined_place_is_found(
    kernel: Path, tmp_path: Path, compiler: str, version: int, level: str, lto: bool
) -> None:
    program = _build(tmp_path, compiler, version, level, lto=lto)

    theirs, ours = _stap(kernel, program), _ours(program)

    # stap does not follow what gcc's LTO puts into another unit
    missing = theirs - ours
    assert not missing
    assert {"next", "take", "small"} <= {name for name, _ in ours}
    if not (lto and compiler == "gcc"):
        assert ours == theirs
