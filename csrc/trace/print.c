// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Events of one or several traces as lines, in order of time. bridge/trace/ctf/print_programs.py makes the programs;
 * bridge/trace/ctf/text.py and bridge/json_text.py write the same, event by event.
 */
#include "print.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NS_PER_S 1000000000ull
#define ENOUGH (1u << 20)
#define PACKET_SLOTS 64u
#define MOST_PACKET_SLOTS (1u << 28)
#define MAX_DEPTH 400

struct program {
	struct mb_print_op *ops;
	struct mb_print_label *labels;
	char *texts;
	struct mb_print_program p;
	int is_there;
};

struct named_stream {
	struct mb_page name;
	struct mb_page packet;	/* the context of the packet that was last */
	uint64_t packet_at;
	int has_packet;
};

struct mb_printer {
	struct mb_ctf_cursor *cursor;
	struct program *programs;
	struct named_stream *streams;
	uint32_t class_count;
	uint32_t stream_count;
};

struct mb_printing {
	struct mb_page page;
	struct mb_page kept;
	uint32_t options;
	int32_t *cpus;
	uint32_t cpu_count;
	uint64_t lines;
	uint64_t before;	/* time of the event before, in what is shown */
	int has_before;
	int64_t second;
	uint32_t second_length;
	char second_text[64];
};

/* One event while it is printed. */
struct walk {
	struct mb_printing *printing;
	struct mb_page *page;
	struct named_stream *stream;
	const struct program *program;
	const struct mb_ctf_event *event;
	const int64_t *slot;
	const int64_t *end;
};

#define PUT(page, text) mb_page_put(page, text, sizeof(text) - 1)

/* --- values --- */

static int64_t take(struct walk *w)
{
	return w->slot < w->end ? *w->slot++ : 0;
}

static void put_label(struct walk *w, const struct mb_print_label *label)
{
	mb_page_put(w->page, w->program->texts + label->first, label->length);
}

static uint64_t masked(uint64_t value, uint32_t bits)
{
	return bits && bits < 64 ? value & ((1ull << bits) - 1) : value;
}

static int holds(const struct mb_print_op *op, const struct mb_print_label *label, int64_t value)
{
	if (op->flags & MB_LINE_WHOLE)
		return (uint64_t)label->low <= (uint64_t)value && (uint64_t)value <= (uint64_t)label->high;
	return label->low <= value && value <= label->high;
}

static int is_same(const struct walk *w, const struct mb_print_label *a, const struct mb_print_label *b)
{
	return a->length == b->length && !memcmp(w->program->texts + a->first, w->program->texts + b->first, a->length);
}

/* Whether a label of the same text was chosen before this one. */
static int is_repeated(const struct walk *w, const struct mb_print_op *op, uint32_t at, int64_t value)
{
	const struct mb_print_label *labels = w->program->labels + op->first;

	for (uint32_t i = 0; i < at; i++)
		if (holds(op, labels + i, value) && is_same(w, labels + i, labels + at))
			return 1;
	return 0;
}

static void put_labels(struct walk *w, const struct mb_print_op *op, int64_t value)
{
	const struct mb_print_label *labels = w->program->labels + op->first;
	const uint64_t start = w->page->used;
	uint32_t found = 0;

	for (uint32_t i = 0; i < op->count; i++) {
		if (!holds(op, labels + i, value) || (found && is_repeated(w, op, i, value)))
			continue;
		if (found++)
			PUT(w->page, ", ");
		put_label(w, labels + i);
	}
	if (!found)
		PUT(w->page, "<unknown>");
	if (found > 1 && op->flags & MB_LINE_BRACES && mb_page_room(w->page, 4)) {
		memmove(w->page->text + start + 2, w->page->text + start, w->page->used - start);
		memcpy(w->page->text + start, "{ ", 2);
		w->page->used += 2;
		PUT(w->page, " }");
	}
}

