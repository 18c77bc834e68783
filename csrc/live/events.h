/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Live records for who reads hits as they come: a bounded buffer between the thread that consumes the ring and the one that takes.
 *
 * mb_events_new	`bytes` of room; `wake` is an eventfd(2) that is written when the buffer is not empty any more.
 * mb_events_add	copies a record; has the type of mb_record_handler. One that finds no room is counted as dropped.
 * mb_events_take	all records that have come since the last call, the oldest first; they are there until the next call.
 * mb_events_count	and mb_events_fill look at a piece that was taken: they make columns of the records of one hook.
 */
#ifndef MB_EVENTS_H
#define MB_EVENTS_H

#include <stdint.h>

#include "record.h"

#include "events.cdef.h"

#endif
