// SPDX-License-Identifier: LGPL-2.1-or-later
/* Where the blocks of a file begin and end, in each generation, and what is said of damaged ones. */
#include <sys/mman.h>

#include "ltt_cursor.h"

/* --- damage --- */

/* One for each block. */
void mb_ltt_report(struct mb_ltt_cursor *c, struct stream *s, uint32_t code, uint64_t at)
{
	struct mb_ltt_damage *damage;

	if (s->reported)
		return;
	s->reported = 1;
	s->totals.damaged++;
	if (c->damage_count == MAX_DAMAGES)
		return;
	damage = &c->damages[c->damage_count++];
	damage->byte = at;
	damage->block = s->block;
	damage->stream = (uint32_t)(s - c->streams);
	damage->code = code;
	damage->id = s->event.id;
	damage->size = s->event.size;
}

/* --- blocks --- */

static int has_magic(const struct stream *s, uint64_t at)
{
	const struct mb_ltt_layout *l = &s->layout;

	if (l->magic_at == MB_LTT_NONE)
		return 1;
	if (at > s->size || s->size - at < l->header_bytes)
		return 0;
	return mb_ltt_u32(s->map + at + l->magic_at, l->big) == l->magic;
}

/* The next page at which a block may start; the end of the file if there is none. */
static uint64_t find_magic(const struct stream *s, uint64_t at)
{
	for (at += PAGE; at < s->size; at += PAGE)
		if (has_magic(s, at))
			return at;
	return s->size;
}

static uint32_t header_u32(const struct stream *s, uint32_t at)
{
	return at == MB_LTT_NONE ? 0 : mb_ltt_u32(s->map + s->at + at, s->layout.big);
}

/* A block of one of the generations whose blocks all have one size. Sets next and end. */
static void measure_fixed(struct mb_ltt_cursor *c, struct stream *s)
{
	uint64_t total = s->layout.block_bytes, left = s->size - s->at;
	uint32_t used = header_u32(s, s->layout.used_at);

	s->next = left > total ? s->at + total : s->size;
	s->suspect = used == MB_LTT_NONE;
	if (s->suspect)
		mb_ltt_report(c, s, MB_LTT_UNCLOSED, s->at);
	s->end = s->suspect ? total : s->layout.used_is_lost ? total - used : used;
	if (s->end > total || s->end < s->layout.header_bytes ||
	    header_u32(s, s->layout.size_at) != total) {
		s->suspect |= s->end > total || s->end < s->layout.header_bytes;
		mb_ltt_report(c, s, MB_LTT_BAD_SIZE, s->at);
	}
	if (s->suspect)
		s->end = total;
	if (s->end > left) {
		mb_ltt_report(c, s, MB_LTT_CUT, s->size);
		s->end = left;
		s->suspect = 1;
	}
}

/*
 * A block that says its own size. It is believed unless another block starts inside it, or the file ends there; that
 * no block starts right after it is the fault of the next one.
 */
static void measure_variable(struct mb_ltt_cursor *c, struct stream *s)
{
	uint64_t total = header_u32(s, s->layout.size_at), used = header_u32(s, s->layout.used_at);
	uint64_t left = s->size - s->at, magic = find_magic(s, s->at);
	uint32_t code = 0;

	if (total == MB_LTT_NONE || used == MB_LTT_NONE)
		code = MB_LTT_UNCLOSED;
	else if (total > left && magic == s->size)
		code = MB_LTT_CUT;
	else if (total < s->layout.header_bytes || magic < s->at + total || used > total ||
		 used < s->layout.header_bytes)
		code = MB_LTT_BAD_SIZE;
	s->next = code ? magic : s->at + total;
	s->end = used;
	if (used < s->layout.header_bytes || used > s->next - s->at) {
		s->suspect = 1;
		s->end = s->next - s->at;
	}
	if (code)
		mb_ltt_report(c, s, code, code == MB_LTT_CUT ? s->size : s->at);
}

static uint64_t header_time(const struct stream *s, uint32_t at)
{
	const uint8_t *b = s->map + s->at + at;

	if (s->layout.time_bytes == 8)
		return mb_ltt_u64(b, s->layout.big) * 1000000000ull + mb_ltt_u64(b + 8, s->layout.big) * 1000ull;
	return mb_ltt_u32(b, s->layout.big) * 1000000000ull + mb_ltt_u32(b + 4, s->layout.big) * 1000ull;
}

/* X: a block starts with the event block_start and ends with block_end; its last word is the unused length. */
static int open_x(struct mb_ltt_cursor *c, struct stream *s)
{
	const uint8_t *b = s->map + s->at;
	uint32_t big = s->layout.big, part;
	uint64_t total = s->layout.block_bytes, left = s->size - s->at, lost, at;

	s->next = left > total ? s->at + total : s->size;
	if (left < 26) {
		mb_ltt_report(c, s, MB_LTT_CUT, s->size);
		return 0;
	}
	s->tsc = mb_ltt_u64(b + 14, big);
	for (part = 0; part < 2; part++) {
		s->time_ns[part] = mb_ltt_u32(b + 6, big) * 1000000000ull +
				   mb_ltt_u32(b + 10, big) * (uint64_t)s->layout.time_bytes;
		s->time_tsc[part] = s->tsc;
	}
	if (left < total) {
		mb_ltt_report(c, s, MB_LTT_CUT, s->size);
		s->end = left;
		s->suspect = 1;
		return 1;
	}
	lost = mb_ltt_u32(b + total - 4, big);
	at = total - lost;
	if (lost <= total - 26 && at + 26 <= total && mb_ltt_u16(b + at, big) == 18) {
		s->end = at + 26;
	} else if (lost <= total - 50 && mb_ltt_u16(b + total - 4 - lost - 26, big) == 18) {
		s->end = total - 4 - lost;
	} else {
		mb_ltt_report(c, s, MB_LTT_BAD_SIZE, s->at + total - 4);
		s->end = total - 4;
		s->suspect = 1;
		return 1;
	}
	b += s->end - 20;
	s->time_ns[1] = mb_ltt_u32(b, big) * 1000000000ull +
			mb_ltt_u32(b + 4, big) * (uint64_t)s->layout.time_bytes;
	s->time_tsc[1] = mb_ltt_u64(b + 8, big);
	return 1;
}

