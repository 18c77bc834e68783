// SPDX-License-Identifier: LGPL-2.1-or-later
/* Payload bytes -> one 64-bit slot per scalar, by a small program per event class. */
#include "ltt.h"

#define MAX_DEPTH 32

static int64_t read_int(const uint8_t *at, uint32_t size, uint32_t big, uint32_t is_signed)
{
	switch (size) {
	case 1:
		return is_signed ? (int64_t)(int8_t)*at : (int64_t)*at;
	case 2:
		return is_signed ? (int64_t)(int16_t)mb_ltt_u16(at, big) : (int64_t)mb_ltt_u16(at, big);
	case 4:
		return is_signed ? (int64_t)(int32_t)mb_ltt_u32(at, big) : (int64_t)mb_ltt_u32(at, big);
	default:
		return (int64_t)mb_ltt_u64(at, big);
	}
}

/* A float widened to the bits of a double. */
static int64_t read_real(const uint8_t *at, uint32_t size, uint32_t big)
{
	uint64_t bits;
	uint32_t narrow;
	double wide;
	float value;

	if (size == 8)
		return (int64_t)mb_ltt_u64(at, big);
	narrow = mb_ltt_u32(at, big);
	memcpy(&value, &narrow, 4);
	wide = (double)value;
	memcpy(&bits, &wide, 8);
	return (int64_t)bits;
}

static inline int put(struct mb_ltt_sink *sink, int64_t value)
{
	if (!sink->slots) {
		sink->count++;
		return 0;
	}
	if (sink->count >= sink->max)
		return -MB_LTT_FULL;
	sink->slots[sink->count++] = value;
	return 0;
}

static inline int64_t text_slot(const struct mb_ltt_sink *sink, uint64_t at, uint64_t length)
{
	return (int64_t)(((uint64_t)(uint32_t)(sink->text_base + at) << 32) | (uint32_t)length);
}

struct walk {
	const uint8_t *payload;
	uint64_t limit;
	uint64_t last;		/* the last integer, which is the length of a sequence */
	uint64_t numbers[4];	/* the first integers, which lengths of blobs refer to */
	uint32_t number_count;
};

static int64_t decode_blob(const struct mb_ltt_op *op, struct walk *walk, uint64_t at, struct mb_ltt_sink *sink)
{
	uint64_t length = walk->numbers[op->count & 3];
	uint64_t first = walk->numbers[0];

	if (op->flags & MB_LTT_NAME)
		length = first == 3 || first == 4 ? length + 1 : 0;
	if (length > walk->limit - at)
		return -MB_LTT_BAD_EVENT;
	if (put(sink, text_slot(sink, at, length && (op->flags & MB_LTT_NAME) ? length - 1 : length)))
		return -MB_LTT_FULL;
	return (int64_t)(at + length);
}

static int64_t run(const struct mb_ltt_op *ops, uint32_t count, struct walk *walk, uint64_t at,
		   struct mb_ltt_sink *sink, uint32_t depth);

static int64_t decode_loop(const struct mb_ltt_op *op, struct walk *walk, uint64_t at, struct mb_ltt_sink *sink,
			   uint32_t depth)
{
	uint64_t times = op->flags & MB_LTT_DYNAMIC ? walk->last : op->count;
	int64_t ret = (int64_t)at;
	uint64_t i;

	/* Every element takes at least one byte or none at all; either way more than this is damage. */
	if (times > walk->limit - at || depth >= MAX_DEPTH)
		return -MB_LTT_BAD_EVENT;
	for (i = 0; i < times && ret >= 0; i++) {
		at = (uint64_t)ret;
		ret = run(op + 1, op->body, walk, at, sink, depth + 1);
		if (ret == (int64_t)at)
			break;	/* elements of no bytes: the others are the same */
	}
	return ret;
}

static int64_t decode_union(const struct mb_ltt_op *op, struct walk *walk, uint64_t at, struct mb_ltt_sink *sink,
			    uint32_t depth)
{
	uint32_t from = 0, to;
	int64_t ret;

	if (op->count > walk->limit - at || depth >= MAX_DEPTH)
		return -MB_LTT_BAD_EVENT;
	while (from < op->body) {
		for (to = from; to < op->body && op[1 + to].kind != MB_LTT_REWIND; to++)
			;
		ret = run(op + 1 + from, to - from, walk, at, sink, depth + 1);
		if (ret < 0)
			return ret;
		from = to + 1;
	}
	return (int64_t)(at + op->count);
}

