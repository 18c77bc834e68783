// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Two buffers: one is filled, the other one is read. Both begin at their start again each time, so what is read soon after it came is
 * still in the cache. Both sides hold the lock only while they copy or exchange.
 */
#include "events.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mb_events {
	char *data[2];
	uint64_t bytes;		/* of each */
	uint64_t filled;	/* of the one that is filled */
	uint64_t dropped;
	int wake;
	char lock;
	uint8_t active;		/* which one is filled */
};

static void lock(struct mb_events *events)
{
	while (__atomic_test_and_set(&events->lock, __ATOMIC_ACQUIRE))
		sched_yield();
}

static void unlock(struct mb_events *events)
{
	__atomic_clear(&events->lock, __ATOMIC_RELEASE);
}

struct mb_events *mb_events_new(uint64_t bytes, int wake)
{
	struct mb_events *events = calloc(1, sizeof(*events));

	if (!events)
		return NULL;
	events->data[0] = malloc(bytes ? bytes : 1);
	events->data[1] = malloc(bytes ? bytes : 1);
	if (!events->data[0] || !events->data[1]) {
		mb_events_free(events);
		return NULL;
	}
	events->bytes = bytes;
	events->wake = wake;
	return events;
}

void mb_events_free(struct mb_events *events)
{
	if (!events)
		return;
	free(events->data[0]);
	free(events->data[1]);
	free(events);
}

int mb_events_add(void *context, const struct mb_record *record)
{
	struct mb_events *events = context;
	int was_empty = 0;

	lock(events);
	if (events->bytes - events->filled < record->size) {
		events->dropped++;
	} else {
		was_empty = !events->filled;
		memcpy(events->data[events->active] + events->filled, record, record->size);
		events->filled += record->size;
	}
	unlock(events);
	if (was_empty && events->wake >= 0) {
		const uint64_t one = 1;
		ssize_t written = write(events->wake, &one, sizeof(one));

		(void)written;	/* a full counter wakes as well */
	}
	return 0;
}

const void *mb_events_take(struct mb_events *events, uint64_t *bytes)
{
	const void *taken;

	lock(events);
	taken = events->data[events->active];
	*bytes = events->filled;
	events->active ^= 1;
	events->filled = 0;
	unlock(events);
	return taken;
}

uint64_t mb_events_dropped(struct mb_events *events)
{
	uint64_t dropped;

	lock(events);
	dropped = events->dropped;
	unlock(events);
	return dropped;
}

/* --- columns --- */

/* The record at a place of a piece; NULL behind the last one. */
static const struct mb_record *record_at(const char *records, uint64_t bytes, uint64_t at)
{
	const struct mb_record *record = (const void *)(records + at);

	if (bytes - at < sizeof(*record) || record->size < sizeof(*record) || record->size > bytes - at)
		return NULL;
	return record;
}

static int has_slots(const struct mb_record *record, const struct mb_column *column)
{
	uint64_t slots = (uint64_t)column->slot + (column->kind == MB_EVENTS_CHECKED ? 2 : 1);

	return sizeof(*record) + 8 * slots <= record->size;
}

/* The text of a column in a record, and its length; NULL if it could not be read. */
static const char *text_of(const struct mb_record *record, const struct mb_column *column, uint32_t *length)
{
	struct mb_string_slot string;

	memcpy(&string, &record->slot[column->slot], sizeof(string));
	if (string.length == MB_FAULT || string.offset > record->size || string.length > record->size - string.offset)
		return NULL;
	*length = string.length;
	return (const char *)record + string.offset;
}

uint64_t mb_events_count(const void *records, uint64_t bytes, uint32_t hook, struct mb_column *columns, uint32_t count)
{
	const struct mb_record *record;
	uint64_t found = 0;

	for (uint64_t at = 0; (record = record_at(records, bytes, at)); at += record->size) {
		if (record->hook != hook)
			continue;
		found++;
		for (uint32_t i = 0; i < count; i++) {
			uint32_t length;

			if (columns[i].kind == MB_EVENTS_TEXT && has_slots(record, &columns[i]) &&
			    text_of(record, &columns[i], &length) && length > columns[i].width)
				columns[i].width = length;
		}
	}
	return found;
}

/* A number; 0 if it could not be read. */
static int fill_number(const struct mb_record *record, const struct mb_column *column, uint64_t row)
{
	int64_t *values = column->values;
	int bad = column->kind == MB_EVENTS_CHECKED && (uint32_t)record->slot[column->slot + 1] == MB_FAULT;

	values[row] = bad ? 0 : record->slot[column->slot];
	return bad;
}

/* A text, filled up with NULs. */
static int fill_text(const struct mb_record *record, const struct mb_column *column, uint64_t row)
{
	char *dest = (char *)column->values + row * column->width;
	uint32_t length = 0;
	const char *text = text_of(record, column, &length);

	if (length > column->width)
		length = (uint32_t)column->width;
	if (text)
		memcpy(dest, text, length);
	memset(dest + length, 0, column->width - length);
	return !text;
}

static void fill(const struct mb_record *record, const struct mb_column *column, uint64_t row)
{
	int bad = 1;

	if (!has_slots(record, column))
		memset((char *)column->values + row * column->width, 0, column->width);
	else if (column->kind == MB_EVENTS_TEXT)
		bad = fill_text(record, column, row);
	else
		bad = fill_number(record, column, row);
	if (column->unreadable)
		column->unreadable[row] = (uint8_t)bad;
}

uint64_t mb_events_fill(const void *records, uint64_t bytes, uint32_t hook, const struct mb_column *columns, uint32_t count)
{
	const struct mb_record *record;
	uint64_t row = 0;

	for (uint64_t at = 0; (record = record_at(records, bytes, at)); at += record->size) {
		if (record->hook != hook)
			continue;
		for (uint32_t i = 0; i < count; i++)
			fill(record, &columns[i], row);
		row++;
	}
	return row;
}
