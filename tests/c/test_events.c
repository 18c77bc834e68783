// SPDX-License-Identifier: LGPL-2.1-or-later
/* Hits between the session's thread and who reads them: none twice, none out of order, each that finds no room counted; columns. */
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "live/events.h"
#include "live/record.h"

enum { SLOTS = 4, TEXT_BYTES = 16, HITS = 200000 };

struct hit {
	struct mb_record head;
	int64_t slots[SLOTS];
	char text[TEXT_BYTES];
};

/* Slots: a number, a number behind a pointer with its status, a text. */
static uint32_t make(char *dest, uint32_t hook, int64_t value, uint32_t status, const char *text)
{
	const struct mb_string_slot string = {
		.offset = sizeof(struct mb_record) + 8 * SLOTS,
		.length = text ? (uint32_t)strlen(text) : MB_FAULT,
	};
	struct mb_record *record = (struct mb_record *)dest;
	int64_t slots[SLOTS] = { value, value * 3, status, 0 };

	memcpy(&slots[3], &string, sizeof(string));
	memset(record, 0, sizeof(*record));
	record->hook = hook;
	record->size = (uint32_t)((string.offset + (text ? strlen(text) : 0) + 7) / 8 * 8);
	memcpy(dest + sizeof(*record), slots, sizeof(slots));
	if (text)
		memcpy(dest + string.offset, text, strlen(text));
	return record->size;
}

static void add(struct mb_events *events, uint32_t hook, int64_t value, uint32_t status, const char *text)
{
	char hit[sizeof(struct hit)] __attribute__((aligned(8))) = { 0 };

	make(hit, hook, value, status, text);
	CHECK(mb_events_add(events, (const void *)hit) == 0);
}

static void test_room(void)
{
	char hit[sizeof(struct hit)] __attribute__((aligned(8)));
	const uint32_t size = make(hit, 1, 1, 0, "abc");
	const int wake = eventfd(0, EFD_NONBLOCK);
	struct mb_events *events = mb_events_new(3 * size + size / 2, wake);
	uint64_t bytes, count;

	CHECK(events && wake >= 0);
	for (int i = 0; i < 5; i++)
		add(events, 1, i, 0, "abc");
	CHECK(mb_events_dropped(events) == 2);
	CHECK(read(wake, &count, sizeof(count)) == sizeof(count) && count == 1);
	CHECK(mb_events_take(events, &bytes) && bytes == 3 * size);
	/* what was taken stays as it is while the other buffer is filled */
	const char *taken = mb_events_take(events, &bytes);
	CHECK(bytes == 0);
	add(events, 1, 7, 0, "abc");
	CHECK(read(wake, &count, sizeof(count)) == sizeof(count));
	taken = mb_events_take(events, &bytes);
	CHECK(bytes == size);
	add(events, 1, 8, 0, "abc");
	CHECK(((const struct hit *)taken)->slots[0] == 7);
	CHECK(mb_events_take(events, &bytes) != taken && bytes == size);
	mb_events_free(events);
	events = mb_events_new(0, -1);
	add(events, 1, 1, 0, "");
	CHECK(mb_events_dropped(events) == 1);
	mb_events_free(events);
	mb_events_free(NULL);
	close(wake);
}

static void *fill(void *context)
{
	for (int64_t i = 0; i < HITS; i++)
		add(context, 1, i, 0, "abcdefgh");
	return NULL;
}

/* A thread that fills and one that reads: what came and what was dropped are all, in order. */
static void test_threads(void)
{
	struct mb_events *events = mb_events_new(1 << 14, -1);
	int64_t last = -1;
	uint64_t came = 0, bytes;
	pthread_t filler;

	CHECK(pthread_create(&filler, NULL, fill, events) == 0);
	while (came + mb_events_dropped(events) < HITS) {
		const char *taken = mb_events_take(events, &bytes);

		for (uint64_t at = 0; at < bytes; came++) {
			const struct hit *hit = (const void *)(taken + at);

			CHECK(hit->slots[0] > last && hit->slots[1] == 3 * hit->slots[0]);
			last = hit->slots[0];
			at += hit->head.size;
		}
	}
	pthread_join(filler, NULL);
	CHECK(came && came + mb_events_dropped(events) == HITS);
	mb_events_free(events);
}

static void test_columns(void)
{
	struct mb_events *events = mb_events_new(1 << 12, -1);
	int64_t numbers[3], checked[3];
	uint8_t bad[3], unread[3];
	char texts[3][5];
	struct mb_column columns[] = {
		{ .slot = 0, .kind = MB_EVENTS_LONG, .width = 8 },
		{ .slot = 1, .kind = MB_EVENTS_CHECKED, .width = 8, .unreadable = bad },
		{ .slot = 3, .kind = MB_EVENTS_TEXT, .width = 1, .unreadable = unread },
		{ .slot = 900, .kind = MB_EVENTS_TEXT, .width = 1 },
	};
	uint64_t bytes;
	const char *taken;

	add(events, 7, 1, 0, "plum");
	add(events, 8, 2, 0, "of another hook");
	add(events, 7, -3, MB_FAULT, NULL);
	add(events, 7, 4, 0, "a");
	taken = mb_events_take(events, &bytes);
	CHECK(mb_events_count(taken, bytes, 9, columns, 3) == 0);
	CHECK(mb_events_count(taken, bytes, 7, columns, 4) == 3 && columns[2].width == 4 && columns[3].width == 1);
	columns[0].values = numbers;
	columns[1].values = checked;
	columns[2].values = texts;
	columns[2].width = 5;
	CHECK(mb_events_fill(taken, bytes, 7, columns, 3) == 3);
	CHECK(numbers[0] == 1 && numbers[1] == -3 && numbers[2] == 4);
	CHECK(checked[0] == 3 && checked[1] == 0 && checked[2] == 12 && !bad[0] && bad[1] && !bad[2]);
	CHECK(!memcmp(texts, "plum\0\0\0\0\0\0a\0\0\0\0", 15) && !unread[0] && unread[1] && !unread[2]);
	columns[2].width = 2;	/* narrower than a text: it is cut */
	CHECK(mb_events_fill(taken, bytes, 7, columns, 3) == 3 && !memcmp(texts, "pl\0\0a\0", 6));
	mb_events_free(events);
}

/* Pieces that end inside of a record, and records that lie about themselves: nothing is read behind the end. */
static void test_damage(void)
{
	char *hit = malloc(sizeof(struct hit));
	const uint32_t size = make(hit, 7, 1, 0, "plum");
	struct mb_column column = { .slot = 3, .kind = MB_EVENTS_TEXT, .width = 1 };
	struct mb_string_slot string;

	for (uint32_t bytes = 0; bytes < size; bytes++) {
		char *part = malloc(bytes ? bytes : 1);

		memcpy(part, hit, bytes);
		CHECK(mb_events_count(part, bytes, 7, &column, 1) == 0);
		free(part);
	}
	for (uint32_t lie = 0; lie < sizeof(struct mb_record); lie++) {
		((struct mb_record *)hit)->size = lie;
		CHECK(mb_events_count(hit, size, 7, &column, 1) == 0);
	}
	((struct mb_record *)hit)->size = size;
	memcpy(&string, &((struct hit *)hit)->slots[3], sizeof(string));
	string.length = size;
	memcpy(&((struct hit *)hit)->slots[3], &string, sizeof(string));
	column.width = 1;
	CHECK(mb_events_count(hit, size, 7, &column, 1) == 1 && column.width == 1);
	free(hit);
}

int main(void)
{
	test_room();
	test_threads();
	test_columns();
	test_damage();
	return 0;
}
