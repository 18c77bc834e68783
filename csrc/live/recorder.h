/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Live records into a CTF trace, a stream per CPU, or into the files of an LTT trace. Made by bridge.engine.trace.record; the consumer of the ring calls mb_recorder_write
 * with each record, in the order of the ring. That order is kept: a replay delivers the records in the same one.
 *
 * mb_recorder_write	has the type of mb_record_handler. 0, or once -errno when the disk refuses (ENOSPC); records after
 *			that are counted as dropped, and what is on disk stays readable.
 * mb_recorder_lost	`total` is how many hits did not get into the ring so far on this CPU (-1: on no CPU in particular);
 *			it becomes the packets' count of discarded events.
 * mb_recorder_flush	writes out what is there. Call it about once a second while nothing comes, so that a killed
 *			process loses no more than that. `now_ns` is CLOCK_MONOTONIC.
 * mb_recorder_close	writes out what is there and frees the recorder. 0, or -errno of the first failure.
 * mb_recorder_create_ltt	the route's streams are CPUs; it is copied, its writers stay those of the caller, who finishes them after
 *			mb_recorder_close. LTT has no place for faults: what could not be read is 0 or an empty text there, and
 *			mb_recorder_unreadable counts it.
 */
#ifndef MB_RECORDER_H
#define MB_RECORDER_H

#include <stdint.h>

#include "record.h"
#include "recorder.cdef.h"

#endif
