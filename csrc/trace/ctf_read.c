// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A cursor over all streams of a CTF trace, in order of time. Damage becomes a note, and reading goes on at the next packet that is whole.
 */
#define _GNU_SOURCE
#include "ctf_cursor.h"

#include <errno.h>
#include <stdlib.h>

#define NS_PER_S 1000000000ll
#define UUID_BYTES 16u
#define SIGN_BYTES 20u

/* --- time --- */

static uint64_t cycles_ns(uint64_t frequency, uint64_t cycles)
{
	double ns;

	if (frequency == (uint64_t)NS_PER_S)
		return cycles;
	ns = 1e9 * (double)cycles / (double)frequency;
	return ns >= 1.8446744073709552e19 ? UINT64_MAX : (uint64_t)ns;
}

int64_t mb_ctf_time(const struct mb_ctf_clock *clock, uint64_t value)
{
	uint64_t ns = cycles_ns(clock->frequency, value);
	int64_t base;

	if (__builtin_mul_overflow(clock->offset_s, NS_PER_S, &base) ||
	    __builtin_add_overflow(base, (int64_t)cycles_ns(clock->frequency, clock->offset), &base))
		base = 0;
	if (ns > INT64_MAX || __builtin_add_overflow(base, (int64_t)ns, &base))
		return INT64_MAX;
	return base;
}

static inline int64_t time_of(const struct mb_ctf_cursor *c, const struct stream *s, uint64_t value)
{
	const struct clock_base *base;
	int64_t time;

	if (s->class->clock == MB_CTF_NONE)
		return 0;
	base = c->bases + s->class->clock;
	if (base->is_plain && value <= INT64_MAX && !__builtin_add_overflow(base->ns, (int64_t)value, &time))
		return time;
	return mb_ctf_time(c->clocks + s->class->clock, value);
}

/* --- notes --- */

static void note(struct mb_ctf_cursor *c, struct stream *s, uint32_t code, uint64_t byte, uint64_t value)
{
	if (code < MB_CTF_LOST)
		s->totals.damaged++;
	if (c->note_count < MAX_NOTES)
		c->notes[c->note_count++] = (struct mb_ctf_note){ byte, s->totals.packets, value, 0, 0, s->index, code };
}

uint32_t mb_ctf_notes(struct mb_ctf_cursor *c, struct mb_ctf_note *notes, uint32_t max)
{
	uint32_t count = c->note_count < max ? c->note_count : max;

	memcpy(notes, c->notes, count * sizeof(*notes));
	memmove(c->notes, c->notes + count, (c->note_count - count) * sizeof(*notes));
	c->note_count -= count;
	return count;
}

/* --- packets --- */

static int run(struct mb_ctf_cursor *c, struct stream *s, const struct mb_ctf_scope *scope)
{
	return mb_ctf_decode(&s->d, c->ops + scope->first, scope->count);
}

/* Damage: go on where the first packet's magic number and uuid come again. */
static void resynchronize(struct stream *s, uint64_t from)
{
	uint64_t sign = s->size < SIGN_BYTES ? s->size : SIGN_BYTES;
	const uint8_t *found = NULL;

	s->open = 0;
	if (from < s->size && mb_ctf_has_role(&s->d, MB_CTF_ROLE_MAGIC))
		found = memmem(s->data + from, s->size - from, s->data, sign);
	s->packet_end = found ? (uint64_t)(found - s->data) : s->size;
}

static const struct mb_ctf_stream_class *find_stream_class(const struct mb_ctf_cursor *c,
							    const struct mb_ctf_decoder *d)
{
	const struct mb_ctf_description *t = &c->description;

	if (!mb_ctf_has_role(d, MB_CTF_ROLE_STREAM))
		return t->stream_class_count == 1 ? c->stream_classes : NULL;
	for (uint32_t i = 0; i < t->stream_class_count; i++)
		if (c->stream_classes[i].id == d->roles[MB_CTF_ROLE_STREAM])
			return c->stream_classes + i;
	return NULL;
}

