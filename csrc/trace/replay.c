// SPDX-License-Identifier: LGPL-2.1-or-later
/* The loop of a replay: decode, make the record that the live hit was, let the handlers run. */
#include "replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctf_cursor.h"
#include "live/record.h"
#include "runtime/session.h"

#define FIRST_BYTES 65536u
#define MAX_BYTES (1u << 30)
#define MAX_VARIABLES (1u << 20)
#define FIRST_CLASSES 1024u

struct mb_replay {
	struct mb_ctf_cursor *cursor;		/* NULL: events come as rows */
	const struct mb_replay_batch *batch;	/* of the rows that are delivered now */
	struct mb_session *session;
	struct mb_replay_binding *bindings;	/* in order of event class, then of hook */
	struct mb_replay_step *steps;
	uint32_t *needed;			/* how many variables each binding looks at */
	struct mb_record *record;
	int64_t *scratch;
	uint64_t records;
	uint64_t capacity;
	uint64_t timer_ns;			/* when the next timer is due */
	int64_t now;
	uint32_t binding_count;
	uint32_t first[FIRST_CLASSES];		/* binding, by event class */
};

/* --- records --- */

static int64_t compute(int64_t op, int64_t left, int64_t right)
{
	const uint64_t l = (uint64_t)left, r = (uint64_t)right;

	switch (op) {
	case MB_REPLAY_ADD:
		return (int64_t)(l + r);
	case MB_REPLAY_SUBTRACT:
		return (int64_t)(l - r);
	case MB_REPLAY_MULTIPLY:
		return (int64_t)(l * r);
	case MB_REPLAY_AND:
		return (int64_t)(l & r);
	case MB_REPLAY_OR:
		return (int64_t)(l | r);
	case MB_REPLAY_XOR:
		return (int64_t)(l ^ r);
	case MB_REPLAY_LEFT:
		return (int64_t)(l << (r & 63));
	case MB_REPLAY_RIGHT:
		return left >> (r & 63);
	default:
		return (int64_t)(l >> (r & 63));
	}
}

static int is_fault(const struct mb_replay_step *step, const int64_t *variables)
{
	return step->fault != MB_REPLAY_NONE && (uint64_t)variables[step->fault] >> step->fault_bit & 1;
}

static int grow(struct mb_replay *r, uint64_t bytes)
{
	struct mb_record *record;
	uint64_t capacity = r->capacity;

	while (capacity < bytes)
		capacity *= 2;
	if (capacity == r->capacity)
		return 0;
	if (capacity > MAX_BYTES)
		return -E2BIG;
	record = realloc(r->record, capacity);
	if (!record)
		return -ENOMEM;
	r->record = record;
	r->capacity = capacity;
	return 0;
}

/* Where the bytes of a text variable are; NULL if it has none, or is not inside the batch. */
static const uint8_t *bytes_of(const struct mb_replay *r, const int64_t *variable)
{
	const uint64_t at = (uint64_t)variable[0], length = (uint64_t)variable[1];

	if (!length)	/* the text of an option that was never selected has no address */
		return NULL;
	if (r->cursor)
		return (const uint8_t *)(uintptr_t)at;
	return at <= r->batch->text_bytes && length <= r->batch->text_bytes - at ? r->batch->texts + at : NULL;
}

/* Appends text to the record; *slot says where. */
static int put_text(struct mb_replay *r, const struct mb_replay_step *step, const int64_t *variables, int64_t *slot)
{
	struct mb_string_slot text = { 0, MB_FAULT };
	uint64_t length = (uint64_t)variables[step->a + 1];

	if (!is_fault(step, variables)) {
		const uint8_t *bytes = bytes_of(r, variables + step->a);

		if (!bytes)
			length = 0;
		if (length > (uint64_t)step->value)
			length = (uint64_t)step->value;
		if (grow(r, r->record->size + length + 1))
			return -ENOMEM;
		text.offset = r->record->size;
		text.length = (uint32_t)length;
		if (bytes)
			memcpy((uint8_t *)r->record + text.offset, bytes, length);
		((uint8_t *)r->record)[text.offset + length] = 0;
		r->record->size += text.length + 1;
	}
	memcpy(slot, &text, sizeof(text));
	return 0;
}

