/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bpf(2) itself, which libc has no function for. */
#ifndef MB_BPF_CALL_H
#define MB_BPF_CALL_H

#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline uint64_t pointer(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

/* What it returns, or a negative errno. The verifier may be interrupted: it is asked again. */
static inline int sys_bpf(int command, const void *attr, size_t bytes)
{
	long ret;

	do {
		ret = syscall(SYS_bpf, command, attr, bytes);
	} while (ret < 0 && errno == EAGAIN && command == BPF_PROG_LOAD);
	return ret < 0 ? -errno : (int)ret;
}

#endif
