// SPDX-License-Identifier: LGPL-2.1-or-later
/* What processes map: see mapped.h. Source: perf_event_open(2), "MMAP layout" and the records' forms. */
#define _GNU_SOURCE
#include "mapped.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DATA_PAGES 32
#define PAGE 4096
#define RING_BYTES ((DATA_PAGES + 1) * PAGE)
#define DATA_BYTES (DATA_PAGES * PAGE)

/* PERF_RECORD_MMAP2, without what follows the name. */
struct map_record {
	struct perf_event_header header;
	uint32_t pid, tid;
	uint64_t address, bytes, offset;
	uint32_t major, minor;
	uint64_t inode, generation;
	uint32_t protection, flags;
	char path[];
};

struct fork_record {
	struct perf_event_header header;
	uint32_t pid, parent, tid, parent_tid;
	uint64_t time_ns;
};

struct comm_record {
	struct perf_event_header header;
	uint32_t pid, tid;
};

static int open_cpu(int cpu)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.size = sizeof(attr),
		.sample_type = PERF_SAMPLE_TIME,
		.mmap = 1,
		.mmap2 = 1,
		.comm = 1,
		.comm_exec = 1,
		.task = 1,
		.sample_id_all = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};

	return (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

struct mb_mapped *mb_mapped_open(void)
{
	struct mb_mapped *mapped = calloc(1, sizeof(*mapped));
	const long cpus = sysconf(_SC_NPROCESSORS_CONF);

	for (int cpu = 0; mapped && cpu < cpus && mapped->cpus < MB_MAPPED_CPUS; cpu++) {
		const int file = open_cpu(cpu);
		void *ring = file < 0 ? MAP_FAILED : mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

		if (ring == MAP_FAILED) {
			if (file >= 0)
				close(file);
			continue;
		}
		mapped->file[mapped->cpus] = file;
		mapped->ring[mapped->cpus++] = ring;
	}
	if (mapped && mapped->cpus)
		return mapped;
	free(mapped);
	return NULL;
}

void mb_mapped_close(struct mb_mapped *mapped)
{
	if (!mapped)
		return;
	for (uint32_t i = 0; i < mapped->cpus; i++) {
		munmap(mapped->ring[i], RING_BYTES);
		close(mapped->file[i]);
	}
	free(mapped);
}

/* --- records --- */

static void add(struct mb_mapped *mapped, const struct mb_mapped_event *event)
{
	mapped->event[mapped->events++ % MB_MAPPED_EVENTS] = *event;
}

static void add_file(struct mb_mapped *mapped, const struct map_record *record, uint64_t time_ns, const struct mb_mapped_files *files)
{
	struct mb_mapped_event event = {
		.time_ns = time_ns,
		.pid = (int32_t)record->pid,
		.kind = MB_MAPPED_FILE,
		.start = record->address,
		.end = record->address + record->bytes,
		.offset = record->offset,
	};
	char file[64];

	if (record->path[0] != '/' && strcmp(record->path, "[vdso]") != 0)
		return;
	snprintf(file, sizeof(file), "%02x:%02x %llu", record->major, record->minor, (unsigned long long)record->inode);
	event.module = files->module(files->context, &event, record->path, file);
	if (event.module)
		add(mapped, &event);
}

static void add_exec(struct mb_mapped *mapped, const struct comm_record *record, uint64_t time_ns)
{
	const struct mb_mapped_event event = { .time_ns = time_ns, .pid = (int32_t)record->pid, .kind = MB_MAPPED_EXEC };
	const uint32_t at = record->pid % MB_MAPPED_PIDS;

	mapped->last[at].pid = record->pid;
	mapped->last[at].exec_ns = time_ns;
	add(mapped, &event);
}

static void add_fork(struct mb_mapped *mapped, const struct fork_record *record, uint64_t time_ns)
{
	const struct mb_mapped_event event = {
		.time_ns = time_ns, .pid = (int32_t)record->pid, .parent = (int32_t)record->parent, .kind = MB_MAPPED_FORK
	};

	if (record->pid != record->parent)	/* else it is a thread */
		add(mapped, &event);
}

/* `size` bytes of a record, the last 8 of which are the time. */
static void take_record(struct mb_mapped *mapped, char *bytes, size_t size, const struct mb_mapped_files *files)
{
	const struct perf_event_header *header = (const void *)bytes;
	uint64_t time_ns;

	memcpy(&time_ns, bytes + size - sizeof(time_ns), sizeof(time_ns));
	bytes[size - sizeof(time_ns)] = '\0';	/* a name ends at the latest there */
	if (header->type == PERF_RECORD_MMAP2 && size > sizeof(struct map_record) + sizeof(time_ns))
		add_file(mapped, (const void *)bytes, time_ns, files);
	else if (header->type == PERF_RECORD_COMM && header->misc & PERF_RECORD_MISC_COMM_EXEC && size > sizeof(struct comm_record))
		add_exec(mapped, (const void *)bytes, time_ns);
	else if (header->type == PERF_RECORD_FORK && size >= sizeof(struct fork_record))
		add_fork(mapped, (const void *)bytes, time_ns);
}

/* A record may go on at the beginning of the ring. */
static void copy_out(const char *data, uint64_t at, void *to, size_t bytes)
{
	const size_t offset = (size_t)(at % DATA_BYTES), first = DATA_BYTES - offset < bytes ? DATA_BYTES - offset : bytes;

	memcpy(to, data + offset, first);
	memcpy((char *)to + first, data, bytes - first);
}

static void take_ring(struct mb_mapped *mapped, struct perf_event_mmap_page *page, const struct mb_mapped_files *files)
{
	const char *data = (const char *)page + PAGE;
	const uint64_t head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = page->data_tail;

	while (head - tail >= sizeof(struct perf_event_header)) {
		struct perf_event_header header;

		copy_out(data, tail, &header, sizeof(header));
		if (header.size < sizeof(header) + sizeof(uint64_t) || header.size > head - tail)
			break;
		copy_out(data, tail, mapped->record, header.size);
		take_record(mapped, mapped->record, header.size, files);
		tail += header.size;
	}
	__atomic_store_n(&page->data_tail, head, __ATOMIC_RELEASE);
}

void mb_mapped_take(struct mb_mapped *mapped, const struct mb_mapped_files *files)
{
	for (uint32_t i = 0; i < mapped->cpus; i++)
		take_ring(mapped, mapped->ring[i], files);
}

/* --- questions --- */

int mb_mapped_exec_after(const struct mb_mapped *mapped, int64_t pid, uint64_t time_ns)
{
	const uint32_t at = (uint32_t)pid % MB_MAPPED_PIDS;

	return mapped->last[at].pid == pid && mapped->last[at].exec_ns > time_ns;
}

static int by_time(const void *a, const void *b)
{
	const struct mb_mapped_event *x = a, *y = b;

	return (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

/* When a process became what it was at a time: the last program that it began before, else its fork. NULL: unknown. */
static const struct mb_mapped_event *start_of(const struct mb_mapped *mapped, int64_t pid, uint64_t time_ns)
{
	const uint64_t kept = mapped->events < MB_MAPPED_EVENTS ? mapped->events : MB_MAPPED_EVENTS;
	const struct mb_mapped_event *start = NULL;

	for (uint64_t i = 0; i < kept; i++) {
		const struct mb_mapped_event *event = &mapped->event[i];

		if (event->pid == pid && event->kind != MB_MAPPED_FILE && event->time_ns <= time_ns &&
		    (!start || start->time_ns < event->time_ns))
			start = event;
	}
	return start;
}

int mb_mapped_events(const struct mb_mapped *mapped, int64_t pid, uint64_t time_ns, struct mb_mapped_event *to, uint32_t room,
		     int64_t *parent, uint64_t *fork_ns)
{
	const uint64_t kept = mapped->events < MB_MAPPED_EVENTS ? mapped->events : MB_MAPPED_EVENTS;
	const struct mb_mapped_event *start = start_of(mapped, pid, time_ns);
	uint32_t count = 0;

	if (!start)
		return -ENOENT;
	*parent = start->kind == MB_MAPPED_FORK ? start->parent : 0;
	*fork_ns = start->time_ns;
	for (uint64_t i = 0; i < kept && count < room; i++) {
		const struct mb_mapped_event *event = &mapped->event[i];

		if (event->pid == pid && event->kind == MB_MAPPED_FILE && event->time_ns >= start->time_ns && event->time_ns <= time_ns)
			to[count++] = *event;
	}
	qsort(to, count, sizeof(*to), by_time);
	return (int)count;
}