static int64_t decode_text(struct walk *walk, uint64_t at, struct mb_ltt_sink *sink)
{
	const uint8_t *nul;
	uint64_t length;

	if (at >= walk->limit)
		return -MB_LTT_BAD_EVENT;
	nul = memchr(walk->payload + at, 0, walk->limit - at);
	if (!nul)
		return -MB_LTT_BAD_EVENT;
	length = (uint64_t)(nul - (walk->payload + at));
	if (put(sink, text_slot(sink, at, length)))
		return -MB_LTT_FULL;
	return (int64_t)(at + length + 1);
}

static int64_t decode_scalar(const struct mb_ltt_op *op, struct walk *walk, uint64_t at, struct mb_ltt_sink *sink)
{
	uint32_t big = op->flags & MB_LTT_BIG ? 1 : sink->big;
	int64_t value;

	if (walk->limit < at || op->size > walk->limit - at)
		return -MB_LTT_BAD_EVENT;
	if (op->kind == MB_LTT_REAL) {
		value = read_real(walk->payload + at, op->size, big);
	} else {
		value = read_int(walk->payload + at, op->size, big, op->flags & MB_LTT_SIGNED);
		walk->last = (uint64_t)value;
		if (walk->number_count < 4)
			walk->numbers[walk->number_count++] = (uint64_t)value;
	}
	if (put(sink, value))
		return -MB_LTT_FULL;
	return (int64_t)(at + op->size);
}

static int64_t run(const struct mb_ltt_op *ops, uint32_t count, struct walk *walk, uint64_t at,
		   struct mb_ltt_sink *sink, uint32_t depth)
{
	int64_t ret = (int64_t)at;
	uint32_t i;

	for (i = 0; i < count; i++) {
		const struct mb_ltt_op *op = &ops[i];

		at += mb_ltt_pad(at, op->align);
		if (at > walk->limit)
			return -MB_LTT_BAD_EVENT;
		switch (op->kind) {
		case MB_LTT_INT:
		case MB_LTT_REAL:
			ret = decode_scalar(op, walk, at, sink);
			break;
		case MB_LTT_TEXT:
			ret = decode_text(walk, at, sink);
			break;
		case MB_LTT_LOOP:
			ret = decode_loop(op, walk, at, sink, depth);
			i += op->body;
			break;
		case MB_LTT_UNION:
			ret = decode_union(op, walk, at, sink, depth);
			i += op->body;
			break;
		case MB_LTT_BLOB:
			ret = decode_blob(op, walk, at, sink);
			break;
		default:
			ret = (int64_t)at;
		}
		if (ret < 0)
			return ret;
		at = (uint64_t)ret;
	}
	return (int64_t)at;
}

int64_t mb_ltt_decode(const struct mb_ltt_op *ops, uint32_t count, const uint8_t *payload, uint64_t limit,
		      uint64_t at, struct mb_ltt_sink *sink)
{
	struct walk walk = { .payload = payload, .limit = limit };

	return run(ops, count, &walk, at, sink, 0);
}

static int check_op(const struct mb_ltt_op *op, uint32_t left)
{
	if (!op->align || op->align & (op->align - 1))
		return -1;
	if ((op->kind == MB_LTT_INT || op->kind == MB_LTT_REAL) &&
	    op->size != 1 && op->size != 2 && op->size != 4 && op->size != 8)
		return -1;
	if (op->kind == MB_LTT_REAL && op->size < 4)
		return -1;
	if ((op->kind == MB_LTT_LOOP || op->kind == MB_LTT_UNION) && op->body > left)
		return -1;
	return 0;
}

/* Whether the tables may be run: every reference inside them, every size and alignment sane. */
int mb_ltt_check_classes(const struct mb_ltt_class *classes, uint32_t class_count, const struct mb_ltt_op *ops,
			 uint32_t op_count)
{
	uint32_t i, j;

	for (i = 0; i < class_count; i++) {
		const struct mb_ltt_class *class = &classes[i];

		if (class->first > op_count || class->count > op_count - class->first)
			return -1;
		if (!class->align || class->align & (class->align - 1))
			return -1;
		for (j = 0; j < class->count; j++)
			if (check_op(&ops[class->first + j], class->count - j - 1))
				return -1;
	}
	return 0;
}
