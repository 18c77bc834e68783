/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * System calls that an older C library has no function for, or under another name: a library that is built here with these runs with
 * every glibc since 2.17.
 */
#ifndef MB_SYSTEM_CALLS_H
#define MB_SYSTEM_CALLS_H

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* fstat(2), a symbol since glibc 2.33 only. The kernel's struct stat is the C library's on all machines with 64 bits. */
static inline int mb_fstat(int file, struct stat *status)
{
	return (int)syscall(SYS_fstat, file, status);
}

/* stat(2) */
static inline int mb_stat(const char *path, struct stat *status)
{
	return (int)syscall(SYS_newfstatat, AT_FDCWD, path, status, 0);
}

/* close_range(2), glibc 2.34 and Linux 5.9; before, one after the other up to the limit of open files. */
static inline void mb_close_range(unsigned int first, unsigned int last)
{
	const long most = sysconf(_SC_OPEN_MAX);

	if (first > last || !syscall(SYS_close_range, first, last, 0))
		return;
	for (long file = first; file <= last && file < most; file++)
		close((int)file);
}

#endif
