"""Tables: what bpftrace's words are in a script."""

from __future__ import annotations

BUILTINS = {
    "pid": "pid()", "tid": "tid()", "uid": "uid()", "gid": "gid()", "comm": "execname()",
    "nsecs": "ktime_get_ns()", "cpu": "cpu()", "curtask": "task_current()",
    "rand": "randint(0x7fffffff)", "cpid": "target()", "func": "ppfunc()", "probe": "pp()",
    "kstack": "sprint_backtrace()", "ustack": "sprint_ubacktrace()", "ppid": "ppid()",
    "pcomm": "pexecname()",
}  # fmt: skip
TEXTS = frozenset({
    "comm", "func", "probe", "kstack", "ustack", "str", "ntop", "strftime", "ksym", "usym",
    "pcomm",
})  # fmt: skip
"""Builtins and functions that give texts."""
LEFT_OUT = {
    "cgroup": "the number of a cgroup has no counterpart",
    "username": "the name of a user has no counterpart",
    "ctx": "the context of a program of BPF has no counterpart",
    "join": "join() of a list in the kernel's memory has no counterpart",
    "cat": 'cat() of a file has no counterpart; system("cat FILE") prints it later',
    "buf": "buf() has no counterpart; %M of printf shows memory",
    "signal": "signal() needs -g: raise()",
    "kaddr": "the address of a symbol has no counterpart; @var names the variable",
    "uaddr": "the address of a symbol has no counterpart; @var names the variable",
    "reg": "a register by its name has no counterpart; ulong_arg() has the arguments",
}
CONSTANTS = {
    "AF_UNSPEC": 0, "AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10,
    "TCP_ESTABLISHED": 1, "TCP_SYN_SENT": 2, "TCP_SYN_RECV": 3, "TCP_FIN_WAIT1": 4,
    "TCP_FIN_WAIT2": 5, "TCP_TIME_WAIT": 6, "TCP_CLOSE": 7, "TCP_CLOSE_WAIT": 8,
    "TCP_LAST_ACK": 9, "TCP_LISTEN": 10, "TCP_CLOSING": 11, "TCP_NEW_SYN_RECV": 12,
    "IPPROTO_ICMP": 1, "IPPROTO_TCP": 6, "IPPROTO_UDP": 17, "IPPROTO_ICMPV6": 58,
    "TASK_RUNNING": 0, "TASK_INTERRUPTIBLE": 1, "TASK_UNINTERRUPTIBLE": 2,
    "SKB_DROP_REASON_NOT_SPECIFIED": 2, "true": 1, "false": 0, "NULL": 0,
}  # fmt: skip
"""Constants of the kernel's headers that such programs use."""
MEMBERS = {"tv_sec": (0, 8), "tv_nsec": (8, 8), "tv_usec": (8, 8)}
"""Members of what system calls are given pointers to: offset and size."""
INTEGERS = {
    **{f"int{bits}": (bits // 8, True) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": (bits // 8, False) for bits in (8, 16, 32, 64)},
    **{f"int{bits}_t": (bits // 8, True) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}_t": (bits // 8, False) for bits in (8, 16, 32, 64)},
    "char": (1, True), "unsigned char": (1, False), "short": (2, True),
    "unsigned short": (2, False), "int": (4, True), "unsigned int": (4, False),
    "unsigned": (4, False), "long": (8, True), "unsigned long": (8, False),
    "size_t": (8, False), "bool": (1, False),
}  # fmt: skip
UNITS = {"ns": 1, "us": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
TIME_PARTS = {
    "\0": (11, 8), "H": (11, 2), "M": (14, 2), "S": (17, 2), "Y": (20, 4), "b": (4, 3),
    "a": (0, 3), "d": (8, 2), "e": (8, 2), "c": (0, 24),
}  # fmt: skip
"""Where the parts of a time are in what tz_ctime() gives; `\\0` stands for %H:%M:%S."""
RESERVED = frozenset({
    "probe", "global", "function", "if", "else", "for", "foreach", "in", "limit", "while",
    "return", "delete", "break", "continue", "next", "try", "catch", "private", "string",
    "long", "begin", "end", "error", "never", "process", "kernel", "module", "timer", "map",
})  # fmt: skip
