// SPDX-License-Identifier: LGPL-2.1-or-later
/* All files of a trace as one sequence of events in order of (clock, rank of the file). */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ltt.h"
#include "runtime/system_calls.h"

#define PAGE 4096u
#define MAX_DAMAGES 256u
#define MAX_TIME 0x7fffffffffffffffull

struct current {
	uint64_t tsc;
	uint64_t key;
	uint32_t id;
	uint32_t class_index;
	uint32_t size;
	uint32_t offset;	/* in the block, where the event before ended */
	uint32_t data;		/* compact: what the header carries of the first field */
	uint64_t payload;	/* in the block */
};

struct stream {
	struct mb_ltt_layout layout;
	const uint8_t *map;
	uint64_t size;
	uint32_t *ids;
	uint32_t id_count;
	uint64_t next;		/* where the next block starts */
	uint64_t at;		/* where this one does */
	uint64_t pos;		/* in the block */
	uint64_t end;
	uint32_t block;		/* number */
	uint32_t reported;	/* this block has its diagnostic */
	uint32_t suspect;	/* where its data ends is not known */
	uint32_t tries;		/* at finding the way back in this block */
	uint64_t released;	/* pages before this were given back */
	uint64_t tsc;
	uint64_t time_ns[2];	/* INTERPOLATE: begin and end of the block */
	uint64_t time_tsc[2];
	struct current event;
	struct mb_ltt_totals totals;
};

struct mb_ltt_cursor {
	struct stream *streams;
	uint32_t stream_count;
	struct mb_ltt_class *classes;
	uint32_t class_count;
	struct mb_ltt_op *ops;
	uint32_t *heap;		/* streams that have an event, the earliest first */
	uint32_t heap_count;
	uint32_t started;
	uint32_t waiting;	/* the first of the heap is still to be given out */
	uint64_t begin_ns;
	uint64_t end_ns;
	uint32_t limited;
	struct mb_ltt_damage damages[MAX_DAMAGES];
	uint32_t damage_count;
};

/* --- time --- */

static uint64_t whole(double value)
{
	if (!(value >= 0))
		return 0;
	return value >= 9.2e18 ? MAX_TIME : (uint64_t)value;
}

static uint64_t scaled(const struct mb_ltt_layout *layout, uint64_t ticks)
{
	switch (layout->time_mode) {
	case MB_LTT_TIME_KHZ:
		return whole((double)ticks * 1000000.0 / layout->freq);
	case MB_LTT_TIME_MULTIPLY:
		return whole((double)ticks * (1000000000.0 / layout->scale) / layout->freq);
	default:
		return whole((double)ticks * 1000000000.0 * layout->scale / layout->freq);
	}
}

uint64_t mb_ltt_time(const struct mb_ltt_layout *layout, uint64_t tsc)
{
	uint64_t start = layout->start_tsc, from;

	if (layout->time_mode == MB_LTT_TIME_ABSOLUTE)
		return scaled(layout, tsc);
	from = scaled(layout, start);
	if (tsc >= start)
		return from + scaled(layout, tsc - start);
	return from > scaled(layout, start - tsc) ? from - scaled(layout, start - tsc) : 0;
}

/* Relative to the start of the block, because a double does not hold nanoseconds since 1970. */
static uint64_t interpolate(const struct stream *s, uint64_t tsc)
{
	double ticks = (double)(s->time_tsc[1] - s->time_tsc[0]);
	double span = (double)(s->time_ns[1] - s->time_ns[0]);

	if (s->time_tsc[1] <= s->time_tsc[0] || s->time_ns[1] <= s->time_ns[0])
		return s->time_ns[0];
	if (tsc >= s->time_tsc[0])
		return s->time_ns[0] + whole((double)(tsc - s->time_tsc[0]) * span / ticks);
	return s->time_ns[0] - whole((double)(s->time_tsc[0] - tsc) * span / ticks);
}

static uint64_t event_time(const struct stream *s, uint64_t tsc)
{
	if (s->layout.time_mode == MB_LTT_TIME_INTERPOLATE)
		return interpolate(s, tsc);
	return mb_ltt_time(&s->layout, tsc);
}

