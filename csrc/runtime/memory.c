// SPDX-License-Identifier: LGPL-2.1-or-later
/* Memory as it was at the hit: what a record brings in MB_MEMORY (codegen/bpf/notes.py). */
#include "memory.h"

#include <errno.h>
#include <string.h>

#include "../live/record.h"
#include "runtime.h"

#define HEAD sizeof(struct mb_memory_piece)

struct notes {
	const char *next, *end;
};

/* None, if the hit brings none. */
static struct notes notes_of(const struct mb_session *session)
{
	const int32_t offset = session->record && session->hook ? session->hook->context[MB_MEMORY] : -1;
	const char *record = (const char *)session->record;
	struct mb_string_slot slot;

	if (offset < 0)
		return (struct notes){ NULL, NULL };
	memcpy(&slot, record + offset, sizeof(slot));
	if (slot.length > session->record->size || slot.offset > session->record->size - slot.length)
		return (struct notes){ NULL, NULL };
	return (struct notes){ record + slot.offset, record + slot.offset + slot.length };
}

/* The next piece, with its bytes behind it; 0 at the end. */
static int next_piece(struct notes *notes, struct mb_memory_piece *piece, const char **bytes)
{
	if ((size_t)(notes->end - notes->next) < HEAD)
		return 0;
	memcpy(piece, notes->next, HEAD);
	*bytes = notes->next + HEAD;
	if (piece->length > (size_t)(notes->end - *bytes))
		return 0;
	/* a number takes 8 bytes, though it has fewer, and memory that was not there as many as were wanted */
	notes->next = *bytes + ((piece->length + 7) & ~7u);
	if (notes->next > notes->end)
		notes->next = notes->end;
	return 1;
}

static int covers(const struct mb_memory_piece *piece, uint64_t address, size_t bytes)
{
	const uint64_t at = address - piece->address;

	if (piece->flags & (MB_MEMORY_ABSENT | MB_MEMORY_CUT))
		return 0;
	return at < piece->length && (piece->flags & MB_MEMORY_TEXT || bytes <= piece->length - at);
}

int mb_memory_read(const struct mb_session *session, int64_t address, char *dest, size_t bytes)
{
	struct notes notes = notes_of(session);
	struct mb_memory_piece piece;
	const char *data;

	while (next_piece(&notes, &piece, &data)) {
		const uint64_t at = (uint64_t)address - piece.address;
		size_t there;

		if (!covers(&piece, (uint64_t)address, bytes))
			continue;
		there = piece.length - at < bytes ? piece.length - at : bytes;
		memcpy(dest, data + at, there);
		memset(dest + there, 0, bytes - there);
		return 0;
	}
	return -EFAULT;
}

int mb_memory_is_noted(const struct mb_session *session, int64_t address)
{
	return !notes_of(session).next || mb_memory_has_failed(session, address);
}

int mb_memory_has_failed(const struct mb_session *session, int64_t address)
{
	struct notes notes = notes_of(session);
	struct mb_memory_piece piece;
	const char *data;

	while (next_piece(&notes, &piece, &data)) {
		if (piece.flags & MB_MEMORY_ABSENT && piece.address == (uint64_t)address)
			return 1;
	}
	return 0;
}

int mb_memory_is_cut(const struct mb_session *session)
{
	struct notes notes = notes_of(session);
	struct mb_memory_piece piece;
	const char *data;

	while (next_piece(&notes, &piece, &data)) {
		if (piece.flags & MB_MEMORY_CUT)
			return 1;
	}
	return 0;
}
