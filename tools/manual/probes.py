"""The page of probe points: what of SystemTap's works, where, and what does not and why.

Rule: every row has an example, which a test fires or sees refused with the row's reason
(tests/e2e/test_probe_table.py); the row says so where it is not. Write it with
`python -m tools.manual.probes > docs/probes.md`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import groupby

from bridge.probes.points import refused


@dataclass(frozen=True, slots=True)
class Row:
    """Points that behave alike. In `example` PROGRAM and LIBRARY are files, PID is a process.

    `wants` is a feature of the kernel (docs/kernels.md); `refused` the words of the refusal.
    """

    family: str
    points: str
    example: str
    note: str = ""
    wants: str = ""
    refused: str = ""


def _refused(family: str, first: str, name: str, points: str, example: str) -> Row:
    return Row(family, points, example, refused=refused(first)[name])


_FUNCTIONS = "kernel.function, module.function, kprobe"
DESCRIBED = (
    "with debug information of the kernel (its package: linux-image-RELEASE-dbg), as an object"
    " in a recorded machine has it; no test hits one, for want of that package"
)
UNFIRED = "found in a recorded machine; no test hits one, for want of modules in the guests"
SERVED = "fired in tests/e2e/test_served_files.py"
TESTED = "fired in tests/e2e/test_kernel_data.py"
_INTERVALS = "timer.s, sec, ms, msec, us, usec, ns, nsec (number)"

ROWS = (
    Row("session", "begin, begin(number)", "begin(3)"),
    Row("session", "end, end(number)", "end"),
    Row("session", "error, error(number)", "error", "instead of `end`, if an error ends it"),
    Row("session", "never", "never", "and never runs"),
    Row("timer", _INTERVALS, "timer.ms(1)"),
    Row("timer", f"{_INTERVALS}.randomize(number)", "timer.us(900).randomize(100)"),
    Row("timer", "timer.hz(number)", "timer.hz(900)"),
    Row("timer", "timer.jiffies(number), .randomize(number)", "timer.jiffies(1)"),
    Row("timer", "timer.profile", "timer.profile", "a sample on each CPU"),
    Row("timer", "timer.profile.freq.hz(number)", "timer.profile.freq.hz(900)"),
    Row("timer", "timer.profile.tick", "timer.profile.tick", "as timer.profile"),
    Row("perf", "perf.type(number).config(number)", "perf.type(1).config(0)"),
    Row("perf", ".sample(number)", "perf.type(1).config(2).sample(1)"),
    Row("perf", ".hz(number)", "perf.type(1).config(0).hz(900)"),
    _refused("perf", "perf", "counter", ".counter(string)",
             'perf.type(1).config(0).counter("x")'),
    _refused("perf", "perf", "process", ".process, .process(string)",
             'perf.type(1).config(0).process("PROGRAM")'),
    Row("process", "process(string).mark(string)", 'process("PROGRAM").mark("here")'),
    Row("process", "process(string).provider(string).mark(string)",
        'process("PROGRAM").provider("table").mark("here")'),
    Row("process", "process(string).function(string)", 'process("PROGRAM").function("work")'),
    Row("process", ".function(..).call", 'process("PROGRAM").function("work").call'),
    Row("process", ".function(..).return", 'process("PROGRAM").function("work").return'),
    Row("process", ".function(..).exported", 'process("PROGRAM").function("work").exported'),
    Row("process", ".function(..).inline", 'process("PROGRAM").function("copied").inline',
        "with debug information"),
    Row("process", ".function(..).label(string)",
        'process("PROGRAM").function("work").label("inside")', "with debug information"),
    Row("process", ".function(\"f@file\"), (\"*@file:line\")",
        'process("PROGRAM").function("work@program.c")', "with debug information"),
    Row("process", ".statement(string)", 'process("PROGRAM").statement("work@program.c:9")',
        "with debug information"),
    Row("process", ".statement(string).nearest",
        'process("PROGRAM").statement("work@program.c:8").nearest', "with debug information"),
    Row("process", "process.mark and all others without a file: the program of -c or -x",
        'process.function("work")'),
    Row("process", "process(..).library(string) with all of these",
        'process("PROGRAM").library("LIBRARY").function("twice")'),
    Row("process", "process.begin, process.end, and of a file or a number", "process.begin"),
    Row("process", "process.thread.begin, process.thread.end", "process.thread.end"),
    Row("process", "process.syscall, process.syscall.return", "process.syscall.return"),
    Row("process", ".function(..).callee(string), .callees, .callees(number), .return, .call",
        'process("PROGRAM").function("work").callee("copied")',
        "with debug information; calls (not inlined copies) need call sites (gcc -O1 or more)"),
    Row("process", ".plt, .plt(string)", 'process("PROGRAM").plt("twice")', "on x86-64"),
    Row("process", ".plt.return, .plt(string).return",
        'process("PROGRAM").plt("twice").return', "on x86-64"),
    _refused("process", "process", "data", ".data(..).write, .data(..).rw",
             'process("PROGRAM").data("x").write'),
    _refused("process", "process", "insn", ".insn, .insn.block", 'process("PROGRAM").insn'),
    Row("kernel", "kernel.trace(string)", 'kernel.trace("sched_switch")'),
    _refused("kernel", "kernel", "tracepoint", "kernel.tracepoint(string)",
             'kernel.tracepoint("sched_switch")'),
    Row("kernel", "kernel.mark(string), .format(string)", 'kernel.mark("fs.exec")',
        "by the tracepoint at the marker's place (docs/markers.md)"),
    Row(_FUNCTIONS, "kernel.function(string)", 'kernel.function("vfs_read")', wants="kprobes"),
    Row(_FUNCTIONS, ".call", 'kernel.function("vfs_read").call', wants="kprobes"),
    Row(_FUNCTIONS, ".exported", 'kernel.function("vfs_read").exported', wants="kprobes"),
    Row(_FUNCTIONS, ".return", 'kernel.function("vfs_read").return', wants="kprobes"),
    Row(_FUNCTIONS, ".return.maxactive(number)",
        'kernel.function("vfs_read").return.maxactive(9)', wants="kprobes"),
    Row(_FUNCTIONS, "module(string) with all of these",
        'module("ext4").function("ext4_*")', UNFIRED, wants="kprobes"),
    Row(_FUNCTIONS, "kernel.statement(string)", 'kernel.statement("vfs_read")',
        wants="kprobes"),
    Row(_FUNCTIONS, "kernel.statement(number).absolute, kprobe.statement(..).absolute",
        "kernel.statement(ADDRESS).absolute", wants="kprobes"),
    Row(_FUNCTIONS, "kprobe.function(string), .call", 'kprobe.function("vfs_read")',
        wants="kprobes"),
    Row(_FUNCTIONS, "kprobe.function(string).return", 'kprobe.function("vfs_read").return',
        wants="kprobes"),
    Row(_FUNCTIONS, ".inline, .label(string), .callee(string), .callees, .nearest, \"f@file\"",
        'kernel.function("vfs_read").inline', DESCRIBED, wants="kprobes"),
    Row("others", "kernel.data(number).write, .rw, .length(number)",
        "kernel.data(ADDRESS).rw", TESTED),
    Row("others", "kernel.data(string).write, .rw", 'kernel.data("jiffies").rw',
        "by the names of /proc/kallsyms, where they are shown", wants="CONFIG_KALLSYMS_ALL"),
    _refused("others", "kernel", "lsm", "kernel.lsm(string)", 'kernel.lsm("file_open")'),
    _refused("others", "", "netfilter", "netfilter.hook(..).pf(..)",
             'netfilter.hook("NF_INET_LOCAL_IN").pf("NFPROTO_IPV4")'),
    Row("others", "procfs.read, procfs(string).read, .maxsize(number), .write, .umask(number)",
        'procfs("x").read', f"files in a folder of the session (docs/language.md); {SERVED}"),
    _refused("others", "", "oracle", "oracle", "oracle"),
    _refused("others", "", "java", "java(..).class(..).method(..)", 'java("x").class("y")'),
    _refused("others", "", "python3", "python3.module(..)", 'python3.module("x")'),
    _refused("others", "", "python2", "python2.module(..)", 'python2.module("x")'),
)  # fmt: skip

_INTRODUCTION = """\
# Probe points

