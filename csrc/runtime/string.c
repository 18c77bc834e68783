// SPDX-License-Identifier: LGPL-2.1-or-later
/* Strings of a bounded capacity, and the pool in which arrays and globals keep theirs. */
#include "runtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SMALLEST 16u
#define CHUNK_BYTES 65536u

size_t mb_string_length(const struct mb_session *session, const char *text)
{
	return strnlen(text, session->limits.maxstringlen - 1);
}

void mb_string_copy(const struct mb_session *session, char *dest, const char *source)
{
	size_t length = mb_string_length(session, source);

	memmove(dest, source, length);
	dest[length] = '\0';
}

/* dest may be one of the parts. */
void mb_string_concat(struct mb_session *session, char *dest, const int64_t *parts, uint32_t count)
{
	size_t room = session->limits.maxstringlen - 1, at = 0;

	for (uint32_t i = 0; i < count && at < room; i++) {
		const char *part = mb_slot_text(parts[i]);
		size_t length = strnlen(part, room - at);

		memcpy(session->scratch + at, part, length);
		at += length;
	}
	memcpy(dest, session->scratch, at);
	dest[at] = '\0';
}

/* --- the pool: power of two sizes, a string's size class follows from its length --- */

static uint32_t size_class(size_t bytes)
{
	uint32_t class = 0;

	while (((size_t)SMALLEST << class) < bytes)
		class++;
	return class;
}

static int new_chunk(struct mb_pool *pool, size_t bytes)
{
	size_t size = bytes > CHUNK_BYTES - sizeof(void *) ? bytes + sizeof(void *) : CHUNK_BYTES;
	char *chunk = malloc(size);

	if (!chunk)
		return -ENOMEM;
	memcpy(chunk, &pool->chunks, sizeof(void *));
	pool->chunks = chunk;
	pool->chunk = chunk + sizeof(void *);
	pool->left = size - sizeof(void *);
	return 0;
}

static char *take(struct mb_pool *pool, uint32_t class)
{
	size_t bytes = (size_t)SMALLEST << class;
	char *text = pool->free[class];

	if (text) {
		memcpy(&pool->free[class], text, sizeof(void *));
		return text;
	}
	if (pool->left < bytes && new_chunk(pool, bytes))
		return NULL;
	text = pool->chunk;
	pool->chunk += bytes;
	pool->left -= bytes;
	return text;
}

const char *mb_slot_text(int64_t slot)
{
	return slot ? (const char *)(uintptr_t)slot : "";
}

void mb_pool_drop(struct mb_pool *pool, int64_t *slot)
{
	char *text = (char *)(uintptr_t)*slot;
	uint32_t class;

	if (!text)
		return;
	class = size_class(strlen(text) + 1);
	memcpy(text, &pool->free[class], sizeof(void *));
	pool->free[class] = text;
	*slot = 0;
}

/* *slot = a copy of text, which may be the string that the slot holds; 0 is the empty string. */
int mb_pool_set(struct mb_pool *pool, int64_t *slot, const char *text)
{
	size_t length = strnlen(text, pool->capacity - 1);
	char *old = (char *)(uintptr_t)*slot;
	uint32_t class = size_class(length + 1);
	char *fresh = old;

	if (!old || size_class(strlen(old) + 1) != class)
		fresh = take(pool, class);
	if (!fresh)
		return -ENOMEM;
	memmove(fresh, text, length);
	if (old && fresh != old)
		mb_pool_drop(pool, slot);
	fresh[length] = '\0';
	*slot = (int64_t)(uintptr_t)fresh;
	return 0;
}

void mb_pool_close(struct mb_pool *pool)
{
	void *chunk = pool->chunks;

	while (chunk) {
		void *next;

		memcpy(&next, chunk, sizeof(next));
		free(chunk);
		chunk = next;
	}
	memset(pool, 0, sizeof(*pool));
}