static uint32_t header_fault(const struct mb_ctf_cursor *c, const struct stream *s)
{
	const struct mb_ctf_decoder *d = &s->d;
	const struct mb_ctf_description *t = &c->description;

	if (mb_ctf_has_role(d, MB_CTF_ROLE_MAGIC) && d->roles[MB_CTF_ROLE_MAGIC] != MB_CTF_MAGIC)
		return MB_CTF_BAD_MAGIC;
	if (mb_ctf_has_role(d, MB_CTF_ROLE_UUID) && t->has_uuid &&
	    (d->roles[MB_CTF_ROLE_UUID] & 7 || d->roles[MB_CTF_ROLE_UUID] + 8 * UUID_BYTES > d->end ||
	     memcmp(d->bytes + (d->roles[MB_CTF_ROLE_UUID] >> 3), t->uuid, UUID_BYTES)))
		return MB_CTF_BAD_UUID;
	return 0;
}

/* Packets of another trace with the same metadata are read, but not in silence. */
static uint32_t tolerate(struct mb_ctf_cursor *c, struct stream *s, uint32_t fault)
{
	if (fault != MB_CTF_BAD_UUID)
		return fault;
	if (!s->foreign)
		note(c, s, fault, s->packet, 0);
	s->foreign = 1;
	return 0;
}

static void start_decoder(struct mb_ctf_cursor *c, struct stream *s, uint64_t at)
{
	s->d.bytes = s->data + at;
	s->d.bit = 0;
	s->d.idle = 0;
	s->d.big = -1;
	s->d.end = (s->size - at) << 3;
	s->d.mapped = s->size - at;
	s->d.ranges = c->ranges;
	s->d.slot = NULL;
	s->d.seen = 0;
}

/* Header and context of the packet at `packet`; 0 or the code of what is wrong. */
static uint32_t read_packet_header(struct mb_ctf_cursor *c, struct stream *s)
{
	uint32_t fault;

	start_decoder(c, s, s->packet);
	if (run(c, s, &c->description.packet_header))
		return MB_CTF_BAD_HEADER;
	fault = tolerate(c, s, header_fault(c, s));
	if (fault)
		return fault;
	s->class = find_stream_class(c, &s->d);
	if (!s->class)
		return MB_CTF_BAD_STREAM;
	s->class_index = (uint32_t)(s->class - c->stream_classes);
	return run(c, s, &s->class->packet_context) ? MB_CTF_BAD_HEADER : 0;
}

/* How far the packet goes; 0 or the code of what is wrong. */
static uint32_t measure_packet(struct mb_ctf_cursor *c, struct stream *s)
{
	const struct mb_ctf_decoder *d = &s->d;
	uint64_t there = (s->size - s->packet) << 3, packet = there, content;

	if (mb_ctf_has_role(d, MB_CTF_ROLE_PACKET))
		packet = d->roles[MB_CTF_ROLE_PACKET];
	else if (mb_ctf_has_role(d, MB_CTF_ROLE_CONTENT))
		packet = (d->roles[MB_CTF_ROLE_CONTENT] + 7) & ~7ull;
	content = mb_ctf_has_role(d, MB_CTF_ROLE_CONTENT) ? d->roles[MB_CTF_ROLE_CONTENT] : packet;
	if (packet & 7 || content > packet || content < d->bit)
		return MB_CTF_BAD_SIZE;
	if (packet > there) {
		note(c, s, MB_CTF_BAD_CUT, s->packet, packet >> 3);
		packet = there;
		content = content < there ? content : there;
	}
	s->packet_end = s->packet + (packet >> 3);
	s->d.end = content;
	return 0;
}

/* What the next packet's counters are compared with. */
static void keep_counters(struct stream *s)
{
	const struct mb_ctf_decoder *d = &s->d;

	s->lost = d->roles[MB_CTF_ROLE_DISCARDED];
	s->sequence = d->roles[MB_CTF_ROLE_SEQUENCE];
	s->end_clock = mb_ctf_has_role(d, MB_CTF_ROLE_END) ? d->roles[MB_CTF_ROLE_END] : d->clock;
	s->counted = 1;
}

