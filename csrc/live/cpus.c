// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The consumer of perf buffers, one for each CPU, that programs fill with bpf_perf_event_output (perf_event_open(2), "MMAP layout").
 * What happened on one CPU stands in the order of its times there; the oldest of all is next. A record is taken only some time after
 * its hit, because another CPU may be about to write an older one, unless no program runs any more.
 */
#include "cpus.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bpf.h"

#define SETTLED_NS 2000000		/* from a program's first instruction to its output */
#define SIZE_BYTES sizeof(uint32_t)	/* stands in front of the bytes of a sample */
#define NS_PER_S 1000000000ull

struct buffer {
	struct perf_event_mmap_page *page;
	int event;
	uint64_t tail;		/* what was taken */
	uint64_t head;		/* what was there at the last look */
	uint64_t time_ns;	/* of the record at `tail`, if it is `ready` */
	uint32_t length;	/* of its bytes */
	int ready;
};

struct mb_cpus {
	uint64_t bytes;
	uint64_t page;
	void *copy;		/* of the record at hand: in a buffer it may wrap, and is not aligned */
	uint32_t copy_bytes;
	uint32_t count;
	struct buffer buffers[];
};

static int open_event(int cpu)
{
	struct perf_event_attr attr;
	long event;

	memset(&attr, 0, sizeof(attr));
	attr.size = sizeof(attr);
	attr.type = PERF_TYPE_SOFTWARE;
	attr.config = PERF_COUNT_SW_BPF_OUTPUT;
	attr.sample_type = PERF_SAMPLE_RAW;
	attr.sample_period = 1;
	attr.watermark = 1;
	attr.wakeup_watermark = UINT32_MAX;	/* nobody sleeps on it */
	event = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	return event < 0 ? -errno : (int)event;
}

static int open_buffer(const struct mb_cpus *cpus, struct buffer *buffer, int map, int32_t cpu)
{
	void *memory;
	int ret;

	buffer->event = open_event(cpu);
	if (buffer->event < 0)
		return buffer->event;
	memory = mmap(NULL, cpus->page + cpus->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, buffer->event, 0);
	if (memory == MAP_FAILED) {
		ret = -errno;
		close(buffer->event);
		return ret;
	}
	buffer->page = memory;
	ret = mb_bpf_map_update(map, &cpu, &buffer->event, 0);
	return ret < 0 ? ret : 0;
}

struct mb_cpus *mb_cpus_open(int map, const int32_t *numbers, uint32_t count, uint64_t bytes)
{
	struct mb_cpus *cpus = calloc(1, sizeof(*cpus) + count * sizeof(cpus->buffers[0]));
	int ret = 0;

	if (!cpus)
		return NULL;
	cpus->page = (uint64_t)sysconf(_SC_PAGESIZE);
	cpus->bytes = bytes;
	for (uint32_t i = 0; i < count && !ret; i++) {
		ret = open_buffer(cpus, &cpus->buffers[i], map, numbers[i]);
		if (cpus->buffers[i].page)
			cpus->count = i + 1;
	}
	if (ret) {
		mb_cpus_close(cpus);
		errno = -ret;
		return NULL;
	}
	return cpus;
}

void mb_cpus_close(struct mb_cpus *cpus)
{
	for (uint32_t i = 0; i < cpus->count; i++) {
		munmap(cpus->buffers[i].page, cpus->page + cpus->bytes);
		close(cpus->buffers[i].event);
	}
	free(cpus->copy);
	free(cpus);
}

static void copy_out(const struct mb_cpus *cpus, const struct buffer *buffer, uint64_t position,
		     void *to, uint64_t length)
{
	const uint8_t *data = (const uint8_t *)buffer->page + cpus->page;
	uint64_t at = position & (cpus->bytes - 1), first = cpus->bytes - at;

	if (first > length)
		first = length;
	memcpy(to, data + at, first);
	memcpy((uint8_t *)to + first, data, length - first);
}