static void put_flags(struct walk *w, const struct mb_print_op *op)
{
	const struct mb_print_label *labels = w->program->labels + op->first, *last = NULL;
	const uint64_t value = (uint64_t)take(w);

	mb_page_hexadecimal(w->page, value);
	for (uint32_t i = 0; i < op->count; i++) {
		const uint64_t low = (uint64_t)labels[i].low, wide = (uint64_t)labels[i].high - low + 1;

		if (low > 63 || !masked(value >> low, wide > 64 ? 64 : (uint32_t)wide) || (last && is_same(w, last, labels + i)))
			continue;
		mb_page_put(w->page, last ? ", " : " { ", last ? 2 : 3);
		last = labels + i;
		put_label(w, last);
	}
	if (last)
		PUT(w->page, " }");
}

static void put_text(struct walk *w, const struct mb_print_op *op)
{
	const uint8_t *text = (const uint8_t *)(uintptr_t)take(w);
	const uint64_t length = (uint64_t)take(w);

	if (op->kind == MB_LINE_TEXT && op->flags & MB_LINE_JSON)
		mb_page_json_text(w->page, text, length);
	else if (op->kind == MB_LINE_TEXT)
		mb_page_text(w->page, text, length);
	else if (op->flags & MB_LINE_JSON)
		mb_page_json_bytes(w->page, text, length);
	else
		mb_page_bytes(w->page, text, length);
}

static void put_real(struct walk *w, const struct mb_print_op *op)
{
	const int64_t raw = take(w);
	double value;

	memcpy(&value, &raw, sizeof(value));
	if (op->flags & MB_LINE_JSON)
		mb_page_json_real(w->page, value);
	else
		mb_page_real(w->page, value);
}

static void put_truth(struct walk *w)
{
	if (take(w))
		PUT(w->page, "true");
	else
		PUT(w->page, "false");
}

static void put_all(struct walk *w, const struct mb_print_op *ops, uint32_t count);

static void put_array(struct walk *w, const struct mb_print_op *op)
{
	const int is_json = op->flags & MB_LINE_JSON;
	const uint64_t count = op->flags & MB_LINE_COUNTED ? (uint64_t)take(w) : op->count;

	PUT(w->page, "[");
	for (uint64_t i = 0; i < count && !w->page->failed; i++) {
		if (is_json) {
			mb_page_put(w->page, ", ", i ? 2 : 0);
		} else {
			mb_page_put(w->page, i ? ", [" : " [", i ? 3 : 2);
			mb_page_unsigned(w->page, i);
			PUT(w->page, "] = ");
		}
		put_all(w, op + 1, op->body);
	}
	if (!is_json)
		PUT(w->page, " ");
	PUT(w->page, "]");
}

static void put_variant(struct walk *w, const struct mb_print_op *op)
{
	const struct mb_print_op *option = op + 1;
	const uint64_t chosen = (uint64_t)take(w);

	for (uint64_t i = 0; option <= op + op->body; i++) {
		if (i == chosen) {
			put_all(w, option + 1, option->body);
			return;
		}
		option += 1 + option->body;
	}
}

static void put_optional(struct walk *w, const struct mb_print_op *op)
{
	if (take(w))
		put_all(w, op + 1, op->body);
	else if (op->flags & MB_LINE_JSON)
		PUT(w->page, "null");
	else
		PUT(w->page, "<none>");
}

static void hide(struct walk *w, const struct mb_print_op *op)
{
	const uint64_t used = w->page->used;

	put_all(w, op + 1, op->body);
	if (!w->page->failed)
		w->page->used = used;
}

static void put_later(struct walk *w, const struct mb_print_op *op)
{
	struct mb_page *page = w->page;

	w->page = &w->printing->kept;
	w->page->used = 0;
	put_all(w, op + 1, op->body);
	page->failed |= w->page->failed;
	w->page = page;
}

static void put_page(struct walk *w, const struct mb_page *other)
{
	mb_page_put(w->page, other->text, other->used);
}