/* Counters of the packets before tell what is missing; the first packet's own counts are of an unknown past. */
static void note_losses(struct mb_ctf_cursor *c, struct stream *s)
{
	const struct mb_ctf_decoder *d = &s->d;
	uint64_t lost = d->roles[MB_CTF_ROLE_DISCARDED], sequence = d->roles[MB_CTF_ROLE_SEQUENCE];
	uint64_t end = mb_ctf_has_role(d, MB_CTF_ROLE_END) ? d->roles[MB_CTF_ROLE_END] : d->clock;

	if (mb_ctf_has_role(d, MB_CTF_ROLE_DISCARDED) && lost != (s->counted ? s->lost : 0)) {
		uint64_t count = s->counted ? lost - s->lost : 0;
		uint32_t at = c->note_count;

		s->totals.lost += count;
		note(c, s, MB_CTF_LOST, s->packet, count);
		if (c->note_count > at) {
			c->notes[at].begin_ns = time_of(c, s, s->counted ? s->end_clock : d->clock);
			c->notes[at].end_ns = time_of(c, s, end);
		}
	}
	if (mb_ctf_has_role(d, MB_CTF_ROLE_SEQUENCE) && s->counted && sequence > s->sequence + 1)
		note(c, s, MB_CTF_GAP, s->packet, sequence - s->sequence - 1);
	if (mb_ctf_has_role(d, MB_CTF_ROLE_END) && time_of(c, s, end) > c->last_ns)
		c->last_ns = time_of(c, s, end);
	keep_counters(s);
}

static int is_skipped(const struct stream *s)
{
	uint32_t low = 0, high = s->skipped_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (s->skipped[middle] < s->packet)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->skipped_count && s->skipped[low] == s->packet;
}

static int is_before_range(const struct mb_ctf_cursor *c, const struct stream *s)
{
	return mb_ctf_has_role(&s->d, MB_CTF_ROLE_END) &&
	       time_of(c, s, s->d.roles[MB_CTF_ROLE_END]) < c->begin_ns;
}

/* Where no packet says when it begins, the next one begins when this one ends. */
static void go_to_end(struct stream *s)
{
	if (s->open && mb_ctf_has_role(&s->d, MB_CTF_ROLE_END) && !mb_ctf_has_role(&s->d, MB_CTF_ROLE_BEGIN))
		mb_ctf_tick(&s->d, s->d.roles[MB_CTF_ROLE_END], s->d.end_bits);
	s->open = 0;
}

/* Whether the headers of the packet are read by mb_ctf_step. */
static void know_base(const struct mb_ctf_cursor *c, struct stream *s)
{
	const struct clock_base *base = s->class->clock == MB_CTF_NONE ? NULL : c->bases + s->class->clock;

	s->lean = base && base->is_plain && c->headers[s->class_index].lean.ways && c->headers[s->class_index].usable;
	s->base_ns = base ? base->ns : 0;
}

/* Opens the next packet. 1, or 0 at the end of the stream. */
static int open_packet(struct mb_ctf_cursor *c, struct stream *s)
{
	while (s->packet_end < s->size) {
		uint32_t fault;

		s->packet = s->packet_end;
		fault = read_packet_header(c, s);
		if (!fault)
			fault = measure_packet(c, s);
		if (fault) {
			note(c, s, fault, s->packet, 0);
			s->totals.packets++;
			resynchronize(s, s->packet + 4);
			continue;
		}
		if (is_skipped(s)) {
			keep_counters(s);
			continue;
		}
		note_losses(c, s);
		s->cpu = mb_ctf_has_role(&s->d, MB_CTF_ROLE_CPU) ? (int32_t)s->d.roles[MB_CTF_ROLE_CPU] : -1;
		if (mb_ctf_has_role(&s->d, MB_CTF_ROLE_INSTANCE) && s->instance < 0)
			s->instance = (int64_t)s->d.roles[MB_CTF_ROLE_INSTANCE];
		s->totals.packets++;
		if (is_before_range(c, s)) {
			s->open = 1;
			go_to_end(s);
			continue;
		}
		s->open = 1;
		know_base(c, s);
		return 1;
	}
	return 0;
}

