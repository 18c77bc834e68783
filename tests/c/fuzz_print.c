// SPDX-License-Identifier: LGPL-2.1-or-later
/* libFuzzer target: CTF streams with any description, printed by programs that follow its ops, and by any others of numbers. */
#define _GNU_SOURCE
#include "fuzz_ctf_tables.h"
#include "trace/print.h"

#define MOST_SLOTS (1u << 16)
#define EVENTS 64

/* How a value of an op is printed; 0 if it takes no slot. */
static uint8_t kind_of(const struct mb_ctf_op *op, uint8_t choice)
{
	switch (op->kind) {
	case MB_CTF_INT:
	case MB_CTF_LEB:
		return (uint8_t)(MB_LINE_SIGNED + choice % 6);
	case MB_CTF_REAL:
		return MB_LINE_REAL;
	case MB_CTF_TEXT:
	case MB_CTF_BLOB:
	case MB_CTF_BYTES:
		return choice & 1 ? MB_LINE_TEXT : MB_LINE_BYTES;
	case MB_CTF_ARRAY:
	case MB_CTF_SEQUENCE:
		return MB_LINE_ARRAY;
	case MB_CTF_VARIANT:
		return op->flags & MB_CTF_OPTIONAL ? MB_LINE_OPTIONAL : MB_LINE_VARIANT;
	case MB_CTF_OPTION:
		return MB_LINE_OPTION;
	default:
		return MB_LINE_LITERAL;
	}
}

/* An optional field's option is no op of its own here, so its place is a literal of no length. */
static uint32_t follow(struct mb_print_op *to, const struct mb_ctf_op *from, uint32_t count, const uint8_t *choices, uint32_t json)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct mb_ctf_op *op = from + i;

		to[i] = (struct mb_print_op){ .kind = kind_of(op, choices[i & 63]), .bits = (uint8_t)(op->bits & 63), .flags = (uint16_t)json,
					      .count = op->kind == MB_CTF_ARRAY ? op->count : 0, .body = op->body };
		if (op->kind == MB_CTF_SEQUENCE)
			to[i].flags |= MB_LINE_COUNTED;
		if (i && to[i].kind == MB_LINE_OPTION && to[i - 1].kind == MB_LINE_OPTIONAL)
			to[i] = (struct mb_print_op){ .kind = MB_LINE_LITERAL };
	}
	return count;
}

static void add_programs(struct mb_printer *printer, const struct tables *t, const uint8_t *choices, uint32_t json)
{
	struct mb_print_op *ops = calloc((size_t)t->d.op_count * 4 + 8, sizeof(*ops));

	for (uint32_t i = 0; i < t->d.event_class_count; i++) {
		const struct mb_ctf_event_class *class = t->d.event_classes + i;
		const struct mb_ctf_stream_class *stream = t->d.stream_classes + class->stream_class;
		const struct mb_ctf_scope scopes[] = { stream->packet_context, stream->event_context, class->context, class->payload };
		struct mb_print_program program = { .ops = ops, .texts = "text", .text_bytes = 4, .timed = 1 };

		ops[0] = (struct mb_print_op){ .kind = MB_LINE_LITERAL, .length = 4 };
		program.op_count = 1 + follow(ops + 1, t->d.ops + scopes[0].first, scopes[0].count, choices, json);
		program.packet = program.op_count;
		ops[program.op_count++] = (struct mb_print_op){ .kind = MB_LINE_PACKET };
		for (int s = 1; s < 4; s++)
			program.op_count += follow(ops + program.op_count, t->d.ops + scopes[s].first, scopes[s].count, choices, json);
		for (uint8_t kind = MB_LINE_TIME; kind <= MB_LINE_STREAM; kind++)
			ops[program.op_count++] = (struct mb_print_op){ .kind = kind };
		mb_printer_add(printer, i, &program);
	}
	free(ops);
}

static void print_all(struct mb_ctf_cursor *cursor, struct mb_printer *printer, struct mb_printing *printing, int64_t *slots)
{
	struct mb_ctf_event *events = calloc(EVENTS, sizeof(*events));
	struct mb_ctf_note notes[64];
	uint64_t length, lines;

	for (int rounds = 0; rounds < 1000; rounds++) {
		const int64_t got = mb_ctf_next(cursor, events, EVENTS, slots, MOST_SLOTS);
		struct mb_print_source source = { printer, events, slots, MOST_SLOTS, got > 0 ? (uint32_t)got : 0, 0, got <= 0, 0 };
		int32_t code = 0;

		while (code >= 0 ? source.at < source.count : code == MB_LINE_ENOUGH || code == MB_LINE_MISSING) {
			code = mb_print_next(printing, &source, 1);
			if (code == MB_LINE_MISSING)
				mb_print_given(printing, &source, 1, "given", 5);
			mb_printing_text(printing, &length, &lines);
			mb_printing_taken(printing);
		}
		while (mb_ctf_notes(cursor, notes, 64))
			;
		if (got <= 0)
			break;
	}
	free(events);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, data + size };
	uint8_t choices[64];
	struct tables t;
	struct mb_ctf_cursor *cursor;

	for (int i = 0; i < 64; i++)
		choices[i] = (uint8_t)(size > (size_t)i ? data[size - 1 - (size_t)i] : 0);
	t = take_tables(&input);
	cursor = mb_ctf_open(&t.d);
	if (cursor) {
		const uint32_t opened = open_streams(cursor, &t, &input);
		struct mb_printer *printer = mb_printer_new(cursor, t.d.event_class_count, opened);
		struct mb_printing *printing = mb_printing_new(choices[0] & 31, NULL, 0);
		int64_t *slots = calloc(MOST_SLOTS, sizeof(*slots));

		for (uint32_t i = 0; i < opened; i++)
			mb_printer_name(printer, i, "name", 4);
		if (choices[1] & 3)
			add_programs(printer, &t, choices, choices[1] & 4 ? MB_LINE_JSON : 0);
		print_all(cursor, printer, printing, slots);
		free(slots);
		mb_printing_free(printing);
		mb_printer_free(printer);
		mb_ctf_close(cursor);
	}
	free_tables(&t);
	return 0;
}
