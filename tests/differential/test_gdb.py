"""Addresses and semaphores of USDT markers are those that gdb computes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bridge.diagnostics import Sink
from bridge.probes.elf import open_elf
from bridge.probes.sdt import read_notes
from bridge.world import LiveWorld
from tests.support.annotated import SOURCE, WARNINGS
from tests.support.victims import compile_c

_ROW = re.compile(
    r"^(?:stap\s+)?(?P<provider>\S+)\s+(?P<name>\S+)\s+(?P<where>0x[0-9a-f]+)"
    r"(?:\s+(?P<semaphore>0x[0-9a-f]+))?"
)


@pytest.mark.tools
@pytest.mark.skipif(shutil.which("gdb") is None, reason="no gdb")
def test_addresses_are_those_of_gdb(tmp_path: Path) -> None:
    programs = [
        compile_c(tmp_path, "demo", SOURCE, "-O2", *WARNINGS),
        compile_c(tmp_path, "fixed", SOURCE, "-O2", "-no-pie", *WARNINGS),
        Path("/usr/lib/postgresql/15/bin/postgres"),
        Path("/usr/bin/python3.11"),
    ]
    for program in filter(Path.exists, programs):
        done = subprocess.run(
            ["gdb", "-nx", "-batch", "-ex", "info probes stap", program],
            capture_output=True,
            text=True,
            check=True,
        )
        expected = [
            (m["provider"], m["name"], int(m["where"], 16), int(m["semaphore"] or "0", 16))
            for m in map(_ROW.match, done.stdout.splitlines())
            if m is not None
        ]
        elf = open_elf(str(program), LiveWorld(), Sink())
        assert elf is not None
        notes = read_notes(elf, Sink())

        assert expected
        assert sorted((n.provider, n.name, n.address, n.semaphore) for n in notes) == sorted(
            expected
        )