/* --- events --- */

static inline uint32_t find_event_class(const struct mb_ctf_cursor *c, const struct stream *s)
{
	const uint32_t at = s->class_index;
	uint64_t id = mb_ctf_has_role(&s->d, MB_CTF_ROLE_ID) ? s->d.roles[MB_CTF_ROLE_ID] : UINT64_MAX;

	if (id < c->ids)
		return c->by_id[(size_t)at * c->ids + id].event_class;
	for (uint32_t i = 0; i < c->description.event_class_count; i++)
		if (c->event_classes[i].stream_class == at && (id == UINT64_MAX || c->event_classes[i].id == id))
			return i;
	return MB_CTF_NONE;
}

/* The rest of the packet cannot be read. */
static void give_up(struct mb_ctf_cursor *c, struct stream *s, uint32_t code, uint64_t value)
{
	note(c, s, code, s->packet + (s->event >> 3), value);
	go_to_end(s);
}

/* Reads the header of the next event into s->next. 1, or 0 at the end of the stream. */
static int advance(struct mb_ctf_cursor *c, struct stream *s)
{
	for (;;) {
		if (!s->open && !open_packet(c, s))
			return 0;
		if (s->d.bit >= s->d.end) {
			go_to_end(s);
			continue;
		}
		s->event = s->d.bit;
		s->fixed = MB_CTF_NONE;
		s->d.seen &= ~(1u << MB_CTF_ROLE_ID);
		if (!mb_quick_read_header(&s->d, c->headers + s->class_index) &&
		    run(c, s, &s->class->event_header)) {
			give_up(c, s, MB_CTF_BAD_EVENT, 0);
			continue;
		}
		s->next.event_class = find_event_class(c, s);
		if (s->next.event_class == MB_CTF_NONE) {
			give_up(c, s, MB_CTF_BAD_ID, s->d.roles[MB_CTF_ROLE_ID]);
			continue;
		}
		s->next.clock = s->d.clock;
		s->next.time_ns = time_of(c, s, s->d.clock);
		s->next.stream = s->index;
		s->next.packet = s->packet;
		s->next.cpu = s->cpu;
		return s->next.time_ns <= c->end_ns;
	}
}

static int run_scopes(struct mb_ctf_cursor *c, struct stream *s, const struct mb_ctf_event_class *class)
{
	int ret = run(c, s, &s->class->event_context);

	if (!ret)
		ret = run(c, s, &class->context);
	return ret ? ret : run(c, s, &class->payload);
}

static void keep_fixed(struct mb_ctf_cursor *c, uint32_t event_class)
{
	const struct mb_ctf_event_class *class = c->event_classes + event_class;
	const struct mb_quick_class *quick = c->quick + event_class;
	struct known_class *known;

	if (class->id >= c->ids || quick->state <= 0 || quick->mask)
		return;
	known = c->by_id + (size_t)class->stream_class * c->ids + class->id;
	if (known->event_class == event_class)
		known->fixed = quick->fixed;
}

/* The quick way of a class, made when it is asked for; NULL if it has none. */
static const struct mb_quick_class *quick_class(struct mb_ctf_cursor *c, const struct stream *s, uint32_t event_class)
{
	struct mb_quick_class *quick = c->quick + event_class;
	const struct mb_ctf_event_class *class = c->event_classes + event_class;

	if (!quick->state) {
		const struct mb_ctf_scope scopes[] = { s->class->event_context, class->context, class->payload };

		mb_quick_compile(quick, c->ops, scopes, 3);
		keep_fixed(c, event_class);
	}
	return quick->state > 0 ? quick : NULL;
}

