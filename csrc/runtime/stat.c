// SPDX-License-Identifier: LGPL-2.1-or-later
/* Statistics: what `<<<` collects and what the extractors give. Sums wrap; @variance is integer, with its rounding. */
#include "runtime.h"

#include <string.h>

#define LOG_ZERO 64	/* the bucket of value 0 */

size_t mb_stat_bytes(const struct mb_stat_shape *shape)
{
	return sizeof(struct mb_stat) + shape->buckets * sizeof(int64_t);
}

static int64_t add(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t subtract(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a - (uint64_t)b);
}

static uint64_t magnitude(int64_t value)
{
	return value < 0 ? -(uint64_t)value : (uint64_t)value;
}

static uint32_t log_bucket(int64_t value)
{
	uint32_t bits;

	if (!value)
		return LOG_ZERO;
	bits = 64 - (uint32_t)__builtin_clzll(magnitude(value));
	if (value < 0)
		return LOG_ZERO - bits;
	return LOG_ZERO + bits;
}

static uint32_t linear_bucket(const struct mb_stat_shape *shape, int64_t value)
{
	int64_t above = subtract(value, shape->low);
	uint64_t bucket;

	if (above < 0)
		return 0;
	bucket = (uint64_t)above / (uint64_t)shape->step + 1;
	return bucket < shape->buckets - 1 ? (uint32_t)bucket : shape->buckets - 1;
}

/* Welford's method on integers; but for the first value, the difference has 32 bits only. */
static void add_variance(const struct mb_stat_shape *shape, struct mb_stat *stat, int64_t value)
{
	int64_t scaled = (int64_t)((uint64_t)value << shape->variance_bits);
	int32_t delta = (int32_t)(uint32_t)subtract(scaled, stat->mean);

	if (stat->count == 1) {
		stat->mean = scaled;
		return;
	}
	stat->mean = add(stat->mean, delta / stat->count);
	stat->squares = add(stat->squares, (int64_t)((uint64_t)delta * (uint64_t)subtract(scaled, stat->mean)));
}

void mb_stat_add(const struct mb_stat_shape *shape, struct mb_stat *stat, int64_t value)
{
	if (!stat->count || value < stat->min)
		stat->min = value;
	if (!stat->count || value > stat->max)
		stat->max = value;
	stat->count++;
	stat->sum = add(stat->sum, value);
	if (shape->variance)
		add_variance(shape, stat, value);
	if (shape->histogram == MB_LOG)
		stat->bucket[log_bucket(value)]++;
	else if (shape->histogram == MB_LINEAR)
		stat->bucket[linear_bucket(shape, value)]++;
}

int32_t mb_stat_add_global(struct mb_session *session, uint32_t global, int64_t value)
{
	mb_stat_add(&session->global[global].stat, (struct mb_stat *)(uintptr_t)session->head.globals[global], value);
	return MB_OK;
}

/* Add what was collected elsewhere; @variance cannot be merged exactly and must not be in use. */
void mb_stat_merge(const struct mb_stat_shape *shape, struct mb_stat *stat, const int64_t *values, const int64_t *buckets)
{
	if (!values[MB_STAT_COUNT])
		return;
	if (!stat->count || values[MB_STAT_MIN] < stat->min)
		stat->min = values[MB_STAT_MIN];
	if (!stat->count || values[MB_STAT_MAX] > stat->max)
		stat->max = values[MB_STAT_MAX];
	stat->count = add(stat->count, values[MB_STAT_COUNT]);
	stat->sum = add(stat->sum, values[MB_STAT_SUM]);
	for (uint32_t i = 0; buckets && i < shape->buckets; i++)
		stat->bucket[i] = add(stat->bucket[i], buckets[i]);
}

int64_t mb_stat_average(const struct mb_stat *stat)
{
	if (!stat->count)
		return 0;
	return stat->count == -1 ? subtract(0, stat->sum) : stat->sum / stat->count;
}

static int64_t multiply(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a * (uint64_t)b);
}

/*
 * SystemTap merges a scalar statistic from its CPUs when it is read, and takes the square of what the integer mean is off by into
 * the result, even if there is one CPU only: 2 4 4 4 5 5 7 9 have 13, where Welford's method gives 9 and the truth is 4.57.
 * Elements of arrays are as they are.
 */
static int64_t variance(const struct mb_stat_shape *shape, const struct mb_stat *stat, int is_scalar)
{
	int64_t rest = stat->count - 1, scaled, off, squares;

	if (rest < 1)
		return 0;
	squares = stat->squares / rest;
	if (is_scalar) {
		scaled = (int64_t)((uint64_t)stat->sum << shape->variance_bits);
		off = subtract(stat->mean, scaled / stat->count);
		squares = add(multiply(multiply(stat->count, off), off), multiply(rest, squares)) / rest;
	}
	return squares >> (2 * shape->variance_bits & 63);
}

/* The statistic of a global, or of an array's element; NULL if there is no such element. */
const struct mb_stat *mb_stat_find(const struct mb_session *session, uint32_t global, const int64_t *keys, const struct mb_stat_shape **shape)
{
	void *held = (void *)(uintptr_t)session->head.globals[global];
	struct mb_array *array = held;
	struct mb_entry *entry;

	*shape = &session->global[global].stat;
	if (session->global[global].kind != MB_ARRAY)
		return held;
	*shape = &array->stat;
	entry = mb_array_find(array, keys);
	return entry ? mb_entry_stat(array, entry) : NULL;
}

int32_t mb_stat_get(struct mb_session *session, uint32_t global, const int64_t *keys, uint32_t op, int64_t *result, uint32_t site)
{
	const struct mb_stat_shape *shape;
	const struct mb_stat *stat = mb_stat_find(session, global, keys, &shape);

	*result = 0;
	if (!stat || !stat->count)
		return op == MB_COUNT || op == MB_SUM ? MB_OK : mb_raise(session, site, "empty aggregate");
	switch (op) {
	case MB_COUNT:
		*result = stat->count;
		break;
	case MB_SUM:
		*result = stat->sum;
		break;
	case MB_MIN:
		*result = stat->min;
		break;
	case MB_MAX:
		*result = stat->max;
		break;
	case MB_AVG:
		*result = mb_stat_average(stat);
		break;
	default:
		*result = variance(shape, stat, session->global[global].kind != MB_ARRAY);
	}
	return MB_OK;
}