static int64_t number(const struct mb_replay *r, const struct mb_replay_step *step, const int64_t *variables,
		      const struct mb_ctf_event *event)
{
	switch (step->kind) {
	case MB_REPLAY_LONG:
		return variables[step->a];
	case MB_REPLAY_CONSTANT:
		return step->value;
	case MB_REPLAY_STATUS:
		return is_fault(step, variables) ? (int64_t)MB_FAULT : 0;
	case MB_REPLAY_REALTIME:
		return event->time_ns;
	case MB_REPLAY_MONOTONIC:
		return (int64_t)event->clock;
	case MB_REPLAY_CPU:
		return event->cpu;
	default:
		return compute(step->value, r->scratch[step->a], r->scratch[step->b]);
	}
}

static int make_record(struct mb_replay *r, const struct mb_replay_binding *binding, const struct mb_ctf_event *event,
		       const int64_t *variables)
{
	r->record->size = (uint32_t)(sizeof(*r->record) + binding->slots * sizeof(int64_t));
	for (uint32_t i = 0; i < binding->count; i++) {
		const struct mb_replay_step *step = r->steps + binding->first + i;

		if (step->kind != MB_REPLAY_TEXT)
			r->scratch[step->slot] = number(r, step, variables, event);
		else if (put_text(r, step, variables, r->scratch + step->slot))
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < binding->slots; i++)	/* few: a call would cost more */
		r->record->slot[i] = r->scratch[i];
	r->record->size = (r->record->size + 7) & ~7u;
	r->record->hook = binding->hook;
	r->record->time_ns = (uint64_t)event->time_ns;
	return grow(r, r->record->size + 8);
}

/* A record of a hook that asks for nothing. */
static int make_empty(struct mb_replay *r, const struct mb_replay_binding *binding, const struct mb_ctf_event *event)
{
	r->record->size = (uint32_t)sizeof(*r->record) + binding->slots * (uint32_t)sizeof(int64_t);
	r->record->hook = binding->hook;
	r->record->time_ns = (uint64_t)event->time_ns;
	return 0;
}

/* --- the loop --- */

