// SPDX-License-Identifier: LGPL-2.1-or-later
/* Semaphores that the kernel counts up in the wrong place: see semaphore.h. */
#define _GNU_SOURCE
#include "semaphore.h"

#include <string.h>
#include <sys/uio.h>

#include "hold.h"
#include "live.h"
#include "record.h"

#define MOST 0x7fffu	/* what a semaphore holds */

/*
 * 0 if the semaphore is what it should be. The kernel takes each of our uprobes off again when they end, from the right place: the first
 * mapping has become read-only by then. So it gets as much as that will be.
 */
static int count_up(int64_t pid, uint64_t address, uint32_t probes)
{
	uint16_t value = 0;
	struct iovec local = { &value, sizeof(value) }, remote = { (void *)(uintptr_t)address, sizeof(value) };

	if (process_vm_readv((pid_t)pid, &local, 1, &remote, 1, 0) != sizeof(value))
		return -1;
	if (value)
		return 0;
	value = (uint16_t)(probes < MOST ? probes : MOST);
	return process_vm_writev((pid_t)pid, &local, 1, &remote, 1, 0) == sizeof(value) ? 0 : -1;
}

void mb_semaphore_start(struct mb_live *live, const struct mb_record *record)
{
	int failed = 0, stands;
	struct mb_start start;

	if (record->size < sizeof(*record) + sizeof(start))
		return;
	memcpy(&start, record->slot, sizeof(start));
	if (start.pid <= 0)
		return;		/* of another PID namespace */
	if (live->beat)
		*live->beat = (int64_t)mb_hold_now();
	stands = start.stopped == MB_STOPPED_IT && mb_live_wait(live, start.pid);
	for (uint32_t i = 0; i < live->semaphore_count; i++) {
		const struct mb_semaphore *one = &live->semaphore[i];

		if (one->file == start.file)
			failed |= count_up(start.pid, one->address + start.bias, one->probes);
	}
	if (start.stopped == MB_STOPPED_IT)
		stands &= mb_hold_release(live->held_map, start.pid);
	if (failed)
		live->uncounted++;
	else if (!stands)
		live->late++;
}
