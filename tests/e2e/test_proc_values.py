"""What the library says of a process is what the process reads of itself in /proc."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Runner

pytestmark = [pytest.mark.root, pytest.mark.bpf]

LIMITS = {
    "cpu": "Max cpu time",
    "fsize": "Max file size",
    "data": "Max data size",
    "stack": "Max stack size",
    "core": "Max core file size",
    "rss": "Max resident set",
    "nproc": "Max processes",
    "nofile": "Max open files",
    "memlock": "Max locked memory",
    "as": "Max address space",
    "locks": "Max file locks",
    "sigpending": "Max pending signals",
    "msgqueue": "Max msgqueue size",
    "nice": "Max nice priority",
    "rtprio": "Max realtime priority",
    "rttime": "Max realtime timeout",
}
NUMBERS = {
    "pid": "pid()",
    "ppid": "ppid()",
    "tid": "tid()",
    "pgrp": "pgrp()",
    "sid": "sid()",
    "uid": "uid()",
    "euid": "euid()",
    "gid": "gid()",
    "egid": "egid()",
    "task pid": "task_pid(task_current())",
    "task tid": "task_tid(task_current())",
    "task parent": "task_pid(task_parent(task_current()))",
    "task uid": "task_uid(task_current())",
    "task euid": "task_euid(task_current())",
    "task gid": "task_gid(task_current())",
    "task egid": "task_egid(task_current())",
    "task ns pid": "task_ns_pid(task_current())",
    "task ns tid": "task_ns_tid(task_current())",
    "nice": "task_nice(task_current())",
    "priority": "task_prio(task_current()) - 20",
    "found": "task_pid(pid2task(pid()))",
    "not found": "pid2task(4194303)",
    "files": "task_open_file_handles(task_current())",
    "table": "task_max_file_handles(task_current())",
    "start": "task_start_time(0) / 10000000",
    "size": "proc_mem_size()",
    "text": "proc_mem_txt()",
    "data": "proc_mem_data()",
    **{f"limit {name}": f"task_rlimit_{name}(task_current())" for name in LIMITS},
}
TEXTS = {
    "name": "execname()",
    "task name": "task_execname(task_current())",
    "folder": "fullpath_struct_path(task_cwd_path(task_current()))",
    "program": "fullpath_struct_file(task_current(), current_exe_file())",
    "command": "cmdline_str()",
}
PROGRAM = r"""
import json, os, pathlib, sys
def status(name):
    return next(l for l in open("/proc/self/status") if l.startswith(name + ":")).split()[1:]
os.nice(3)
stat = open("/proc/self/stat").read().rpartition(") ")[2].split()
statm = [*map(int, open("/proc/self/statm").read().split())]
limits = open("/proc/self/limits").read().splitlines()
uids, gids = [*map(int, status("Uid"))], [*map(int, status("Gid"))]
parent = int(status("PPid")[0])
facts = {
    "pid": int(status("Tgid")[0]), "ppid": parent, "tid": int(status("Pid")[0]),
    "pgrp": int(stat[2]), "sid": int(stat[3]),
    "uid": uids[0], "euid": uids[1], "gid": gids[0], "egid": gids[1],
    "nice": int(stat[16]), "priority": int(stat[15]) - 20,
    "start": int(stat[19]), "not found": 0,
    "table": int(status("FDSize")[0]), "size": statm[0], "text": statm[3], "data": statm[5],
    "name": status("Name")[0], "folder": os.readlink("/proc/self/cwd"),
    "program": os.readlink("/proc/self/exe"),
    "command": open("/proc/self/cmdline").read().rstrip("\0").replace("\0", " "),
}
facts |= {
    "task pid": facts["pid"], "task tid": facts["tid"], "task parent": parent,
    "task uid": uids[0], "task euid": uids[1], "task gid": gids[0], "task egid": gids[1],
    "task name": facts["name"], "task ns pid": facts["pid"], "task ns tid": facts["tid"],
    "found": facts["pid"],
}
for name, title in json.loads(LIMITS).items():
    soft = next(l for l in limits if l.startswith(title))[26:].split()[0]
    facts["limit " + name] = -1 if soft == "unlimited" else int(soft)
facts["files"] = len(os.listdir("/proc/self/fd")) - 1
with open(sys.argv[1], "w") as file: json.dump(facts, file)
os.sched_get_priority_max(0)
"""


def test_values(run: Runner, tmp_path: Path) -> None:
    program, facts, command = (tmp_path / name for name in ("program.py", "facts", "x.sh"))
    program.write_text(f"LIMITS = {json.dumps(LIMITS)!r}\n{PROGRAM}")
    command.write_text(f"exec {sys.executable} {program} {facts}")
    lines = [f'  println("{name}=", {value})' for name, value in (NUMBERS | TEXTS).items()]
    body = "\n".join(lines)
    when = "probe syscall.sched_get_priority_max { if (pid() == target())"
    script = f"{when} {{\n{body}\n exit() }} }}"

    done = run("run", "-c", f"sh {command}", "-e", script)

    assert done.code == 0, done.err
    found = dict(line.split("=", 1) for line in done.out.splitlines() if "=" in line)
    wanted = {name: str(value) for name, value in json.loads(facts.read_text()).items()}
    assert len(found) == len(NUMBERS | TEXTS) == 49
    text, data = int(found.pop("text")), int(found.pop("data"))
    assert abs(text - int(wanted.pop("text"))) <= 1  # pages of the program's own code
    assert abs(data - int(wanted.pop("data"))) <= 40  # memory that was taken since
    assert abs(int(found.pop("size")) - int(wanted.pop("size"))) <= 40
    assert found == wanted
