// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Live records into a CTF trace, a stream per CPU. CPUs stamp their hits before they get their place in the ring, so
 * two of them can come in the wrong order by some nanoseconds. The handlers saw the order of the ring; so that a replay
 * sees it too, a stamp is moved forward until it is later than all before it.
 */
#include "recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace/ctf.h"

#define FLUSH_NS 1000000000ull
#define WORD_BITS 64u

struct mb_recorder {
	struct mb_ctf_writer *writer;
	struct mb_recorder_hook *hooks;
	struct mb_recorder_field *fields;
	uint64_t *lost;		/* by CPU, and of no CPU at the end */
	int64_t *slots;
	uint64_t last;
	uint64_t flushed;
	uint64_t malformed;
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
		if (hooks[i].count > most)
			most = hooks[i].count;
	}
	return most;
}

/* The writer has a stream for each CPU, in order, and the classes of the hooks. It belongs to the recorder from now on. */
struct mb_recorder *mb_recorder_create(struct mb_ctf_writer *writer, const struct mb_recorder_hook *hooks,
				       uint32_t hook_count, const struct mb_recorder_field *fields,
				       uint32_t field_count, uint32_t cpus)
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
		free(r->hooks);
		free(r->fields);
		free(r->lost);
		free(r->slots);
		free(r);
		return NULL;
	}
	if (hook_count)
		memcpy(r->hooks, hooks, hook_count * sizeof(*hooks));
	if (field_count)
		memcpy(r->fields, fields, field_count * sizeof(*fields));
	r->writer = writer;
	r->hook_count = hook_count;
	r->cpus = cpus;
	return r;
}

/* The slots of the event for those of the record; faults are marked bit by bit. How many slots, or 0 if the record is none. */
static uint32_t gather(const struct mb_record *record, const struct mb_recorder_field *fields, uint32_t count,
		       int64_t *slots, uint64_t *faults)
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
			slots[at++] = (int64_t)((uintptr_t)record + text.offset);
			slots[at++] = text.length;
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

int mb_recorder_write(void *recorder, const struct mb_record *record)
{
	struct mb_recorder *r = recorder;
	uint64_t faults[(MB_RECORDER_FIELDS + WORD_BITS - 1) / WORD_BITS] = { 0 }, any = 0, time;
	const struct mb_recorder_hook *hook;
	uint32_t count, words, event_class;

	if (record->hook >= r->hook_count || record->size < sizeof(*record))
		return -EINVAL;
	hook = r->hooks + record->hook;
	if (hook->event_class == MB_RECORDER_NONE)
		return 0;
	count = gather(record, r->fields + hook->first, hook->count, r->slots, faults);
	if (!count && hook->count) {
		r->malformed++;
		return 0;
	}
	event_class = hook->event_class;
	words = (hook->count + WORD_BITS - 1) / WORD_BITS;
	for (uint32_t i = 0; i < words; i++)
		any |= faults[i];
	if (any) {
		memcpy(r->slots + count, faults, words * sizeof(*faults));
		count += words;
		event_class++;
	}
	time = stamp(r, record->time_ns);
	if (time > r->flushed + FLUSH_NS) {
		r->flushed = time;
		mb_ctf_writer_flush(r->writer, time);
	}
	return mb_ctf_write(r->writer, cpu_of(r, hook, record), event_class, time, r->slots, count);
}

/* Losses of no CPU in particular are shown in the first stream. */
void mb_recorder_lost(struct mb_recorder *r, int32_t cpu, uint64_t total)
{
	uint32_t at = cpu >= 0 && (uint32_t)cpu < r->cpus ? (uint32_t)cpu : r->cpus;

	if (total > r->lost[at])
		r->lost[at] = total;
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
	return mb_ctf_writer_flush(r->writer, r->last);
}

/* An empty packet at the end tells when the recording ended; timers of a replay go on until then. */
int mb_recorder_close(struct mb_recorder *r, uint64_t now_ns)
{
	uint64_t end = now_ns > r->last ? now_ns : r->last;
	int ret;

	mb_ctf_writer_flush(r->writer, r->last);
	mb_ctf_writer_mark(r->writer, 0, end);
	ret = mb_ctf_writer_close(r->writer, end);

	free(r->hooks);
	free(r->fields);
	free(r->lost);
	free(r->slots);
	free(r);
	return ret;
}

uint64_t mb_recorder_written(const struct mb_recorder *r)
{
	return mb_ctf_writer_written(r->writer);
}

uint64_t mb_recorder_dropped(const struct mb_recorder *r)
{
	return mb_ctf_writer_dropped(r->writer) + r->malformed;
}
