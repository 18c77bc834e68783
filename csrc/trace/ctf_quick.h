/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Quick ways for what most events are: a header of a few numbers at constant places, fields of whole bytes. They read what
 * mb_ctf_decode would read; damage, and all that is rare, they leave to it: then they say so, and the decoder is where it was.
 */
#ifndef MB_CTF_QUICK_H
#define MB_CTF_QUICK_H

#include "ctf_read.h"

#define MB_QUICK_NUMBERS 4
#define MB_QUICK_OPTIONS 4

enum mb_quick_kind {
	MB_QUICK_U8 = 1, MB_QUICK_S8, MB_QUICK_U16, MB_QUICK_S16, MB_QUICK_U32, MB_QUICK_S32, MB_QUICK_64,
	MB_QUICK_F32, MB_QUICK_B16, MB_QUICK_B32, MB_QUICK_B64, MB_QUICK_OTHER,
	MB_QUICK_SKIP,		/* `size` bytes that nobody asks for */
	MB_QUICK_TEXT, MB_QUICK_BLOB, MB_QUICK_BYTES,
	MB_QUICK_ARRAY, MB_QUICK_SEQUENCE,
	MB_QUICK_SEQUENCE_SKIP
};

struct mb_quick_op {
	uint8_t kind;
	uint8_t element;	/* ARRAY, SEQUENCE: kind of the elements */
	uint8_t flags;
	uint8_t bytes;		/* of a number or an element */
	uint32_t mask;		/* the alignment in bytes - 1 */
	uint32_t need;		/* so many bytes are there, for this and what follows */
	uint32_t size;		/* SKIP, BLOB: bytes; ARRAY: elements */
	uint32_t source;
	int32_t store;
};

/* An event class, by all its scopes: with slots, and without. */
struct mb_quick_class {
	struct mb_quick_op *values;
	struct mb_quick_op *skips;
	uint32_t value_count;
	uint32_t skip_count;
	uint32_t slots;		/* at least; sequences need more */
	uint32_t align;		/* in bits, of the first scope */
	uint32_t fixed;		/* bytes to skip, where all events have as many; MB_CTF_NONE */
	uint32_t mask;		/* the alignment in bytes - 1 */
	int state;		/* 0: nobody looked; 1: there; -1: the decoder must do it */
};

struct mb_quick_number {
	uint32_t bit;		/* from where the header starts */
	uint8_t bits;
	uint8_t flags;		/* BIG, CLOCK */
	uint8_t is_id;
	int32_t store;
};

struct mb_quick_numbers {
	uint64_t low;		/* values of the tag */
	uint64_t high;
	uint32_t bits;		/* where the header ends */
	uint32_t count;
	struct mb_quick_number number[MB_QUICK_NUMBERS];
};

/* A header by the value of its tag: which word holds the number of the class, and which the time. */
struct mb_quick_way {
	uint64_t low;
	uint64_t high;
	uint64_t id_mask;
	uint64_t clock_mask;	/* 0: no time */
	uint32_t id_byte;
	uint32_t clock_byte;
	uint32_t bytes;		/* of the header */
	uint8_t id_shift;
	uint8_t clock_shift;
};

/* Headers of nothing but a number for the class and one for the time, little-endian and in whole bytes. */
struct mb_quick_lean {
	struct mb_quick_way way[MB_QUICK_OPTIONS];
	uint64_t tag_mask;
	uint32_t ways;		/* 0: it is none */
	uint32_t tag_byte;
	uint32_t mask;		/* the alignment in bytes - 1 */
	int32_t tag_store;
	uint8_t tag_shift;
};

struct mb_quick_header {
	struct mb_quick_lean lean;
	struct mb_quick_numbers common;
	struct mb_quick_numbers option[MB_QUICK_OPTIONS];
	uint32_t options;	/* 0: no variant */
	uint32_t tag;		/* which of the common numbers */
	uint32_t align;
	uint32_t span;		/* bytes that are looked at, at most */
	int usable;
};

void mb_quick_compile_header(struct mb_quick_header *header, const struct mb_ctf_op *ops, uint32_t count,
			     const struct mb_ctf_range *ranges);

/* The scopes of a class, in order. -ENOMEM, or 0 and its state is not 0. */
int mb_quick_compile(struct mb_quick_class *class, const struct mb_ctf_op *ops, const struct mb_ctf_scope *scopes, uint32_t count);
void mb_quick_free(struct mb_quick_class *class);

/* All of an event behind its header into d->slot. 1, or 0 if the decoder must do it. */
int mb_quick_values(struct mb_ctf_decoder *d, const struct mb_quick_class *class);

/* The same without slots. */
int mb_quick_skip(struct mb_ctf_decoder *d, const struct mb_quick_class *class);

