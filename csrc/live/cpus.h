/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records out of perf buffers, one for each CPU, in the order of their times. */
#ifndef MB_CPUS_H
#define MB_CPUS_H

#include "ring.h"

struct mb_cpus;

/* Open a buffer of `bytes` (a power of two) for each CPU and put them into a map; NULL with errno set. */
struct mb_cpus *mb_cpus_open(int map, const int32_t *cpus, uint32_t count, uint64_t bytes);
void mb_cpus_close(struct mb_cpus *cpus);
void mb_cpus_take(struct mb_cpus *cpus, mb_record_handler handler, void *context,
		  struct mb_ring_turn *turn);

#endif