static int is_quick(struct mb_ctf_cursor *c, struct stream *s)
{
	const struct mb_quick_class *quick = quick_class(c, s, s->next.event_class);

	if (!quick)
		return 0;
	return s->d.slot ? mb_quick_values(&s->d, quick) : mb_quick_skip(&s->d, quick);
}

/* The values of s->next. 0 or as mb_ctf_decode; -MB_CTF_FULL leaves the event as it is. */
static int read_values(struct mb_ctf_cursor *c, struct stream *s, int64_t *slots, uint32_t max_slots)
{
	const struct mb_ctf_event_class *class = c->event_classes + s->next.event_class;
	uint64_t bit = s->d.bit, clock = s->d.clock, before;
	int ret;

	s->d.slot = slots;
	s->d.slot_end = slots ? slots + max_slots : NULL;
	ret = is_quick(c, s) ? 0 : run_scopes(c, s, class);
	s->next.slots = slots ? (uint32_t)(s->d.slot - slots) : 0;
	s->d.slot = NULL;
	if (ret == -MB_CTF_FULL) {
		s->d.bit = bit;
		s->d.clock = clock;
		return ret;
	}
	before = s->event;
	if (!ret && s->d.bit == before)
		ret = -MB_CTF_BAD_EVENT;	/* events of no size at all would never end */
	if (ret)
		give_up(c, s, (uint32_t)-ret, class->id);
	return ret;
}

/* --- order --- */

static int earlier(const struct mb_ctf_cursor *c, uint32_t a, uint32_t b)
{
	const struct stream *x = c->streams[a], *y = c->streams[b];

	return x->next.time_ns != y->next.time_ns ? x->next.time_ns < y->next.time_ns : x->rank < y->rank;
}

static void sift_down(struct mb_ctf_cursor *c, uint32_t at)
{
	uint32_t moving = c->heap[at];

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= c->heap_count)
			break;
		if (child + 1 < c->heap_count && earlier(c, c->heap[child + 1], c->heap[child]))
			child++;
		if (!earlier(c, c->heap[child], moving))
			break;
		c->heap[at] = c->heap[child];
		at = child;
	}
	c->heap[at] = moving;
}

static void start(struct mb_ctf_cursor *c)
{
	c->started = 1;
	c->heap_count = 0;
	for (uint32_t i = 0; i < c->stream_count; i++)
		if (!c->streams[i]->unwanted && advance(c, c->streams[i]))
			c->heap[c->heap_count++] = i;
	for (uint32_t i = c->heap_count; i-- > 0;)
		sift_down(c, i);
}

/* The first stream of the heap has a new next event, or ended. */
void mb_ctf_taken(struct mb_ctf_cursor *c)
{
	struct stream *s = c->streams[c->heap[0]];
	int64_t before = s->next.time_ns;

	if (!advance(c, s))
		c->heap[0] = c->heap[--c->heap_count];
	else if (s->next.time_ns < before)
		note(c, s, MB_CTF_BAD_ORDER, s->packet + (s->event >> 3), 0);
	if (c->heap_count > 1)
		sift_down(c, 0);
}

void mb_ctf_reorder(struct mb_ctf_cursor *c)
{
	sift_down(c, 0);
}

const struct mb_ctf_event *mb_ctf_peek(struct mb_ctf_cursor *c)
{
	if (!c->started)
		start(c);
	return c->heap_count ? &c->streams[c->heap[0]]->next : NULL;
}

int mb_ctf_take(struct mb_ctf_cursor *c)
{
	struct stream *s = c->streams[c->heap[0]];
	int ret = read_values(c, s, NULL, 0);

	if (!ret && s->next.time_ns >= c->begin_ns)
		mb_ctf_count_event(s);
	return ret;
}

const int64_t *mb_ctf_variables(const struct mb_ctf_cursor *c, uint32_t stream)
{
	return c->streams[stream]->d.variables;
}

