"""Names of the kernel that embedded C may use: numbers, conversions, functions that only read.

Tables, so that a name is one line. A function of the kernel that is not here is refused: its
code cannot be called. Sources: the kernel's headers under include/linux and include/net.
"""

from __future__ import annotations

from bridge.script.c import tree as c

NUMBERS: dict[str, tuple[str, c.CType]] = {
    "NULL": ("0", c.Pointer(c.VOID)),
    "true": ("1", c.INT),
    "false": ("0", c.INT),
    "jiffies": ("(local_clock_ns() / 4000000)", c.ULONG),
    "HZ": ("250", c.INT),
    "PAGE_SIZE": ("4096", c.ULONG),
    "PAGE_SHIFT": ("12", c.INT),
    "NSEC_PER_SEC": ("1000000000", c.LONG),
    "NSEC_PER_MSEC": ("1000000", c.LONG),
    "NSEC_PER_USEC": ("1000", c.LONG),
    "USEC_PER_SEC": ("1000000", c.LONG),
    "USEC_PER_MSEC": ("1000", c.LONG),
    "MSEC_PER_SEC": ("1000", c.LONG),
    "TASK_COMM_LEN": ("16", c.INT),
    "ETH_ALEN": ("6", c.INT),
    "AF_UNIX": ("1", c.INT),
    "AF_INET": ("2", c.INT),
    "AF_INET6": ("10", c.INT),
    "AF_NETLINK": ("16", c.INT),
    "IPPROTO_ICMP": ("1", c.INT),
    "IPPROTO_TCP": ("6", c.INT),
    "IPPROTO_UDP": ("17", c.INT),
    "IPPROTO_ICMPV6": ("58", c.INT),
    "O_DSYNC": ("010000", c.INT),
    "O_RDONLY": ("0", c.INT),
    "O_WRONLY": ("1", c.INT),
    "O_RDWR": ("2", c.INT),
    "S_IFMT": ("0170000", c.INT),
    "S_IFREG": ("0100000", c.INT),
    "S_IFDIR": ("0040000", c.INT),
    "S_IFSOCK": ("0140000", c.INT),
    "S_IFIFO": ("0010000", c.INT),
    "S_IFBLK": ("0060000", c.INT),
    "S_IFCHR": ("0020000", c.INT),
    "INT_MAX": ("0x7fffffff", c.INT),
    "UINT_MAX": ("0xffffffff", c.Int(4, False)),
    "LONG_MAX": ("0x7fffffffffffffff", c.LONG),
    "PF_KTHREAD": ("0x00200000", c.INT),
}
"""Constants and variables of the kernel, with their types."""

CURRENT = "task_current()"
OF_CURRENT = {"pid": "tid()", "tgid": "pid()"}
"""Members of the current task that every hit brings."""
OF_CURRENT_CALLS = {
    "task_pid_nr": "tid()",
    "task_tgid_nr": "pid()",
    "task_pid_vnr": "tid()",
    "task_tgid_vnr": "pid()",
}

IGNORED = frozenset(
    {
        "rcu_read_lock",
        "rcu_read_unlock",
        "CATCH_DEREF_FAULT",
        "barrier",
        "smp_rmb",
        "smp_mb",
        "preempt_disable",
        "preempt_enable",
        "local_irq_save",
        "local_irq_restore",
        "might_sleep",
        "cond_resched",
        "prefetch",
        "rcu_read_lock_sched",
        "rcu_read_unlock_sched",
    }
)
"""What orders or protects reads: here every read is checked by itself."""

SAME = frozenset(
    {
        "kread",
        "READ_ONCE",
        "ACCESS_ONCE",
        "rcu_dereference",
        "rcu_dereference_raw",
        "rcu_dereference_check",
        "rcu_dereference_sched",
        "smp_load_acquire",
        "ktime_to_ns",
        "ns_to_ktime",
        "__kuid_val",
        "__kgid_val",
        "from_kuid",
        "cpu_to_le16",
        "cpu_to_le32",
        "cpu_to_le64",
        "le16_to_cpu",
        "le32_to_cpu",
        "le64_to_cpu",
    }
)
"""What is its last argument (`kread(&x)` is x)."""