static void put_number(struct walk *w, const struct mb_print_op *op)
{
	const int64_t value = take(w);

	switch (op->kind) {
	case MB_LINE_SIGNED:
		mb_page_signed(w->page, value);
		break;
	case MB_LINE_UNSIGNED:
		mb_page_unsigned(w->page, (uint64_t)value);
		break;
	case MB_LINE_HEXADECIMAL:
		mb_page_hexadecimal(w->page, masked((uint64_t)value, op->bits));
		break;
	case MB_LINE_OCTAL:
		mb_page_octal(w->page, masked((uint64_t)value, op->bits));
		break;
	default:
		mb_page_binary(w->page, masked((uint64_t)value, op->bits), op->bits);
	}
}

static void put_enumeration(struct walk *w, const struct mb_print_op *op)
{
	PUT(w->page, "( ");
	put_labels(w, op, w->slot < w->end ? *w->slot : 0);
	PUT(w->page, " : container = ");
	put_all(w, op + 1, op->body);
	PUT(w->page, " )");
}

/* What the event itself has. */
static void put_of_event(struct walk *w, const struct mb_print_op *op)
{
	switch (op->kind) {
	case MB_LINE_KEPT:
		put_page(w, &w->printing->kept);
		break;
	case MB_LINE_PACKET:
		put_page(w, &w->stream->packet);
		break;
	case MB_LINE_TIME:
		mb_page_signed(w->page, w->event->time_ns);
		break;
	case MB_LINE_CLOCK:
		mb_page_signed(w->page, (int64_t)w->event->clock);
		break;
	case MB_LINE_CPU:
		mb_page_signed(w->page, w->event->cpu);
		break;
	default:
		put_page(w, &w->stream->name);
	}
}

static void put_nested(struct walk *w, const struct mb_print_op *op)
{
	switch (op->kind) {
	case MB_LINE_ENUMERATION:
		put_enumeration(w, op);
		break;
	case MB_LINE_ARRAY:
		put_array(w, op);
		break;
	case MB_LINE_VARIANT:
		put_variant(w, op);
		break;
	case MB_LINE_OPTIONAL:
		put_optional(w, op);
		break;
	case MB_LINE_HIDE:
		hide(w, op);
		break;
	case MB_LINE_LATER:
		put_later(w, op);
		break;
	default:
		put_of_event(w, op);
	}
}

static void put_all(struct walk *w, const struct mb_print_op *ops, uint32_t count)
{
	const struct mb_print_op *end = ops + count;

	for (const struct mb_print_op *op = ops; op < end; op += 1 + op->body) {
		switch (op->kind) {
		case MB_LINE_LITERAL:
			mb_page_put(w->page, w->program->texts + op->first, op->length);
			break;
		case MB_LINE_SIGNED:
		case MB_LINE_UNSIGNED:
		case MB_LINE_HEXADECIMAL:
		case MB_LINE_OCTAL:
		case MB_LINE_BINARY:
			put_number(w, op);
			break;
		case MB_LINE_REAL:
			put_real(w, op);
			break;
		case MB_LINE_TEXT:
		case MB_LINE_BYTES:
			put_text(w, op);
			break;
		case MB_LINE_TRUTH:
			put_truth(w);
			break;
		case MB_LINE_FLAGS:
			put_flags(w, op);
			break;
		default:
			put_nested(w, op);
		}
	}
}

/* --- time --- */

static void put_second(struct mb_printing *p, int64_t second)
{
	time_t moment = (time_t)second;
	struct tm broken;

	if (second != p->second || !p->second_length) {
		memset(&broken, 0, sizeof(broken));
		if (p->options & MB_LINE_UTC)
			gmtime_r(&moment, &broken);
		else
			localtime_r(&moment, &broken);
		p->second = second;
		p->second_length = (uint32_t)strftime(p->second_text, sizeof(p->second_text),
						      p->options & MB_LINE_DATE ? "%Y-%m-%d %H:%M:%S" : "%H:%M:%S", &broken);
	}
	mb_page_put(&p->page, p->second_text, p->second_length);
}