int mb_ctf_has_variable(const struct mb_ctf_cursor *c, uint32_t variable)
{
	return variable < c->description.variables;
}

static int is_text(const struct mb_ctf_op *op)
{
	return op->kind == MB_CTF_TEXT || op->kind == MB_CTF_BLOB || op->kind == MB_CTF_BYTES;
}

int mb_ctf_holds_text(const struct mb_ctf_cursor *c, uint32_t variable)
{
	for (uint32_t i = 0; i < c->description.op_count; i++) {
		const struct mb_ctf_op *op = c->ops + i;
		const int64_t from = (int64_t)variable - op->store;

		if (op->store < 0)
			continue;
		if (is_text(op) ? from == 1 || from == -1 : from == 0 || from == -1)
			return 0;
	}
	return mb_ctf_has_variable(c, variable + 1);
}

static int is_wanted(const struct mb_ctf_cursor *c, const struct mb_ctf_event *event)
{
	return event->time_ns >= c->begin_ns && !c->unwanted[event->event_class];
}

/* Where events and their values go. */
struct batch {
	struct mb_ctf_event *events;
	int64_t *slots;
	uint32_t max_events;
	uint32_t max_slots;
	uint32_t count;
	uint32_t used;
};

static void put_event(struct batch *b, const struct stream *s)
{
	struct mb_ctf_event *event = b->events + b->count++;

	*event = s->next;
	event->slot = b->used;
	b->used += s->next.slots;
}

/* Events of the first stream while it is the first and they are quick to read; the next one is as mb_ctf_step left it. */
static void next_run(struct mb_ctf_cursor *c, struct stream *s, struct batch *b)
{
	const struct mb_ctf_limit limit = mb_ctf_second(c);

	while (b->count < b->max_events) {
		if (!is_wanted(c, &s->next)) {
			if (!mb_ctf_pass(c, s))
				return;
		} else if (!mb_ctf_values(c, s, b->slots + b->used, b->max_slots - b->used)) {
			return;
		} else {
			put_event(b, s);
		}
		if (s->next.time_ns >= c->begin_ns)
			mb_ctf_count_event(s);
		if (!mb_ctf_go_on(c, s, &limit))
			return;
	}
}

/* The next event, whatever it is. 0 or as mb_ctf_decode. */
static int next_one(struct mb_ctf_cursor *c, struct stream *s, struct batch *b)
{
	const int wanted = is_wanted(c, &s->next);
	const int ret = read_values(c, s, wanted ? b->slots + b->used : NULL, b->max_slots - b->used);

	if (ret == -MB_CTF_FULL)
		return ret;
	if (!ret && s->next.time_ns >= c->begin_ns)
		mb_ctf_count_event(s);
	if (!ret && wanted)
		put_event(b, s);
	mb_ctf_taken(c);
	return 0;
}

/*
 * The next events with their values. How many; 0 at the end; -MB_CTF_FULL if the first one needs more slots.
 * What a damaged event left is skipped.
 */
int64_t mb_ctf_next(struct mb_ctf_cursor *c, struct mb_ctf_event *events, uint32_t max_events, int64_t *slots,
		    uint32_t max_slots)
{
	struct batch b = { events, slots, max_events, max_slots, 0, 0 };

	if (!c->started)
		start(c);
	while (b.count < max_events && c->note_count < MAX_NOTES - 64 && c->heap_count) {
		const uint32_t before = b.count;
		struct stream *s = c->streams[c->heap[0]];

		next_run(c, s, &b);
		if (b.count == before && c->heap_count && next_one(c, c->streams[c->heap[0]], &b))
			return b.count ? (int64_t)b.count : -MB_CTF_FULL;
	}
	return b.count;
}