SWAPPED = {
    "ntohs": 2,
    "htons": 2,
    "be16_to_cpu": 2,
    "cpu_to_be16": 2,
    "ntohl": 4,
    "htonl": 4,
    "be32_to_cpu": 4,
    "cpu_to_be32": 4,
    "be64_to_cpu": 8,
    "cpu_to_be64": 8,
}
"""Byte order: how many bytes change places."""

CALLS: dict[str, tuple[str, c.CType]] = {
    "smp_processor_id": ("cpu()", c.INT),
    "raw_smp_processor_id": ("cpu()", c.INT),
    "get_cycles": ("get_cycles()", c.ULONG),
    "ktime_get_ns": ("ktime_get_ns()", c.ULONG),
    "ktime_get": ("ktime_get_ns()", c.LONG),
    "ktime_get_real": ("gettimeofday_ns()", c.LONG),
    "ktime_get_real_ns": ("gettimeofday_ns()", c.ULONG),
    "ktime_get_boottime_ns": ("ktime_get_ns()", c.ULONG),
    "local_clock": ("local_clock_ns()", c.ULONG),
    "cpu_clock": ("local_clock_ns()", c.ULONG),
    "get_seconds": ("gettimeofday_s()", c.ULONG),
    "ktime_get_real_seconds": ("gettimeofday_s()", c.LONG),
    "get_current": (CURRENT, c.Pointer(c.Struct("task_struct"))),
    "task_pid_nr": ('@cast({0}, "task_struct", "kernel")->pid', c.INT),
    "task_tgid_nr": ('@cast({0}, "task_struct", "kernel")->tgid', c.INT),
    "pid_nr": ('@cast({0}, "pid", "kernel")->numbers[0]->nr', c.INT),
    "atomic_read": ('@cast({0}, "atomic_t", "kernel")->counter', c.INT),
    "atomic64_read": ('@cast({0}, "atomic64_t", "kernel")->counter', c.LONG),
    "atomic_long_read": ('@cast({0}, "atomic64_t", "kernel")->counter', c.LONG),
    "skb_headlen": (
        '(@cast({0}, "sk_buff", "kernel")->len - @cast({0}, "sk_buff", "kernel")->data_len)',
        c.Int(4, False),
    ),
    "skb_is_nonlinear": ('@cast({0}, "sk_buff", "kernel")->data_len', c.INT),
    "skb_end_pointer": (
        '(@cast({0}, "sk_buff", "kernel")->head + @cast({0}, "sk_buff", "kernel")->end)',
        c.Pointer(c.Int(1, False)),
    ),
    "skb_tail_pointer": (
        '(@cast({0}, "sk_buff", "kernel")->head + @cast({0}, "sk_buff", "kernel")->tail)',
        c.Pointer(c.Int(1, False)),
    ),
    "skb_shinfo": (
        '(@cast({0}, "sk_buff", "kernel")->head + @cast({0}, "sk_buff", "kernel")->end)',
        c.Pointer(c.Struct("skb_shared_info")),
    ),
    "ip_is_fragment": (
        '((ntohs(@cast({0}, "iphdr", "kernel")->frag_off) & 0x3fff) != 0)',
        c.INT,
    ),
    "file_inode": (
        '@cast({0}, "file", "kernel")->f_inode',
        c.Pointer(c.Struct("inode")),
    ),
    "file_dentry": (
        '@cast({0}, "file", "kernel")->f_path->dentry',
        c.Pointer(c.Struct("dentry")),
    ),
    "d_inode": ('@cast({0}, "dentry", "kernel")->d_inode', c.Pointer(c.Struct("inode"))),
    "i_size_read": ('@cast({0}, "inode", "kernel")->i_size', c.LONG),
    "IS_ERR": ("({0} < 0 && {0} >= -4095)", c.INT),
    "IS_ERR_VALUE": ("({0} < 0 && {0} >= -4095)", c.INT),
    "IS_ERR_OR_NULL": ("({0} <= 0 && {0} >= -4095)", c.INT),
    "PTR_ERR": ("{0}", c.LONG),
    "S_ISREG": ("(({0} & 0170000) == 0100000)", c.INT),
    "S_ISDIR": ("(({0} & 0170000) == 0040000)", c.INT),
    "S_ISSOCK": ("(({0} & 0170000) == 0140000)", c.INT),
    "S_ISFIFO": ("(({0} & 0170000) == 0010000)", c.INT),
    "S_ISBLK": ("(({0} & 0170000) == 0060000)", c.INT),
    "S_ISCHR": ("(({0} & 0170000) == 0020000)", c.INT),
    "MAJOR": ("({0} >> 20)", c.Int(4, False)),
    "MINOR": ("({0} & 0xfffff)", c.Int(4, False)),
    "likely": ("!!({0})", c.INT),
    "unlikely": ("!!({0})", c.INT),
    "jiffies_to_msecs": ("({0} * 4)", c.Int(4, False)),
    "ktime_sub": ("({0} - {1})", c.LONG),
    "ktime_add": ("({0} + {1})", c.LONG),
    "list_empty": (
        '(@cast({0}, "list_head", "kernel")->next == ({0}))',
        c.INT,
    ),
}
"""Functions of the kernel that only read: `{0}` is the first argument as a number."""
_HEAD = '(@cast({0}, "sk_buff", "kernel")->head + @cast({0}, "sk_buff", "kernel")->{1})'
for _name, _member, _struct in (
    ("tcp_hdr", "transport_header", "tcphdr"),
    ("udp_hdr", "transport_header", "udphdr"),
    ("icmp_hdr", "transport_header", "icmphdr"),
    ("ip_hdr", "network_header", "iphdr"),
    ("ipv6_hdr", "network_header", "ipv6hdr"),
    ("eth_hdr", "mac_header", "ethhdr"),
    ("skb_transport_header", "transport_header", ""),
    ("skb_network_header", "network_header", ""),
    ("skb_mac_header", "mac_header", ""),
):
    _to: c.CType = c.Struct(_struct) if _struct else c.Int(1, False)
    CALLS[_name] = (_HEAD.replace("{1}", _member), c.Pointer(_to))
