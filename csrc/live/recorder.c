// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Live records into a CTF trace, a stream per CPU, or into files of LTT. CPUs stamp their hits before they get their place in the ring, so
 * two of them can come in the wrong order by some nanoseconds. The handlers saw the order of the ring; so that a replay
 * sees it too, a stamp is moved forward until it is later than all before it.
 */
#include "recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace/ctf.h"
#include "trace/ltt.h"

#define FLUSH_NS 1000000000ull
#define WORD_BITS 64u

struct mb_recorder {
	struct mb_ctf_writer *writer;	/* NULL: the route leads to files of LTT */
	struct mb_ltt_route route;
	struct mb_recorder_hook *hooks;
	struct mb_recorder_field *fields;
	uint64_t *lost;		/* by CPU, and of no CPU at the end */
	int64_t *slots;
	uint64_t last;
	uint64_t flushed;
	uint64_t malformed;
	uint64_t written;	/* LTT */
	uint64_t dropped;
	uint64_t unreadable;
	int error;		/* LTT: the first one, which is returned once */
	uint32_t hook_count;
	uint32_t cpus;
};

static uint32_t widest(const struct mb_recorder_hook *hooks, uint32_t hook_count, uint32_t field_count)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < hook_count; i++) {
		if (hooks[i].first > field_count || hooks[i].count > field_count - hooks[i].first ||
		    hooks[i].count > MB_RECORDER_FIELDS)
			return UINT32_MAX;
		/* only later rows, so that no chain is a ring */
		if (hooks[i].next != MB_RECORDER_NONE && (hooks[i].next <= i || hooks[i].next >= hook_count))
			return UINT32_MAX;
		if (hooks[i].count > most)
			most = hooks[i].count;
	}
	return most;
}

static void destroy(struct mb_recorder *r)
{
	free(r->route.writers);
	free((void *)r->route.files);
	free((void *)r->route.classes);
	free((void *)r->route.ids);
	free(r->hooks);
	free(r->fields);
	free(r->lost);
	free(r->slots);
	free(r);
}

static struct mb_recorder *create(const struct mb_recorder_hook *hooks, uint32_t hook_count,
				  const struct mb_recorder_field *fields, uint32_t field_count, uint32_t cpus)
{
	uint32_t most = widest(hooks, hook_count, field_count);
	struct mb_recorder *r;

	if (most == UINT32_MAX || !cpus)
		return NULL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->hooks = calloc(hook_count + 1, sizeof(*hooks));
	r->fields = calloc(field_count + 1, sizeof(*fields));
	r->lost = calloc(cpus + 1, sizeof(*r->lost));
	r->slots = calloc(3 * (size_t)most + 1, sizeof(*r->slots));
	if (!r->hooks || !r->fields || !r->lost || !r->slots) {
		destroy(r);
		return NULL;
	}
	if (hook_count)
		memcpy(r->hooks, hooks, hook_count * sizeof(*hooks));
	if (field_count)
		memcpy(r->fields, fields, field_count * sizeof(*fields));
	r->hook_count = hook_count;
	r->cpus = cpus;
	return r;
}

/* The writer has a stream for each CPU, in order, and the classes of the hooks. It belongs to the recorder from now on. */
struct mb_recorder *mb_recorder_create(struct mb_ctf_writer *writer, const struct mb_recorder_hook *hooks,
				       uint32_t hook_count, const struct mb_recorder_field *fields,
				       uint32_t field_count, uint32_t cpus)
{
	struct mb_recorder *r = create(hooks, hook_count, fields, field_count, cpus);

	if (r)
		r->writer = writer;
	return r;
}

static void *copy(const void *from, size_t size)
{
	void *made = malloc(size + 1);

	if (made && size)
		memcpy(made, from, size);
	return made;
}