/* Events of the open packet as long as they are quick to pass and in order; when the last of them was. How many are wanted. */
static int64_t count_packet(struct mb_ctf_cursor *c, struct stream *s, uint64_t *counts, int64_t *last_ns)
{
	const struct mb_quick_header *header = c->headers + s->class_index;
	const struct known_class *by_id = c->by_id + (size_t)s->class_index * c->ids;
	struct mb_ctf_decoder *d = &s->d;
	const uint8_t *at = d->bytes + (d->bit >> 3), *event = at, *end = d->bytes + (d->end >> 3);
	uint64_t clock = d->clock, id, events = 0;
	int64_t total = 0;

	if (!s->open || !s->lean || d->bit & 7)
		return 0;
	while (mb_quick_read_lean(d, header, &at, &clock, &id) && id < c->ids) {
		const uint32_t class = by_id[id].event_class, fixed = by_id[id].fixed;

		if (class == MB_CTF_NONE || clock < d->clock || clock > INT64_MAX)
			break;
		if (fixed != MB_CTF_NONE && fixed <= (uint64_t)(end - at))
			at += fixed;
		else if (c->quick[class].state <= 0 || !(at = mb_quick_pass(d, c->quick + class, at)))
			break;
		event = at;
		d->clock = clock;
		events++;
		if (!c->unwanted[class]) {
			counts[class]++;
			total++;
		}
	}
	d->bit = (uint64_t)(event - d->bytes) << 3;
	s->totals.events += events;
	if (events) {
		*last_ns = time_of(c, s, s->d.clock);
		if (*last_ns > s->totals.last_ns)
			s->totals.last_ns = *last_ns;
	}
	return total;
}

static int64_t count_stream(struct mb_ctf_cursor *c, struct stream *s, uint64_t *counts)
{
	const int whole = c->begin_ns == INT64_MIN && c->end_ns == INT64_MAX;
	int64_t total = 0, before = INT64_MIN;

	while (advance(c, s)) {
		if (s->next.time_ns < before)
			note(c, s, MB_CTF_BAD_ORDER, s->packet + (s->event >> 3), 0);
		before = s->next.time_ns;
		if (read_values(c, s, NULL, 0))
			continue;
		if (s->next.time_ns < c->begin_ns)
			continue;
		mb_ctf_count_event(s);
		if (!c->unwanted[s->next.event_class]) {
			counts[s->next.event_class]++;
			total++;
		}
		if (whole)
			total += count_packet(c, s, counts, &before);
	}
	return total;
}

/* Goes through all streams without values, one after the other; counts by stream and event class. How many events. */
int64_t mb_ctf_count(struct mb_ctf_cursor *c, uint64_t *counts)
{
	int64_t total = 0;

	mb_ctf_rewind(c);
	for (uint32_t i = 0; i < c->stream_count; i++)
		if (!c->streams[i]->unwanted)
			total += count_stream(c, c->streams[i], counts + (size_t)i * c->description.event_class_count);
	return total;
}

/* The fields of a packet's context, for events that name it. How many slots, or -1. */
int64_t mb_ctf_packet_context(struct mb_ctf_cursor *c, uint32_t stream, uint64_t packet, int64_t *slots,
			      uint32_t max_slots)
{
	struct stream *s, copy;
	int64_t count = -1;

	if (stream >= c->stream_count || packet >= c->streams[stream]->size)
		return -1;
	s = c->streams[stream];
	copy = *s;
	copy.d.variables = calloc(c->description.variables + 2, sizeof(int64_t));
	if (!copy.d.variables)
		return -1;
	start_decoder(c, &copy, packet);
	if (!run(c, &copy, &c->description.packet_header)) {
		const struct mb_ctf_stream_class *class = find_stream_class(c, &copy.d);

		copy.d.slot = slots;
		copy.d.slot_end = slots + max_slots;
		if (class && !run(c, &copy, &class->packet_context))
			count = copy.d.slot - slots;
	}
	free(copy.d.variables);
	return count;
}

/* --- the whole --- */

