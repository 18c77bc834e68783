"""The page of what markbridge wants of a kernel, made from the engine's table.

Rule: the page says what the engine asks, and nothing else. Write it with
`python -m tools.manual.kernels > docs/kernels.md`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bridge.engine.kernel.features import FEATURES

if TYPE_CHECKING:
    from bridge.engine.kernel.features import Feature

_INTRODUCTION = """\
# Kernels

What the engine wants of the running kernel, how it finds out, and what it does where that is
missing. Generated from the table in `bridge/engine/kernel/features.py` by
`python -m tools.manual.kernels`. The kernel is asked, not its version: distributions carry
features back to older ones, so the version is that of Linux itself and only a hint.

`MARKBRIDGE_WITHOUT=uprobe_multi,ringbuf` makes the engine do without features that are there.
`markbridge doctor` shows what this machine has. `make guest` runs the live part of the tests on
Debian's kernels 6.1 and 6.12.

## What has something in its place

| feature | since | what for | how it is found out | without it |
|---|---|---|---|---|"""

_NEEDED = """
## What has nothing in its place

| feature | since | what for | how it is found out |
|---|---|---|---|"""

_LINE = """
## Functions without kprobes

Where neither kprobes nor trampolines are there, `kernel.function("NAME")` and the aliases that
stand on it (`vfs.read`, `vfs.write` and their returns among them) are served by the tracepoint
at the same place, if `bridge/tapset/tracepoints.toml` has one: `__netif_receive_skb` by
net:netif_receive_skb, `do_fork` by sched:sched_process_fork, `sys_open` by
syscalls:sys_enter_open. Parameters are read from the tracepoint's arguments; what those do not
have is refused at its use. A warning says what is used instead.

## Names of other years

Functions, members and tracepoints that the kernel has renamed are found by
`bridge/tapset/moved.toml` (`do_fork`, `bio->bi_size`, `task_struct->state`), with a warning for
each; what the running kernel has decides, not its version. `--strict-names` takes none of them.

## Debug information of the kernel

Nothing needs it but what only it knows: source files and lines, inlined copies, labels,
callees, local variables, globals with their types. It is looked for by build-id and name below
/usr/lib/debug, or below the folders that SYSTEMTAP_DEBUGINFO_PATH lists, in
`/lib/modules/$(uname -r)` and its `build`, and, of a module, in its own file; one with another
build-id is not taken. Debian has it in `linux-image-$(uname -r)-dbg`, Ubuntu in
`linux-image-$(uname -r)-dbgsym`, Fedora in `kernel-debuginfo`. The first use makes an index,
which is kept (`XDG_CACHE_HOME`). Where the kernel is in memory is told by /proc/kallsyms, of
modules by /sys/module/NAME/sections; both hide it from who has no CAP_SYSLOG.

## Where the line is

Linux 5.8 with CONFIG_BPF_SYSCALL, CONFIG_BPF_JIT, CONFIG_UPROBE_EVENTS and CONFIG_FTRACE is
meant to work, with all handlers in user space up to 5.11. What stands in its way further down:

* before 5.6 no process can be stopped at a hit (`bpf_send_signal_thread`), so handlers that
  read memory at computed addresses, and back traces of programs, are refused; all else goes on;
* before 5.5 programs and user space cannot share the words that say whether a session is armed,
  and the memory of programs cannot be told from that of the kernel. This is the line.

Linux 5.4 is below it. Red Hat Enterprise Linux 8 calls its kernel 4.18 and has carried BPF of
later kernels back; what it has is found out as everywhere.

Tested are 6.1, 6.12 and whatever kernel the tests run on, and on that one each feature taken
away in turn.
"""


def kernel_manual() -> str:
    """The text of docs/kernels.md."""
    optional = [_row(f, f.instead) for f in FEATURES if not f.needed]
    needed = [_row(f) for f in FEATURES if f.needed]
    return "\n".join([_INTRODUCTION, *optional, _NEEDED, *needed, _LINE])


def _row(feature: Feature, *more: str) -> str:
    cells = (f"`{feature.name}`", feature.since, feature.what, feature.how, *more)
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.stdout.write(kernel_manual())
