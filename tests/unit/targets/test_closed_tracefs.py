"""System calls are the same for who may not read tracefs: from our own table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.diagnostics import Sink
from bridge.probes import tracepoints
from bridge.probes.btf import Btf
from bridge.world import TRACEFS, LiveWorld

BTF = "/sys/kernel/btf/vmlinux"


class Closed(LiveWorld):
    """This machine as an ordinary user sees it."""

    def exists(self, path: str) -> bool:
        return not path.startswith(TRACEFS) and super().exists(path)


@pytest.mark.bpf
@pytest.mark.parametrize(
    "pattern",
    ["syscalls:sys_enter_*", "syscalls:sys_exit_*", "syscalls:sys_enter_openat", "sys_*_read"],
)
def test_the_table_says_what_tracefs_does(pattern: str) -> None:
    world = LiveWorld()
    open_ = tracepoints.find(pattern, world, Sink())
    types = Btf(world.read_file(BTF))

    closed = tracepoints.find_system_calls(pattern, Closed(), types)

    expected = [replace(marker, id=0) for marker in open_ if marker.syscall is not None]
    assert len(expected) > 0
    assert sorted(closed, key=str) == sorted(expected, key=str)


def test_there_is_no_other_event() -> None:
    world = Closed()
    assert tracepoints.find_system_calls("syscalls:sys_enter_nothing", world, None) == []
    assert tracepoints.find_system_calls("sched:sys_enter_read", world, None) == []
    assert tracepoints.find_system_calls("sched_switch", world, None) == []


@pytest.mark.parametrize(
    ("event", "variables"),
    [
        ("sys_enter_openat", ["__syscall_nr", "dfd", "filename", "flags", "mode"]),
        ("sys_exit_close", ["__syscall_nr", "ret"]),
        ("sys_enter_getpid", ["__syscall_nr"]),
        ("sys_enter_mmap", ["__syscall_nr", "addr", "len", "prot", "flags", "fd", "off"]),
    ],
)
def test_the_arguments_have_their_names(event: str, variables: list[str]) -> None:
    (marker,) = tracepoints.find_system_calls(f"syscalls:{event}", Closed(), None)

    assert [variable.name for variable in marker.variables] == variables
