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
    "PIDTYPE_PID": ("0", c.INT),
    "PIDTYPE_TGID": ("1", c.INT),
    "PIDTYPE_PGID": ("2", c.INT),
    "PIDTYPE_SID": ("3", c.INT),
}
"""Constants and variables of the kernel, with their types."""

NUMBERS |= {
    "GFP_ATOMIC": ("0", c.INT),
    "GFP_KERNEL": ("0", c.INT),
    "__per_cpu_offset": ('&@var("__per_cpu_offset", "kernel")', c.Pointer(c.ULONG)),
}
MEMBERS = {
    ("sk_buff", "data"): c.Pointer(c.Int(1, False)),
    ("sk_buff", "head"): c.Pointer(c.Int(1, False)),
}
"""Members of the kernel's structures that C computes with: their types."""
SIZES = {
    "kref": 4,
    "list_head": 16,
    "hlist_head": 8,
    "hlist_node": 16,
    "rb_node": 24,
    "rb_root": 8,
    "callback_head": 16,
    "rcu_head": 16,
    "timespec64": 16,
    "in6_addr": 16,
    "in_addr": 4,
    "path": 16,
    "qstr": 16,
}
"""Sizes of the kernel's structures that scripts have in their own."""

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
        *(
            f"{lock}{kind}"
            for lock in ("spin_lock", "spin_unlock", "read_lock", "read_unlock")
            for kind in ("", "_irq", "_bh", "_irqsave", "_irqrestore")
        ),
        "mutex_lock",
        "mutex_unlock",
        "down_read",
        "up_read",
        "mmap_read_lock",
        "mmap_read_unlock",
        "task_lock",
        "task_unlock",
        "local_bh_disable",
        "local_bh_enable",
        "put_task_struct",
        "put_pid",
        "put_cred",
        "put_files_struct",
        "put_unused_fd",
        "fput",
        "fput_light",
        "mmput",
        "dput",
        "mntput",
        "path_put",
        "sock_put",
        "dev_put",
        "free_page",
        "BUG_ON",
        "WARN_ON",
        "WARN_ON_ONCE",
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
        "get_task_struct",
        "get_file",
        "get_pid",
        "dget",
        "mntget",
        "igrab",
        "rcu_access_pointer",
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

_UINT = c.Int(4, False)


def _of(structure: str) -> c.Pointer:
    return c.Pointer(c.Struct(structure))


def _path_of(structure: str, path: str) -> str:
    return f'@cast({{0}}, "{structure}", "kernel")->{path}'


