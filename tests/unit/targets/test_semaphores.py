"""Which semaphores the kernel counts up in the wrong place, by how a file is linked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bridge.diagnostics import Sink
from bridge.probes.elf import open_elf
from bridge.probes.safety import SitePolicy
from bridge.probes.sdt import read_notes
from bridge.probes.usdt import read_markers
from bridge.world import LiveWorld

pytestmark = pytest.mark.tools

SOURCE = """
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>
__extension__ unsigned short demo_tick_semaphore __attribute__((section(".probes")));
const char *const words[16] = { "data", "that", "becomes", "read-only" };
int filler[FILLER] = { 1 };
int main(void) { DTRACE_PROBE(demo, tick); return filler[words[0][0]]; }
"""


@pytest.mark.parametrize(
    ("flags", "counted"),
    [
        (("-fuse-ld=lld",), True),
        (("-fuse-ld=lld", "-no-pie"), True),
        (("-fuse-ld=lld", "-shared", "-fPIC"), True),
        (("-fuse-ld=lld", "-DFILLER=4000"), False),  # on a page of its own
        (("-fuse-ld=lld", "-Wl,-z,separate-loadable-segments"), False),
        (("-fuse-ld=lld", "-Wl,-z,norelro"), False),
        (("-fuse-ld=bfd",), False),
        (("-fuse-ld=bfd", "-Wl,-z,noseparate-code"), False),
        (("-fuse-ld=gold",), False),
    ],
)
def test_who_counts_up(tmp_path: Path, flags: tuple[str, ...], counted: bool) -> None:
    (tmp_path / "x.c").write_text(SOURCE)
    filler = () if any("FILLER" in flag for flag in flags) else ("-DFILLER=8",)
    command = ["gcc", "-O2", *filler, *flags, "x.c", "-o", "x"]
    subprocess.run(command, cwd=tmp_path, check=True)
    sink = Sink()
    elf = open_elf(str(tmp_path / "x"), LiveWorld(), sink)
    assert elf is not None
    (marker,) = read_markers(elf, read_notes(elf, sink), SitePolicy((6, 6)), sink)
    (site,) = marker.sites
    assert (site.semaphore is not None, site.unsafe) == (counted, "")
    if site.semaphore is None:
        return
    symbols = subprocess.run(
        ["nm", tmp_path / "x"], capture_output=True, text=True, check=True
    ).stdout
    addresses = {line.split()[-1]: line.split()[0] for line in symbols.splitlines()}
    start = "_init" if "-shared" in flags else "_start"
    assert site.semaphore.start_address == int(addresses[start], 16)
    assert site.semaphore.address == int(addresses["demo_tick_semaphore"], 16)
    assert elf.file_offset(site.semaphore.start_address) == site.semaphore.start_offset
