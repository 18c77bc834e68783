/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The consumer of a BPF ring buffer of records. */
#ifndef MB_RING_H
#define MB_RING_H

#include <stdint.h>

#include "record.h"

#include "ring.cdef.h"

/* Whether `length` bytes hold a whole record. */
int mb_ring_is_record(const struct mb_record *record, uint32_t length);

#endif
