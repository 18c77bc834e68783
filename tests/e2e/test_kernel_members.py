"""Functions of the library that read the kernel's tasks and sockets, live and again."""

from __future__ import annotations

import os
import re
import resource
from pathlib import Path
from subprocess import Popen
from typing import TYPE_CHECKING

import pytest

from tests.support.command import wait_until

if TYPE_CHECKING:
    from tests.support.command import Runner

pytestmark = [pytest.mark.root, pytest.mark.bpf]

ENGINES = ("native", "interpreter")
TASK = r"""
probe kernel.trace("sched:sched_process_exec") {
  if (pid() != target()) next
  t = task_current()
  printf("%d %d %s %d %d %d\n", task_pid(t) == pid(), task_tid(t) == tid(), task_execname(t),
         task_state(t), task_cpu(t) == cpu(), task_prio(t))
}
probe kernel.trace("sched:sched_process_exec") {
  if (pid() != target()) next
  t = task_current()
  printf("%d %d %d %d %d %d\n", task_nice(t), task_uid(t), task_euid(t), task_gid(t),
         task_egid(t), task_pid(task_parent(t)) == stp_pid())
  printf("%d %d %d\n", task_rlimit_nofile(t), task_rlimit_core(t), task_stime() >= 0)
}
"""
SOCKET = r"""
probe kernel.trace("sock:inet_sock_set_state") {
  if (pid() == target() && tcp_ts_get_info_state($sk) == 1)
    printf("%d %d %s %s %s\n", inet_get_local_port($sk), inet_get_dest_port($sk),
           inet_get_ip_source($sk), inet_get_ip_dest($sk),
           tcp_sockstate_str(tcp_ts_get_info_state($sk)))
}
probe kernel.trace("sock:inet_sock_set_state") {
  if (pid() == target() && !seen++)
    printf("%d %d\n", tcp_get_info_rto($sk) >= 200000, tcp_get_info_snd_cwnd($sk) > 0)
}
global seen
"""
MEMORY = r"""
@define action(number)
%( &@cast(task_current(), "task_struct", "kernel")->sighand->action[@number - 1] %)
probe syscall.getpgid {
  if (pid() != target() || seen++) next
  t = task_current()
  printf("here %d %d %d %d %d\n", proc_mem_size(), proc_mem_rss(), proc_mem_shr(),
         proc_mem_txt(), proc_mem_data())
  printf("files %d %d %d %d\n", task_open_file_handles(t), task_max_file_handles(t),
         __file_ino(task_fd_lookup(t, 70)), task_fd_lookup(t, 5000))
  printf("program %s\n", __file_filename(current_exe_file()))
  printf("blocked %d%d\n", is_sig_blocked(t, 10), is_sig_blocked(t, 12))
}
probe syscall.getpgid {
  if (pid() != target()) next
  printf("actions %d %d %s %d\n", get_sa_handler(@action(10)) > 1, get_sa_handler(@action(12)),
         sa_flags_str(get_sa_flags(@action(10))), get_sigaction_mask(@action(10)))
}
global seen
"""
USES = """#!/usr/bin/python3
import os, signal
signal.signal(10, lambda *_: 0)
signal.signal(12, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {10})
table = [os.open("/proc/self/statm", 0)]
table += [os.open("/etc/passwd", 0) for _ in range(300)]
def size():
    return next(x.split()[1] for x in open("/proc/self/status") if x.startswith("FDSize"))
print("now", size(), len(os.listdir("/proc/self/fd")) - 1, flush=True)
text = os.pread(table[0], 99, 0).decode()
os.getpgid(0)
print("statm", text, flush=True)
print("inode", os.fstat(70).st_ino, flush=True)
"""
CHAIN = """
probe syscall.getpgid {
  if (pid() != target()) next
  println("chain", pstrace(task_current()))
  println("names ", task_ancestry(task_current(), 0))
  println("times ", task_ancestry(task_current(), 1))
}
"""
ABOVE = """#!/usr/bin/python3
import os
os.getpgid(0)
pid, chain, names = os.getpid(), "", []
while pid:
    name = open(f"/proc/{pid}/comm").read().strip()
    names = [name, *names]
    if pid > 1:
        chain += f" {name}({pid})"
    pid = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
print("above" + chain)
print("named", "=>".join(["swapper/0", *names]), flush=True)
"""
OTHERS = """
probe begin {
  printf("%d %d %d %d\\n", proc_mem_size($1), proc_mem_txt($1), proc_mem_data($1),
         proc_mem_rss(-1))
  println(proc_mem_string($1) == proc_mem_string_pid($1))
  exit()
}
"""
PACKETS = r"""
probe kernel.trace("net:net_dev_queue") {
  if (pid() != target()) next
  ip = __get_skb_iphdr($skb)
  if (__ip_skb_proto(ip) == 17) {
    udp = __get_skb_udphdr($skb)
    printf("udp %s %s %d %d\n", ip_ntop(__ip_skb_saddr(ip)), ip_ntop(__ip_skb_daddr(ip)),
           __udp_skb_sport(udp), __udp_skb_dport(udp))
  }
  if (__ip_skb_proto(ip) == 6) {
    tcp = __get_skb_tcphdr($skb)
    printf("tcp %s %d %d %d%d%d%d%d%d\n", ip_ntop(__ip_skb_daddr(ip)), __tcp_skb_sport(tcp),
           __tcp_skb_dport(tcp), __tcp_skb_syn(tcp), __tcp_skb_ack(tcp), __tcp_skb_psh(tcp),
           __tcp_skb_fin(tcp), __tcp_skb_rst(tcp), __tcp_skb_urg(tcp))
  }
}
"""
SENDER = """#!/usr/bin/python3
import socket
one, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
one.bind(("127.0.0.2", 0))
other.bind(("127.0.0.3", 0))
one.sendto(b"x", other.getsockname())
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen()
client = socket.create_connection(server.getsockname())
held = server.accept()
client.send(b"x")
held[0].recv(1)
client.close()
print("ports", one.getsockname()[1], other.getsockname()[1], held[1][1],
      server.getsockname()[1])
"""
CLIENT = """#!/usr/bin/python3
import socket
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen()
client = socket.create_connection(server.getsockname())
server.accept()
print("ports", client.getsockname()[1], server.getsockname()[1])
"""