static void put_wall(struct mb_printing *p, int64_t time_ns)
{
	const uint64_t ns = time_ns < 0 ? 0 - (uint64_t)time_ns : (uint64_t)time_ns;

	if (time_ns < 0)
		PUT(&p->page, "-");
	if (time_ns < 0 || p->options & MB_LINE_SECONDS)
		mb_page_unsigned(&p->page, ns / NS_PER_S);
	else
		put_second(p, (int64_t)(ns / NS_PER_S));
	PUT(&p->page, ".");
	mb_page_padded(&p->page, ns % NS_PER_S, 9);
}

static void put_delta(struct mb_printing *p, uint64_t now)
{
	const uint64_t delta = now - p->before;

	if (p->options & MB_LINE_CYCLES) {
		PUT(&p->page, "(+");
		if (p->has_before)
			mb_page_padded(&p->page, delta, 12);
		else
			PUT(&p->page, "????????????");
	} else if (!p->has_before) {
		PUT(&p->page, "(+?.?????????");
	} else {
		PUT(&p->page, "(+");
		mb_page_unsigned(&p->page, delta / NS_PER_S);
		PUT(&p->page, ".");
		mb_page_padded(&p->page, delta % NS_PER_S, 9);
	}
	PUT(&p->page, ") ");
	p->before = now;
	p->has_before = 1;
}

static void put_cycles(struct mb_printing *p, int64_t cycles)
{
	if (cycles < 0)
		PUT(&p->page, "-");
	mb_page_padded(&p->page, cycles < 0 ? 0 - (uint64_t)cycles : (uint64_t)cycles, cycles < 0 ? 19 : 20);
}

static void put_stamp(struct mb_printing *p, const struct mb_ctf_event *event)
{
	PUT(&p->page, "[");
	if (p->options & MB_LINE_CYCLES)
		put_cycles(p, (int64_t)event->clock);
	else
		put_wall(p, event->time_ns);
	PUT(&p->page, "] ");
	if (!(p->options & MB_LINE_NO_DELTA))
		put_delta(p, p->options & MB_LINE_CYCLES ? event->clock : (uint64_t)event->time_ns);
}

/* --- events --- */

/* The slots of a packet's context; NULL without memory. What cannot be read is 0. */
static int64_t *packet_slots(const struct mb_printer *printer, const struct mb_ctf_event *event, uint32_t *count)
{
	for (*count = PACKET_SLOTS;; *count *= 8) {
		int64_t *slots = calloc(*count, sizeof(*slots));

		if (!slots || mb_ctf_packet_context(printer->cursor, event->stream, event->packet, slots, *count) >= 0 ||
		    *count > MOST_PACKET_SLOTS)
			return slots;
		free(slots);
	}
}

static int print_packet(struct mb_printing *p, const struct mb_printer *printer, const struct mb_ctf_event *event)
{
	struct named_stream *stream = printer->streams + event->stream;
	const struct program *program = printer->programs + event->event_class;
	struct walk w = { p, &stream->packet, stream, program, event, NULL, NULL };
	uint32_t count;
	int64_t *slots;

	if (!program->p.packet || (stream->has_packet && stream->packet_at == event->packet))
		return 0;
	slots = packet_slots(printer, event, &count);
	if (!slots)
		return -ENOMEM;
	w.slot = slots;
	w.end = slots + count;
	stream->packet.used = 0;
	put_all(&w, program->ops, program->p.packet);
	free(slots);
	stream->has_packet = 1;
	stream->packet_at = event->packet;
	return stream->packet.failed ? -ENOMEM : 0;
}

static int is_wanted(const struct mb_printing *p, int32_t cpu)
{
	for (uint32_t i = 0; i < p->cpu_count; i++)
		if (p->cpus[i] == cpu)
			return 1;
	return !p->cpu_count;
}

