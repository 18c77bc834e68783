"""The aliases of memory, networks, disks and processes, live, and again over the trace."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Runner

pytestmark = [pytest.mark.root, pytest.mark.bpf]

EXAMPLES = Path("/usr/share/systemtap/examples")


def _run(run: Runner, folder: Path, text: str, command: str) -> list[str]:
    """What a script prints while a program in Python runs, which a replay prints, too."""
    program, script = folder / "program.py", folder / "x.stp"
    program.write_text(command)
    script.write_text(text)
    started = f"{sys.executable} {program}"
    live = run("run", script, "-c", started, "--trace", folder / "trace")
    assert live.code == 0, live.err
    again = run("run", script, "--replay", folder / "trace")
    assert sorted(again.out.splitlines()) == sorted(live.out.splitlines()), again.err
    return live.out.splitlines()


NETWORK = r"""
probe netdev.transmit, netdev.hard_transmit, netdev.receive {
  if (pid() == target() && dev_name == "lo")
    println(pp(), " ", length, " ", protocol, " ", truesize > length)
}
probe netdev.rx {
  if (pid() == target())
    println("rx ", dev_name, " ", protocol, " ", get_netdev_name(netdev) == dev_name)
}
"""
DATAGRAM = """
import socket
here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
here.bind(("127.0.0.1", 0))
here.sendto(b"x" * 100, here.getsockname())
here.recv(200)
"""


def test_packets(run: Runner, tmp_path: Path) -> None:
    printed = _run(run, tmp_path, NETWORK, DATAGRAM)
    # 100 bytes, 8 of UDP, 20 of IP, 14 of the device; 0x0800 as it lies in memory.
    points = {"net_dev_queue": 142, "net_dev_start_xmit": 142, "netif_receive_skb": 128}
    expected = {f'kernel.trace("net:{name}") {n} 8 1' for name, n in points.items()}
    assert expected | {"rx lo 8 1"} <= {*printed}


MEMORY = r"""
global seen, got, told
probe vm.kmalloc, vm.kmem_cache_alloc {
  if (pid() == target() && ptr) {
    got[ptr]++
    if (!seen[name]++)
      println(name, " ", bytes_alloc >= bytes_req && bytes_req > 0, " ", caller_function != "",
              " ", call_site < 0)
    if (gfp_flags == 0xcc0) told["plain"] = gfp_flag_name
    else if (gfp_flags == 0xdc0) told["cleared"] = gfp_flag_name
  }
}
probe vm.kfree, vm.kmem_cache_free {
  if (pid() == target() && (ptr in got) && !seen[name]++)
    println(name, " ", caller_function != "", " ", call_site < 0)
}
probe vm.pagefault {
  if (pid() == target() && !(address & 0xfff) && !seen[sprint(name, write_access)]++)
    println("fault ", write_access)
}
probe vm.oom_kill { println(name, " ", task_pid(task)) }
probe end { foreach (which in told) println(which, " ", told[which]) }
"""
TOUCH = """
import mmap, os
area = mmap.mmap(-1, 1 << 20)
for page in range(0, 1 << 20, 4096):
    area[page]
for page in range(0, 1 << 20, 4096):
    area[page] = 1