for _name, _struct in (
    ("tcp_sk", "tcp_sock"),
    ("udp_sk", "udp_sock"),
    ("inet_sk", "inet_sock"),
    ("inet_csk", "inet_connection_sock"),
    ("inet6_sk", "ipv6_pinfo"),
    ("unix_sk", "unix_sock"),
    ("raw_sk", "raw_sock"),
):
    CALLS[_name] = ("{0}", c.Pointer(c.Struct(_struct)))
CALLS["inet6_sk"] = (
    '@cast({0}, "inet_sock", "kernel")->pinet6',
    c.Pointer(c.Struct("ipv6_pinfo")),
)

CLOCKS: dict[str, dict[str, str]] = {
    "getnstimeofday": {
        "tv_sec": "gettimeofday_s()",
        "tv_nsec": "gettimeofday_ns() % 1000000000",
    },
    "do_gettimeofday": {
        "tv_sec": "gettimeofday_s()",
        "tv_usec": "gettimeofday_us() % 1000000",
    },
}
"""Functions that fill a local structure: what its members are."""
for _name in (
    "getnstimeofday64",
    "ktime_get_real_ts",
    "ktime_get_real_ts64",
    "current_kernel_time64",
):
    CLOCKS[_name] = CLOCKS["getnstimeofday"]
LOCALS = {
    "timespec": ("tv_sec", "tv_nsec"),
    "timespec64": ("tv_sec", "tv_nsec"),
    "timeval": ("tv_sec", "tv_usec"),
    "timeval64": ("tv_sec", "tv_usec"),
}
"""Structures of the kernel that may be local variables."""
