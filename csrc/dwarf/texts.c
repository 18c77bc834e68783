// SPDX-License-Identifier: LGPL-2.1-or-later
/* See texts.h. A hash table with open addressing, at most half full; its size is a power of two. */
#include "texts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 1024u
#define FIRST_ROOM 65536u
#define MOST_BYTES UINT64_C(0x7fffffff)

int mb_texts_open(struct mb_texts *pool, uint64_t most)
{
	memset(pool, 0, sizeof(*pool));
	pool->most = most < MOST_BYTES ? most : MOST_BYTES;
	pool->data = calloc(1, FIRST_ROOM);
	pool->slot = calloc(FIRST_SLOTS, sizeof(*pool->slot));
	if (!pool->data || !pool->slot) {
		mb_texts_close(pool);
		return -ENOMEM;
	}
	pool->room = FIRST_ROOM;
	pool->slots = FIRST_SLOTS;
	pool->size = 1;		/* the empty text */
	return 0;
}

void mb_texts_close(struct mb_texts *pool)
{
	free(pool->data);
	free(pool->slot);
	memset(pool, 0, sizeof(*pool));
}

uint32_t mb_texts_hash(const uint8_t *text, uint64_t size)
{
	uint32_t hash = 0x811c9dc5;

	for (uint64_t i = 0; i < size; i++)
		hash = (hash ^ text[i]) * 0x01000193;
	return hash;
}

static int grow_slots(struct mb_texts *pool)
{
	const uint32_t slots = 2 * pool->slots;
	uint32_t *slot = calloc(slots, sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	for (uint32_t i = 0; i < pool->slots; i++) {
		const uint32_t number = pool->slot[i];
		uint32_t at;

		if (!number)
			continue;
		at = mb_texts_hash((const uint8_t *)pool->data + number, strlen(pool->data + number)) & (slots - 1);
		while (slot[at])
			at = (at + 1) & (slots - 1);
		slot[at] = number;
	}
	free(pool->slot);
	pool->slot = slot;
	pool->slots = slots;
	return 0;
}

static int grow_data(struct mb_texts *pool, uint64_t size)
{
	uint64_t room = pool->room;
	char *data;

	if (pool->size + size + 1 > pool->most)
		return -ENOMEM;
	while (room < pool->size + size + 1)
		room *= 2;
	if (room == pool->room)
		return 0;
	data = realloc(pool->data, room);
	if (!data)
		return -ENOMEM;
	pool->data = data;
	pool->room = (uint32_t)room;
	return 0;
}

uint32_t mb_texts_number(struct mb_texts *pool, const uint8_t *text, uint64_t size)
{
	uint32_t at = mb_texts_hash(text, size) & (pool->slots - 1), number;

	if (!size)
		return 0;
	for (; (number = pool->slot[at]); at = (at + 1) & (pool->slots - 1))
		if (!strncmp(pool->data + number, (const char *)text, size) && !pool->data[number + size])
			return number;
	if (grow_data(pool, size) || (2 * pool->used >= pool->slots && grow_slots(pool))) {
		pool->full = 1;
		return 0;
	}
	for (at = mb_texts_hash(text, size) & (pool->slots - 1); pool->slot[at]; at = (at + 1) & (pool->slots - 1))
		;
	number = pool->size;
	memcpy(pool->data + number, text, size);
	pool->data[number + size] = 0;
	pool->size += (uint32_t)size + 1;
	pool->used++;
	pool->slot[at] = number;
	return number;
}
