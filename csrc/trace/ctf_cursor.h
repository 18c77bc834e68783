/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the cursor over a CTF trace knows: of itself, and of each stream. */
#ifndef MB_CTF_CURSOR_H
#define MB_CTF_CURSOR_H

#include "ctf_quick.h"

#define MAX_NOTES 4096

struct stream {
	const uint8_t *data;
	uint64_t size;
	uint64_t packet;	/* where the open packet starts */
	uint64_t packet_end;	/* where the next one starts */
	uint64_t event;		/* bit where the next event's header starts */
	uint64_t *skipped;	/* packets that are read elsewhere, in order */
	uint32_t skipped_count;
	struct mb_ctf_decoder d;
	struct mb_ctf_event next;
	struct mb_ctf_totals totals;
	const struct mb_ctf_stream_class *class;
	uint64_t lost;		/* cumulative, as the packet before said */
	uint64_t sequence;
	uint64_t end_clock;	/* of the packet before */
	int64_t instance;
	uint32_t index;
	uint32_t class_index;
	uint32_t unwanted;
	uint32_t rank;		/* among events of the same time */
	int32_t cpu;
	int open;		/* in a packet */
	int lean;		/* in a packet whose headers are lean, of a clock that counts nanoseconds from `base_ns` */
	uint32_t fixed;		/* bytes of the next event behind its header; MB_CTF_NONE if that is not known */
	int64_t base_ns;
	int counted;		/* lost and sequence are known */
	int foreign;		/* a packet of another trace was noted */
};

/* What a clock's value is added to, where it counts nanoseconds; others are asked for each time. */
struct clock_base {
	int64_t ns;
	int is_plain;
};

/* The event class of a number, and how many bytes all its events have behind their headers: MB_CTF_NONE if that is not known. */
struct known_class {
	uint32_t event_class;
	uint32_t fixed;
};

struct mb_ctf_cursor {
	struct mb_ctf_op *ops;
	struct mb_ctf_range *ranges;
	struct mb_ctf_stream_class *stream_classes;
	struct mb_ctf_event_class *event_classes;
	struct mb_ctf_clock *clocks;
	struct clock_base *bases;
	struct mb_quick_class *quick;	/* by event class; compiled when its first event comes */
	struct mb_quick_header *headers;	/* by stream class */
	uint32_t *unwanted;	/* by event class */
	struct known_class *by_id;	/* stream class by stream class, by small numbers */
	struct stream **streams;
	uint32_t *heap;		/* streams with a next event, the earliest first */
	struct mb_ctf_description description;
	struct mb_ctf_note notes[MAX_NOTES];
	uint32_t note_count;
	uint32_t stream_count;
	uint32_t heap_count;
	uint32_t ids;		/* numbers per stream class in by_id */
	int started;
	int64_t last_ns;	/* the latest end of a packet that was opened */
	int64_t begin_ns;
	int64_t end_ns;
};

/*
 * Goes on to the header of the next event of the open packet, if that is as most are: lean, of a class that is known, in order and in
 * range. 1, or 0 and nothing has changed.
 */
static inline int mb_ctf_step(const struct mb_ctf_cursor *c, struct stream *s)
{
	const uint8_t *at = s->d.bytes + (s->d.bit >> 3);
	uint64_t clock = s->d.clock, id;
	struct known_class class;
	int64_t time;

	if (!s->open || !s->lean || s->d.bit & 7 ||
	    !mb_quick_read_lean(&s->d, c->headers + s->class_index, &at, &clock, &id) || id >= c->ids)
		return 0;
	class = c->by_id[(size_t)s->class_index * c->ids + id];
	if (class.event_class == MB_CTF_NONE || clock > INT64_MAX || __builtin_add_overflow(s->base_ns, (int64_t)clock, &time) ||
	    time < s->next.time_ns || time > c->end_ns)
		return 0;
	s->event = s->d.bit;
	s->d.bit = (uint64_t)(at - s->d.bytes) << 3;
	s->d.clock = clock;
	s->next.event_class = class.event_class;
	s->fixed = class.fixed;
	s->next.clock = clock;
	s->next.time_ns = time;
	return 1;
}

/* Passes the values of the next event, or puts them into slots. 1, or 0 if the decoder must do it. */
static inline int mb_ctf_pass(const struct mb_ctf_cursor *c, struct stream *s)
{
	const struct mb_quick_class *quick = c->quick + s->next.event_class;
	const uint8_t *at;

	if (s->fixed != MB_CTF_NONE && s->fixed <= (s->d.end - s->d.bit) >> 3) {
		s->d.bit += 8ull * s->fixed;
		return 1;
	}
	if (quick->state <= 0)
		return 0;
	if (s->d.bit & 7)
		return mb_quick_skip(&s->d, quick);
	at = mb_quick_pass(&s->d, quick, s->d.bytes + (s->d.bit >> 3));
	if (!at)
		return mb_quick_skip(&s->d, quick);
	s->d.bit = (uint64_t)(at - s->d.bytes) << 3;
	return 1;
}

static inline int mb_ctf_values(const struct mb_ctf_cursor *c, struct stream *s, int64_t *slots, uint32_t max_slots)
{
	const struct mb_quick_class *quick = c->quick + s->next.event_class;
	int done;

	if (quick->state <= 0)
		return 0;
	s->d.slot = slots;
	s->d.slot_end = slots + max_slots;
	done = mb_quick_values(&s->d, quick);
	s->next.slots = (uint32_t)(s->d.slot - slots);
	s->d.slot = NULL;
	return done;
}

static inline void mb_ctf_count_event(struct stream *s)
{
	if (!s->totals.events || s->next.time_ns < s->totals.first_ns)
		s->totals.first_ns = s->next.time_ns;
	if (!s->totals.events || s->next.time_ns > s->totals.last_ns)
		s->totals.last_ns = s->next.time_ns;
	s->totals.events++;
}

/* Until when the first stream of the heap is ahead of all others: the time and rank of the second. */
struct mb_ctf_limit {
	int64_t time_ns;
	uint64_t rank;
};

static inline struct mb_ctf_limit mb_ctf_second(const struct mb_ctf_cursor *c)
{
	struct mb_ctf_limit limit = { INT64_MAX, UINT64_MAX };

	for (uint32_t i = 1; i < 3 && i < c->heap_count; i++) {
		const struct stream *s = c->streams[c->heap[i]];

		if (s->next.time_ns < limit.time_ns || (s->next.time_ns == limit.time_ns && s->rank < limit.rank))
			limit = (struct mb_ctf_limit){ s->next.time_ns, s->rank };
	}
	return limit;
}

static inline int mb_ctf_is_first(const struct stream *s, const struct mb_ctf_limit *limit)
{
	return s->next.time_ns != limit->time_ns ? s->next.time_ns < limit->time_ns : s->rank <= limit->rank;
}

/* The first stream of the heap is no longer the first. */
void mb_ctf_reorder(struct mb_ctf_cursor *cursor);

/*
 * The first event of the cursor was taken, the values of the first stream behind it. 1 if that stream is still the first; else the heap is in
 * order again, and the limit must be asked for anew.
 */
static inline int mb_ctf_go_on(struct mb_ctf_cursor *c, struct stream *s, const struct mb_ctf_limit *limit)
{
	if (!mb_ctf_step(c, s)) {
		mb_ctf_taken(c);
		return 0;
	}
	if (mb_ctf_is_first(s, limit))
		return 1;
	mb_ctf_reorder(c);
	return 0;
}

/* Back to the start of a stream. */
void mb_ctf_rewind_stream(struct mb_ctf_cursor *cursor, struct stream *stream);

#endif
