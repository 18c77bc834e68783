"""Network devices and page faults by the kernel's functions, where those can be probed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Runner

pytestmark = [
    pytest.mark.root,
    pytest.mark.bpf,
    pytest.mark.guest,
    pytest.mark.needs("kprobes"),
]

DEVICES = """
probe netdev.register { if (pid() == target()) println("register ", dev_name) }
probe netdev.ioctl { if (pid() == target()) printf("ioctl %x %s\\n", cmd, arg) }
probe netdev.change_rx_flag { if (pid() == target()) printf("flags %s %x\\n", dev_name, flags) }
probe netdev.change_mtu {
  if (pid() == target()) println("mtu ", dev_name, " ", old_mtu, " ", new_mtu)
}
probe netdev.set_promiscuity {
  if (pid() == target()) println("promiscuous ", dev_name, " ", enable, disable, " ", inc)
}
probe netdev.get_stats { if (pid() == target()) println("counts ", dev_name) }
"""
CHANGE = r"""
import ctypes, fcntl, socket, struct
assert ctypes.CDLL(None).unshare(0x40000000) == 0  # a network of its own
control = socket.socket()
fcntl.ioctl(control, 0x8922, struct.pack("16si12x", b"lo", 1400))
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wanted = struct.pack("iHH8s", 1, 1, 0, b"")  # lo, PACKET_MR_PROMISC
raw.setsockopt(263, 1, wanted)
raw.setsockopt(263, 2, wanted)
open("/proc/net/dev").read()
"""
FAULTS = """
global major, minor, shared
probe vm.pagefault.return {
  if (pid() == target() && !vm_fault_contains(fault_type, 0x4)) minor++
}
probe vm.write_shared { if (pid() == target()) shared[address & ~4095]++ }
probe end { println(minor > 256, " ", 256 <= shares()) }
function shares() { foreach (page in shared) total += shared[page] return total }
"""
TOUCH = """
import mmap
area = mmap.mmap(-1, 256 * 4096, flags=mmap.MAP_PRIVATE)
for page in range(256):
    area[page * 4096]  # the page of zeros, which is written to next
for page in range(256):
    area[page * 4096] = 1
"""


def _run(run: Runner, folder: Path, script: str, program: str) -> list[str]:
    (folder / "x.stp").write_text(script)
    (folder / "program.py").write_text(program)
    done = run("run", folder / "x.stp", "-c", f"{sys.executable} -IS {folder / 'program.py'}")
    assert done.code == 0, done.err
    return done.out.splitlines()


def test_changes_of_devices(run: Runner, tmp_path: Path) -> None:
    printed = _run(run, tmp_path, DEVICES, CHANGE)
    assert "register lo" in printed
    assert "ioctl 8922 lo" in printed
    assert "mtu lo 65536 1400" in printed
    assert [line for line in printed if line.startswith("promiscuous")] == [
        "promiscuous lo 10 1",
        "promiscuous lo 01 -1",
    ]
    assert "counts lo" in printed


def test_faults_and_shared_pages(run: Runner, tmp_path: Path) -> None:
    assert _run(run, tmp_path, FAULTS, TOUCH) == ["1 1"]
