/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes that stand still while handlers read them. A program of ours stops a process at a hit (SIGSTOP) and counts the hit
 * in a map by process; user space runs the handlers, takes the count back and lets the process go on when it is 0.
 */
#ifndef MB_HOLD_H
#define MB_HOLD_H

#include <stdint.h>

/* The value of the map; its key is the process id in 64 bits. */
struct mb_held {
	uint64_t hits;
	uint64_t since_ns;	/* CLOCK_MONOTONIC, of the last hit */
};

uint64_t mb_hold_now(void);	/* CLOCK_MONOTONIC */

/* Wait until all threads of a process stand still, or are gone: 1, or 0 if they do not. */
int mb_hold_wait(int map, int64_t pid);

/* One hit is done. */
void mb_hold_release(int map, int64_t pid);

/* Let all go on that are held since before `before_ns`; how many. */
int mb_hold_release_all(int map, uint64_t before_ns);

/*
 * Start a process that lets all go on if we die, or if they are held for too long. `alive` is a pipe's reading end;
 * `control` a map whose first word says whether programs may run. The process's id, or a negative errno.
 */
int mb_hold_guard(int map, int control, uint32_t control_bytes, int alive);

#endif
