// SPDX-License-Identifier: LGPL-2.1-or-later
/* Histograms as text, and their buckets by number. */
#include "runtime.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WIDTH 50
#define MARGIN 2
#define LEAST_VALUE_WIDTH 5
#define LOG_ZERO 64

struct rows {
	const struct mb_stat_shape *shape;
	const struct mb_stat *stat;
	uint32_t low, high;	/* first and last bucket shown */
	int under, over;	/* whether these are the under- and overflow buckets */
	int64_t most;		/* largest count */
};

static int digits(int64_t value)
{
	uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
	int count = value < 0 ? 2 : 1;

	while (rest > 9) {
		rest /= 10;
		count++;
	}
	return count;
}

static int64_t log_value(uint32_t bucket)
{
	if (bucket == LOG_ZERO)
		return 0;
	if (bucket < LOG_ZERO)
		return INT64_MIN >> bucket;
	return (int64_t)(1ull << (bucket - LOG_ZERO - 1));
}

static int64_t linear_value(const struct mb_stat_shape *shape, int64_t steps)
{
	return (int64_t)((uint64_t)shape->low + (uint64_t)steps * (uint64_t)shape->step);
}

static void find_range(struct rows *rows)
{
	const int64_t *bucket = rows->stat->bucket;
	int found = 0;

	for (uint32_t i = 0; i < rows->shape->buckets; i++) {
		if (bucket[i] <= 0)
			continue;
		if (!found)
			rows->low = i;
		found = 1;
		rows->high = i;
		if (bucket[i] > rows->most)
			rows->most = bucket[i];
	}
}

static void widen_range(struct rows *rows)
{
	for (int i = 0; i < MARGIN; i++) {
		if (rows->low > 0 && (rows->shape->histogram != MB_LOG || rows->low != LOG_ZERO))
			rows->low--;
		if (rows->high < rows->shape->buckets - 1)
			rows->high++;
	}
	if (rows->shape->histogram == MB_LOG)
		return;
	if (rows->low == 0 && !rows->stat->bucket[0])
		rows->low++;
	if (rows->high == rows->shape->buckets - 1 && !rows->stat->bucket[rows->high])
		rows->high--;
	rows->under = rows->low == 0;
	rows->over = rows->high == rows->shape->buckets - 1;
}

static int larger(int a, int b)
{
	return a > b ? a : b;
}

static int value_width(const struct rows *rows)
{
	int width;

	if (rows->shape->histogram == MB_LOG)
		width = larger(digits(log_value(rows->high)), digits(log_value(rows->low)));
	else
		width = larger(digits(rows->shape->low) + rows->under,
			       digits(linear_value(rows->shape, rows->high)) + rows->over);
	return larger(width, LEAST_VALUE_WIDTH);
}

/* Whether a row and those near it are all empty. */
static int is_elided(const struct rows *rows, uint32_t row, int32_t elision)
{
	uint32_t reach = (uint32_t)elision < rows->shape->buckets ? (uint32_t)elision : rows->shape->buckets;
	uint32_t first = row > rows->low + reach ? row - reach : rows->low;
	uint32_t last = row + reach < rows->high ? row + reach : rows->high;

	for (uint32_t i = first; i <= last; i++) {
		if (rows->stat->bucket[i])
			return 0;
	}
	return 1;
}

static void put(struct mb_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct mb_text *text, const char *format, ...)
{
	char line[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	for (const char *c = line; *c; c++)
		mb_text_char(text, *c);
}

static void put_bar(struct mb_text *text, char c, int64_t length)
{
	for (int64_t i = 0; i < length; i++)
		mb_text_char(text, c);
}

static void put_row(const struct rows *rows, uint32_t row, int width, struct mb_text *text)
{
	int64_t count = rows->stat->bucket[row];
	int64_t scale = rows->most <= WIDTH ? 1 : (rows->most - 1) / WIDTH + 1;
	const char *mark = "";
	int64_t value;

	if (rows->shape->histogram == MB_LOG) {
		value = log_value(row);
	} else if (row == 0) {
		value = rows->shape->low;
		mark = "<";
	} else if (row == rows->shape->buckets - 1) {
		value = linear_value(rows->shape, (int64_t)row - 2);
		mark = ">";
	} else {
		value = linear_value(rows->shape, (int64_t)row - 1);
	}
	put(text, "%*s%" PRId64 " |", width - digits(value), mark, value);
	put_bar(text, '@', count / scale);
	put(text, "%*" PRId64 "\n", (int)(WIDTH - count / scale + 1 + digits(rows->most)), count);
}

void mb_histogram_text(const struct mb_stat_shape *shape, const struct mb_stat *stat, int32_t elision, struct mb_text *text)
{
	struct rows rows = { .shape = shape, .stat = stat };
	int width, gap = 0;

	find_range(&rows);
	widen_range(&rows);
	width = value_width(&rows);
	put(text, "%*s |", width, "value");
	put_bar(text, '-', WIDTH);
	put(text, " count\n");
	for (uint32_t row = rows.low; row <= rows.high; row++) {
		if (elision >= 0 && is_elided(&rows, row, elision)) {
			gap = 1;
			continue;
		}
		if (gap)
			put(text, "%*s ~\n", width, "");
		gap = 0;
		put_row(&rows, row, width, text);
	}
	put(text, "\n");
}

static const struct mb_stat *filled(struct mb_session *session, uint32_t global, const int64_t *keys,
				    const struct mb_stat_shape **shape, uint32_t site)
{
	const struct mb_stat *stat = mb_stat_find(session, global, keys, shape);

	if (stat && stat->count)
		return stat;
	mb_raise(session, site, "empty aggregate");
	return NULL;
}

int32_t mb_histogram_get(struct mb_session *session, uint32_t global, const int64_t *keys, int64_t bucket, int64_t *result, uint32_t site)
{
	const struct mb_stat_shape *shape;
	const struct mb_stat *stat = filled(session, global, keys, &shape, site);

	*result = 0;
	if (!stat)
		return MB_RAISED;
	if (bucket < 0 || bucket >= shape->buckets)
		return mb_raise(session, site, "histogram index out of range");
	*result = stat->bucket[bucket];
	return MB_OK;
}

/* At most 128 rows of less than 100 bytes. */
#define TEXT_BYTES 16384

int32_t mb_histogram_print(struct mb_session *session, uint32_t global, const int64_t *keys, uint32_t site)
{
	const struct mb_stat_shape *shape;
	const struct mb_stat *stat = filled(session, global, keys, &shape, site);
	struct mb_text text;
	char *room;

	if (!stat)
		return MB_RAISED;
	room = mb_output_room(session, TEXT_BYTES);
	text = (struct mb_text){ room, room + TEXT_BYTES };
	mb_histogram_text(shape, stat, session->limits.hist_elision, &text);
	session->out.used += (size_t)(text.at - room);
	return MB_OK;
}

int32_t mb_histogram_string(struct mb_session *session, uint32_t global, const int64_t *keys, char *dest, uint32_t site)
{
	const struct mb_stat_shape *shape;
	const struct mb_stat *stat = filled(session, global, keys, &shape, site);
	struct mb_text text = { dest, dest + session->limits.maxstringlen - 1 };

	if (!stat)
		return MB_RAISED;
	mb_histogram_text(shape, stat, session->limits.hist_elision, &text);
	*text.at = '\0';
	return MB_OK;
}
