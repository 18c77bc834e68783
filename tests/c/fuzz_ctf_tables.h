/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a CTF reader must know, and its streams, out of an input: one byte each for the number of streams, stream classes and clocks, two
 * each for event classes, ops, ranges and variables; byte order, whether there is a UUID, the UUID, the scope of the packet header; the
 * tables; per stream its size in four bytes. The streams stand at the end. tests/c/seeds.py writes the same.
 */
#ifndef MB_FUZZ_CTF_TABLES_H
#define MB_FUZZ_CTF_TABLES_H

#include "fuzz_input.h"
#include "trace/ctf.h"

#define MOST_STREAMS 3
#define MOST_ROWS 2048

struct tables {
	struct mb_ctf_description d;
	uint32_t streams;
	uint32_t bytes[MOST_STREAMS];
};

static inline uint32_t take_count(struct input *input, uint32_t bytes, uint32_t most)
{
	return (uint32_t)take(input, bytes) % most;
}

static inline struct tables take_tables(struct input *input)
{
	struct tables t = { 0 };
	struct mb_ctf_description *d = &t.d;

	t.streams = 1 + take_count(input, 1, MOST_STREAMS);
	d->stream_class_count = take_count(input, 1, 16);
	d->clock_count = take_count(input, 1, 8);
	d->event_class_count = take_count(input, 2, MOST_ROWS);
	d->op_count = take_count(input, 2, MOST_ROWS);
	d->range_count = take_count(input, 2, MOST_ROWS);
	d->variables = take_count(input, 2, MOST_ROWS);
	d->big = take_count(input, 1, 2);
	d->has_uuid = take_count(input, 1, 2);
	for (int i = 0; i < 16; i++)
		d->uuid[i] = (uint8_t)take(input, 1);
	d->packet_header.first = (uint32_t)take(input, 4);
	d->packet_header.count = (uint32_t)take(input, 4);
	d->ops = take_rows(input, d->op_count, sizeof(*d->ops));
	d->ranges = take_rows(input, d->range_count, sizeof(*d->ranges));
	d->stream_classes = take_rows(input, d->stream_class_count, sizeof(*d->stream_classes));
	d->event_classes = take_rows(input, d->event_class_count, sizeof(*d->event_classes));
	d->clocks = take_rows(input, d->clock_count, sizeof(*d->clocks));
	for (uint32_t i = 0; i < t.streams; i++)
		t.bytes[i] = (uint32_t)take(input, 4);
	return t;
}

static inline void free_tables(const struct tables *t)
{
	free((void *)(uintptr_t)t->d.ops);
	free((void *)(uintptr_t)t->d.ranges);
	free((void *)(uintptr_t)t->d.stream_classes);
	free((void *)(uintptr_t)t->d.event_classes);
	free((void *)(uintptr_t)t->d.clocks);
}

static inline uint32_t open_streams(struct mb_ctf_cursor *cursor, const struct tables *t, struct input *input)
{
	uint32_t opened = 0;

	for (uint32_t i = 0; i < t->streams; i++) {
		char path[32];
		const int file = take_file(input, i + 1 < t->streams ? t->bytes[i] : left(input), path);

		opened += mb_ctf_add_stream(cursor, path) >= 0;
		close(file);
	}
	return opened;
}

#endif
