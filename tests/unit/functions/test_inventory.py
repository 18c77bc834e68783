"""Which functions real scripts call, and that we have them.

Counted over 584 scripts: SystemTap's own examples, and 377 from public repositories.
"""

from __future__ import annotations

import pytest

from bridge.script.builtins import BUILTINS
from tools.manual.functions import library_functions

SCRIPTS = {
    "pid": 180,
    "execname": 173,
    "exit": 123,
    "target": 120,
    "tid": 108,
    "gettimeofday_us": 70,
    "gettimeofday_s": 46,
    "ppfunc": 36,
    "uid": 34,
    "probefunc": 32,
    "ctime": 29,
    "user_string": 27,
    "warn": 27,
    "pointer_arg": 27,
    "strtol": 26,
    "thread_indent": 21,
    "gettimeofday_ns": 19,
    "ansi_clear_screen": 19,
    "isinstr": 18,
    "ubacktrace": 17,
    "tokenize": 17,
    "kernel_string": 17,
    "returnval": 16,
    "int_arg": 15,
    "cmdline_str": 15,
    "user_string_n": 14,
    "error": 14,
    "backtrace": 14,
    "gettimeofday_ms": 14,
    "usymname": 13,
    "task_current": 13,
    "task_pid": 13,
    "ppid": 12,
    "symname": 12,
    "tz_ctime": 11,
    "strlen": 11,
    "print_backtrace": 11,
    "print_ustack": 10,
    "user_mode": 10,
    "print_ubacktrace": 10,
    "target_set_pid": 10,
    "cpu": 9,
    "errno_str": 9,
    "pn": 8,
    "ulong_arg": 8,
    "pp": 7,
    "log": 7,
    "substr": 7,
    "task_execname": 7,
    "local_clock_us": 6,
    "bio_rw_str": 6,
    "system": 6,
    "raise": 6,
    "print_stack": 5,
    "addr": 5,
    "inet_get_ip_source": 5,
    "task_tid": 5,
    "ip_ntop": 5,
    "thread_indent_depth": 5,
    "uaddr": 5,
    "register": 5,
    "sprint_ubacktrace": 5,
    "print_syms": 5,
    "str_replace": 4,
    "inet_get_local_port": 4,
    "user_string2": 4,
    "MKDEV": 4,
    "symdata": 4,
    "task_state": 4,
    "ustack": 3,
    "task_utime": 3,
    "mem_page_size": 3,
    "ansi_reset_color": 3,
    "d_name": 3,
    "vm_fault_contains": 3,
    "atomic_read": 3,
    "cpu_clock_us": 3,
    "task_stime": 3,
    "u32_arg": 3,
    "printk": 3,
    "ansi_set_color": 3,
    "get_cycles": 3,
    "pid2task": 3,
    "MAJOR": 3,
    "MINOR": 3,
    "task_dentry_path": 3,
    "cve_count_metric": 3,
    "user_uint32": 2,
    "pid2execname": 2,
    "task_rlimit_nofile": 2,
    "cputime_to_usecs": 2,
    "user_string_warn": 2,
    "gid": 2,
    "tcp_get_info_rto": 2,
    "tcp_ts_get_info_state": 2,
    "format_ipaddr": 2,
    "tcp_sockstate_str": 2,
    "uint_arg": 2,
    "reverse_path_walk": 2,
    "inode_name": 2,
    "u64_arg": 2,
    "sprint_backtrace": 2,
    "cmdline_arg": 2,
    "text_str": 2,
    "ansi_new_line": 2,
    "qs_wait": 2,
    "qs_run": 2,
    "qsq_utilization": 2,
    "qsq_start": 2,
    "qs_done": 2,
    "read_stopwatch_us": 2,
    "start_stopwatch": 2,
    "pexecname": 2,
    "kernel_string_n": 2,
    "task_parent": 2,
    "json_add_array_numeric_metric": 2,
    "json_add_array": 2,
    "json_set_prefix": 2,
    "htonl": 2,
    "tcpmib_local_addr": 2,
    "tcpmib_remote_addr": 2,
    "tcpmib_remote_port": 2,
    "tcpmib_local_port": 2,
    "task_cpu": 2,
    "usymdata": 2,
    "symfileline": 2,
    "probing_32bit_app": 2,
}
"""By function: how many scripts call it, where two or more do."""

MISSING = {
    "needs registers": """
        pointer_arg int_arg ulong_arg register u32_arg uint_arg u64_arg returnval
        probing_32bit_app
    """,
    "needs line numbers of the kernel": "symfileline",
    "needs lists or trees of kernel structures": """
        pid2task task_dentry_path reverse_path_walk inode_name
    """,
    "tells what a procfs file gives": "cve_count_metric",
}
"""What may not be there yet, by the reason."""


def _known() -> set[str]:
    return {name for name, _ in BUILTINS} | {f.name for f in library_functions()}


@pytest.mark.parametrize("name", SCRIPTS)
def test_functions_that_scripts_call(name: str) -> None:
    assert name in _known() or any(name in names.split() for names in MISSING.values())


def test_most_calls_are_served() -> None:
    known = _known()
    served = sum(count for name, count in SCRIPTS.items() if name in known)
    assert served / sum(SCRIPTS.values()) > 0.85
