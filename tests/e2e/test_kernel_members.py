"""Functions of the library that read the kernel's tasks and sockets, live and again."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Runner

pytestmark = [pytest.mark.root, pytest.mark.bpf]

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
    assert live[0] == "1 1 true 0 1 20"
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
