"""Programs stay right while uprobes are at the sites that are held safe.

The uprobes are bare perf events, so that only the kernel and the choice of sites are tested.
"""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.probes import markers_of
from bridge.world import LiveWorld
from tests.support.victims import RED_ZONE, SAFE, compile_c

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.markers import Site

SYS_PERF_EVENT_OPEN = 298  # x86-64
UPROBE_TYPE = Path("/sys/bus/event_source/devices/uprobe/type")
# struct perf_event_attr: type, size, config, period, sample and read format, flags, wakeup,
# bp_type, config1 (path), config2 (offset), to PERF_ATTR_SIZE_VER5.
ATTRIBUTES = struct.Struct("<IIQQQQQIIQQ40x")


@contextmanager
def uprobes(sites: list[Site]) -> Iterator[list[int]]:
    """An enabled uprobe at each site, in all processes."""
    libc = ctypes.CDLL(None, use_errno=True)
    files = []
    try:
        for site in sites:
            path = ctypes.create_string_buffer(site.path.encode())
            attributes = ATTRIBUTES.pack(
                int(UPROBE_TYPE.read_text()),
                ATTRIBUTES.size,
                0,
                1,
                0,
                0,
                0,
                0,
                0,
                ctypes.addressof(path),
                site.offset,
            )
            file = libc.syscall(SYS_PERF_EVENT_OPEN, attributes, -1, 0, -1, 0)
            assert file >= 0, f"{site}: {os.strerror(ctypes.get_errno())}"
            files.append(file)
        yield files
    finally:
        for file in files:
            os.close(file)


@pytest.mark.bpf
@pytest.mark.parametrize("optimization", ["-O0", "-O2"])
def test_results_are_right_while_safe_sites_are_probed(
    tmp_path: Path, optimization: str
) -> None:
    program = compile_c(tmp_path, "victim", RED_ZONE, optimization)
    markers = markers_of(str(program), LiveWorld())
    safe = [site for marker in markers for site in marker.sites if not site.unsafe]
    names = {m.name for m in markers if all(not site.unsafe for site in m.sites)}

    with uprobes(safe):
        done = subprocess.run([program, "2000"], capture_output=True, text=True, check=True)

    assert names >= SAFE
    assert done.stdout == "wrong results: 0 of 2000\n"


@pytest.mark.bpf
def test_the_refused_site_is_one_that_goes_wrong(tmp_path: Path) -> None:
    program = compile_c(tmp_path, "victim", RED_ZONE, "-O2")
    (leaf,) = [m for m in markers_of(str(program), LiveWorld()) if m.name == "leaf"]

    with uprobes(list(leaf.sites)):
        done = subprocess.run([program, "2000"], capture_output=True, text=True, check=True)

    if done.stdout == "wrong results: 0 of 2000\n":
        pytest.skip("this kernel leaves the red zone alone")
    assert "--unsafe-nop5" in leaf.sites[0].unsafe