void mb_ctf_rewind_stream(struct mb_ctf_cursor *c, struct stream *s)
{
	s->packet = s->packet_end = 0;
	s->open = s->counted = s->foreign = 0;
	s->d.clock = 0;
	s->class = c->stream_classes;
	s->class_index = 0;
	memset(&s->totals, 0, sizeof(s->totals));
	memset(s->d.variables, 0, (c->description.variables + 2) * sizeof(int64_t));
	memset(s->d.roles, 0, sizeof(s->d.roles));
}

void mb_ctf_rewind(struct mb_ctf_cursor *c)
{
	for (uint32_t i = 0; i < c->stream_count; i++)
		mb_ctf_rewind_stream(c, c->streams[i]);
	c->started = 0;
	c->note_count = 0;
	c->last_ns = INT64_MIN;
}

/*
 * Where the packets of a stream that can be read are: place and size of each. How many numbers that are, or -EINVAL. Rewind
 * afterwards.
 */
int64_t mb_ctf_packets(struct mb_ctf_cursor *c, uint32_t stream, uint64_t *places, uint32_t max)
{
	struct stream *s;
	uint32_t count = 0;

	if (stream >= c->stream_count)
		return -EINVAL;
	s = c->streams[stream];
	mb_ctf_rewind_stream(c, s);
	while (open_packet(c, s)) {
		if (count + 2 <= max) {
			places[count] = s->packet;
			places[count + 1] = s->packet_end - s->packet;
		}
		count += 2;
		s->open = 0;
	}
	return count;
}

/* The packets of a stream that are left out, by their places in order. 0, -EINVAL, -ENOMEM. */
int mb_ctf_skip(struct mb_ctf_cursor *c, uint32_t stream, const uint64_t *packets, uint32_t count)
{
	uint64_t *copy;

	if (stream >= c->stream_count)
		return -EINVAL;
	copy = malloc(((size_t)count + 1) * sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	memcpy(copy, packets, count * sizeof(*copy));
	free(c->streams[stream]->skipped);
	c->streams[stream]->skipped = copy;
	c->streams[stream]->skipped_count = count;
	return 0;
}

void mb_ctf_set_range(struct mb_ctf_cursor *c, int64_t begin_ns, int64_t end_ns)
{
	c->begin_ns = begin_ns;
	c->end_ns = end_ns;
}

/* Events of the same time come by the rank of their streams; set before the first event is read. */
void mb_ctf_rank(struct mb_ctf_cursor *c, uint32_t stream, uint32_t rank)
{
	if (stream < c->stream_count)
		c->streams[stream]->rank = rank;
}

/* Classes that are not wanted are skipped. */
void mb_ctf_want(struct mb_ctf_cursor *c, uint32_t event_class, uint32_t wanted)
{
	if (event_class < c->description.event_class_count)
		c->unwanted[event_class] = !wanted;
}

void mb_ctf_want_stream(struct mb_ctf_cursor *c, uint32_t stream, uint32_t wanted)
{
	if (stream < c->stream_count)
		c->streams[stream]->unwanted = !wanted;
}

/* The latest time that a packet seen so far tells; INT64_MIN if none does. */
int64_t mb_ctf_end_ns(struct mb_ctf_cursor *c)
{
	return c->last_ns;
}

int mb_ctf_totals(struct mb_ctf_cursor *c, uint32_t stream, struct mb_ctf_totals *totals)
{
	if (stream >= c->stream_count)
		return -EINVAL;
	*totals = c->streams[stream]->totals;
	return 0;
}

/* Of the packet that is open now; the first one right after opening. */
int mb_ctf_stream_class_of(struct mb_ctf_cursor *c, uint32_t stream)
{
	return stream < c->stream_count ? (int)(c->streams[stream]->class - c->stream_classes) : -EINVAL;
}

int64_t mb_ctf_instance_of(struct mb_ctf_cursor *c, uint32_t stream)
{
	return stream < c->stream_count ? c->streams[stream]->instance : -EINVAL;
}

/* Looks at the first packet of each stream, so that their classes and instances are known. Rewind afterwards. */
void mb_ctf_probe(struct mb_ctf_cursor *c)
{
	mb_ctf_peek(c);
}
