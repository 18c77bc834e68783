// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A live session's side of the ring buffer and of the kernel's maps. An entry of a map is a sequence number and a payload; entries are
 * taken over in the order of these numbers, which is the order in which they were made.
 */
#include "live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf.h"
#include "events.h"
#include "hold.h"
#include "recorder.h"
#include "runtime/runtime.h"
#include "runtime/session.h"
#include "wake.h"

#define SEQUENCE_BYTES sizeof(int64_t)
#define NO_EXIST 1

static void shift(const struct mb_session *session, struct mb_record *record, int64_t delta)
{
	static const enum mb_context times[] = { MB_REALTIME, MB_MONOTONIC };

	if (!session || record->hook >= session->hook_count)
		return;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		int32_t offset = session->hooks[record->hook].context[times[i]];
		int64_t value;

		if (offset < 0)
			continue;
		memcpy(&value, (char *)record + offset, sizeof(value));
		value += delta;
		memcpy((char *)record + offset, &value, sizeof(value));
	}
}

/*
 * CPUs stamp their hits before they get their place in the ring, so two of them can come in the wrong order by some
 * nanoseconds. While a recording is made, such a record gets the time after its predecessor's, for the handlers, too:
 * a replay, which goes by time, then shows them the same order and the same times.
 */
static const struct mb_record *in_order(struct mb_live *live, const struct mb_record *record)
{
	if (record->time_ns > live->last_ns) {
		live->last_ns = record->time_ns;
		return record;
	}
	if (record->size > live->moved_bytes) {
		struct mb_record *larger = realloc(live->moved, record->size);

		if (!larger)
			return record;
		live->moved = larger;
		live->moved_bytes = record->size;
	}
	memcpy(live->moved, record, record->size);
	live->moved->time_ns = ++live->last_ns;
	shift(live->session, live->moved, (int64_t)(live->last_ns - record->time_ns));
	return live->moved;
}

void mb_live_free(struct mb_live *live)
{
	free(live->moved);
	live->moved = NULL;
	live->moved_bytes = 0;
}

/* What the program did to the process of this hit: enum mb_hold. */
static int64_t hold_of(const struct mb_live *live, const struct mb_record *record)
{
	const struct mb_session *session = live->session;
	int64_t hold;

	if (live->held_map < 0 || !session || record->hook >= session->hook_count || !session->hooks[record->hook].stopped ||
	    session->hooks[record->hook].context[MB_PID] < 0)
		return 0;
	memcpy(&hold, (const char *)record + session->hooks[record->hook].stopped, sizeof(hold));
	return hold;
}

int mb_live_wait(struct mb_live *live, int64_t pid)
{
	for (size_t i = 0; i < sizeof(live->wake) / sizeof(live->wake[0]); i++) {
		if (live->wake[i])
			mb_wake_add(live->wake[i], pid);
	}
	return mb_hold_wait(live->held_map, pid);
}

/* Whether the guards are dead: then nobody is stopped until the session has started others. */
static int is_unguarded(const struct mb_live *live)
{
	return live->seats && !live->only_record && !__atomic_load_n(&live->seats[0], __ATOMIC_RELAXED) &&
	       !__atomic_load_n(&live->seats[1], __ATOMIC_RELAXED);
}

/* The handlers of a hit whose process waits for them. */
static int consume_held(struct mb_live *live, const struct mb_record *record)
{
	struct mb_session *session = live->session;
	int64_t pid;
	int stop = 0, stood = 0;

	memcpy(&pid, (const char *)record + session->hooks[record->hook].context[MB_PID], sizeof(pid));
	if (live->beat)
		*live->beat = (int64_t)mb_hold_now();
	if (!live->only_record) {
		stood = mb_live_wait(live, pid);
		stop = mb_session_dispatch(session, record) != MB_RUNNING;
	}
	stood &= mb_hold_release(live->held_map, pid);
	live->unheld += !live->only_record && !stood;
	return stop || is_unguarded(live);
}

int mb_live_consume(void *context, const struct mb_record *record)
{
	struct mb_live *live = context;
	int64_t hold;
	int stop;

	if (record->hook == MB_START_HOOK) {
		mb_semaphore_start(live, record);
		return 0;
	}
	if (live->recorder) {
		int ret;

		record = in_order(live, record);
		ret = mb_recorder_write(live->recorder, record);

		if (ret && !live->failure)
			live->failure = ret;
	}
	if (live->events)
		mb_events_add(live->events, record);
	hold = hold_of(live, record);
	if (hold == MB_STOPPED_IT)
		return consume_held(live, record);
	if (live->only_record)
		return 0;
	live->unheld += hold == MB_MISSED_IT;
	stop = mb_session_dispatch(live->session, record) != MB_RUNNING;
	return stop || is_unguarded(live);
}

/* --- kernel to session --- */

struct entry {
	int64_t sequence;
	const uint8_t *key;
	const uint8_t *value;
};

static int by_sequence(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;

	return (a->sequence > b->sequence) - (a->sequence < b->sequence);
}

static void unpack_keys(const struct mb_kernel_map *map, const uint8_t *key, int64_t *keys)
{
	for (uint32_t i = 0; i < map->key_count; i++) {
		if (map->string_keys & 1u << i) {
			keys[i] = (int64_t)(uintptr_t)key;
			key += map->string_bytes;
		} else {
			memcpy(&keys[i], key, sizeof(keys[i]));
			key += sizeof(keys[i]);
		}
	}
}