static void release(struct buffer *buffer, uint64_t tail)
{
	buffer->tail = tail;
	__atomic_store_n(&buffer->page->data_tail, tail, __ATOMIC_RELEASE);
}

/* Find the next record; what else the kernel writes (how many had no room, which programs count themselves) is passed over. */
static void find_next(const struct mb_cpus *cpus, struct buffer *buffer, struct mb_ring_turn *turn)
{
	while (!buffer->ready && buffer->tail < buffer->head) {
		struct perf_event_header header;
		struct mb_record record;
		uint32_t length = 0;

		copy_out(cpus, buffer, buffer->tail, &header, sizeof(header));
		if (header.size < sizeof(header) || header.size > buffer->head - buffer->tail) {
			turn->malformed++;
			release(buffer, buffer->head);
			return;
		}
		if (header.type == PERF_RECORD_SAMPLE && header.size >= sizeof(header) + SIZE_BYTES)
			copy_out(cpus, buffer, buffer->tail + sizeof(header), &length, SIZE_BYTES);
		if (length < sizeof(record) || length > header.size - sizeof(header) - SIZE_BYTES) {
			turn->malformed += header.type == PERF_RECORD_SAMPLE;
			release(buffer, buffer->tail + header.size);
			continue;
		}
		copy_out(cpus, buffer, buffer->tail + sizeof(header) + SIZE_BYTES, &record, sizeof(record));
		buffer->time_ns = record.time_ns;
		buffer->length = length;
		buffer->ready = 1;
	}
}

static struct buffer *oldest(struct mb_cpus *cpus, struct mb_ring_turn *turn)
{
	struct buffer *found = NULL;

	for (uint32_t i = 0; i < cpus->count; i++) {
		struct buffer *buffer = &cpus->buffers[i];

		find_next(cpus, buffer, turn);
		if (buffer->ready && (!found || buffer->time_ns < found->time_ns))
			found = buffer;
	}
	return found;
}

/* The record at the tail of a buffer, copied; NULL if there is no memory for it. */
static const struct mb_record *copy_record(struct mb_cpus *cpus, const struct buffer *buffer)
{
	if (buffer->length > cpus->copy_bytes) {
		void *larger = realloc(cpus->copy, buffer->length);

		if (!larger)
			return NULL;
		cpus->copy = larger;
		cpus->copy_bytes = buffer->length;
	}
	copy_out(cpus, buffer, buffer->tail + sizeof(struct perf_event_header) + SIZE_BYTES, cpus->copy,
		 buffer->length);
	return cpus->copy;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void look(struct mb_cpus *cpus)
{
	for (uint32_t i = 0; i < cpus->count; i++)
		cpus->buffers[i].head = __atomic_load_n(&cpus->buffers[i].page->data_head, __ATOMIC_ACQUIRE);
}

static void hand_over(struct mb_cpus *cpus, struct buffer *buffer, mb_record_handler handler,
		      void *context, struct mb_ring_turn *turn)
{
	struct perf_event_header header;
	const struct mb_record *record = copy_record(cpus, buffer);

	copy_out(cpus, buffer, buffer->tail, &header, sizeof(header));
	if (record && mb_ring_is_record(record, buffer->length))
		turn->stop = handler(context, record);
	else
		turn->malformed++;
	turn->records++;
	buffer->ready = 0;
	release(buffer, buffer->tail + header.size);
}

void mb_cpus_take(struct mb_cpus *cpus, mb_record_handler handler, void *context,
		  struct mb_ring_turn *turn)
{
	const uint64_t settled_ns = turn->quiet ? UINT64_MAX : now_ns() - SETTLED_NS;

	look(cpus);
	while (turn->records < turn->limit && !turn->stop) {
		struct buffer *buffer = oldest(cpus, turn);

		if (!buffer || buffer->time_ns > settled_ns)
			return;
		if (turn->before_ns && buffer->time_ns >= turn->before_ns) {
			turn->reached = 1;
			return;
		}
		hand_over(cpus, buffer, handler, context, turn);
	}
}