static int32_t print_event(struct mb_printing *p, struct mb_print_source *source)
{
	const struct mb_printer *printer = source->printer;
	const struct mb_ctf_event *event = source->events + source->at;
	struct walk w = { p, &p->page, NULL, NULL, event, NULL, NULL };

	if (event->stream >= printer->stream_count || event->event_class >= printer->class_count ||
	    event->slot > source->slot_count || event->slots > source->slot_count - event->slot)
		return 0;
	w.stream = printer->streams + event->stream;
	w.program = printer->programs + event->event_class;
	w.slot = source->slots + event->slot;
	w.end = w.slot + event->slots;
	source->missing = !w.program->is_there;
	if (source->missing)
		return MB_LINE_MISSING;
	if (print_packet(p, printer, event))
		return MB_LINE_NO_MEMORY;
	if (w.program->p.timed)
		put_stamp(p, event);
	put_all(&w, w.program->ops + w.program->p.packet, w.program->p.op_count - w.program->p.packet);
	PUT(&p->page, "\n");
	p->lines++;
	return p->page.failed ? MB_LINE_NO_MEMORY : 0;
}

/* The source with the earliest event, of the same time the first; -1 if one has to be asked first (*which), or all ended. */
static int32_t earliest(const struct mb_print_source *sources, uint32_t count, int32_t *which)
{
	int32_t found = -1;

	*which = MB_LINE_DONE;
	for (uint32_t i = 0; i < count; i++) {
		const struct mb_print_source *s = sources + i;

		if (s->ended)
			continue;
		if (s->at >= s->count) {
			*which = (int32_t)i;
			return -1;
		}
		if (found < 0 || s->events[s->at].time_ns < sources[found].events[sources[found].at].time_ns)
			found = (int32_t)i;
	}
	return found;
}

/* Prints until a source has no event left: its number; or why it ended. */
int32_t mb_print_next(struct mb_printing *p, struct mb_print_source *sources, uint32_t count)
{
	for (;;) {
		int32_t which, at = earliest(sources, count, &which), ret;

		if (at < 0)
			return which;
		if (p->page.used >= ENOUGH)
			return MB_LINE_ENOUGH;
		if (is_wanted(p, sources[at].events[sources[at].at].cpu)) {
			ret = print_event(p, sources + at);
			if (ret)
				return ret;
		}
		sources[at].at++;
	}
}

/* The next event of a source as a line that was made elsewhere. 0, or MB_LINE_NO_MEMORY. */
int32_t mb_print_given(struct mb_printing *p, struct mb_print_source *source, uint32_t timed, const char *text, uint64_t length)
{
	if (source->at >= source->count)
		return 0;
	if (timed)
		put_stamp(p, source->events + source->at);
	mb_page_put(&p->page, text, length);
	PUT(&p->page, "\n");
	p->lines++;
	source->at++;
	return p->page.failed ? MB_LINE_NO_MEMORY : 0;
}

const char *mb_printing_text(const struct mb_printing *p, uint64_t *length, uint64_t *lines)
{
	*length = p->page.used;
	*lines = p->lines;
	return p->page.text;
}

void mb_printing_taken(struct mb_printing *p)
{
	p->page.used = 0;
	p->lines = 0;
}

/* --- programs --- */

static int has_body(const struct mb_print_op *op)
{
	switch (op->kind) {
	case MB_LINE_ENUMERATION:
	case MB_LINE_ARRAY:
	case MB_LINE_VARIANT:
	case MB_LINE_OPTION:
	case MB_LINE_OPTIONAL:
	case MB_LINE_HIDE:
	case MB_LINE_LATER:
		return 1;
	default:
		return 0;
	}
}

static int fits(const struct mb_print_op *op, const struct mb_print_program *p)
{
	if (op->kind < MB_LINE_LITERAL || op->kind > MB_LINE_STREAM || op->bits > 64 || (op->body && !has_body(op)))
		return 0;
	if (op->kind == MB_LINE_LITERAL)
		return op->first <= p->text_bytes && op->length <= p->text_bytes - op->first;
	if (op->kind == MB_LINE_FLAGS || op->kind == MB_LINE_ENUMERATION)
		return op->first <= p->label_count && op->count <= p->label_count - op->first;
	return 1;
}