/* K: BufferStart (id 17, its own time, timeval, TSC, block number) .. BufferEnd; the last word is the unused length. */
static int open_k(struct mb_ltt_cursor *c, struct stream *s)
{
	const uint8_t *b = s->map + s->at;
	uint32_t big = s->layout.big;
	uint64_t total = s->layout.block_bytes, left = s->size - s->at, lost, at;

	s->next = left > total ? s->at + total : s->size;
	if (left < 23 || b[0] != 17) {
		mb_ltt_report(c, s, left < 23 ? MB_LTT_CUT : MB_LTT_BAD_MAGIC, s->at);
		return 0;
	}
	s->time_ns[0] = s->time_ns[1] = mb_ltt_u32(b + 5, big) * 1000000000ull + mb_ltt_u32(b + 9, big) * 1000ull;
	s->tsc = s->layout.use_tsc ? mb_ltt_u32(b + 13, big) : 0;
	s->time_tsc[0] = s->time_tsc[1] = s->tsc;
	s->end = left < total ? left : total - 4;
	s->suspect = 1;
	if (left < total) {
		mb_ltt_report(c, s, MB_LTT_CUT, s->size);
		return 1;
	}
	lost = mb_ltt_u32(b + total - 4, big);
	at = total - lost + (s->layout.log_cpu ? 1 : 0);
	if (lost > total - 19 || at + 19 > total || b[at] != 18) {
		mb_ltt_report(c, s, MB_LTT_BAD_SIZE, s->at + total - 4);
		return 1;
	}
	s->suspect = 0;
	s->end = at + 19;
	s->time_ns[1] = mb_ltt_u32(b + at + 5, big) * 1000000000ull + mb_ltt_u32(b + at + 9, big) * 1000ull;
	s->time_tsc[1] = s->tsc + (uint32_t)(mb_ltt_u32(b + at + 13, big) - (uint32_t)s->tsc);
	return 1;
}

static int open_marked(struct mb_ltt_cursor *c, struct stream *s)
{
	const struct mb_ltt_layout *l = &s->layout;

	if (s->size - s->at < l->header_bytes) {
		mb_ltt_report(c, s, MB_LTT_CUT, s->at);
		s->next = s->size;
		return 0;
	}
	if (!has_magic(s, s->at)) {
		mb_ltt_report(c, s, MB_LTT_BAD_MAGIC, s->at + l->magic_at);
		s->next = l->block_bytes ? s->at + l->block_bytes : find_magic(s, s->at);
		return 0;
	}
	if (l->block_bytes)
		measure_fixed(c, s);
	else
		measure_variable(c, s);
	s->tsc = mb_ltt_u64(s->map + s->at + l->begin_at, l->big);
	s->pos = l->header_bytes;
	s->totals.lost = header_u32(s, l->lost_at);
	s->totals.corrupt = header_u32(s, l->corrupt_at);
	if (l->time_mode == MB_LTT_TIME_INTERPOLATE) {
		s->time_ns[0] = header_time(s, l->time_at);
		s->time_ns[1] = header_time(s, l->end_time_at);
		s->tsc = l->use_tsc ? s->tsc : 0;
		s->time_tsc[0] = s->tsc;
		s->time_tsc[1] = mb_ltt_u64(s->map + s->at + l->end_at, l->big);
	}
	return 1;
}

/* What was read is not needed again: memory stays the same however long the file is. */
static void release(struct stream *s)
{
	uint64_t upto = s->at / PAGE * PAGE;

	if (upto < s->released + 16 * PAGE)
		return;
	madvise((void *)(s->map + s->released), upto - s->released, MADV_DONTNEED);
	s->released = upto;
}

/* Goes to the next block that can be read; 0 at the end of the file. */
int mb_ltt_next_block(struct mb_ltt_cursor *c, struct stream *s)
{
	int ok;

	while (s->next < s->size) {
		s->at = s->next;
		s->block++;
		s->pos = 0;
		s->reported = 0;
		s->suspect = 0;
		s->tries = 0;
		memset(&s->event, 0, sizeof(s->event));
		if (s->layout.kind == MB_LTT_X)
			ok = open_x(c, s);
		else if (s->layout.kind == MB_LTT_K)
			ok = open_k(c, s);
		else
			ok = open_marked(c, s);
		if (s->next <= s->at)
			s->next = s->size;
		release(s);
		if (ok) {
			s->totals.blocks++;
			return 1;
		}
	}
	return 0;
}