static inline uint64_t mb_quick_load(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static inline void mb_quick_take(struct mb_ctf_decoder *d, const uint8_t *base, const struct mb_quick_numbers *numbers)
{
	for (uint32_t i = 0; i < numbers->count; i++) {
		const struct mb_quick_number *n = numbers->number + i;
		uint64_t value = mb_quick_load(base + (n->bit >> 3));

		if (n->flags & MB_CTF_BIG)
			value = __builtin_bswap64(value) >> (64 - n->bits);
		else
			value = value >> (n->bit & 7) & (UINT64_MAX >> (64 - n->bits));
		if (n->flags & MB_CTF_CLOCK)
			mb_ctf_tick(d, value, n->bits);
		if (n->store >= 0)
			d->variables[n->store] = (int64_t)value;
		if (n->is_id) {
			d->roles[MB_CTF_ROLE_ID] = value;
			d->seen |= 1u << MB_CTF_ROLE_ID;
		}
	}
}

static inline const struct mb_quick_numbers *mb_quick_option(const struct mb_quick_header *h, uint64_t tag)
{
	for (uint32_t i = 0; i < h->options; i++)
		if (h->option[i].low <= tag && tag <= h->option[i].high)
			return h->option + i;
	return NULL;
}

static inline uint64_t mb_quick_tag(const struct mb_quick_header *h, const uint8_t *base)
{
	const struct mb_quick_number *tag = h->common.number + h->tag;
	uint64_t value = mb_quick_load(base + (tag->bit >> 3));

	if (tag->flags & MB_CTF_BIG)
		return __builtin_bswap64(value) >> (64 - tag->bits);
	return value >> (tag->bit & 7) & (UINT64_MAX >> (64 - tag->bits));
}

/* The NUL of a text, NULL if there is none. Most texts are short. */
static inline const uint8_t *mb_quick_end_of_text(const uint8_t *at, uint64_t left)
{
	const uint64_t ones = 0x0101010101010101ull;

	for (uint32_t i = 0; i < 2 && left >= 8; i++) {
		const uint64_t word = mb_quick_load(at);
		const uint64_t zero = (word - ones) & ~word & (ones << 7);

		if (zero)
			return at + ((uint64_t)__builtin_ctzll(zero) >> 3);
		at += 8;
		left -= 8;
	}
	return left ? memchr(at, 0, left) : NULL;
}

/* What is behind the events of a class, from where its bytes start: NULL if mb_quick_skip must say. */
static inline const uint8_t *mb_quick_pass(struct mb_ctf_decoder *d, const struct mb_quick_class *class, const uint8_t *at)
{
	const uint8_t *end = d->bytes + (d->end >> 3);
	const struct mb_quick_op *op = class->skips, *last = op + class->skip_count;

	at += (0 - (uint64_t)(at - d->bytes)) & class->mask;
	if (at > end)
		return NULL;
	if (class->fixed != MB_CTF_NONE)
		return class->fixed <= (uint64_t)(end - at) ? at + class->fixed : NULL;
	for (; op < last; op++) {
		if (op->mask || op->need > (uint64_t)(end - at))
			return NULL;
		if (op->kind == MB_QUICK_SKIP) {
			at += op->size;
		} else if (op->kind == MB_QUICK_TEXT && op->store < 0) {
			at = mb_quick_end_of_text(at, (uint64_t)(end - at));
			if (!at)
				return NULL;
			at++;
		} else if (op->kind == MB_QUICK_U32 || op->kind == MB_QUICK_S32) {
			int32_t value;

			memcpy(&value, at, sizeof(value));
			d->variables[op->store] = op->kind == MB_QUICK_U32 ? (int64_t)(uint32_t)value : value;
			at += sizeof(value);
		} else if (op->kind == MB_QUICK_SEQUENCE_SKIP) {
			const uint64_t length = (uint64_t)d->variables[op->source];

			if (length > (uint64_t)(end - at) / op->bytes)
				return NULL;
			at += length * op->bytes;
		} else {
			return NULL;
		}
	}
	return at;
}

/* The header of an event. 1, or 0 if the decoder must do it. */
static inline int mb_quick_read_header(struct mb_ctf_decoder *d, const struct mb_quick_header *h)
{
	const uint64_t bit = d->bit + mb_ctf_pad(d->bit, h->align);
	const struct mb_quick_numbers *option = NULL;
	const uint8_t *base = d->bytes + (bit >> 3);
	uint64_t end;

	if (!h->usable || bit & 7 || (bit >> 3) + h->span > d->mapped)
		return 0;
	if (h->options) {
		option = mb_quick_option(h, mb_quick_tag(h, base));
		if (!option)
			return 0;
	}
	end = bit + (option ? option->bits : h->common.bits);
	if (end > d->end)
		return 0;
	mb_quick_take(d, base, &h->common);
	if (option)
		mb_quick_take(d, base, option);
	d->bit = end;
	return 1;
}

/* The same for a lean one at `*at`, which is moved behind it; the clock and the number of the class. 0: nothing has changed. */
static inline int mb_quick_read_lean(const struct mb_ctf_decoder *d, const struct mb_quick_header *h, const uint8_t **at,
				     uint64_t *clock, uint64_t *id)
{
	const struct mb_quick_lean *lean = &h->lean;
	const struct mb_quick_way *way = lean->way, *last = way + lean->ways;
	const uint64_t place = (uint64_t)(*at - d->bytes);
	const uint8_t *base = *at + ((0 - place) & lean->mask);
	uint64_t tag, value;

	if ((uint64_t)(base - d->bytes) + h->span > d->mapped)
		return 0;
	tag = mb_quick_load(base + lean->tag_byte) >> lean->tag_shift & lean->tag_mask;
	while (way < last && (tag < way->low || tag > way->high))
		way++;
	if (way == last || base + way->bytes > d->bytes + (d->end >> 3))
		return 0;
	value = mb_quick_load(base + way->clock_byte) >> way->clock_shift & way->clock_mask;
	if (value < (*clock & way->clock_mask))
		*clock += way->clock_mask + 1;
	*clock = value | (*clock & ~way->clock_mask);
	*id = mb_quick_load(base + way->id_byte) >> way->id_shift & way->id_mask;
	if (lean->tag_store >= 0)
		d->variables[lean->tag_store] = (int64_t)tag;
	*at = base + way->bytes;
	return 1;
}

#endif
