// SPDX-License-Identifier: LGPL-2.1-or-later
/* Globals as an engine sees them: additions that the kernel collected, and entries carried there and back. */
#include "runtime.h"

#include <errno.h>
#include <string.h>

static struct mb_array *array_of(const struct mb_session *session, uint32_t global)
{
	if (global >= session->global_count || session->global[global].kind != MB_ARRAY)
		return NULL;
	return (struct mb_array *)(uintptr_t)session->head.globals[global];
}

static int settle(struct mb_session *session, int32_t ret, uint32_t handler, uint32_t site)
{
	if (!ret)
		return 0;
	session->head.raised = MB_OK;
	mb_session_error(session, handler, site, session->error.message);
	return -1;
}

int mb_session_add(struct mb_session *session, uint32_t global, const int64_t *keys, int64_t amount,
		   uint32_t handler, uint32_t site)
{
	struct mb_array *array = array_of(session, global);

	if (array)
		return settle(session, mb_array_add(session, array, keys, amount, site), handler, site);
	if (global >= session->global_count || session->global[global].kind != MB_LONG)
		return -EINVAL;
	session->head.globals[global] = (int64_t)((uint64_t)session->head.globals[global] + (uint64_t)amount);
	return 0;
}

static struct mb_stat *stat_of(struct mb_session *session, uint32_t global, const int64_t *keys)
{
	struct mb_array *array = array_of(session, global);
	struct mb_entry *entry;

	if (!array)
		return (struct mb_stat *)(uintptr_t)session->head.globals[global];
	entry = mb_array_make(array, keys);
	return entry ? mb_entry_stat(array, entry) : NULL;
}

static const struct mb_stat_shape *shape_of(const struct mb_session *session, uint32_t global)
{
	const struct mb_array *array = array_of(session, global);

	return array ? &array->stat : &session->global[global].stat;
}

int mb_session_merge_stat(struct mb_session *session, uint32_t global, const int64_t *keys,
			  const int64_t *values, const int64_t *buckets, uint32_t handler, uint32_t site)
{
	struct mb_array *array = array_of(session, global);
	struct mb_stat *stat;

	if (global >= session->global_count || session->global[global].kind < MB_STATISTIC)
		return -EINVAL;
	if (array && array->shape.value != MB_STATISTIC)
		return -EINVAL;
	stat = stat_of(session, global, keys);
	if (!stat)	/* let the array say why */
		return settle(session, mb_stat_add_entry(session, array, keys, 0, site), handler, site);
	mb_stat_merge(shape_of(session, global), stat, values, buckets);
	return 0;
}

uint32_t mb_session_buckets(const struct mb_session *session, uint32_t global)
{
	return global < session->global_count ? shape_of(session, global)->buckets : 0;
}

/* --- entries there and back --- */

int mb_session_store(struct mb_session *session, uint32_t global, const int64_t *keys, int64_t value)
{
	struct mb_array *array = array_of(session, global);

	if (array)
		return array->shape.value == MB_LONG ? -mb_array_set_long(session, array, keys, value, MB_NO_SITE) : -EINVAL;
	if (global >= session->global_count || session->global[global].kind != MB_LONG)
		return -EINVAL;
	session->head.globals[global] = value;
	return 0;
}

int mb_session_store_string(struct mb_session *session, uint32_t global, const int64_t *keys, const char *value)
{
	struct mb_array *array = array_of(session, global);

	if (array)
		return array->shape.value == MB_STRING ? -mb_array_set_string(session, array, keys, value, MB_NO_SITE) : -EINVAL;
	if (global >= session->global_count || session->global[global].kind != MB_STRING)
		return -EINVAL;
	mb_string_copy(session, (char *)(uintptr_t)session->head.globals[global], value);
	return 0;
}

/*
 * The entry after number `entry` in order (0: the first): its keys and its value (strings and statistics as pointers), and its number.
 * 0 at the end.
 */
uint32_t mb_session_walk(struct mb_session *session, uint32_t global, uint32_t entry, int64_t *keys, int64_t *value)
{
	struct mb_array *array = array_of(session, global);
	struct mb_entry *next;
	uint32_t at;

	if (!array)
		return 0;
	at = mb_array_entry(array, entry)->next;
	if (!at)
		return 0;
	next = mb_array_entry(array, at);
	for (uint32_t i = 0; i < array->shape.key_count; i++)
		keys[i] = next->slot[i];
	*value = array->shape.value == MB_STATISTIC ? (int64_t)(uintptr_t)mb_entry_stat(array, next) : *mb_entry_value(array, next);
	return at;
}

int mb_session_clear(struct mb_session *session, uint32_t global)
{
	if (global >= session->global_count)
		return -EINVAL;
	mb_clear_global(session, global);
	return 0;
}

uint32_t mb_session_array_count(const struct mb_session *session, uint32_t global)
{
	const struct mb_array *array = array_of(session, global);

	return array ? array->count : 0;
}

/* Bytes in use for entries and table, without the strings. */
uint64_t mb_session_array_bytes(const struct mb_session *session, uint32_t global)
{
	const struct mb_array *array = array_of(session, global);

	return array ? array->fresh * array->entry_bytes + ((uint64_t)array->mask + 1) * sizeof(uint32_t) : 0;
}
