// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Associative arrays: entries in order of insertion on a list, and a hash table over them.
 * Address space for the full size is reserved when the array is made; pages come as entries do, so nothing is
 * allocated while handlers run, and an entry costs 24 bytes beside its keys and its value.
 */
#define _GNU_SOURCE
#include "runtime.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FIRST_MASK 63u
#define MIX 0x9e3779b97f4a7c15ull

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * MIX;
	return hash ^ (hash >> 29);
}

static uint64_t hash_text(uint64_t hash, const char *text, size_t length)
{
	uint64_t word;

	for (; length >= sizeof(word); length -= sizeof(word), text += sizeof(word)) {
		memcpy(&word, text, sizeof(word));
		hash = mix(hash, word);
	}
	word = 0;
	memcpy(&word, text, length);
	return mix(hash, word);
}

static int is_string_key(const struct mb_array *array, uint32_t key)
{
	return array->shape.string_keys >> key & 1;
}

static size_t key_length(const struct mb_array *array, int64_t key)
{
	return strnlen(mb_slot_text(key), array->pool->capacity - 1);
}

static uint32_t hash_keys(const struct mb_array *array, const int64_t *keys)
{
	uint64_t hash = 0;

	for (uint32_t i = 0; i < array->shape.key_count; i++) {
		if (is_string_key(array, i))
			hash = hash_text(hash, mb_slot_text(keys[i]), key_length(array, keys[i]));
		else
			hash = mix(hash, (uint64_t)keys[i]);
	}
	return (uint32_t)(hash >> 32);
}

static int same_key(const struct mb_array *array, uint32_t key, int64_t held, int64_t wanted)
{
	size_t length;
	const char *text;

	if (!is_string_key(array, key))
		return held == wanted;
	text = mb_slot_text(held);
	length = key_length(array, wanted);
	return memcmp(text, mb_slot_text(wanted), length < strlen(text) ? strlen(text) : length) == 0;
}

int mb_array_matches(const struct mb_array *array, const struct mb_entry *entry, const int64_t *keys, uint32_t mask)
{
	for (uint32_t i = 0; i < array->shape.key_count; i++) {
		if (mask >> i & 1 && !same_key(array, i, entry->slot[i], keys[i]))
			return 0;
	}
	return 1;
}

static uint32_t all_keys(const struct mb_array *array)
{
	return (1u << array->shape.key_count) - 1;
}

/* --- making and dropping --- */