/* The first binding of an event class, or binding_count. */
static uint32_t find_binding(const struct mb_replay *r, uint32_t event_class)
{
	uint32_t low = 0, high = r->binding_count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (r->bindings[middle].event_class < event_class)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The same, looked up for the small numbers that most classes have. */
static inline uint32_t first_binding(const struct mb_replay *r, uint32_t event_class)
{
	return event_class < FIRST_CLASSES ? r->first[event_class] : find_binding(r, event_class);
}

static int counts(const struct mb_replay_binding *binding, const int64_t *variables)
{
	return binding->pid_variable == MB_REPLAY_NONE || variables[binding->pid_variable] == binding->pid;
}

static int deliver(struct mb_replay *r, const struct mb_ctf_event *event, const int64_t *variables, uint32_t count)
{
	uint32_t at = first_binding(r, event->event_class);
	int state = MB_RUNNING;

	for (; at < r->binding_count && r->bindings[at].event_class == event->event_class; at++) {
		const struct mb_replay_binding *binding = r->bindings + at;

		if (r->needed[at] > count)
			return -EINVAL;
		if (!counts(binding, variables))
			continue;
		if (binding->count ? make_record(r, binding, event, variables) : make_empty(r, binding, event))
			return -ENOMEM;
		r->records++;
		state = mb_session_dispatch(r->session, r->record);
		if (state != MB_RUNNING)
			break;
	}
	return state;
}

/* When the trace starts. 1, or 0 if it is empty. */
int mb_replay_first(struct mb_replay *r, int64_t *time_ns)
{
	const struct mb_ctf_event *event = mb_ctf_peek(r->cursor);

	if (!event)
		return 0;
	*time_ns = event->time_ns;
	r->now = event->time_ns;
	return 1;
}

/* The timers up to a time, and that time. */
static int come_to(struct mb_replay *r, int64_t time_ns)
{
	r->now = time_ns;
	if ((uint64_t)time_ns < mb_session_next_timer(r->session))
		return MB_RUNNING;
	return mb_session_timers(r->session, (uint64_t)time_ns);
}

/* Events of the first stream while it is the first and they are quick to pass: MB_RUNNING, or as deliver. */
static int replay_run(struct mb_replay *r, uint64_t *left)
{
	struct mb_ctf_cursor *c = r->cursor;
	struct stream *s = c->streams[c->heap[0]];
	const struct mb_ctf_limit limit = mb_ctf_second(c);
	int state = MB_RUNNING;

	while (*left && state == MB_RUNNING && mb_ctf_pass(c, s)) {
		(*left)--;
		r->now = s->next.time_ns;
		if (s->next.time_ns >= c->begin_ns)
			mb_ctf_count_event(s);
		state = deliver(r, &s->next, s->d.variables, UINT32_MAX);
		if (!mb_ctf_go_on(c, s, &limit))
			break;
		if ((uint64_t)s->next.time_ns >= r->timer_ns)
			break;
	}
	return state;
}

/* The next event, whatever it is. */
static int replay_one(struct mb_replay *r, const struct mb_ctf_event *event)
{
	const int fault = mb_ctf_take(r->cursor);
	const int state = fault ? MB_RUNNING : deliver(r, event, mb_ctf_variables(r->cursor, event->stream), UINT32_MAX);

	mb_ctf_taken(r->cursor);
	return state;
}

/*
 * At most `limit` events, timers that are due before each first. 1 if there may be more, 0 at the end of the trace or once
 * the session should stop, -errno.
 */
int mb_replay_run(struct mb_replay *r, uint64_t limit)
{
	while (limit) {
		const struct mb_ctf_event *event = mb_ctf_peek(r->cursor);
		const uint64_t before = limit;
		int state;

		if (!event)
			return 0;
		if (come_to(r, event->time_ns) != MB_RUNNING)
			return 0;
		r->timer_ns = mb_session_next_timer(r->session);
		state = replay_run(r, &limit);
		if (limit == before) {
			limit--;
			state = replay_one(r, event);
		}
		if (state != MB_RUNNING)
			return state < 0 ? state : 0;
	}
	return 1;
}

/* All rows of a batch, in their order, as mb_replay_run does: 1, 0 once the session should stop, -errno. */
int mb_replay_rows(struct mb_replay *r, const struct mb_replay_batch *batch)
{
	int state = MB_RUNNING;

	r->batch = batch;
	for (uint32_t i = 0; i < batch->count && state == MB_RUNNING; i++) {
		const struct mb_replay_row *row = batch->rows + i;
		const struct mb_ctf_event event = { .clock = (uint64_t)row->clock, .time_ns = row->time_ns,
						    .event_class = row->event_class, .cpu = row->cpu };

		if (row->first > batch->variable_count || row->count > batch->variable_count - row->first)
			return -EINVAL;
		state = come_to(r, row->time_ns);
		if (state == MB_RUNNING)
			state = deliver(r, &event, batch->variables + row->first, row->count);
	}
	r->batch = NULL;
	return state < 0 ? state : state == MB_RUNNING;
}

int64_t mb_replay_now(const struct mb_replay *r)
{
	return r->now;
}

uint64_t mb_replay_records(const struct mb_replay *r)
{
	return r->records;
}

/* --- the whole --- */

static int by_class(const void *left, const void *right)
{
	const struct mb_replay_binding *a = left, *b = right;

	if (a->event_class != b->event_class)
		return a->event_class < b->event_class ? -1 : 1;
	return (a->hook > b->hook) - (a->hook < b->hook);
}

/* Without a cursor each row says how many variables it has, and is asked when it comes. */
static int has_variable(const struct mb_ctf_cursor *cursor, uint32_t variable)
{
	return cursor ? mb_ctf_has_variable(cursor, variable) : variable < MAX_VARIABLES;
}

static int holds_text(const struct mb_ctf_cursor *cursor, uint32_t variable)
{
	return cursor ? mb_ctf_holds_text(cursor, variable) : variable < MAX_VARIABLES;
}

/* One more than the last variable that a step or the choice of a process looks at. */
static uint32_t needed_by(const struct mb_replay_binding *binding, const struct mb_replay_step *steps)
{
	uint32_t most = binding->pid_variable == MB_REPLAY_NONE ? 0 : binding->pid_variable + 1;

	for (uint32_t i = 0; i < binding->count; i++) {
		const struct mb_replay_step *step = steps + binding->first + i;
		uint32_t end = step->kind == MB_REPLAY_LONG ? step->a + 1 : step->kind == MB_REPLAY_TEXT ? step->a + 2 : 0;

		if (step->fault != MB_REPLAY_NONE && step->fault >= end)
			end = step->fault + 1;
		if (end > most)
			most = end;
	}
	return most;
}

static int is_flag(const struct mb_ctf_cursor *cursor, const struct mb_replay_step *step)
{
	return step->fault == MB_REPLAY_NONE || (has_variable(cursor, step->fault) && step->fault_bit < 64);
}

/* Whether all that a step reads and writes is there. */
static int is_step(const struct mb_ctf_cursor *cursor, const struct mb_replay_step *step, uint32_t scratch)
{
	if (step->slot >= scratch || !is_flag(cursor, step))
		return 0;
	switch (step->kind) {
	case MB_REPLAY_LONG:
		return has_variable(cursor, step->a);
	case MB_REPLAY_TEXT:
		return step->value >= 0 && holds_text(cursor, step->a);
	case MB_REPLAY_OP:
		return step->a < scratch && step->b < scratch;
	default:
		return step->kind >= MB_REPLAY_LONG && step->kind < MB_REPLAY_OP;
	}
}

static int is_binding(const struct mb_ctf_cursor *cursor, const struct mb_replay_binding *b,
		      const struct mb_replay_step *steps, uint32_t step_count)
{
	if (b->first > step_count || b->count > step_count - b->first || b->slots > b->scratch)
		return 0;
	if (b->scratch > (FIRST_BYTES - sizeof(struct mb_record)) / sizeof(int64_t))
		return 0;
	for (uint32_t i = 0; i < b->count; i++)
		if (!is_step(cursor, steps + b->first + i, b->scratch))
			return 0;
	return b->pid_variable == MB_REPLAY_NONE || has_variable(cursor, b->pid_variable);
}

/* How many slots the widest binding needs; 0 if one of them cannot be run. */
static uint32_t check(const struct mb_ctf_cursor *cursor, const struct mb_replay_binding *bindings, uint32_t count,
		      const struct mb_replay_step *steps, uint32_t step_count)
{
	uint32_t scratch = 1;

	for (uint32_t i = 0; i < count; i++) {
		if (!is_binding(cursor, bindings + i, steps, step_count))
			return 0;
		if (bindings[i].scratch > scratch)
			scratch = bindings[i].scratch;
	}
	return scratch;
}

struct mb_replay *mb_replay_new(struct mb_ctf_cursor *cursor, void *session, const struct mb_replay_binding *bindings,
				uint32_t binding_count, const struct mb_replay_step *steps, uint32_t step_count)
{
	uint32_t scratch = check(cursor, bindings, binding_count, steps, step_count);
	struct mb_replay *r;

	if (!scratch)
		return NULL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->bindings = calloc((size_t)binding_count + 1, sizeof(*bindings));
	r->steps = calloc((size_t)step_count + 1, sizeof(*steps));
	r->needed = calloc((size_t)binding_count + 1, sizeof(*r->needed));
	r->scratch = calloc(scratch, sizeof(int64_t));
	r->record = malloc(FIRST_BYTES);
	r->capacity = FIRST_BYTES;
	if (!r->bindings || !r->steps || !r->needed || !r->scratch || !r->record) {
		mb_replay_free(r);
		return NULL;
	}
	if (binding_count)
		memcpy(r->bindings, bindings, binding_count * sizeof(*bindings));
	if (step_count)
		memcpy(r->steps, steps, step_count * sizeof(*steps));
	qsort(r->bindings, binding_count, sizeof(*bindings), by_class);
	for (uint32_t i = 0; i < binding_count; i++)
		r->needed[i] = needed_by(r->bindings + i, r->steps);
	r->binding_count = binding_count;
	for (uint32_t i = 0; i < FIRST_CLASSES; i++)
		r->first[i] = find_binding(r, i);
	r->cursor = cursor;
	r->session = session;
	return r;
}

void mb_replay_free(struct mb_replay *r)
{
	free(r->bindings);
	free(r->steps);
	free(r->needed);
	free(r->scratch);
	free(r->record);
	free(r);
}
