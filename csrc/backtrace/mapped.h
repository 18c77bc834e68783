/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What processes map to run it, and when they begin to run another program, as the kernel tells it (perf_event_open(2)). For processes
 * that end before somebody asks; what began before the session is not among it.
 */
#ifndef MB_MAPPED_H
#define MB_MAPPED_H

#include <stdint.h>

#define MB_MAPPED_EVENTS 65536		/* the last ones are kept */
#define MB_MAPPED_PIDS 4096
#define MB_MAPPED_CPUS 1024

enum mb_mapped_kind { MB_MAPPED_FILE, MB_MAPPED_EXEC, MB_MAPPED_FORK };

struct mb_module;

struct mb_mapped_event {
	uint64_t time_ns;		/* CLOCK_MONOTONIC */
	int32_t pid, parent;		/* `parent`: of a fork */
	uint32_t kind;
	uint32_t reserved;
	uint64_t start, end, offset;
	struct mb_module *module;
};

struct mb_mapped {
	uint32_t cpus;
	int file[MB_MAPPED_CPUS];
	void *ring[MB_MAPPED_CPUS];
	char record[65536] __attribute__((aligned(8)));	/* the one that is being taken; its size has 16 bits */
	uint64_t events;		/* so many there were */
	struct mb_mapped_event event[MB_MAPPED_EVENTS];
	struct {
		int64_t pid;
		uint64_t exec_ns;
	} last[MB_MAPPED_PIDS];		/* when a process began to run another program, by the low bits of its number */
};

/* Gives the module of a file in a process, or NULL; `file` is as /proc/PID/maps has device and inode. */
struct mb_mapped_files {
	struct mb_module *(*module)(void *context, const struct mb_mapped_event *event, const char *path, const char *file);
	void *context;
};

/* NULL if no CPU tells anything. */
struct mb_mapped *mb_mapped_open(void);
void mb_mapped_close(struct mb_mapped *mapped);

/* Take what the kernel has told since. */
void mb_mapped_take(struct mb_mapped *mapped, const struct mb_mapped_files *files);

/* Whether a process has begun another program after a time. */
int mb_mapped_exec_after(const struct mb_mapped *mapped, int64_t pid, uint64_t time_ns);

/*
 * The events of a process up to a time, from its program's start or its fork on, in order of time: how many, at most `room`; `*parent`
 * and `*fork_ns` say of whom it is a copy, 0 if it runs a program of its own. -ENOENT: its start was not seen.
 */
int mb_mapped_events(const struct mb_mapped *mapped, int64_t pid, uint64_t time_ns, struct mb_mapped_event *to, uint32_t room,
		     int64_t *parent, uint64_t *fork_ns);

#endif
