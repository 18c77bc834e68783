"""Without kprobes and trampolines: tracepoints at the same places, else what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.engine.kernel import features
from bridge.errors import CompileError
from bridge.markers import MarkerAttachment
from bridge.pipeline import compile_script
from bridge.probes.live import LiveTargets
from bridge.probes.machine import Options
from bridge.source import SourceMap
from bridge.world import LiveWorld

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.pipeline import Compiled
    from tests.e2e.conftest import Runner

pytestmark = [pytest.mark.root, pytest.mark.bpf]

WITHOUT = "fentry,kprobes"
REFUSED = (
    'probe kernel.function("tcp_v4_connect") { println($addr_len) }',
    'probe kernel.function("tcp_v4_connect").return { println($return) }',
    'probe kprobe.function("vfs_write") { println(int_arg(1)) }',
    "probe udp.disconnect { println(flags) }",
)
FIRED = """
global seen
@define own %( pid() == target() %)
probe kernel.function("vfs_read").return {
  if (@own && $return == 5 && $count > 5) seen[ppfunc()]++
}
probe kernel.function("vfs_write@fs/read_write.c") {
  if (@own && $count == 5) seen[probefunc()]++
}
probe kernel.function("do_exit").call { if (@own && !$code) seen[ppfunc()]++ }
probe kernel.function("do_fork").return { if (@own && $return > 0) seen[ppfunc()]++ }
probe kernel.function("wake_up_new_task") { if (@own && $p->pid > 0) seen[ppfunc()]++ }
probe kernel.function("try_to_wake_up") { if ($p->pid > 0) seen[ppfunc()]++ }
probe kernel.function("schedule") { if ($prev->tgid == target()) seen[ppfunc()]++ }
probe kernel.function("sys_openat") { if (@own && $filename) seen[ppfunc()]++ }
probe kernel.function("kfree") { if ($x) seen[ppfunc()]++ }
probe kernel.function("process_one_work") { if ($work->func) seen[ppfunc()]++ }
probe kernel.function("do_munmap") { if (@own && $start) seen[ppfunc()]++ }
probe kernel.function("do_page_fault") { if (@own && $address) seen[ppfunc()]++ }
probe kernel.function("__netif_receive_skb") { if ($skb->len > 0) seen[ppfunc()]++ }
probe vfs.read.return { if (@own && ino == INODE) seen["file " . sprint(bytes_read)]++ }
probe vfs.write { if (@own && bytes_to_write == 5 && file) seen[name]++ }
probe tcp.sendmsg, udp.recvmsg { if (@own) seen[sprintf("%s %d", name, size)]++ }
probe tcp.recvmsg.return, udp.sendmsg.return {
  if (@own) seen[sprintf("%s of %d from %s", name, size, saddr)]++
}
probe end { foreach (name+ in seen) println(name) }
"""
PROGRAM = """
import os, socket, sys
with open(sys.argv[1], "rb", buffering=0) as file:
    data = file.read(100)
with open("/dev/null", "wb", buffering=0) as null:
    null.write(data)
if not os.fork():
    os._exit(0)
