"""Counters of TCP and IP, beside the kernel's for a network of our own (/proc/net/snmp)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Runner

pytestmark = [pytest.mark.root, pytest.mark.bpf, pytest.mark.guest]

PORT = 5999
TRAFFIC = r"""
import ctypes, fcntl, socket, struct
assert ctypes.CDLL(None).unshare(0x40000000) == 0  # a network of its own
control = socket.socket()
fcntl.ioctl(control, 0x8914, struct.pack("16sH14x", b"lo", 0x41))  # up and running

server = socket.create_server(("127.0.0.1", 5999))
client = socket.create_connection(("127.0.0.1", 5999))
served, _ = server.accept()
client.sendall(b"x" * 10)
served.recv(10)
served.close()
client.recv(1)
client.close()

client = socket.create_connection(("127.0.0.1", 5999))
served, _ = server.accept()
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
client.close()  # reset
server.close()
try:
    socket.create_connection(("127.0.0.1", 5999))
except ConnectionRefusedError:
    pass
lines = [line.split() for line in open("/proc/net/snmp")]
for names, values in zip(lines[::2], lines[1::2]):
    for name, value in zip(names[1:], values[1:]):
        print("kernel", names[0][:-1], name, value, flush=True)
"""
COUNTS = """
function tcpmib_filter_key:long(sk:long, op:long) {
  return sk && (tcpmib_remote_port(sk) == PORT || tcpmib_local_port(sk) == PORT)
}
function ipmib_filter_key:long(skb:long, op:long, here:long) {
  return ipmib_get_proto(skb) == 6 && ipmib_local_addr(skb, here) == 0x7f000001
         && ipmib_remote_addr(skb, here) == 0x7f000001
         && (ipmib_tcp_remote_port(skb, here) == PORT
             || ipmib_tcp_local_port(skb, here) == PORT)
}
global opened, least
probe tcpmib.ActiveOpens, tcpmib.PassiveOpens, tcpmib.AttemptFails, tcpmib.EstabResets,
      tcpmib.OutRsts, tcpmib.RetransSegs, tcpmib.InSegs, tcpmib.OutSegs,
      ipmib.InReceives, ipmib.OutRequests { }
probe tcpmib.CurrEstab { if (key) opened += op > 0 }
probe end {
  printf("ours ActiveOpens %d\\nours PassiveOpens %d\\n", ActiveOpens[1], PassiveOpens[1])
  printf("ours AttemptFails %d\\nours EstabResets %d\\n", AttemptFails[1], EstabResets[1])
  printf("ours RetransSegs %d\\n", RetransSegs[1])
  printf("ours InReceives %d\\nours OutRequests %d\\n", InReceives[1], OutRequests[1])
  printf("rest %d %d %d %d %d\\n", opened, CurrEstab[1], OutRsts[1], InSegs[1], OutSegs[1])
}
""".replace("PORT", str(PORT))


def test_what_the_kernel_counts(run: Runner, tmp_path: Path) -> None:
    program, script = tmp_path / "traffic.py", tmp_path / "x.stp"
    program.write_text(TRAFFIC)
    script.write_text(COUNTS)
    ended = run("run", script, "-c", f"{sys.executable} -IS {program}")
    assert ended.code == 0, ended.err
    words = [line.split() for line in ended.out.splitlines()]
    kernel = {
        line[2]: int(line[3])
        for line in words
        if line[:2] in (["kernel", "Tcp"], ["kernel", "Ip"])
    }
    ours = {line[1]: int(line[2]) for line in words if line[0] == "ours"}
    assert ours == {name: kernel[name] for name in ours}, ended.out
    (rest,) = (list(map(int, line[1:])) for line in words if line[0] == "rest")
    opened, left, resets, received, sent = rest
    # two connections of two ends each; the second's end that is reset
    assert (opened, left, resets) == (4, 0, 1), ended.out
    assert 0 < received <= kernel["InSegs"]
    assert 0 < sent <= kernel["OutSegs"]
