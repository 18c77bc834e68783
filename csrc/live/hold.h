/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes that stand still while handlers read them. A program of ours stops a process at a hit (SIGSTOP) and counts the hit
 * in a map by process; user space runs the handlers, takes the count back and lets the process go on when it is 0.
 *
 * mb_hold_wait: wait until all threads of a process stand still, or are gone: 1, or 0 if they do not.
 * mb_hold_release: one hit that stopped the process is done: 1, or 0 if a guard has let it go already.
 * mb_hold_release_all: let all go on that are held since before `before_ns`; how many.
 */
#ifndef MB_HOLD_H
#define MB_HOLD_H

#include <stdint.h>

uint64_t mb_hold_now(void);	/* CLOCK_MONOTONIC */

#include "hold.cdef.h"

#endif