os.wait()
left, right = socket.socket(type=socket.SOCK_DGRAM), socket.socket(type=socket.SOCK_DGRAM)
right.bind(("127.0.0.1", 0))
left.sendto(b"x" * 7, right.getsockname())
right.recv(9)
listening = socket.create_server(("127.0.0.1", 0))
calling = socket.create_connection(listening.getsockname())
called, _ = listening.accept()
calling.send(b"y" * 1234)
called.recv(9000)
"""
HIT = {
    *("vfs_read", "vfs_write", "do_exit", "do_fork", "wake_up_new_task", "try_to_wake_up"),
    *("schedule", "sys_openat", "kfree", "process_one_work", "do_munmap", "do_page_fault"),
    *("__netif_receive_skb", "file 5", "vfs.write", "tcp.sendmsg 1234", "udp.recvmsg 7"),
    *("tcp.recvmsg of 1234 from 127.0.0.1", "udp.sendmsg of 7 from 0.0.0.0"),
}


@pytest.fixture(autouse=True)
def _without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKBRIDGE_WITHOUT", WITHOUT)


@pytest.mark.parametrize("script", REFUSED)
def test_the_remedy_is_told_when_it_runs(run: Runner, script: str) -> None:
    assert run("check", "-e", script).code == 0

    done = run("run", "-e", script)

    assert done.code == 3
    assert "cannot attach to the kernel's function `" in done.err
    assert "this kernel has no kprobes" in done.err


OPTIONAL = """
probe kernel.function("do_filp_open")? { println("opened") }
probe kprobe.function("d_path")? { println("path") }
probe kernel.function("no_such_function")?, module("no_module").function("f")? { println("no") }
probe kernel.function("no_such_*")? { println("no") }
probe kernel.function("another_missing_one")!, timer.ms(300) { println("tick") exit() }
"""


def test_optional_functions_do_not_vanish_without_a_word(run: Runner) -> None:
    """What cannot be attached to is told, and a probe of which nothing is left; no others."""
    done = run("run", "-e", OPTIONAL)

    assert (done.code, done.out) == (0, "tick\n"), done.err
    assert (
        "WARNING: 2 places, optional or found by wildcards, cannot be attached to:" in done.err
    )
    assert done.err.count("this kernel has no kprobes") == 1
    for missing in ("no_such_function", 'module("no_module").function("f")', "no_such_*"):
        assert done.err.count(f"{missing}") >= 1
    assert done.err.count("warning[optional-left-out]") == 3
    assert "another_missing_one" not in done.err.replace(OPTIONAL, "")


def test_functions_are_hit_at_tracepoints(run: Runner, tmp_path: Path) -> None:
    """Nineteen functions and aliases, and one note for each that says what serves it."""
    data, program = tmp_path / "data", tmp_path / "program.py"
    data.write_bytes(b"12345")
    program.write_text(PROGRAM)
    script = FIRED.replace("INODE", str(data.stat().st_ino))

    done = run("run", "-e", script, "-c", f"python3 {program} {data}")

    assert set(done.out.splitlines()) == HIT, done.err
    note = 'kernel.function("vfs_write") is served by kernel.trace("syscalls:sys_enter_write")'
    assert done.err.count(note) == 1
    fork = 'kernel.function("do_fork").return is served by'
    assert done.err.count(fork) == 1


def _compiled(text: str) -> Compiled:
    sources = SourceMap()
    targets = LiveTargets(LiveWorld(), Options(reached=features.reaches_functions))
    return compile_script(sources.add("a.stp", text), sources, targets)


def _without_functions(monkeypatch: pytest.MonkeyPatch, *, reached: bool) -> None:
    monkeypatch.setattr(features, "has", lambda _: reached)


@pytest.mark.parametrize(
    ("point", "name", "event"),
    [
        ('kernel.function("vfs_read")', "$file", "syscalls:sys_enter_read"),
        ('kernel.function("tcp_retransmit_skb")', "$segs", "tcp:tcp_retransmit_skb"),
        ('kernel.function("kfree_skb")', "$nothing", "skb:kfree_skb"),
        ('kernel.function("sys_read").return', "$file", "syscalls:sys_exit_read"),
    ],
)
def test_what_the_tracepoint_does_not_have_is_refused(
    monkeypatch: pytest.MonkeyPatch, point: str, name: str, event: str
) -> None:
    _without_functions(monkeypatch, reached=False)
    with pytest.raises(CompileError) as caught:
        _compiled(f"probe {point} {{ println({name}) }}")
    served = f'kernel.trace("{event}"), which serves'
    assert any(served in d.message for d in caught.value.diagnostics)
    _compiled(f"probe {point} {{ println(@defined({name})) }}")


def test_functions_are_preferred_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel with kprobes is not asked for tracepoints."""
    places = {}
    for reached in (True, False):
        _without_functions(monkeypatch, reached=reached)
        compiled = _compiled('probe kernel.function("vfs_read") { println($count) }')
        handlers = compiled.placed.program.handlers
        attached = [h.expansion.attachment for h in handlers]
        markers = [a.marker for a in attached if isinstance(a, MarkerAttachment)]
        places[reached] = {marker.provider for marker in markers}
        assert bool(compiled.warnings) is not reached
    assert places == {True: {"kernel"}, False: {"syscalls"}}
