// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The consumer of a BPF ring buffer of records. Producers never wake anybody (that costs them 300 ns a hit),
 * so the consumer looks every millisecond. Layout: Documentation/bpf/ringbuf.rst; one page with the consumer's
 * position, one with the producers', then the data, mapped twice so that no record wraps.
 */
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "cpus.h"

#define BUSY 0x80000000u
#define DISCARDED 0x40000000u
#define LENGTH 0x3fffffffu
#define HEADER_BYTES 8u
#define POLL_NS 1000000
#define NS_PER_S 1000000000ull

struct mb_ring {
	uint64_t *consumer;
	const uint64_t *producer;	/* followed by the data, a page further */
	uint64_t bytes;
	uint64_t page;
	struct mb_cpus *cpus;		/* instead of all that, where each CPU has a buffer of its own */
};

struct mb_ring *mb_ring_open(int map, uint64_t bytes)
{
	struct mb_ring *ring = calloc(1, sizeof(*ring));
	void *consumer, *producer;

	if (!ring)
		return NULL;
	ring->page = (uint64_t)sysconf(_SC_PAGESIZE);
	ring->bytes = bytes;
	consumer = mmap(NULL, ring->page, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	if (consumer == MAP_FAILED) {
		free(ring);
		return NULL;
	}
	producer = mmap(NULL, ring->page + 2 * bytes, PROT_READ, MAP_SHARED, map, (off_t)ring->page);
	if (producer == MAP_FAILED) {
		munmap(consumer, ring->page);
		free(ring);
		return NULL;
	}
	ring->consumer = consumer;
	ring->producer = producer;
	return ring;
}

/* Buffers of their own for some CPUs, of `bytes` each (a power of two), for kernels without ring buffers. */
struct mb_ring *mb_ring_open_cpus(int map, const int32_t *cpus, uint32_t count, uint64_t bytes)
{
	struct mb_ring *ring = calloc(1, sizeof(*ring));

	if (!ring)
		return NULL;
	ring->cpus = mb_cpus_open(map, cpus, count, bytes);
	if (!ring->cpus) {
		free(ring);
		return NULL;
	}
	return ring;
}

void mb_ring_close(struct mb_ring *ring)
{
	if (!ring)
		return;
	if (ring->cpus) {
		mb_cpus_close(ring->cpus);
		free(ring);
		return;
	}
	munmap(ring->consumer, ring->page);
	munmap((void *)(uintptr_t)ring->producer, ring->page + 2 * ring->bytes);
	free(ring);
}

int mb_ring_is_record(const struct mb_record *record, uint32_t length)
{
	return length >= sizeof(*record) && record->size >= sizeof(*record) && record->size <= length &&
	       !(record->size % 8);
}

static int length_fits(const struct mb_ring *ring, uint32_t length)
{
	return length <= ring->bytes - HEADER_BYTES;
}

static void take(struct mb_ring *ring, mb_record_handler handler, void *context,
		 struct mb_ring_turn *turn)
{
	const uint8_t *data = (const uint8_t *)ring->producer + ring->page;
	uint64_t at = *ring->consumer;
	const uint64_t end = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);

	while (at < end && turn->records < turn->limit && !turn->stop) {
		const uint8_t *entry = data + (at & (ring->bytes - 1));
		uint32_t header = __atomic_load_n((const uint32_t *)entry, __ATOMIC_ACQUIRE);
		const struct mb_record *record = (const struct mb_record *)(entry + HEADER_BYTES);

		if (header & BUSY)
			break;
		if (!(header & DISCARDED)) {
			int valid = length_fits(ring, header & LENGTH) &&
				    mb_ring_is_record(record, header & LENGTH);

			if (valid && turn->before_ns && record->time_ns >= turn->before_ns) {
				turn->reached = 1;
				break;
			}
			if (valid)
				turn->stop = handler(context, record);
			else
				turn->malformed++;
			turn->records++;
		}
		at += ((header & LENGTH) + HEADER_BYTES + 7) & ~7ull;
		__atomic_store_n(ring->consumer, at, __ATOMIC_RELEASE);
	}
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static struct timespec duration(uint64_t ns)
{
	return (struct timespec){ (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };
}

/*
 * Without a ring this only waits.
 *
 * Take records until there are `limit`, the handler stops, the time is up, or a signal arrives (-EINTR).
 * Time passes only while the buffer is empty: a full buffer is worked off up to `limit` first.
 */
int mb_ring_consume(struct mb_ring *ring, mb_record_handler handler, void *context,
		    struct mb_ring_turn *turn)
{
	turn->records = 0;
	turn->malformed = 0;
	turn->stop = 0;
	turn->reached = 0;
	for (;;) {
		const uint64_t poll_ns = turn->poll_ns ? turn->poll_ns : POLL_NS;
		struct timespec pause = duration(poll_ns);
		uint64_t before = turn->records, now;

		if (ring && ring->cpus)
			mb_cpus_take(ring->cpus, handler, context, turn);
		else if (ring)
			take(ring, handler, context, turn);
		if (turn->stop || turn->reached || turn->records >= turn->limit)
			return 0;
		now = now_ns();
		if (now >= turn->until_ns)
			return 0;
		if (turn->records != before)
			continue;
		if (!ring || turn->until_ns - now < poll_ns)
			pause = duration(turn->until_ns - now);
		if (nanosleep(&pause, NULL) < 0 && errno == EINTR)
			return -EINTR;
	}
}
