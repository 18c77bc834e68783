// SPDX-License-Identifier: LGPL-2.1-or-later
/* All files of a trace as one sequence of events in order of (clock, rank of the file). */
#include "ltt_cursor.h"

#define MAX_TIME 0x7fffffffffffffffull

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
			if (!mb_ltt_next_block(c, s))
				return 0;
			continue;
		}
		code = parse(c, s);
		if (!code)
			break;
		mb_ltt_report(c, s, (uint32_t)code, s->at + s->pos);
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