os.listdir("/")
"""


def test_memory_of_the_kernel_and_faults(run: Runner, tmp_path: Path) -> None:
    printed = _run(run, tmp_path, MEMORY, TOUCH)
    assert {"kmalloc 1 1 1", "kmem_cache_alloc 1 1 1"} <= {*printed}
    assert {"kfree 1 1", "kmem_cache_free 1 1", "fault 0", "fault 1"} <= {*printed}
    assert "plain GFP_KERNEL" in printed
    # As SystemTap prints it.
    cleared = "__GFP_WAIT | __GFP_IO | __GFP_FS | __GFP_ZERO"
    assert f"cleared {cleared} | __GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM" in printed


MAPPED = """
probe vm.mmap, vm.munmap, vm.brk {
  if (pid() == target()) printf("%s %#x %d\\n", name, address, length)
}
"""
MAP = """
import ctypes, mmap
area = mmap.mmap(-1, 12345 * 4096)
start = ctypes.addressof(ctypes.c_char.from_buffer(area))
del area
library = ctypes.CDLL(None)
library.sbrk.restype, library.sbrk.argtypes = ctypes.c_void_p, [ctypes.c_ssize_t]
end = library.sbrk(0)
library.sbrk(77 * 4096 + 5)
print("was %#x" % -(-end // 4096 * 4096))
"""


def test_maps_of_processes(run: Runner, tmp_path: Path) -> None:
    script, program = tmp_path / "x.stp", tmp_path / "program.py"
    script.write_text(MAPPED)
    program.write_text(MAP)
    done = run("run", script, "-c", f"{sys.executable} {program}")
    printed = [line.split() for line in done.out.splitlines()]
    (end,) = (words[1] for words in printed if words[0] == "was")
    assert ["brk", end, str(78 * 4096)] in printed or ["brk", end, str(77 * 4096)] in printed
    sizes = {name: {w[2] for w in printed if w[0] == name} for name in ("mmap", "munmap")}
    assert str(12345 * 4096) in sizes["mmap"] & sizes["munmap"], done.err


BLOCKS = r"""
global at
probe ioblock.request {
  if (rw == BIO_WRITE && pid() == target()) {
    at[$bio] = sector + p_start_sect
    println(name, " ", devname, " ", ino, " ", size, " ", bio_rw_str(rw), " ", opf & 1,
            " ", vcnt > 0, " ", bdev_contains, " ", bdev < 0)
  }
}
probe ioblock_trace.request {
  if (rw == BIO_WRITE && pid() == target())
    println(name, " ", devname, " ", at[$bio] == sector, " ", q < 0, " ", bytes_done == size)
}
"""
WRITE = """
import os
with open("{file}", "wb") as out:
    out.write(b"x" * 20000)
    out.flush()
    os.fsync(out.fileno())
"""


def test_requests_to_disks(run: Runner, tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    place = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    if not place.exists():
        pytest.skip("this folder is on no disk")
    file = tmp_path / "data"
    printed = _run(run, tmp_path, BLOCKS, WRITE.format(file=file))
    disk = place.resolve().name
    written = re.compile(rf"ioblock.request {disk} {file.stat().st_ino} (\d+) W 1 1 0 1")
    sizes = [int(found[1]) for line in printed if (found := written.fullmatch(line))]
    assert sum(sizes) == 20480
    assert f"ioblock_trace.request {disk} 1 1 1" in printed
    assert f"ioblock_trace.request {disk} 0 1 1" not in printed


PROCESSES = r"""
global ours, first
probe kprocess.create { if (pid() == target()) { ours[new_tid] = 1; println("create") } }
probe kprocess.start {
  if (ours[tid()]) println("start ", pid() == tid(), " ", ppid() == target())
}
probe kprocess.exec { if (ours[tid()]) println("exec ", filename, " ", args) }
probe kprocess.exec_complete {
  if (ours[tid()]) println("executed ", errno, " ", success, " ", execname())
}
probe kprocess.exit { if (ours[tid()]) println("exit ", code) }
probe kprocess.release {
  if (ours[released_tid])
    println("release ", released_pid == released_tid, " ", task_execname(task))
}
probe workqueue.execute {
  if (!first++) println("work ", work < 0, " ", work_func < 0, " ", execname() =~ "^kworker",
                        " ", task_execname(wq_thread) == execname())
}
"""
CHILDREN = """
import os, time
for program in ("/nosuch/program", "/bin/true"):
    child = os.fork()
    if not child:
        try:
            os.execv(program, [program, "an argument"])
        except OSError:
            os._exit(3)
    os.waitpid(child, 0)
time.sleep(1)
"""


def test_lives_of_processes(run: Runner, tmp_path: Path) -> None:
    printed = _run(run, tmp_path, PROCESSES, CHILDREN)
    assert printed.count("create") == printed.count("start 1 1") == 2
    assert 'exec "/nosuch/program" ["/nosuch/program", "an argument"]' in printed
    assert 'exec "/bin/true" ["/bin/true", "an argument"]' in printed
    assert "executed 0 1 true" in printed
    assert any(line.startswith("executed -2 0 ") for line in printed)
    assert {"exit 768", "exit 0", "release 1 true"} <= {*printed}
    assert "work 1 1 1 1" in printed


@pytest.mark.tools
@pytest.mark.parametrize(
    "name",
    [
        "process/forktracker",
        "process/spawn_seeker",
        "process/proc_snoop",
        "process/schedtimes",
        "network/nettop",
        "io/mbrwatch",
        "io/deviceseeks",
        "memory/vm.tracepoints",
    ],
)
def test_examples_are_accepted(run: Runner, name: str) -> None:
    done = run("check", EXAMPLES / f"{name}.stp")
    assert (done.code, done.out) == (0, ""), done.err
