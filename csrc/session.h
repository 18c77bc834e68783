/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A running script: its globals, its handlers by hook, its timers, its state and its messages.
 * Everything is owned by the session; nothing here is shared between threads.
 */
#ifndef MB_SESSION_H
#define MB_SESSION_H

#include <stdint.h>

#include "record.h"

struct mb_session;

/* What a native handler is: 0, or 1 if it left an error in the session. */
typedef int32_t (*mb_handler_fn)(struct mb_session *session, const struct mb_record *record);

/* A condition: *result is its value; 0, or 1 if it left an error. */
typedef int32_t (*mb_condition_fn)(struct mb_session *session, int64_t *result);

enum mb_session_state {
	MB_STARTING = 0,
	MB_RUNNING = 1,
	MB_STOPPING = 2,	/* exit(): handlers go on to be refused, end handlers run */
	MB_ERROR = 3,		/* more errors than MAXERRORS: error handlers run */
	MB_STOPPED = 4,
};

/* Deliver one record to the user-placed handlers of its hook, in script order. Returns the state. */
int mb_session_dispatch(struct mb_session *session, const struct mb_record *record);

/* Run one handler (begin, end, error, timer) if its condition holds. Returns the state. */
int mb_session_run(struct mb_session *session, uint32_t handler);

/* Fire the timers that are due at or before now, in order of time. Returns the state. */
int mb_session_timers(struct mb_session *session, uint64_t now_ns);

/* When the next timer is due; UINT64_MAX if there is none. */
uint64_t mb_session_next_timer(const struct mb_session *session);

/*
 * Additions that the kernel collected, merged into a global before a native handler touches it. A key is the array's keys in order,
 * each an int64_t or a pointer to a NUL-terminated string (cast to int64_t); NULL for a scalar. Entries must come in order of first insertion.
 * Return 0, or -1 if the array is full (the error is counted as one of the session).
 */
int mb_session_add(struct mb_session *session, uint32_t global, const int64_t *keys, int64_t amount);
int mb_session_merge_stat(struct mb_session *session, uint32_t global, const int64_t *keys,
			  const int64_t *values, const int64_t *buckets);

/* Order of `values` in mb_session_merge_stat. */
enum mb_stat_values { MB_STAT_COUNT, MB_STAT_SUM, MB_STAT_MIN, MB_STAT_MAX, MB_STAT_VALUES };

#endif