static void *reserve(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static size_t table_slots(uint32_t size)
{
	size_t slots = FIRST_MASK + 1;

	while (slots < size)
		slots *= 2;
	return slots;
}

static size_t value_bytes(const struct mb_array *array)
{
	return array->shape.value == MB_STATISTIC ? mb_stat_bytes(&array->stat) : sizeof(int64_t);
}

/* NULL if the memory cannot be reserved. */
struct mb_array *mb_array_new(const struct mb_array_shape *shape, const struct mb_stat_shape *stat, struct mb_pool *pool)
{
	struct mb_array *array = calloc(1, sizeof(*array));

	if (!array)
		return NULL;
	array->shape = *shape;
	if (stat)
		array->stat = *stat;
	array->pool = pool;
	array->entry_bytes = sizeof(struct mb_entry) + shape->key_count * sizeof(int64_t) + value_bytes(array);
	array->entries_bytes = array->entry_bytes * ((size_t)shape->size + 1);
	array->table_bytes = table_slots(shape->size) * sizeof(uint32_t);
	array->entries = reserve(array->entries_bytes);
	array->table = reserve(array->table_bytes);
	array->mask = FIRST_MASK;
	array->fresh = 1;
	if (!array->entries || !array->table) {
		mb_array_close(array);
		return NULL;
	}
	return array;
}

void mb_array_close(struct mb_array *array)
{
	if (!array)
		return;
	if (array->entries)
		munmap(array->entries, array->entries_bytes);
	if (array->table)
		munmap(array->table, array->table_bytes);
	free(array);
}

/* --- list and table --- */

void mb_array_unlink(struct mb_array *array, struct mb_entry *entry)
{
	mb_array_entry(array, entry->previous)->next = entry->next;
	mb_array_entry(array, entry->next)->previous = entry->previous;
}

void mb_array_link_after(struct mb_array *array, struct mb_entry *entry, struct mb_entry *after)
{
	entry->next = after->next;
	entry->previous = mb_array_index(array, after);
	mb_array_entry(array, after->next)->previous = mb_array_index(array, entry);
	after->next = mb_array_index(array, entry);
}

static void link_last(struct mb_array *array, struct mb_entry *entry)
{
	mb_array_link_after(array, entry, mb_array_entry(array, mb_array_entry(array, 0)->previous));
}

static void insert(struct mb_array *array, struct mb_entry *entry)
{
	uint32_t *bucket = &array->table[entry->hash & array->mask];

	entry->chain = *bucket;
	*bucket = mb_array_index(array, entry);
}

static void withdraw(struct mb_array *array, const struct mb_entry *entry)
{
	uint32_t *at = &array->table[entry->hash & array->mask], index = mb_array_index(array, entry);

	while (*at != index)
		at = &mb_array_entry(array, *at)->chain;
	*at = entry->chain;
}

static void grow_table(struct mb_array *array)
{
	size_t slots = ((size_t)array->mask + 1) * 2;

	if (slots * sizeof(uint32_t) > array->table_bytes)
		return;
	array->mask = (uint32_t)(slots - 1);
	memset(array->table, 0, slots * sizeof(uint32_t));
	for (uint32_t at = mb_array_entry(array, 0)->next; at; at = mb_array_entry(array, at)->next)
		insert(array, mb_array_entry(array, at));
}

static struct mb_entry *lookup(const struct mb_array *array, const int64_t *keys, uint32_t hash)
{
	for (uint32_t at = array->table[hash & array->mask]; at;) {
		struct mb_entry *entry = mb_array_entry(array, at);

		if (entry->hash == hash && mb_array_matches(array, entry, keys, all_keys(array)))
			return entry;
		at = entry->chain;
	}
	return NULL;
}

struct mb_entry *mb_array_find(const struct mb_array *array, const int64_t *keys)
{
	return lookup(array, keys, hash_keys(array, keys));
}

static void drop_strings(struct mb_array *array, struct mb_entry *entry)
{
	for (uint32_t i = 0; i < array->shape.key_count; i++) {
		if (is_string_key(array, i))
			mb_pool_drop(array->pool, &entry->slot[i]);
	}
	if (array->shape.value == MB_STRING)
		mb_pool_drop(array->pool, mb_entry_value(array, entry));
}

static void remove_entry(struct mb_array *array, struct mb_entry *entry)
{
	withdraw(array, entry);
	mb_array_unlink(array, entry);
	drop_strings(array, entry);
	entry->chain = array->free;
	array->free = mb_array_index(array, entry);
	array->count--;
}

static struct mb_entry *unused_entry(struct mb_array *array)
{
	struct mb_entry *entry;

	if (array->count == array->shape.size) {
		if (!array->shape.wrap)
			return NULL;
		remove_entry(array, mb_array_entry(array, mb_array_entry(array, 0)->next));
	}
	if (array->free) {
		entry = mb_array_entry(array, array->free);
		array->free = entry->chain;
		return entry;
	}
	return mb_array_entry(array, array->fresh++);
}

static int set_keys(struct mb_array *array, struct mb_entry *entry, const int64_t *keys)
{
	for (uint32_t i = 0; i < array->shape.key_count; i++) {
		entry->slot[i] = 0;
		if (!is_string_key(array, i))
			entry->slot[i] = keys[i];
		else if (mb_pool_set(array->pool, &entry->slot[i], mb_slot_text(keys[i])))
			return -1;
	}
	return 0;
}

/* The entry of these keys, made if need be with value 0; NULL if the array is full. */
struct mb_entry *mb_array_make(struct mb_array *array, const int64_t *keys)
{
	uint32_t hash = hash_keys(array, keys);
	struct mb_entry *entry = lookup(array, keys, hash);

	if (entry)
		return entry;
	entry = unused_entry(array);
	if (!entry)
		return NULL;
	memset(mb_entry_value(array, entry), 0, value_bytes(array));
	if (set_keys(array, entry, keys)) {
		entry->chain = array->free;
		array->free = mb_array_index(array, entry);
		return NULL;
	}
	entry->hash = hash;
	if (array->count > array->mask)
		grow_table(array);
	link_last(array, entry);
	insert(array, entry);
	array->count++;
	return entry;
}

/* --- what handlers call --- */

int64_t mb_array_get_long(const struct mb_array *array, const int64_t *keys)
{
	struct mb_entry *entry = mb_array_find(array, keys);

	return entry ? *mb_entry_value(array, entry) : 0;
}

const char *mb_array_get_string(const struct mb_array *array, const int64_t *keys)
{
	return mb_slot_text(mb_array_get_long(array, keys));
}

static int32_t overflow(struct mb_session *session, const struct mb_array *array, uint32_t site)
{
	if (array->shape.sized)
		return mb_raise_format(session, site, "Array overflow, check size limit (%u)", array->shape.size);
	return mb_raise(session, site, "Array overflow, check MAXMAPENTRIES");
}

int32_t mb_array_set_long(struct mb_session *session, struct mb_array *array, const int64_t *keys, int64_t value, uint32_t site)
{
	struct mb_entry *entry = mb_array_make(array, keys);

	if (!entry)
		return overflow(session, array, site);
	*mb_entry_value(array, entry) = value;
	return MB_OK;
}

int32_t mb_array_set_string(struct mb_session *session, struct mb_array *array, const int64_t *keys, const char *value, uint32_t site)
{
	struct mb_entry *entry = mb_array_make(array, keys);

	if (!entry)
		return overflow(session, array, site);
	if (mb_pool_set(array->pool, mb_entry_value(array, entry), value))
		return mb_raise(session, site, "out of memory");
	return MB_OK;
}

int32_t mb_array_add(struct mb_session *session, struct mb_array *array, const int64_t *keys, int64_t amount, uint32_t site)
{
	struct mb_entry *entry = mb_array_make(array, keys);
	int64_t *value;

	if (!entry)
		return overflow(session, array, site);
	value = mb_entry_value(array, entry);
	*value = (int64_t)((uint64_t)*value + (uint64_t)amount);
	return MB_OK;
}

int32_t mb_stat_add_entry(struct mb_session *session, struct mb_array *array, const int64_t *keys, int64_t value, uint32_t site)
{
	struct mb_entry *entry = mb_array_make(array, keys);

	if (!entry)
		return overflow(session, array, site);
	mb_stat_add(&array->stat, mb_entry_stat(array, entry), value);
	return MB_OK;
}

int64_t mb_array_has(const struct mb_array *array, const int64_t *keys, uint32_t mask)
{
	if (mask == all_keys(array))
		return mb_array_find(array, keys) != NULL;
	for (uint32_t at = mb_array_entry(array, 0)->next; at; at = mb_array_entry(array, at)->next) {
		if (mb_array_matches(array, mb_array_entry(array, at), keys, mask))
			return 1;
	}
	return 0;
}

void mb_array_delete(struct mb_array *array, const int64_t *keys, uint32_t mask)
{
	uint32_t at = mb_array_entry(array, 0)->next;
	struct mb_entry *entry;

	if (mask == all_keys(array)) {
		entry = mb_array_find(array, keys);
		if (entry)
			remove_entry(array, entry);
		return;
	}
	while (at) {
		entry = mb_array_entry(array, at);
		at = entry->next;
		if (mb_array_matches(array, entry, keys, mask))
			remove_entry(array, entry);
	}
}

void mb_array_clear(struct mb_array *array)
{
	struct mb_entry *head = mb_array_entry(array, 0);

	for (uint32_t at = head->next; at; at = mb_array_entry(array, at)->next)
		drop_strings(array, mb_array_entry(array, at));
	memset(array->table, 0, ((size_t)array->mask + 1) * sizeof(uint32_t));
	head->next = head->previous = 0;
	array->count = array->free = 0;
	array->fresh = 1;
}
