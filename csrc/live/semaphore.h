/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Semaphores of markers that the kernel counts up in the wrong place. A uprobe with a semaphore makes the kernel count it up in the first
 * writable mapping of its page of the file. lld lets two segments share a page; while a process starts, both are writable, and the first
 * is not the one that the program reads. So where a process begins to run such a file, it is stopped, and we look.
 */
#ifndef MB_SEMAPHORE_H
#define MB_SEMAPHORE_H

#include <stdint.h>

#define MB_START_HOOK 0xffffffffu	/* of records that no script asked for: struct mb_start */

struct mb_live;
struct mb_record;

/* A semaphore in a file. */
struct mb_semaphore {
	uint32_t file;		/* which, by the number in mb_start */
	uint32_t probes;	/* how many uprobes of ours count it up */
	uint64_t address;	/* link-time */
};

/* A process begins to run a file; behind the header of a record. */
struct mb_start {
	int64_t pid;
	uint64_t bias;
	uint64_t file;
	int64_t stopped;	/* enum mb_hold */
};

/* Count up what the kernel has not, and let the process go on. */
void mb_semaphore_start(struct mb_live *live, const struct mb_record *record);

#endif