struct mb_recorder *mb_recorder_create_ltt(const struct mb_ltt_route *route, const struct mb_recorder_hook *hooks,
					   uint32_t hook_count, const struct mb_recorder_field *fields,
					   uint32_t field_count)
{
	const size_t files = (size_t)route->stream_count * route->class_count, classes = route->class_count;
	struct mb_recorder *r;

	for (uint32_t i = 0; i < hook_count; i++)
		if (hooks[i].event_class != MB_RECORDER_NONE && hooks[i].event_class >= route->class_count)
			return NULL;
	for (size_t i = 0; i < files; i++)
		if (route->files[i] >= route->writer_count)
			return NULL;
	r = create(hooks, hook_count, fields, field_count, route->stream_count);
	if (!r)
		return NULL;
	r->route = *route;
	r->route.writers = copy(route->writers, route->writer_count * sizeof(struct mb_ltt_writer *));
	r->route.files = copy(route->files, files * sizeof(uint32_t));
	r->route.classes = copy(route->classes, classes * sizeof(uint32_t));
	r->route.ids = copy(route->ids, classes * sizeof(uint32_t));
	if (!r->route.writers || !r->route.files || !r->route.classes || !r->route.ids) {
		destroy(r);
		return NULL;
	}
	return r;
}

/* The slots of the event for those of the record; faults are marked bit by bit. How many slots, or 0 if the record is none. */
static uint32_t gather(const struct mb_record *record, const struct mb_recorder_field *fields, uint32_t count,
		       int64_t *slots, uint64_t *faults, int ltt)
{
	const uint32_t in_record = (record->size - (uint32_t)sizeof(*record)) / 8;
	uint32_t at = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct mb_recorder_field *field = fields + i;
		struct mb_string_slot text;
		int fault = 0;

		if (field->slot >= in_record || (field->kind == MB_RECORDER_CHECKED && in_record - field->slot < 2))
			return 0;
		if (field->kind != MB_RECORDER_TEXT) {
			fault = field->kind == MB_RECORDER_CHECKED && record->slot[field->slot + 1];
			slots[at++] = record->slot[field->slot];
		} else {
			memcpy(&text, record->slot + field->slot, sizeof(text));
			fault = text.length == MB_FAULT;
			if (fault)
				text.offset = text.length = 0;
			if (text.offset > record->size || text.length > record->size - text.offset)
				return 0;
			if (ltt) {
				slots[at++] = (int64_t)((uint64_t)text.offset << 32 | text.length);
			} else {
				slots[at++] = (int64_t)((uintptr_t)record + text.offset);
				slots[at++] = text.length;
			}
		}
		if (fault)
			faults[i / WORD_BITS] |= 1ull << i % WORD_BITS;
	}
	return at;
}

static uint32_t cpu_of(const struct mb_recorder *r, const struct mb_recorder_hook *hook, const struct mb_record *record)
{
	uint64_t cpu;

	if (hook->cpu_slot >= (record->size - sizeof(*record)) / 8)
		return 0;
	cpu = (uint64_t)record->slot[hook->cpu_slot];
	return cpu < r->cpus ? (uint32_t)cpu : 0;
}

static uint64_t stamp(struct mb_recorder *r, uint64_t time_ns)
{
	r->last = time_ns > r->last ? time_ns : r->last + 1;
	return r->last;
}

static void flush_ltt(struct mb_recorder *r, uint64_t tsc)
{
	for (uint32_t i = 0; i < r->route.writer_count; i++)
		mb_ltt_flush(r->route.writers[i], tsc);
}

static void flush(struct mb_recorder *r, uint64_t time)
{
	r->flushed = time;
	if (r->writer)
		mb_ctf_writer_flush(r->writer, time);
	else
		flush_ltt(r, time);
}

static int write_ltt(struct mb_recorder *r, uint32_t cpu, uint32_t event_class, uint64_t time, uint32_t count,
		     const struct mb_record *record)
{
	const struct mb_ltt_route *route = &r->route;
	const uint32_t file = route->files[cpu * route->class_count + event_class];
	int ret = mb_ltt_write(route->writers[file], route->classes[event_class], route->ids[event_class], time, r->slots,
			       count, (const uint8_t *)record, record->size);

	r->written += !ret;
	r->dropped += ret != 0;
	if (!ret || ret == -EFBIG || r->error)
		return 0;
	r->error = ret;
	return ret;
}

