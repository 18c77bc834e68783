/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A running script: its globals, its handlers by hook, its timers, its state and its messages.
 * Everything is owned by the session; one thread uses it. Strings given to it are copied.
 */
#ifndef MB_SESSION_H
#define MB_SESSION_H

#include <stdint.h>

#include "live/record.h"

struct mb_session;

/* What a native handler is: 0, or MB_RAISED or MB_ABORTED if it left an error in the session. */
typedef int32_t (*mb_handler_fn)(struct mb_session *session, const struct mb_record *record);
typedef int32_t (*mb_condition_fn)(struct mb_session *session, int64_t *result);

#include "session.cdef.h"

#endif