static int check_ops(const struct mb_print_op *ops, uint32_t count, const struct mb_print_program *p, int depth)
{
	if (depth > MAX_DEPTH)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i += 1 + ops[i].body) {
		const struct mb_print_op *op = ops + i;

		if (!fits(op, p) || op->body >= count - i || check_ops(op + 1, op->body, p, depth + 1))
			return -EINVAL;
	}
	return 0;
}

static int check_program(const struct mb_print_program *p)
{
	for (uint32_t i = 0; i < p->label_count; i++)
		if (p->labels[i].first > p->text_bytes || p->labels[i].length > p->text_bytes - p->labels[i].first)
			return -EINVAL;
	if (p->packet > p->op_count || check_ops(p->ops, p->packet, p, 0))
		return -EINVAL;
	return check_ops(p->ops + p->packet, p->op_count - p->packet, p, 0);
}

static void *copy(const void *from, size_t count, size_t size)
{
	void *to = calloc(count + 1, size);

	if (to && count)
		memcpy(to, from, count * size);
	return to;
}

static void free_program(struct program *program)
{
	free(program->ops);
	free(program->labels);
	free(program->texts);
	memset(program, 0, sizeof(*program));
}

/* The program of a class. 0, -EINVAL, -ENOMEM. */
int mb_printer_add(struct mb_printer *printer, uint32_t event_class, const struct mb_print_program *program)
{
	struct program *own;

	if (event_class >= printer->class_count || check_program(program))
		return -EINVAL;
	own = printer->programs + event_class;
	free_program(own);
	own->ops = copy(program->ops, program->op_count, sizeof(*program->ops));
	own->labels = copy(program->labels, program->label_count, sizeof(*program->labels));
	own->texts = copy(program->texts, program->text_bytes, 1);
	if (!own->ops || !own->labels || !own->texts) {
		free_program(own);
		return -ENOMEM;
	}
	own->p = *program;
	own->is_there = 1;
	return 0;
}

/* What STREAM prints. */
int mb_printer_name(struct mb_printer *printer, uint32_t stream, const char *name, uint32_t length)
{
	if (stream >= printer->stream_count)
		return -EINVAL;
	printer->streams[stream].name.used = 0;
	mb_page_put(&printer->streams[stream].name, name, length);
	return printer->streams[stream].name.failed ? -ENOMEM : 0;
}

struct mb_printer *mb_printer_new(struct mb_ctf_cursor *cursor, uint32_t class_count, uint32_t stream_count)
{
	struct mb_printer *printer = calloc(1, sizeof(*printer));

	if (!printer)
		return NULL;
	printer->cursor = cursor;
	printer->class_count = class_count;
	printer->stream_count = stream_count;
	printer->programs = calloc((size_t)class_count + 1, sizeof(*printer->programs));
	printer->streams = calloc((size_t)stream_count + 1, sizeof(*printer->streams));
	if (!printer->programs || !printer->streams) {
		mb_printer_free(printer);
		return NULL;
	}
	return printer;
}

void mb_printer_free(struct mb_printer *printer)
{
	for (uint32_t i = 0; printer->programs && i < printer->class_count; i++)
		free_program(printer->programs + i);
	for (uint32_t i = 0; printer->streams && i < printer->stream_count; i++) {
		free(printer->streams[i].name.text);
		free(printer->streams[i].packet.text);
	}
	free(printer->programs);
	free(printer->streams);
	free(printer);
}

/* Only events of these CPUs; of all if there are none. */
struct mb_printing *mb_printing_new(uint32_t options, const int32_t *cpus, uint32_t cpu_count)
{
	struct mb_printing *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->options = options;
	p->cpu_count = cpu_count;
	p->cpus = copy(cpus, cpu_count, sizeof(*cpus));
	if (!p->cpus) {
		free(p);
		return NULL;
	}
	tzset();
	return p;
}

void mb_printing_free(struct mb_printing *p)
{
	free(p->page.text);
	free(p->kept.text);
	free(p->cpus);
	free(p);
}