/* One event of a hit. */
static int write_event(struct mb_recorder *r, const struct mb_recorder_hook *hook, const struct mb_record *record,
		       uint64_t time)
{
	uint64_t faults[(MB_RECORDER_FIELDS + WORD_BITS - 1) / WORD_BITS] = { 0 }, any = 0;
	uint32_t count = gather(record, r->fields + hook->first, hook->count, r->slots, faults, !r->writer);
	uint32_t words = (hook->count + WORD_BITS - 1) / WORD_BITS, event_class = hook->event_class;

	if (!count && hook->count) {
		r->malformed++;
		return 0;
	}
	for (uint32_t i = 0; i < words; i++) {
		any |= faults[i];
		r->unreadable += (uint64_t)__builtin_popcountll(faults[i]);
	}
	if (!r->writer)
		return write_ltt(r, cpu_of(r, hook, record), event_class, time, count, record);
	if (any) {
		memcpy(r->slots + count, faults, words * sizeof(*faults));
		count += words;
		event_class++;
	}
	return mb_ctf_write(r->writer, cpu_of(r, hook, record), event_class, time, r->slots, count);
}

int mb_recorder_write(void *recorder, const struct mb_record *record)
{
	struct mb_recorder *r = recorder;
	const struct mb_recorder_hook *hook;
	uint32_t row = record->hook;
	int ret = 0, failed;
	uint64_t time;

	if (row >= r->hook_count || record->size < sizeof(*record))
		return -EINVAL;
	for (; row != MB_RECORDER_NONE; row = hook->next) {
		hook = r->hooks + row;
		if (hook->event_class == MB_RECORDER_NONE)
			continue;
		time = stamp(r, record->time_ns);
		if (time > r->flushed + FLUSH_NS)
			flush(r, time);
		failed = write_event(r, hook, record, time);
		ret = ret ? ret : failed;
	}
	return ret;
}

/* Losses of no CPU in particular are shown in the first stream. */
void mb_recorder_lost(struct mb_recorder *r, int32_t cpu, uint64_t total)
{
	uint32_t at = cpu >= 0 && (uint32_t)cpu < r->cpus ? (uint32_t)cpu : r->cpus;
	uint64_t sum = 0;

	if (total > r->lost[at])
		r->lost[at] = total;
	if (!r->writer) {
		for (uint32_t i = 0; i <= r->cpus; i++)
			sum += r->lost[i];
		if (r->route.writer_count)
			mb_ltt_write_lost(r->route.writers[0], sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX);
		return;
	}
	if (at == r->cpus)
		at = 0;
	mb_ctf_writer_lost(r->writer, at, r->lost[at] + (at ? 0 : r->lost[r->cpus]));
}

int mb_recorder_flush(struct mb_recorder *r)
{
	/* Hits of before now may still wait in the ring: their times come, not this one. */
	if (!r->last)
		return 0;
	r->flushed = r->last;
	if (r->writer)
		return mb_ctf_writer_flush(r->writer, r->last);
	flush_ltt(r, r->last);
	return 0;
}

/* An empty packet at the end tells when the recording ended; timers of a replay go on until then. */
int mb_recorder_close(struct mb_recorder *r, uint64_t now_ns)
{
	uint64_t end = now_ns > r->last ? now_ns : r->last;
	int ret = 0;

	if (r->writer) {
		mb_ctf_writer_flush(r->writer, r->last);
		mb_ctf_writer_mark(r->writer, 0, end);
		ret = mb_ctf_writer_close(r->writer, end);
	}
	destroy(r);
	return ret;
}

uint64_t mb_recorder_written(const struct mb_recorder *r)
{
	return r->writer ? mb_ctf_writer_written(r->writer) : r->written;
}

uint64_t mb_recorder_dropped(const struct mb_recorder *r)
{
	return (r->writer ? mb_ctf_writer_dropped(r->writer) : r->dropped) + r->malformed;
}

uint64_t mb_recorder_unreadable(const struct mb_recorder *r)
{
	return r->unreadable;
}

/* The time of the last event. */
uint64_t mb_recorder_last(const struct mb_recorder *r)
{
	return r->last;
}