/* One payload into the session; what does not fit there has become an error of the session. */
static void take_over(const struct mb_kernel_map *map, void *session, const int64_t *keys,
		      const uint8_t *payload, int resident)
{
	int64_t numbers[MB_STAT_VALUES];

	if (resident && map->is_string) {
		mb_session_store_string(session, map->variable, keys, (const char *)payload);
		return;
	}
	memcpy(&numbers[0], payload, sizeof(numbers[0]));
	if (map->is_statistic) {
		memcpy(numbers, payload, sizeof(numbers));
		if (numbers[MB_STAT_COUNT])
			mb_session_merge_stat(session, map->variable, keys, numbers,
					      (const int64_t *)(const void *)(payload + sizeof(numbers)),
					      map->handler, map->site);
	} else if (resident) {
		mb_session_store(session, map->variable, keys, numbers[0]);
	} else {
		mb_session_add(session, map->variable, keys, numbers[0], map->handler, map->site);
	}
}

static int64_t drain_scalar(const struct mb_kernel_map *map, void *session, int resident)
{
	const uint32_t zero = 0;
	uint8_t *value = malloc(map->value_bytes);
	int ret;

	if (!value)
		return -ENOMEM;
	ret = mb_bpf_map_lookup(map->map, &zero, value);
	if (!ret) {
		take_over(map, session, NULL, value + SEQUENCE_BYTES, 0);
		if (resident != MB_KEEP)
			ret = mb_bpf_map_update(map->map, &zero, map->initial, 0);
	}
	free(value);
	return ret < 0 ? ret : 1;
}

static void drain_entries(const struct mb_kernel_map *map, void *session, struct entry *entries,
			  size_t count, int resident)
{
	qsort(entries, count, sizeof(*entries), by_sequence);
	for (size_t i = 0; i < count; i++) {
		int64_t keys[32];

		unpack_keys(map, entries[i].key, keys);
		take_over(map, session, keys, entries[i].value + SEQUENCE_BYTES, resident);
	}
}

static int64_t drain_array(const struct mb_kernel_map *map, void *session, int resident)
{
	uint8_t *keys = calloc(map->entries, map->key_bytes);
	uint8_t *values = calloc(map->entries, map->value_bytes);
	struct entry *entries = calloc(map->entries, sizeof(*entries));
	int64_t count = -ENOMEM;

	if (keys && values && entries)
		count = mb_bpf_map_read(map->map, map->key_bytes, map->value_bytes, keys, values, map->entries);
	for (int64_t i = 0; i < count; i++) {
		entries[i].key = keys + (uint64_t)i * map->key_bytes;
		entries[i].value = values + (uint64_t)i * map->value_bytes;
		memcpy(&entries[i].sequence, entries[i].value, sizeof(entries[i].sequence));
	}
	if (count > 0)
		drain_entries(map, session, entries, (size_t)count, resident);
	for (int64_t i = 0; i < count && resident != MB_KEEP; i++) {
		int ret = mb_bpf_map_delete(map->map, keys + (uint64_t)i * map->key_bytes);

		if (ret < 0)
			count = ret;
	}
	free(entries);
	free(values);
	free(keys);
	return count;
}

/*
 * Move everything that a quiet map holds into the session: as additions, or (`resident`) as the values themselves.
 * The number of entries, or -errno.
 */
int64_t mb_kernel_map_drain(const struct mb_kernel_map *map, void *session, int resident)
{
	if (map->key_count > 32 || map->value_bytes < SEQUENCE_BYTES + sizeof(int64_t))
		return -EINVAL;
	if (map->is_statistic && map->value_bytes < SEQUENCE_BYTES + MB_STAT_VALUES * sizeof(int64_t))
		return -EINVAL;
	return map->is_array ? drain_array(map, session, resident) : drain_scalar(map, session, resident);
}

/* --- session to kernel --- */

static void pack_keys(const struct mb_kernel_map *map, const int64_t *keys, uint8_t *key)
{
	memset(key, 0, map->key_bytes);
	for (uint32_t i = 0; i < map->key_count; i++) {
		if (map->string_keys & 1u << i) {
			const char *text = (const char *)(uintptr_t)keys[i];

			memcpy(key, text, strnlen(text, map->string_bytes - 1));
			key += map->string_bytes;
		} else {
			memcpy(key, &keys[i], sizeof(keys[i]));
			key += sizeof(keys[i]);
		}
	}
}

/* Put the entries of a resident array into its kernel map, numbered from `first_sequence`; the next number, or -errno. */
int64_t mb_kernel_map_fill(const struct mb_kernel_map *map, void *session, int64_t first_sequence)
{
	uint8_t *key = malloc(map->key_bytes), *value = malloc(map->value_bytes);
	int64_t sequence = first_sequence, keys[32], word;
	uint32_t at = 0;

	while (key && value && (at = mb_session_walk(session, map->variable, at, keys, &word))) {
		int ret;

		memset(value, 0, map->value_bytes);
		memcpy(value, &sequence, sizeof(sequence));
		if (map->is_string)
			memcpy(value + SEQUENCE_BYTES, (const char *)(uintptr_t)word,
			       strnlen((const char *)(uintptr_t)word, map->string_bytes - 1));
		else
			memcpy(value + SEQUENCE_BYTES, &word, sizeof(word));
		pack_keys(map, keys, key);
		ret = mb_bpf_map_update(map->map, key, value, NO_EXIST);
		if (ret < 0) {
			sequence = ret;
			break;
		}
		sequence++;
	}
	if (!key || !value)
		sequence = -ENOMEM;
	free(value);
	free(key);
	return sequence;
}