def _again(run: Runner, folder: Path, text: str, command: str) -> tuple[list[str], list[str]]:
    script = folder / "x.stp"
    script.write_text(text)
    live = run("run", script, "-c", command, "--trace", folder / "trace")
    assert live.code == 0, live.err
    again = run("run", script, "--replay", folder / "trace")
    return live.out.splitlines(), again.out.splitlines()


def test_members_of_tasks(run: Runner, tmp_path: Path) -> None:
    live, again = _again(run, tmp_path, TASK, "/bin/true")
    assert live[0] == f"1 1 true 0 1 {20 + os.nice(0)}"
    ids = f"{os.getuid()} {os.geteuid()} {os.getgid()} {os.getegid()}"
    assert live[1].startswith(f"{os.nice(0)} {ids} 1")
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    core = resource.getrlimit(resource.RLIMIT_CORE)[0]
    assert live[2] == f"{files} {core} 1"
    assert [line.split()[2:4] for line in again] == [line.split()[2:4] for line in live]


def test_members_of_sockets(run: Runner, tmp_path: Path) -> None:
    client = tmp_path / "client"
    client.write_text(CLIENT)
    client.chmod(0o755)
    live, again = _again(run, tmp_path, SOCKET, str(client))
    ports = next(line.split()[1:] for line in live if line.startswith("ports"))
    ends = {tuple(line.split()[:2]) for line in live if line.endswith("ESTABLISHED")}
    assert ends
    assert all(set(pair) <= {*ports} for pair in ends)
    assert all("127.0.0.1 127.0.0.1" in line for line in live if line.endswith("ESTABLISHED"))
    assert "1 1" in live
    assert [line for line in live if not line.startswith("ports")] == again


def test_headers_of_packets(run: Runner, tmp_path: Path) -> None:
    """A datagram, and a connection: SYN, its answer, the data, the end."""
    program = tmp_path / "sender"
    program.write_text(SENDER)
    program.chmod(0o755)
    for engine in ENGINES:
        done = run("run", "-e", PACKETS, "-c", program, "--engine", engine)
        ports = re.search(r"ports (\d+) (\d+) (\d+) (\d+)", done.out)
        assert ports is not None, done.err
        one, other, client, server = ports.groups()
        lines = done.out.splitlines()
        assert f"udp 127.0.0.2 127.0.0.3 {one} {other}" in lines
        sent = [line.split()[4] for line in lines if f" {client} {server} " in line]
        back = [line.split()[4] for line in lines if f" {server} {client} " in line]
        assert sent[0] == "100000"
        assert "011000" in sent
        assert "010100" in sent
        assert back[0] == "110000"


def test_memory_and_files_of_tasks(run: Runner, tmp_path: Path) -> None:
    program = tmp_path / "uses"
    program.write_text(USES)
    program.chmod(0o755)
    script = tmp_path / "x.stp"
    script.write_text(MEMORY)
    done = run("run", script, "-c", str(program))
    assert done.code == 0, done.err
    told = {line.split()[0]: line.split()[1:] for line in done.out.splitlines() if line}
    size, rss, shared, text, _, data, _ = map(int, told["statm"])
    assert told["here"][0] == str(size)
    assert told["here"][3:] == [str(text), str(data)]
    # counters of other processors may lag behind by some pages each
    assert abs(int(told["here"][1]) - rss) < 1000
    assert abs(int(told["here"][2]) - shared) < 1000
    (places, opened), (inode,) = told["now"], told["inode"]
    assert told["files"] == [opened, places, inode, "0"]
    assert told["program"][0].startswith("python3")
    assert told["blocked"] == ["10"]
    assert told["actions"][:2] == ["1", "1"]


def test_memory_of_other_processes(run: Runner) -> None:
    with Popen(["sleep", "600"]) as other:
        try:
            wait_until(lambda: Path(f"/proc/{other.pid}/comm").read_text() == "sleep\n")
            told = [run("run", f"--engine={e}", "-e", OTHERS, other.pid).out for e in ENGINES]
            pages = Path(f"/proc/{other.pid}/statm").read_text().split()
        finally:
            other.kill()
    assert told == [f"{pages[0]} {pages[3]} {pages[5]} 0\n1\n"] * 2


def test_where_a_task_comes_from(run: Runner, tmp_path: Path) -> None:
    program, script = tmp_path / "above", tmp_path / "x.stp"
    program.write_text(ABOVE)
    program.chmod(0o755)
    script.write_text(CHAIN)
    done = run("run", script, "-c", str(program))
    assert done.code == 0, done.err
    told = dict(line.partition(" ")[::2] for line in done.out.splitlines())
    assert told.get("chain") == told["above"], done
    names, times = (
        told["names"].split("=>"),
        re.sub(r"\([^)]*\)", "", told["times"]).split("=>"),
    )
    assert names == times
    assert names[0] == "swapper/0"
    # of the first process it may be another thread that started the next one
    assert names[2:] == told["named"].split("=>")[2:]
