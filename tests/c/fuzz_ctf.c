// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libFuzzer target: CTF streams with any description, read whole, in a range of time, without some packets, and only counted: by the
 * quick ways and without them, which must find the same.
 */
#define _GNU_SOURCE
#include "fuzz_ctf_tables.h"

#define MOST_SLOTS (1u << 16)

static uint32_t drain(struct mb_ctf_cursor *cursor)
{
	struct mb_ctf_note notes[64];
	uint32_t all = 0, count;

	while ((count = mb_ctf_notes(cursor, notes, 64)))
		all += count;
	return all;
}

/* Every slot that the reader says it gave, and the contexts of the packets. */
static void touch(struct mb_ctf_cursor *cursor, const struct mb_ctf_event *events, int64_t count, const int64_t *slots, uint32_t room)
{
	int64_t *context = calloc(8, sizeof(*context));
	volatile int64_t sum = 0;

	for (int64_t i = 0; i < count; i++) {
		const struct mb_ctf_event *e = events + i;

		CHECK(e->slot <= room && e->slots <= room - e->slot);
		for (uint32_t k = 0; k < e->slots; k++)
			sum += slots[e->slot + k] & 1;
		if (!i || e->packet != e[-1].packet)
			mb_ctf_packet_context(cursor, e->stream, e->packet, context, 8);
	}
	free(context);
}

static void read_all(struct mb_ctf_cursor *cursor, uint32_t room)
{
	struct mb_ctf_event *events = calloc(room, sizeof(*events));

	for (uint32_t slots = room; slots <= MOST_SLOTS;) {
		int64_t *slot = calloc(slots, sizeof(*slot));
		const int64_t got = mb_ctf_next(cursor, events, room, slot, slots);
		const uint32_t notes = drain(cursor);

		touch(cursor, events, got, slot, slots);
		free(slot);
		if (got < 0)
			slots *= 4;
		else if (!got && !notes)
			break;
	}
	free(events);
}

static void count_all(struct mb_ctf_cursor *cursor, const struct tables *t, uint32_t streams)
{
	const size_t cells = (size_t)streams * t->d.event_class_count + 1;
	uint64_t *quick = calloc(cells, sizeof(*quick)), *plain = calloc(cells, sizeof(*plain));
	struct mb_ctf_totals totals[2][MOST_STREAMS] = { 0 };

	for (int round = 0; round < 2; round++) {
		mb_ctf_rewind(cursor);
		if (round)
			mb_ctf_without_quick(cursor);
		mb_ctf_count(cursor, round ? plain : quick);
		for (uint32_t i = 0; i < streams; i++)
			mb_ctf_totals(cursor, i, &totals[round][i]);
		drain(cursor);
	}
	CHECK(!memcmp(quick, plain, cells * sizeof(*quick)));
	CHECK(!memcmp(totals[0], totals[1], sizeof(totals[0])));
	free(quick);
	free(plain);
}

/* Every second packet of each stream is left out. */
static void skip_some(struct mb_ctf_cursor *cursor, uint32_t streams)
{
	for (uint32_t i = 0; i < streams; i++) {
		const int64_t size = mb_ctf_packets(cursor, i, NULL, 0);
		uint64_t *places = calloc((size_t)size + 1, sizeof(*places));
		uint32_t kept = 0;

		CHECK(mb_ctf_packets(cursor, i, places, (uint32_t)size) == size);
		for (int64_t k = 0; k < size; k += 4)
			places[kept++] = places[k];
		CHECK(!mb_ctf_skip(cursor, i, places, kept));
		free(places);
	}
	CHECK(mb_ctf_packets(cursor, streams, NULL, 0) < 0 && mb_ctf_skip(cursor, streams, NULL, 0) < 0);
	mb_ctf_rewind(cursor);
	read_all(cursor, 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, data + size };
	struct tables t = take_tables(&input);
	struct mb_ctf_cursor *cursor = mb_ctf_open(&t.d);

	if (cursor) {
		const uint32_t opened = open_streams(cursor, &t, &input);

		mb_ctf_probe(cursor);
		for (uint32_t i = 0; i < opened; i++) {
			mb_ctf_stream_class_of(cursor, i);
			mb_ctf_rank(cursor, i, opened - i);
		}
		mb_ctf_rewind(cursor);
		read_all(cursor, 64);
		mb_ctf_set_range(cursor, 1, INT64_MAX / 2);
		mb_ctf_rewind(cursor);
		read_all(cursor, 3);
		skip_some(cursor, opened);
		mb_ctf_set_range(cursor, INT64_MIN, INT64_MAX);
		count_all(cursor, &t, opened);
		mb_ctf_close(cursor);
	}
	free_tables(&t);
	return 0;
}