What of SystemTap's probe points works, on which kernels, and what does not and why. Generated
from the table in `tools/manual/probes.py` by `python -m tools.manual.probes`; a test fires each
example that works, if its row does not say otherwise, and looks for the reason in the message
of each that does not. Features of
kernels are those of `docs/kernels.md`. Probe points of the library (`syscall.*`, `vfs.*`,
`scheduler.*` and others) stand on these: `markbridge list 'NAME.*'` shows them. Where a kernel
has no kprobes, tracepoints stand for some functions (`docs/kernels.md`).
"""


def probe_manual() -> str:
    """The text of docs/probes.md."""
    parts = [_INTRODUCTION]
    for family, rows in groupby(ROWS, key=lambda row: row.family):
        parts.append(f"## {family}\n\n| probe points | example | |\n|---|---|---|")
        parts += [_line(row) for row in rows]
        parts.append("")
    return "\n".join(parts)


def _line(row: Row) -> str:
    verdict = f"refused: {row.refused}" if row.refused else "works"
    if row.wants:
        verdict = f"works where the kernel has `{row.wants}`"
    if row.note:
        verdict += f", {row.note}"
    return f"| {row.points} | `{row.example}` | {verdict} |"


if __name__ == "__main__":
    sys.stdout.write(probe_manual())
