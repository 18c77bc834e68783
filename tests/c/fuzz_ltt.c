// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libFuzzer target: LTT buffers of every generation with any description. Seeds: tests/c/seeds.py, which writes what is taken here:
 * three numbers of one byte (streams, classes / 4, ids / 4), one of two bytes (ops), then per stream its layout and its size in four
 * bytes, then ids, classes, ops, and the streams.
 */
#define _GNU_SOURCE
#include "fuzz_input.h"
#include "trace/ltt.h"

#define MOST_STREAMS 3
#define MOST_OPS 4096
#define MOST_SLOTS (1u << 16)

struct tables {
	uint32_t streams, classes, ids, ops;
	struct mb_ltt_layout layout[MOST_STREAMS];
	uint32_t bytes[MOST_STREAMS];
	uint32_t *id;
	struct mb_ltt_class *class;
	struct mb_ltt_op *op;
};

static struct tables take_tables(struct input *input)
{
	struct tables t = { 0 };

	t.streams = 1 + (uint32_t)take(input, 1) % MOST_STREAMS;
	t.classes = 4 * (uint32_t)take(input, 1);
	t.ids = 4 * (uint32_t)take(input, 1);
	t.ops = (uint32_t)take(input, 2) % MOST_OPS;
	for (uint32_t i = 0; i < t.streams; i++) {
		struct mb_ltt_layout *layout = take_rows(input, 1, sizeof(*layout));

		t.layout[i] = *layout;
		free(layout);
		t.bytes[i] = (uint32_t)take(input, 4);
	}
	t.id = take_rows(input, t.ids, sizeof(*t.id));
	t.class = take_rows(input, t.classes, sizeof(*t.class));
	t.op = take_rows(input, t.ops, sizeof(*t.op));
	return t;
}

static uint32_t open_streams(struct mb_ltt_cursor *cursor, const struct tables *t, struct input *input)
{
	uint32_t opened = 0;

	for (uint32_t i = 0; i < t->streams; i++) {
		char path[32];
		const int file = take_file(input, i + 1 < t->streams ? t->bytes[i] : left(input), path);

		opened += mb_ltt_add_stream(cursor, path, &t->layout[i], t->id, t->ids) >= 0;
		close(file);
	}
	return opened;
}

static void drain(struct mb_ltt_cursor *cursor)
{
	struct mb_ltt_damage damages[16];

	while (mb_ltt_damages(cursor, damages, 16))
		;
}

/* Every slot and every byte that the reader says it gave. */
static void touch(const struct mb_ltt_event *events, int64_t count, const int64_t *slots, uint32_t max_slots, const uint8_t *bytes,
		  uint64_t max_bytes, uint32_t what)
{
	volatile int64_t sum = 0;

	for (int64_t i = 0; i < count; i++) {
		const struct mb_ltt_event *e = events + i;

		CHECK(e->slot <= max_slots && e->slots <= max_slots - e->slot && e->bytes <= max_bytes);
		for (uint32_t k = 0; k < e->slots; k++)
			sum += slots[e->slot + k] & 1;
		if (!(what & MB_LTT_WITH_PAYLOAD))
			continue;
		CHECK(e->size <= max_bytes - e->bytes);
		for (uint32_t k = 0; k < e->size; k++)
			sum += bytes[e->bytes + k];
	}
}

static void read_all(struct mb_ltt_cursor *cursor, uint32_t what, uint32_t room)
{
	struct mb_ltt_event *events = calloc(room, sizeof(*events));
	int64_t got;

	for (uint32_t slots = room; slots <= MOST_SLOTS;) {
		int64_t *slot = calloc(slots, sizeof(*slot));
		uint8_t *byte = calloc(slots, 1);

		got = mb_ltt_next(cursor, what, events, room, slot, slots, byte, slots);
		touch(events, got, slot, slots, byte, slots, what);
		free(slot);
		free(byte);
		if (got < 0)
			slots *= 4;
		else if (!got && !mb_ltt_pending(cursor))
			break;
		drain(cursor);
	}
	free(events);
}

static void count_all(struct mb_ltt_cursor *cursor, uint32_t streams, uint32_t classes)
{
	uint64_t *counts = calloc((size_t)streams * (classes + 1) + 1, sizeof(*counts));
	struct mb_ltt_totals *totals = calloc(streams + 1, sizeof(*totals));

	mb_ltt_rewind(cursor);
	while (mb_ltt_count(cursor, counts, totals))
		drain(cursor);
	free(counts);
	free(totals);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, data + size };
	struct tables t = take_tables(&input);
	struct mb_ltt_cursor *cursor = mb_ltt_open();
	uint32_t opened;

	CHECK(cursor);
	opened = open_streams(cursor, &t, &input);
	if (!mb_ltt_set_classes(cursor, t.class, t.classes, t.op, t.ops)) {
		read_all(cursor, MB_LTT_WITH_FIELDS, 64);
		mb_ltt_rewind(cursor);
		read_all(cursor, MB_LTT_WITH_FIELDS | MB_LTT_WITH_PAYLOAD, 3);
		mb_ltt_rewind(cursor);
		mb_ltt_set_range(cursor, 1, UINT64_MAX / 2);
		read_all(cursor, 0, 64);
		count_all(cursor, opened, t.classes);
	}
	mb_ltt_close(cursor);
	free(t.id);
	free(t.class);
	free(t.op);
	return 0;
}
