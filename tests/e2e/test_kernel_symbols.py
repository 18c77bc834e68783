"""symname() and symdata() name the running kernel's addresses, as /proc/kallsyms does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Runner

pytestmark = pytest.mark.root

DROPWATCH = Path("/usr/share/systemtap/examples/network/dropwatch.stp")


def function(name: str) -> tuple[int, int]:
    """Where a function starts and where the next symbol does."""
    lines = [line.split() for line in Path("/proc/kallsyms").read_text().splitlines()]
    addresses = sorted({int(words[0], 16) for words in lines if words[1] not in "aA"})
    (start,) = (int(words[0], 16) for words in lines if words[2] == name)
    return start, min(address for address in addresses if address > start)


def test_addresses_have_the_names_of_the_kernel(run: Runner) -> None:
    start, end = function("vfs_read")
    calls = f"println(symname({start})) println(symdata({end - 1})) println(symname({end}))"

    done = run("run", "-e", f"probe oneshot {{ {calls} }}")

    first, last, after = done.out.splitlines()
    size = end - start
    assert (first, last) == ("vfs_read", f"vfs_read+{size - 1:#x}/{size:#x} [kernel]")
    assert after != "vfs_read"


@pytest.mark.parametrize("address", [0, 0x1000, (1 << 63) - 1, -1])
def test_other_addresses_are_printed_in_hex(run: Runner, address: int) -> None:
    calls = f"println(symname({address})) println(symdata({address}))"

    done = run("run", "-e", f"probe oneshot {{ {calls} }}")

    assert done.out.splitlines() == [f"{address % (1 << 64):#x}"] * 2


@pytest.mark.bpf
@pytest.mark.tools
def test_dropwatch_names_where_packets_are_dropped(run: Runner) -> None:
    if not DROPWATCH.exists():
        pytest.skip("the examples of SystemTap are not installed")
    send = (
        "import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
        "[(s.sendto(b'x', ('127.0.0.1', 9)), time.sleep(0.05)) for _ in range(110)]"
    )

    done = run("run", DROPWATCH, "-c", f'python3 -c "{send}"')

    assert done.code == 0, done.err
    assert "packets dropped at " in done.out
    assert "packets dropped at 0x" not in done.out
