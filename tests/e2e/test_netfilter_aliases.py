"""Packets at the places of netfilter's hooks, beside what the program knows that sends them."""

from __future__ import annotations

import sys
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Runner

pytestmark = [pytest.mark.root, pytest.mark.bpf]

SENDER = r"""
import socket, sys
ways = {"6": (socket.AF_INET6, "::1"), "4": (socket.AF_INET, "127.0.0.1")}
family, address = ways[sys.argv[1]]
here = socket.socket(family, socket.SOCK_DGRAM)
here.bind((address, 0))
print("port", here.getsockname()[1], flush=True)
here.sendto(b"x" * 100, here.getsockname())
here.recv(200)
"""
UDP = """
probe netfilter.ipv4.pre_routing {
  if (protocol == ipproto_udp && sport == dport && length == 128)
    printf("%s %s %s %d %d %s %d%d%d %d\\n", pf, saddr, daddr, dport, family, indev_name,
           tcphdr, syn, nf_accept, udphdr - iphdr)
}
"""
PLACES = """
probe netfilter.ip.local_out, netfilter.ip.post_routing {
  if (pid() == target() && (family == 10 || sport == dport))
    println(probefunc(), " ", pf, " ", saddr, " ", daddr, " ", length, " ", outdev_name)
}
probe netfilter.ip.pre_routing, netfilter.ip.local_in {
  if (pid() == target() && (family == 10 || sport == dport))
    println(probefunc(), " ", pf, " ", saddr, " ", daddr, " ", length, " ", indev_name)
}
"""
FUNCTIONS = {
    "4": ["__ip_local_out", "ip_output", "ip_rcv", "ip_local_deliver"],
    "6": ["__ip6_local_out", "ip6_output", "ipv6_rcv", "ip6_input"],
}


def _run(run: Runner, folder: Path, script: str, *arguments: str) -> list[str]:
    (folder / "x.stp").write_text(script)
    (folder / "sender.py").write_text(SENDER)
    command = " ".join((sys.executable, "-IS", str(folder / "sender.py"), *arguments))
    done = run("run", folder / "x.stp", "-c", command)
    assert done.code == 0, done.err
    return done.out.splitlines()


def test_a_datagram_that_arrives(run: Runner, tmp_path: Path) -> None:
    told, *packets = sorted(_run(run, tmp_path, UDP, "4"), key=lambda line: "ipv4" in line)
    port = told.removeprefix("port ")
    assert f"ipv4 127.0.0.1 127.0.0.1 {port} 2 lo 001 20" in packets


@pytest.mark.needs("kprobes")
@pytest.mark.parametrize("version", ["4", pytest.param("6", marks=pytest.mark.guest)])
def test_a_datagram_on_its_way(run: Runner, tmp_path: Path, version: str) -> None:
    _, *lines = _run(run, tmp_path, PLACES, version)
    here, length = ("127.0.0.1", "128") if version == "4" else ("::1", "148")
    places = [line.split() for line in lines]
    addresses = {str(ip_address(word)) for _, _, *ends, _, _ in places for word in ends}
    rest = [f"ipv{version}", length, "lo"]
    assert [[*words[:2], *words[4:]] for words in places] == [
        [name, *rest] for name in FUNCTIONS[version]
    ]
    assert addresses == {here}