_OF_FILES = "_c_file_of({0}, {1})"
CALLS |= {
    # tasks; references and locks are not taken, because every read is checked
    "get_task_mm": (_path_of("task_struct", "mm"), _of("mm_struct")),
    "get_task_cred": (_path_of("task_struct", "real_cred"), _of("cred")),
    "__task_cred": (_path_of("task_struct", "real_cred"), _of("cred")),
    "current_cred": (f'@cast({CURRENT}, "task_struct", "kernel")->cred', _of("cred")),
    "current_uid": ("uid()", _UINT),
    "current_euid": ("euid()", _UINT),
    "current_gid": ("gid()", _UINT),
    "current_egid": ("egid()", _UINT),
    "task_uid": (_path_of("task_struct", "real_cred->uid->val"), _UINT),
    "task_euid": (_path_of("task_struct", "real_cred->euid->val"), _UINT),
    "get_files_struct": (_path_of("task_struct", "files"), _of("files_struct")),
    "task_pid": (_path_of("task_struct", "thread_pid"), _of("pid")),
    "get_task_pid": (_path_of("task_struct", "thread_pid"), _of("pid")),
    "task_ppid_nr": (_path_of("task_struct", "real_parent->tgid"), c.INT),
    "task_cpu": ("task_cpu({0})", _UINT),
    "task_nice": ("task_nice({0})", c.INT),
    "is_idle_task": (f"({_path_of('task_struct', 'pid')} == 0)", c.INT),
    "is_global_init": (f"({_path_of('task_struct', 'tgid')} == 1)", c.INT),
    "thread_group_leader": (f"({_path_of('task_struct', 'exit_signal')} >= 0)", c.INT),
    "find_pid_ns": ("_c_find_pid({0}, {1})", _of("pid")),
    "find_vpid": ("_c_find_pid({0}, 0)", _of("pid")),
    "find_get_pid": ("_c_find_pid({0}, 0)", _of("pid")),
    "pid_task": ("_c_pid_task({0}, {1})", _of("task_struct")),
    "get_pid_task": ("_c_pid_task({0}, {1})", _of("task_struct")),
    "find_task_by_vpid": ("pid2task({0})", _of("task_struct")),
    "find_task_by_pid_ns": ("_c_pid_task(_c_find_pid({0}, {1}), 0)", _of("task_struct")),
    # pages for texts, which are not needed here
    "__get_free_page": ("({0} | 1)", c.ULONG),
    "get_zeroed_page": ("({0} | 1)", c.ULONG),
    # files
    "fcheck_files": (_OF_FILES, _of("file")),
    "files_lookup_fd_rcu": (_OF_FILES, _of("file")),
    "files_lookup_fd_raw": (_OF_FILES, _of("file")),
    "fcheck": ("_c_file_of(0, {0})", _of("file")),
    "fget": ("_c_file_of(0, {0})", _of("file")),
    "fget_raw": ("_c_file_of(0, {0})", _of("file")),
    "atomic_inc_not_zero": (f"({_path_of('atomic_t', 'counter')} != 0)", c.INT),
    "atomic_long_inc_not_zero": (f"({_path_of('atomic64_t', 'counter')} != 0)", c.INT),
    "refcount_read": (_path_of("refcount_t", "refs->counter"), _UINT),
    "page_count": (_path_of("page", "_refcount->counter"), c.INT),
    "i_uid_read": (_path_of("inode", "i_uid->val"), _UINT),
    "i_gid_read": (_path_of("inode", "i_gid->val"), _UINT),
    "d_backing_inode": (_path_of("dentry", "d_inode"), _of("inode")),
    "d_unhashed": (f"({_path_of('dentry', 'd_hash->pprev')} == 0)", c.INT),
    "IS_ROOT": (f"({_path_of('dentry', 'd_parent')} == {{0}})", c.INT),
    "real_mount": ("real_mount({0})", _of("mount")),
    "imajor": (f"({_path_of('inode', 'i_rdev')} >> 20)", _UINT),
    "iminor": (f"({_path_of('inode', 'i_rdev')} & 0xfffff)", _UINT),
    # blocks
    "bio_data_dir": (f"({_path_of('bio', 'bi_opf')} & 1)", c.INT),
    "bio_op": (f"({_path_of('bio', 'bi_opf')} & 0xff)", c.INT),
    "bio_sectors": (f"({_path_of('bio', 'bi_iter->bi_size')} >> 9)", _UINT),
    "rq_data_dir": (f"({_path_of('request', 'cmd_flags')} & 1)", c.INT),
    "req_op": (f"({_path_of('request', 'cmd_flags')} & 0xff)", c.INT),
    "blk_rq_pos": (_path_of("request", "__sector"), c.ULONG),
    "blk_rq_bytes": (_path_of("request", "__data_len"), _UINT),
    "blk_rq_sectors": (f"({_path_of('request', '__data_len')} >> 9)", _UINT),
    # networks
    "sock_from_file": (_path_of("file", "private_data"), _of("socket")),
    "SOCKET_I": (
        '({0} - &@cast(0, "socket_alloc", "kernel")->vfs_inode)',
        _of("socket"),
    ),
    "SOCK_INODE": (
        '({0} + &@cast(0, "socket_alloc", "kernel")->vfs_inode)',
        _of("inode"),
    ),
    "sock_net": (_path_of("sock", "__sk_common->skc_net->net"), _of("net")),
    "dev_net": (_path_of("net_device", "nd_net->net"), _of("net")),
    "skb_pagelen": ("_c_skb_pagelen({0})", _UINT),
    "skb_headroom": (
        f"({_path_of('sk_buff', 'data')} - {_path_of('sk_buff', 'head')})",
        _UINT,
    ),
    "skb_network_offset": (
        f"({_path_of('sk_buff', 'head')} + {_path_of('sk_buff', 'network_header')}"
        f" - {_path_of('sk_buff', 'data')})",
        c.INT,
    ),
    "skb_transport_offset": (
        f"({_path_of('sk_buff', 'head')} + {_path_of('sk_buff', 'transport_header')}"
        f" - {_path_of('sk_buff', 'data')})",
        c.INT,
    ),
    "skb_network_header_len": (
        f"({_path_of('sk_buff', 'transport_header')}"
        f" - {_path_of('sk_buff', 'network_header')})",
        _UINT,
    ),
    "skb_queue_len": (_path_of("sk_buff_head", "qlen"), _UINT),
    "skb_queue_empty": (f"({_path_of('sk_buff_head', 'next')} == {{0}})", c.INT),
    "skb_dst": (f"({_path_of('sk_buff', '_skb_refdst')} & ~1)", _of("dst_entry")),
    "skb_rtable": (f"({_path_of('sk_buff', '_skb_refdst')} & ~1)", _of("rtable")),
    "tcp_in_slow_start": (
        f"({_path_of('tcp_sock', 'snd_cwnd')} < {_path_of('tcp_sock', 'snd_ssthresh')})",
        c.INT,
    ),
    "tcp_packets_in_flight": (
        f"({_path_of('tcp_sock', 'packets_out')} - {_path_of('tcp_sock', 'sacked_out')}"
        f" - {_path_of('tcp_sock', 'lost_out')} + {_path_of('tcp_sock', 'retrans_out')})",
        _UINT,
    ),
    "inet_csk_reqsk_queue_len": (
        _path_of("inet_connection_sock", "icsk_accept_queue->qlen->counter"),
        c.INT,
    ),
    "sk_acceptq_is_full": (
        f"({_path_of('sock', 'sk_ack_backlog')} > {_path_of('sock', 'sk_max_ack_backlog')})",
        c.INT,
    ),
    # numbers and time
    "virt_addr_valid": ("({0} < 0)", c.INT),
    "ktime_to_us": ("({0} / 1000)", c.LONG),
    "ktime_to_ms": ("({0} / 1000000)", c.LONG),
    "ktime_us_delta": ("(({0} - {1}) / 1000)", c.LONG),
    "ktime_ms_delta": ("(({0} - {1}) / 1000000)", c.LONG),
    "jiffies_to_usecs": ("({0} * 4000)", _UINT),
    "msecs_to_jiffies": ("(({0} + 3) / 4)", c.ULONG),
    "test_bit": ("_c_bit({1}, {0})", c.INT),
    "cpumask_test_cpu": ("_c_bit({1}, {0})", c.INT),
    "cpu_online": ('_c_bit(&@var("__cpu_online_mask", "kernel"), {0})', c.INT),
    "cpu_possible": ('_c_bit(&@var("__cpu_possible_mask", "kernel"), {0})', c.INT),
    "num_online_cpus": ('_c_bits(&@var("__cpu_online_mask", "kernel"))', _UINT),
    "num_possible_cpus": ('_c_bits(&@var("__cpu_possible_mask", "kernel"))', _UINT),
}
GLOBALS = frozenset(
    {
        "avenrun",
        "boot_cpu_data",
        "cpu_khz",
        "dentry_stat",
        "files_stat",
        "init_mm",
        "init_net",
        "init_pid_ns",
        "init_task",
        "inodes_stat",
        "loops_per_jiffy",
        "max_pfn",
        "modules",
        "net_namespace_list",
        "nr_cpu_ids",
        "nr_irqs",
        "nr_threads",
        "root_task_group",
        "slab_caches",
        "super_blocks",
        "tcp_hashinfo",
        "tcp_memory_allocated",
        "tcp_prot",
        "total_forks",
        "tsc_khz",
        "udp_prot",
        "udp_table",
    }
)
"""Variables of the kernel that may be named; their types are in tapset/globals.toml."""
MASKS = {
    "for_each_possible_cpu": "__cpu_possible_mask",
    "for_each_online_cpu": "__cpu_online_mask",
    "for_each_present_cpu": "__cpu_present_mask",
}
"""Loops over processors, by the mask that says which."""
PRELUDE = """
#define KERN_EMERG
#define KERN_ALERT
#define KERN_CRIT
#define KERN_ERR
#define KERN_WARNING
#define KERN_NOTICE
#define KERN_INFO
#define KERN_DEBUG
#define KERN_CONT
#define pr_emerg printk
#define pr_alert printk
#define pr_crit printk
#define pr_err printk
#define pr_warn printk
#define pr_warning printk
#define pr_notice printk
#define pr_info printk
#define pr_debug printk
#define NIPQUAD_FMT "%u.%u.%u.%u"
#define QUAD_BYTE(a, n) (ntohl(a) >> n) & 255
#define NIPQUAD(a) QUAD_BYTE(a, 24), QUAD_BYTE(a, 16), QUAD_BYTE(a, 8), QUAD_BYTE(a, 0)
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define min_t(t, a, b) ((t)(a) < (t)(b) ? (t)(a) : (t)(b))
#define max_t(t, a, b) ((t)(a) > (t)(b) ? (t)(a) : (t)(b))
#define BIT(n) (1UL << (n))
#define MKDEV(a, b) (((a) << 20) | (b))
#define blk_mq_rq_to_pdu(rq) ((void *)((struct request *)(long)(rq) + 1))
#define ERR_PTR(x) ((void *)(long)(x))
"""
"""Macros of the kernel's headers; those for levels of messages stand for nothing."""

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
