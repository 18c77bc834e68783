/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of the CTF reader: decoding bits, and the cursor that the replay drives. */
#ifndef MB_CTF_READ_H
#define MB_CTF_READ_H

#include "ctf.h"

struct mb_ctf_decoder {
	const uint8_t *bytes;		/* the packet */
	uint64_t bit;
	uint64_t end;			/* bits that may be read */
	uint64_t mapped;		/* bytes from `bytes` on that are there at all */
	const struct mb_ctf_range *ranges;
	int64_t *variables;
	int64_t *slot;			/* NULL: values are not wanted */
	int64_t *slot_end;
	uint64_t idle;			/* ops of this packet that were run for elements of no bits */
	uint64_t clock;
	uint64_t roles[MB_CTF_ROLES];
	uint32_t end_bits;		/* of the field that told when the packet ends */
	uint32_t seen;			/* roles that were there, bit by bit */
	int big;			/* byte order of the number before: 0, 1, or -1 if there was none */
};

/* The clock shows a value of which the low bits are known: if they went back, the high ones counted on once. */
static inline void mb_ctf_tick(struct mb_ctf_decoder *d, uint64_t value, uint32_t bits)
{
	const uint64_t mask = UINT64_MAX >> (64 - bits);

	if (bits < 64) {
		if (value < (d->clock & mask))
			d->clock += mask + 1;
		value |= d->clock & ~mask;
	}
	d->clock = value;
}

/* 0, or -MB_CTF_BAD_EVENT (leaves the packet), -MB_CTF_BAD_TAG, -MB_CTF_BAD_BYTE_ORDER, -MB_CTF_BAD_NUMBER, -MB_CTF_FULL. */
int mb_ctf_decode(struct mb_ctf_decoder *d, const struct mb_ctf_op *ops, uint32_t count);

static inline int mb_ctf_has_role(const struct mb_ctf_decoder *d, uint32_t role)
{
	return d->seen >> role & 1;
}

/*
 * The next event without its values, or NULL at the end; it stays the next one until it is taken. Taking it decodes its values into
 * variables: 0, or as mb_ctf_decode. mb_ctf_taken goes on to the one after it.
 */
const struct mb_ctf_event *mb_ctf_peek(struct mb_ctf_cursor *cursor);
int mb_ctf_take(struct mb_ctf_cursor *cursor);
void mb_ctf_taken(struct mb_ctf_cursor *cursor);
const int64_t *mb_ctf_variables(const struct mb_ctf_cursor *cursor, uint32_t stream);

/* Whether a variable is one, and whether it only ever gets the pointer of a text (the next one then gets its length). */
int mb_ctf_has_variable(const struct mb_ctf_cursor *cursor, uint32_t variable);
int mb_ctf_holds_text(const struct mb_ctf_cursor *cursor, uint32_t variable);

#endif