/* --- damage --- */

static void report(struct mb_ltt_cursor *c, struct stream *s, uint32_t code, uint64_t at)
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
		report(c, s, MB_LTT_UNCLOSED, s->at);
	s->end = s->suspect ? total : s->layout.used_is_lost ? total - used : used;
	if (s->end > total || s->end < s->layout.header_bytes ||
	    header_u32(s, s->layout.size_at) != total) {
		s->suspect |= s->end > total || s->end < s->layout.header_bytes;
		report(c, s, MB_LTT_BAD_SIZE, s->at);
	}
	if (s->suspect)
		s->end = total;
	if (s->end > left) {
		report(c, s, MB_LTT_CUT, s->size);
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
		report(c, s, code, code == MB_LTT_CUT ? s->size : s->at);
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
		report(c, s, MB_LTT_CUT, s->size);
		return 0;
	}
	s->tsc = mb_ltt_u64(b + 14, big);
	for (part = 0; part < 2; part++) {
		s->time_ns[part] = mb_ltt_u32(b + 6, big) * 1000000000ull +
				   mb_ltt_u32(b + 10, big) * (uint64_t)s->layout.time_bytes;
		s->time_tsc[part] = s->tsc;
	}
	if (left < total) {
		report(c, s, MB_LTT_CUT, s->size);
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
		report(c, s, MB_LTT_BAD_SIZE, s->at + total - 4);
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
		report(c, s, left < 23 ? MB_LTT_CUT : MB_LTT_BAD_MAGIC, s->at);
		return 0;
	}
	s->time_ns[0] = s->time_ns[1] = mb_ltt_u32(b + 5, big) * 1000000000ull + mb_ltt_u32(b + 9, big) * 1000ull;
	s->tsc = s->layout.use_tsc ? mb_ltt_u32(b + 13, big) : 0;
	s->time_tsc[0] = s->time_tsc[1] = s->tsc;
	s->end = left < total ? left : total - 4;
	s->suspect = 1;
	if (left < total) {
		report(c, s, MB_LTT_CUT, s->size);
		return 1;
	}
	lost = mb_ltt_u32(b + total - 4, big);
	at = total - lost + (s->layout.log_cpu ? 1 : 0);
	if (lost > total - 19 || at + 19 > total || b[at] != 18) {
		report(c, s, MB_LTT_BAD_SIZE, s->at + total - 4);
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
		report(c, s, MB_LTT_CUT, s->at);
		s->next = s->size;
		return 0;
	}
	if (!has_magic(s, s->at)) {
		report(c, s, MB_LTT_BAD_MAGIC, s->at + l->magic_at);
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
static int next_block(struct mb_ltt_cursor *c, struct stream *s)
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

/* --- events: each parser returns 0, or the code of the damage, and sets event.payload --- */

static uint32_t lookup(const struct stream *s, uint32_t id)
{
	return id < s->id_count ? s->ids[id] : MB_LTT_NONE;
}

/* The length of the payload that starts at event.payload, by the description of the class. */
static int measure(struct mb_ltt_cursor *c, struct stream *s, const struct mb_ltt_class *class)
{
	struct mb_ltt_sink sink = { .big = s->layout.big };
	uint64_t left;
	int64_t ret = class->fixed;

	if (s->event.payload > s->end)
		return MB_LTT_BAD_EVENT;
	left = s->end - s->event.payload;
	if (class->fixed < 0)
		ret = mb_ltt_decode(c->ops + class->first, class->count, s->map + s->at + s->event.payload,
				    left, 0, &sink);
	if (ret < 0 || (uint64_t)ret > left)
		return MB_LTT_BAD_EVENT;
	s->event.size = (uint32_t)ret;
	return 0;
}

static int describe(struct mb_ltt_cursor *c, struct stream *s, uint32_t has_size)
{
	struct current *e = &s->event;
	uint32_t said = has_size ? e->size : 0;
	const struct mb_ltt_class *class;

	e->size = said;
	e->class_index = lookup(s, e->id);
	if (e->class_index == MB_LTT_NONE) {
		if (!has_size && !s->layout.unknown_empty)
			return MB_LTT_BAD_ID;
		return e->payload <= s->end && said <= s->end - e->payload ? 0 : MB_LTT_BAD_EVENT;
	}
	class = &c->classes[e->class_index];
	if (s->layout.kind == MB_LTT_M2)
		e->payload += mb_ltt_pad(e->payload, class->align);
	if (measure(c, s, class))
		return MB_LTT_BAD_EVENT;
	return has_size && said != e->size ? MB_LTT_BAD_LENGTH : 0;
}

/* The clock whose low bits are given, not before `now`. */
static inline uint64_t advance(uint64_t now, uint64_t low, uint64_t mask)
{
	uint64_t next = (now & ~mask) | low;

	return low < (now & mask) ? next + mask + 1 : next;
}

static int parse_m2(struct mb_ltt_cursor *c, struct stream *s)
{
	const uint8_t *b = s->map + s->at;
	uint64_t pos = s->pos + mb_ltt_pad(s->pos, s->layout.head_align);
	uint32_t word, field, has_size = 0, big = s->layout.big;
	struct current *e = &s->event;

	if (pos + 4 > s->end)
		return MB_LTT_BAD_EVENT;
	word = mb_ltt_u32(b + pos, big);
	field = word >> 27;
	pos += 4;
	e->id = field;
	if (field >= 29) {
		if (pos + 2 > s->end)
			return MB_LTT_BAD_EVENT;
		e->id = mb_ltt_u16(b + pos, big);
		pos += 2;
		if (field < 31) {
			has_size = 1;
			if (pos + 2 > s->end)
				return MB_LTT_BAD_EVENT;
			e->size = mb_ltt_u16(b + pos, big);
			pos += 2;
			if (e->size == 0xffff) {
				if (pos + 4 > s->end)
					return MB_LTT_BAD_EVENT;
				e->size = mb_ltt_u32(b + pos, big);
				pos += 4;
			}
		}
	}
	if (field == 29) {
		pos += mb_ltt_pad(pos, s->layout.tsc_align);
		if (pos + 8 > s->end)
			return MB_LTT_BAD_EVENT;
		e->tsc = mb_ltt_u64(b + pos, big);
		pos += 8;
	} else {
		e->tsc = advance(s->tsc, word & 0x7ffffff, 0x7ffffff);
	}
	e->payload = pos;
	return describe(c, s, has_size);
}

static int parse_f(struct mb_ltt_cursor *c, struct stream *s)
{
	const struct mb_ltt_layout *l = &s->layout;
	const uint8_t *b = s->map + s->at;
	uint64_t pos = s->pos + mb_ltt_pad(s->pos, l->arch_align);
	uint32_t time_bytes = l->long_time ? 8 : 4;
	struct current *e = &s->event;

	if (pos + time_bytes + 4 > s->end)
		return MB_LTT_BAD_EVENT;
	e->tsc = l->long_time ? mb_ltt_u64(b + pos, l->big) :
		 advance(s->tsc, mb_ltt_u32(b + pos, l->big), 0xffffffff);
	pos += time_bytes;
	e->id = l->kind == MB_LTT_M1 ? mb_ltt_u16(b + pos, l->big) : (uint32_t)(b[pos] << 8 | b[pos + 1]);
	e->size = mb_ltt_u16(b + pos + 2, l->big);
	pos += 4;
	e->payload = pos + mb_ltt_pad(pos, l->arch_align);
	return describe(c, s, e->size != 0xffff);
}

static int parse_compact(struct mb_ltt_cursor *c, struct stream *s)
{
	const struct mb_ltt_layout *l = &s->layout;
	uint64_t pos = s->pos + mb_ltt_pad(s->pos, l->head_align), mask, low;
	struct current *e = &s->event;
	uint32_t word, bits = l->tscbits + l->eventbits;

	if (pos + 4 > s->end)
		return MB_LTT_BAD_EVENT;
	word = mb_ltt_u32(s->map + s->at + pos, l->big);
	mask = ((1ull << l->tscbits) - 1) << l->lsb;
	low = ((uint64_t)word << l->lsb) & mask;
	e->tsc = (s->tsc & ~mask) | low;
	if (low < (s->tsc & mask))
		e->tsc += 1ull << (l->tscbits + l->lsb);
	e->id = (uint32_t)(word >> l->tscbits) & (uint32_t)((1ull << l->eventbits) - 1);
	e->data = bits < 32 ? word >> bits : 0;
	if (l->kind == MB_LTT_COMPACT_F)
		e->id |= l->facility << 8;
	e->payload = pos + 4;
	return describe(c, s, 0);
}

static int parse_x(struct mb_ltt_cursor *c, struct stream *s)
{
	const uint8_t *b = s->map + s->at;
	struct current *e = &s->event;

	if (s->pos + 6 > s->end)
		return MB_LTT_BAD_EVENT;
	e->id = mb_ltt_u16(b + s->pos, s->layout.big);
	e->tsc = advance(s->tsc, mb_ltt_u32(b + s->pos + 2, s->layout.big), 0xffffffff);
	e->payload = s->pos + 6;
	return describe(c, s, 0);
}

static int parse_k(struct mb_ltt_cursor *c, struct stream *s)
{
	const struct mb_ltt_layout *l = &s->layout;
	const uint8_t *b = s->map + s->at;
	uint64_t pos = s->pos;
	struct current *e = &s->event;
	uint32_t time, ret;

	/* BufferStart and TraceStart carry no CPU, even if the others do. */
	if (l->log_cpu && pos != 0 && !(s->block == 0 && pos == 23))
		pos++;
	if (pos + 5 > s->end)
		return MB_LTT_BAD_EVENT;
	e->id = b[pos];
	time = mb_ltt_u32(b + pos + 1, l->big);
	e->tsc = l->use_tsc ? advance(s->tsc, time, 0xffffffff) : time;
	e->payload = pos + 5;
	ret = (uint32_t)describe(c, s, 0);
	if (!ret && e->payload + e->size + 2 > s->end)
		return MB_LTT_BAD_EVENT;
	return (int)ret;
}

static int parse(struct mb_ltt_cursor *c, struct stream *s)
{
	s->event.offset = (uint32_t)s->pos;
	s->event.data = 0;
	switch (s->layout.kind) {
	case MB_LTT_M2:
		return parse_m2(c, s);
	case MB_LTT_F:
	case MB_LTT_M1:
		return parse_f(c, s);
	case MB_LTT_X:
		return parse_x(c, s);
	case MB_LTT_K:
		return parse_k(c, s);
	default:
		return parse_compact(c, s);
	}
}

/* In a block whose end is not known, eight zero bytes are no event. */
static int at_rest(const struct stream *s)
{
	static const uint8_t zeros[8];
	uint64_t left = s->end - s->pos;

	return s->suspect && !memcmp(s->map + s->at + s->pos, zeros, left < 8 ? left : 8);
}

static uint64_t order_key(const struct stream *s)
{
	if (s->layout.time_mode != MB_LTT_TIME_INTERPOLATE)
		return s->event.tsc;
	if (s->layout.kind != MB_LTT_X && !s->layout.use_tsc)
		return s->time_ns[0] + s->event.tsc * 1000;
	return event_time(s, s->event.tsc);
}

/*
 * Markers whose description was lost have no size, and a damaged header leads nowhere. Three headers in a row that are
 * described and whose clock moves by less than this, or one up to the end of the data, are taken for the truth.
 */
#define NEAR (1u << 20)
#define CHAIN 3
#define MAX_TRIES 65536u
#define LOOK_AHEAD 8192u

static int is_chain(struct mb_ltt_cursor *c, const struct stream *s, uint64_t at, uint64_t tsc)
{
	struct stream trial = *s;
	int i, code;

	trial.pos = at;
	trial.tsc = tsc;
	if (trial.end > at + LOOK_AHEAD)
		trial.end = at + LOOK_AHEAD;
	for (i = 0; i < CHAIN; i++) {
		if (trial.pos == trial.end)
			return trial.end == s->end && i > 0;
		code = parse(c, &trial);
		if (trial.event.tsc - trial.tsc >= NEAR)
			return 0;
		if (code == MB_LTT_BAD_ID && i > 0)
			return 1;
		if (code)
			return 0;
		trial.tsc = trial.event.tsc;
		trial.pos = trial.event.payload + trial.event.size;
	}
	return 1;
}

/* After an event that cannot be measured: goes on where events follow each other again, else to the end. */
static void resynchronize(struct mb_ltt_cursor *c, struct stream *s, int code)
{
	uint64_t at = code == MB_LTT_BAD_ID ? s->event.payload : s->pos + 4;
	uint64_t tsc = code == MB_LTT_BAD_ID ? s->event.tsc : s->tsc;

	at += mb_ltt_pad(at, s->layout.head_align);
	if (s->layout.kind != MB_LTT_M2 || s->suspect)
		at = s->end;
	for (; at + 4 <= s->end && s->tries < MAX_TRIES; at += s->layout.head_align, s->tries++) {
		if (is_chain(c, s, at, tsc)) {
			s->pos = at;
			s->tsc = tsc;
			return;
		}
	}
	s->pos = s->end;
}

/* Reads the header of the next event; 0 at the end of the file. */
static int next_event(struct mb_ltt_cursor *c, struct stream *s)
{
	int code;

	for (;;) {
		if (s->block == MB_LTT_NONE || s->pos == s->end || at_rest(s)) {
			if (!next_block(c, s))
				return 0;
			continue;
		}
		code = parse(c, s);
		if (!code)
			break;
		report(c, s, (uint32_t)code, s->at + s->pos);
		resynchronize(c, s, code);
	}
	s->tsc = s->event.tsc;
	s->pos = s->event.payload + s->event.size + (s->layout.kind == MB_LTT_K ? 2 : 0);
	if (s->event.class_index != MB_LTT_NONE &&
	    c->classes[s->event.class_index].flags & MB_LTT_SETS_TSC && s->event.size >= 8)
		s->tsc = mb_ltt_u64(s->map + s->at + s->event.payload, s->layout.big);
	s->event.key = order_key(s);
	return 1;
}

/* --- merge --- */

static int earlier(const struct mb_ltt_cursor *c, uint32_t a, uint32_t b)
{
	uint64_t left = c->streams[a].event.key, right = c->streams[b].event.key;

	return left != right ? left < right : a < b;
}

static void sift(struct mb_ltt_cursor *c, uint32_t at)
{
	uint32_t top = c->heap[at], child;

	for (;;) {
		child = 2 * at + 1;
		if (child >= c->heap_count)
			break;
		if (child + 1 < c->heap_count && earlier(c, c->heap[child + 1], c->heap[child]))
			child++;
		if (!earlier(c, c->heap[child], top))
			break;
		c->heap[at] = c->heap[child];
		at = child;
	}
	c->heap[at] = top;
}

static void start(struct mb_ltt_cursor *c)
{
	uint32_t i;

	c->heap_count = 0;
	for (i = 0; i < c->stream_count; i++)
		if (next_event(c, &c->streams[i]))
			c->heap[c->heap_count++] = i;
	for (i = c->heap_count / 2; i-- > 0;)
		sift(c, i);
	c->started = 1;
	c->waiting = 1;
}

/* The stream whose event comes next; NULL at the end. */
static struct stream *advance_merge(struct mb_ltt_cursor *c)
{
	if (!c->started)
		start(c);
	if (!c->heap_count)
		return NULL;
	if (!c->waiting) {
		if (!next_event(c, &c->streams[c->heap[0]]))
			c->heap[0] = c->heap[--c->heap_count];
		if (!c->heap_count)
			return NULL;
		sift(c, 0);
	}
	c->waiting = 1;
	return &c->streams[c->heap[0]];
}

/* --- giving events out --- */

struct batch {
	struct mb_ltt_event *events;
	uint32_t max_events;
	uint32_t event_count;
	int64_t *slots;
	uint32_t max_slots;
	uint32_t slot_count;
	uint8_t *bytes;
	uint64_t max_bytes;
	uint64_t byte_count;
	uint32_t what;
};

static int copy_payload(struct batch *b, const struct stream *s, const struct mb_ltt_class *class,
			struct mb_ltt_event *out)
{
	uint32_t text = class && class->flags & MB_LTT_HAS_TEXT && b->what & MB_LTT_WITH_FIELDS;

	out->bytes = b->byte_count;
	if (!(b->what & MB_LTT_WITH_PAYLOAD) && !text)
		return 0;
	if (s->event.size > b->max_bytes - b->byte_count)
		return -MB_LTT_FULL;
	memcpy(b->bytes + b->byte_count, s->map + s->at + s->event.payload, s->event.size);
	b->byte_count += s->event.size;
	return 0;
}

static int64_t decode_fields(const struct mb_ltt_cursor *c, struct batch *b, const struct stream *s,
			     const struct mb_ltt_class *class, struct mb_ltt_event *out)
{
	struct mb_ltt_sink sink = {
		.slots = b->slots + b->slot_count,
		.max = b->max_slots - b->slot_count,
		.big = s->layout.big,
		.text_base = (uint32_t)out->bytes,
	};
	const struct mb_ltt_op *ops = c->ops + class->first;
	uint32_t count = class->count;
	int64_t ret;

	if (class->flags & MB_LTT_FIRST_IN_HEADER) {
		if (!sink.max)
			return -MB_LTT_FULL;
		sink.slots[sink.count++] = s->event.data;
	}
	ret = mb_ltt_decode(ops, count, s->map + s->at + s->event.payload, s->event.size, 0, &sink);
	if (ret < 0)
		return ret;
	out->slots = sink.count;
	b->slot_count += sink.count;
	return 0;
}

/* Appends the event; -MB_LTT_FULL if it does not fit, and then the batch is as before. */
static int64_t give(const struct mb_ltt_cursor *c, struct batch *b, const struct stream *s, uint64_t time_ns)
{
	struct mb_ltt_event *out = &b->events[b->event_count];
	const struct mb_ltt_class *class = NULL;
	uint64_t bytes_before = b->byte_count;
	int64_t ret;

	if (s->event.class_index != MB_LTT_NONE)
		class = &c->classes[s->event.class_index];
	if (class && class->flags & MB_LTT_UNWANTED)
		return 0;
	out->tsc = s->event.tsc;
	out->time_ns = time_ns;
	out->stream = (uint32_t)(s - c->streams);
	out->class_index = s->event.class_index;
	out->id = s->event.id;
	out->size = s->event.size;
	out->block = s->block;
	out->offset = s->event.offset;
	out->slot = b->slot_count;
	out->slots = 0;
	ret = copy_payload(b, s, class, out);
	if (!ret && class && b->what & MB_LTT_WITH_FIELDS)
		ret = decode_fields(c, b, s, class, out);
	if (ret < 0) {
		b->byte_count = bytes_before;
		return -MB_LTT_FULL;
	}
	b->event_count++;
	return 0;
}

static uint64_t time_of(const struct stream *s)
{
	return s->layout.time_mode == MB_LTT_TIME_INTERPOLATE ? s->event.key : event_time(s, s->event.tsc);
}

int64_t mb_ltt_next(struct mb_ltt_cursor *c, uint32_t what, struct mb_ltt_event *events, uint32_t max_events,
		    int64_t *slots, uint32_t max_slots, uint8_t *bytes, uint64_t max_bytes)
{
	struct batch b = {
		.events = events, .max_events = max_events, .slots = slots, .max_slots = max_slots,
		.bytes = bytes, .max_bytes = max_bytes, .what = what,
	};
	struct stream *s;
	uint64_t time_ns;

	while (b.event_count < max_events && c->damage_count <= MAX_DAMAGES / 2) {
		s = advance_merge(c);
		if (!s)
			break;
		time_ns = time_of(s);
		if (!c->limited || (time_ns >= c->begin_ns && time_ns <= c->end_ns)) {
			if (give(c, &b, s, time_ns) < 0)
				return b.event_count ? (int64_t)b.event_count : -MB_LTT_FULL;
		}
		c->waiting = 0;
	}
	return (int64_t)b.event_count;
}

static void total(struct mb_ltt_totals *t, const struct stream *s)
{
	uint64_t time_ns = time_of(s);

	if (!t->events || time_ns < t->first_ns)
		t->first_ns = time_ns;
	if (time_ns > t->last_ns)
		t->last_ns = time_ns;
	if (!t->events)
		t->first_tsc = s->event.tsc;
	t->last_tsc = s->event.tsc;
	t->events++;
}

/*
 * Counts what is left, stream by stream: counts[stream * (classes + 1) + class], the last for events that are not
 * described. Returns 1 if it must be called again after the damages were fetched, 0 when done.
 */
int64_t mb_ltt_count(struct mb_ltt_cursor *c, uint64_t *counts, struct mb_ltt_totals *totals)
{
	uint64_t width = (uint64_t)c->class_count + 1, time_ns;
	uint32_t i, class_index;

	for (i = 0; i < c->stream_count; i++) {
		struct stream *s = &c->streams[i];

		while (next_event(c, s)) {
			if (c->limited) {
				time_ns = time_of(s);
				if (time_ns < c->begin_ns || time_ns > c->end_ns)
					continue;
			}
			class_index = s->event.class_index;
			if (class_index == MB_LTT_NONE)
				class_index = c->class_count;
			else if (c->classes[class_index].flags & MB_LTT_UNWANTED)
				continue;
			counts[i * width + class_index]++;
			total(&s->totals, s);
			if (c->damage_count > MAX_DAMAGES / 2)
				return 1;
		}
		totals[i] = s->totals;
	}
	return 0;
}

uint32_t mb_ltt_damages(struct mb_ltt_cursor *c, struct mb_ltt_damage *damages, uint32_t max)
{
	uint32_t count = c->damage_count < max ? c->damage_count : max;

	memcpy(damages, c->damages, count * sizeof(*damages));
	memmove(c->damages, c->damages + count, (c->damage_count - count) * sizeof(*damages));
	c->damage_count -= count;
	return count;
}

/* Whether a call of mb_ltt_next that gave nothing stopped only to have the damages fetched. */
int mb_ltt_pending(struct mb_ltt_cursor *c)
{
	return c->damage_count > MAX_DAMAGES / 2;
}

int mb_ltt_totals(struct mb_ltt_cursor *c, uint32_t stream, struct mb_ltt_totals *totals)
{
	if (stream >= c->stream_count)
		return -1;
	*totals = c->streams[stream].totals;
	return 0;
}

/* --- opening and closing --- */

static void rewind_stream(struct stream *s)
{
	s->next = s->layout.first_at;
	s->at = s->next;
	s->block = MB_LTT_NONE;
	s->pos = s->end = 0;
	s->reported = s->suspect = 0;
	s->released = 0;
	memset(&s->totals, 0, sizeof(s->totals));
	memset(&s->event, 0, sizeof(s->event));
}

void mb_ltt_rewind(struct mb_ltt_cursor *c)
{
	uint32_t i;

	for (i = 0; i < c->stream_count; i++)
		rewind_stream(&c->streams[i]);
	c->started = 0;
	c->damage_count = 0;
}

void mb_ltt_set_range(struct mb_ltt_cursor *c, uint64_t begin_ns, uint64_t end_ns)
{
	c->begin_ns = begin_ns;
	c->end_ns = end_ns;
	c->limited = begin_ns > 0 || end_ns < UINT64_MAX;
}

struct mb_ltt_cursor *mb_ltt_open(void)
{
	return calloc(1, sizeof(struct mb_ltt_cursor));
}

static void unmap(struct stream *s)
{
	if (s->size)
		munmap((void *)s->map, s->size);
	free(s->ids);
}

void mb_ltt_close(struct mb_ltt_cursor *c)
{
	uint32_t i;

	for (i = 0; i < c->stream_count; i++)
		unmap(&c->streams[i]);
	free(c->streams);
	free(c->classes);
	free(c->ops);
	free(c->heap);
	free(c);
}

static int map_file(struct stream *s, const char *path)
{
	struct stat status;
	void *map;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (mb_fstat(fd, &status) || !S_ISREG(status.st_mode)) {
		close(fd);
		return -1;
	}
	s->size = (uint64_t)status.st_size;
	if (s->size) {
		map = mmap(NULL, s->size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (map == MAP_FAILED)
			s->size = 0;
		s->map = map;
	}
	close(fd);
	return status.st_size && !s->size ? -1 : 0;
}

/* Whether a field of the block header lies inside it. */
static int inside(const struct mb_ltt_layout *l, uint32_t at, uint32_t bytes)
{
	return at == MB_LTT_NONE || (l->header_bytes >= bytes && at <= l->header_bytes - bytes);
}

static int check_header(const struct mb_ltt_layout *l)
{
	if (l->header_bytes > PAGE || (l->block_bytes && l->block_bytes < l->header_bytes))
		return -1;
	if (!inside(l, l->begin_at, 8) || !inside(l, l->end_at, 8) || !inside(l, l->magic_at, 4) ||
	    !inside(l, l->size_at, 4) || !inside(l, l->used_at, 4) || !inside(l, l->lost_at, 4) ||
	    !inside(l, l->corrupt_at, 4) || l->begin_at == MB_LTT_NONE || l->end_at == MB_LTT_NONE)
		return -1;
	if (l->time_mode == MB_LTT_TIME_INTERPOLATE &&
	    (l->time_at == MB_LTT_NONE || l->end_time_at == MB_LTT_NONE ||
	     !inside(l, l->time_at, 2 * l->time_bytes) || !inside(l, l->end_time_at, 2 * l->time_bytes)))
		return -1;
	return 0;
}

static int check_layout(const struct mb_ltt_layout *l)
{
	const uint32_t aligns[3] = { l->head_align, l->tsc_align, l->arch_align };
	uint32_t i;

	for (i = 0; i < 3; i++)
		if (!aligns[i] || aligns[i] & (aligns[i] - 1))
			return -1;
	if (l->kind < MB_LTT_M2 || l->kind > MB_LTT_K || l->tscbits + l->eventbits > 32 || l->lsb > 31)
		return -1;
	if (l->kind == MB_LTT_X || l->kind == MB_LTT_K)
		return l->block_bytes < 64 ? -1 : 0;
	return check_header(l);
}

int mb_ltt_add_stream(struct mb_ltt_cursor *c, const char *path, const struct mb_ltt_layout *layout,
		      const uint32_t *ids, uint32_t id_count)
{
	struct stream *streams, *s;
	uint32_t *heap;

	if (check_layout(layout))
		return -1;
	streams = realloc(c->streams, (c->stream_count + 1) * sizeof(*streams));
	if (!streams)
		return -1;
	c->streams = streams;
	heap = realloc(c->heap, (c->stream_count + 1) * sizeof(*heap));
	if (!heap)
		return -1;
	c->heap = heap;
	s = &streams[c->stream_count];
	memset(s, 0, sizeof(*s));
	s->layout = *layout;
	if (map_file(s, path))
		return -1;
	s->ids = malloc((size_t)id_count * sizeof(*ids) + 1);
	if (!s->ids) {
		unmap(s);
		return -1;
	}
	memcpy(s->ids, ids, (size_t)id_count * sizeof(*ids));
	s->id_count = id_count;
	rewind_stream(s);
	c->stream_count++;
	return (int)c->stream_count - 1;
}

int mb_ltt_set_classes(struct mb_ltt_cursor *c, const struct mb_ltt_class *classes, uint32_t class_count,
		       const struct mb_ltt_op *ops, uint32_t op_count)
{
	uint32_t i, j;

	if (mb_ltt_check_classes(classes, class_count, ops, op_count))
		return -1;
	for (i = 0; i < c->stream_count; i++)
		for (j = 0; j < c->streams[i].id_count; j++)
			if (c->streams[i].ids[j] != MB_LTT_NONE && c->streams[i].ids[j] >= class_count)
				return -1;
	free(c->classes);
	free(c->ops);
	c->classes = malloc(class_count * sizeof(*classes) + 1);
	c->ops = malloc(op_count * sizeof(*ops) + 1);
	if (!c->classes || !c->ops)
		return -1;
	memcpy(c->classes, classes, class_count * sizeof(*classes));
	memcpy(c->ops, ops, op_count * sizeof(*ops));
	c->class_count = class_count;
	return 0;
}
