"""The library of system calls says of every call what SystemTap says.

`tests/cases/syscalls/NAME.c` makes the calls, `NAME.stp` tells them, and `NAME.expected` is
what SystemTap 4.8 printed of the same program on Linux 6.1.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Runner

pytestmark = [pytest.mark.bpf, pytest.mark.tools]

CASES = Path(__file__).resolve().parents[1] / "cases" / "syscalls"
# What SystemTap shows, and what is so. Since Linux 5.6 its tapset takes the times in user
# memory for the old ones of 32 bits. Debian's Linux 6.1 for clouds has no memfd_secret(2).
DIFFERENT = {
    "[1000000000.000000][123456.000000]": "[1000000000.123456][1500000000.000007]",
    "[1000000000.000000000][123456.000000000]": "[1000000000.000123456][1500000000.000000007]",
    "[1.000000000][1073741823.000000000]": "[UTIME_NOW][UTIME_OMIT]",
    "0x10000000, [1000000000.000000000]": "0x10000000, [1000000000.000123456]",
    "memfd_secret(MFD_CLOEXEC|MFD_ALLOW_SEALING) = -38 (ENOSYS)": (
        "memfd_secret(MFD_CLOEXEC|MFD_ALLOW_SEALING) = -22 (EINVAL)"
    ),
}


def expected(path: Path) -> list[str]:
    """The lines that SystemTap printed, but for what is known to differ."""
    text = path.read_text()
    for theirs, ours in DIFFERENT.items():
        text = text.replace(theirs, ours)
    return text.splitlines()


@pytest.mark.parametrize("source", sorted(CASES.glob("*.c")), ids=lambda path: path.stem)
def test_calls_are_told_as_systemtap_tells_them(
    run: Runner, tmp_path: Path, source: Path
) -> None:
    program = tmp_path / source.stem
    subprocess.run(["gcc", "-static", "-O1", "-w", "-o", program, source], check=True)

    done = run("run", source.with_suffix(".stp"), "-c", program)

    assert done.code == 0, done.err
    assert done.out.splitlines() == expected(source.with_suffix(".expected"))
