// SPDX-License-Identifier: LGPL-2.1-or-later
/* Ops of a description -> quick ways, and the quick ways through the fields of an event. */
#include "ctf_quick.h"

#include <errno.h>
#include <stdlib.h>

#define MOST_OPS 4096
#define MOST_BYTES (1u << 20)

/* --- headers --- */

/* One number at `*bit`; 0 if it is none that is read quickly. */
static int add_number(struct mb_quick_numbers *numbers, const struct mb_ctf_op *op, uint32_t align, uint32_t *bit)
{
	const uint32_t at = *bit + (uint32_t)mb_ctf_pad(*bit, op->align);

	if (op->align > align || (op->roles && op->roles != 1u << MB_CTF_ROLE_ID))
		return 0;
	*bit = at;
	if (op->kind == MB_CTF_ALIGN)
		return 1;
	if (op->kind != MB_CTF_INT || numbers->count == MB_QUICK_NUMBERS || op->flags & ~(MB_CTF_BIG | MB_CTF_CLOCK))
		return 0;
	if ((at & 7) + op->bits > 64 || (op->flags & MB_CTF_BIG && (at | op->bits) & 7))
		return 0;
	numbers->number[numbers->count++] = (struct mb_quick_number){
		at, (uint8_t)op->bits, op->flags, op->roles != 0, op->store
	};
	*bit = at + op->bits;
	return 1;
}

static int add_option(struct mb_quick_header *h, const struct mb_ctf_op *option, const struct mb_ctf_range *ranges, uint32_t bit)
{
	struct mb_quick_numbers *numbers = h->option + h->options;

	if (h->options == MB_QUICK_OPTIONS || option->count != 1)
		return 0;
	numbers->low = (uint64_t)ranges[option->source].low;
	numbers->high = (uint64_t)ranges[option->source].high;
	for (uint32_t i = 1; i <= option->body; i++)
		if (!add_number(numbers, option + i, h->align, &bit))
			return 0;
	numbers->bits = bit;
	h->options++;
	return !(bit & 7);
}

/* The variant at the end of a header, whose tag is a number of the header. */
static int add_variant(struct mb_quick_header *h, const struct mb_ctf_op *op, const struct mb_ctf_range *ranges, uint32_t bit)
{
	uint32_t tag = 0;

	if (op->flags || op->align > 1)
		return 0;
	while (tag < h->common.count && h->common.number[tag].store != (int64_t)op->source)
		tag++;
	if (tag == h->common.count)
		return 0;
	h->tag = tag;
	for (uint32_t at = 1; at <= op->body; at += 1 + op[at].body)
		if (!add_option(h, op + at, ranges, bit))
			return 0;
	return h->options > 0;
}

static uint32_t span_of(const struct mb_quick_header *h)
{
	uint32_t bits = h->common.bits;

	for (uint32_t i = 0; i < h->options; i++)
		if (h->option[i].bits > bits)
			bits = h->option[i].bits;
	return (bits >> 3) + (uint32_t)sizeof(uint64_t);
}

static void set_place(const struct mb_quick_number *n, uint32_t *byte, uint8_t *shift, uint64_t *mask)
{
	*byte = n->bit >> 3;
	*shift = n->bit & 7;
	*mask = UINT64_MAX >> (64 - n->bits);
}

/* What of some numbers a lean header has; 0 if one of them is none of its kind. */
static int add_lean(struct mb_quick_way *way, const struct mb_quick_numbers *numbers, const struct mb_quick_number *tag)
{
	for (uint32_t i = 0; i < numbers->count; i++) {
		const struct mb_quick_number *n = numbers->number + i;

		if (n->flags & MB_CTF_BIG || (n->store >= 0 && n != tag) || !n->bits)
			return 0;
		if (n->is_id)
			set_place(n, &way->id_byte, &way->id_shift, &way->id_mask);
		if (n->flags & MB_CTF_CLOCK) {
			if (way->clock_mask)
				return 0;
			set_place(n, &way->clock_byte, &way->clock_shift, &way->clock_mask);
		}
	}
	way->bytes = numbers->bits >> 3;
	return !(numbers->bits & 7);
}

static void compile_lean(struct mb_quick_header *h)
{
	const struct mb_quick_number *tag = h->options ? h->common.number + h->tag : NULL;
	struct mb_quick_lean *lean = &h->lean;
	const uint32_t ways = h->options ? h->options : 1;

	if (!h->usable || h->align < 8)
		return;
	lean->mask = (h->align >> 3) - 1;
	lean->tag_store = tag ? tag->store : -1;
	if (tag)
		set_place(tag, &lean->tag_byte, &lean->tag_shift, &lean->tag_mask);
	for (uint32_t i = 0; i < ways; i++) {
		struct mb_quick_way *way = lean->way + i;
		struct mb_quick_numbers common = h->common;

		common.bits = 0;	/* where a header with options ends, they say */
		if (!add_lean(way, tag ? &common : &h->common, tag ? common.number + h->tag : NULL))
			return;
		if (tag && !add_lean(way, h->option + i, NULL))
			return;
		if (!way->id_mask)
			return;
		way->low = tag ? h->option[i].low : 0;
		way->high = tag ? h->option[i].high : 0;
	}
	lean->ways = ways;
}

void mb_quick_compile_header(struct mb_quick_header *h, const struct mb_ctf_op *ops, uint32_t count,
			     const struct mb_ctf_range *ranges)
{
	uint32_t bit = 0, i = 0;

	memset(h, 0, sizeof(*h));
	if (!count)
		return;
	h->align = ops->align;
	while (i < count && ops[i].kind != MB_CTF_VARIANT) {
		if (!add_number(&h->common, ops + i, h->align, &bit))
			return;
		i++;
	}
	h->common.bits = bit;
	if (i < count && (i + 1 + ops[i].body != count || !add_variant(h, ops + i, ranges, bit)))
		return;
	h->span = span_of(h);
	h->usable = h->options || (!(bit & 7) && bit);
	compile_lean(h);
}

/* --- event classes --- */

static uint8_t number_kind(const struct mb_ctf_op *op)
{
	const int big = op->flags & MB_CTF_BIG, is_signed = op->flags & MB_CTF_SIGNED;

	if (op->kind == MB_CTF_REAL && op->bits == 32)
		return big ? 0 : MB_QUICK_F32;
	switch (op->bits) {
	case 8:
		return is_signed ? MB_QUICK_S8 : MB_QUICK_U8;
	case 16:
		return big ? is_signed ? 0 : MB_QUICK_B16 : is_signed ? MB_QUICK_S16 : MB_QUICK_U16;
	case 32:
		return big ? is_signed ? 0 : MB_QUICK_B32 : is_signed ? MB_QUICK_S32 : MB_QUICK_U32;
	case 64:
		return big ? MB_QUICK_B64 : MB_QUICK_64;
	default:
		return 0;
	}
}

/* A number of whole bytes that nobody else looks at; 0 if it is not. */
static uint8_t plain_kind(const struct mb_ctf_op *op)
{
	if ((op->kind != MB_CTF_INT && op->kind != MB_CTF_REAL) || op->roles || (op->align > 1 && op->align < 8))
		return 0;
	if (op->flags & ~(MB_CTF_SIGNED | MB_CTF_BIG))
		return 0;
	return number_kind(op);
}

static uint32_t mask_of(const struct mb_ctf_op *op)
{
	return op->align > 8 ? (op->align >> 3) - 1 : 0;
}

/* What a loop without padding between its elements does. */
static int compile_loop(struct mb_quick_op *to, const struct mb_ctf_op *op)
{
	const struct mb_ctf_op *element = op + 1;

	if (op->body != 1 || op->roles || element->store >= 0 || !plain_kind(element) || element->bits % element->align)
		return 0;
	to->kind = op->kind == MB_CTF_ARRAY ? MB_QUICK_ARRAY : MB_QUICK_SEQUENCE;
	to->element = plain_kind(element);
	to->bytes = (uint8_t)(element->bits >> 3);
	to->size = op->count;
	return op->align >= element->align && op->count <= MOST_BYTES / 8;
}

/* One op; 0 if it is none that is read quickly. */
static int compile_one(struct mb_quick_op *to, const struct mb_ctf_op *op)
{
	*to = (struct mb_quick_op){ .flags = op->flags, .mask = mask_of(op), .source = op->source, .store = op->store };
	if (op->roles || (op->align > 1 && op->align < 8))
		return 0;
	switch (op->kind) {
	case MB_CTF_INT:
	case MB_CTF_REAL:
		to->kind = plain_kind(op);
		to->bytes = (uint8_t)(op->bits >> 3);
		to->need = to->bytes;
		return to->kind && (op->kind == MB_CTF_INT || op->store < 0);
	case MB_CTF_TEXT:
		to->kind = MB_QUICK_TEXT;
		return !op->bits || op->bits == 8;
	case MB_CTF_BLOB:
		to->kind = MB_QUICK_BLOB;
		to->size = to->need = op->count;
		return op->count <= MOST_BYTES;
	case MB_CTF_BYTES:
		to->kind = MB_QUICK_BYTES;
		return 1;
	case MB_CTF_ARRAY:
	case MB_CTF_SEQUENCE:
		return compile_loop(to, op);
	case MB_CTF_ALIGN:
		to->kind = MB_QUICK_SKIP;
		return 1;
	default:
		return 0;
	}
}

static int is_number(const struct mb_quick_op *op)
{
	return op->kind < MB_QUICK_SKIP;
}

/* The slots that an op takes; a sequence at least one. */
static uint32_t slots_of(const struct mb_quick_op *op)
{
	switch (op->kind) {
	case MB_QUICK_SKIP:
		return 0;
	case MB_QUICK_ARRAY:
		return op->size;
	case MB_QUICK_TEXT:
	case MB_QUICK_BLOB:
	case MB_QUICK_BYTES:
		return 2;
	default:
		return 1;
	}
}

/* Lengths must be read anew with each event, so that giving up leaves nothing that the decoder would not have found. */
static int stores_before(const struct mb_quick_op *ops, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (ops[i].kind != MB_QUICK_SEQUENCE && ops[i].kind != MB_QUICK_BYTES)
			continue;
		for (uint32_t k = i; k < count; k++)
			if (ops[k].store == (int64_t)ops[i].source ||
			    (!is_number(ops + k) && ops[k].store >= 0 && ops[k].store + 1 == (int64_t)ops[i].source))
				return 0;
	}
	return 1;
}

/* Bytes of the same size follow each other: their room is checked once. */
static void join_needs(struct mb_quick_op *ops, uint32_t count)
{
	struct mb_quick_op *first = NULL;

	for (uint32_t i = 0; i < count; i++) {
		const int fixed = is_number(ops + i) || ops[i].kind == MB_QUICK_SKIP || ops[i].kind == MB_QUICK_BLOB;

		if (fixed && !ops[i].mask && first && first->need < MOST_BYTES) {
			first->need += ops[i].need;
			ops[i].need = 0;
		} else {
			first = fixed ? ops + i : NULL;
		}
	}
}

/* What nobody asks for becomes one stretch. */
static uint32_t make_skips(struct mb_quick_op *to, const struct mb_quick_op *from, uint32_t count)
{
	uint32_t made = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct mb_quick_op op = from[i];

		if (op.store < 0 && (is_number(&op) || op.kind == MB_QUICK_BLOB)) {
			op.size = op.need;
			op.kind = MB_QUICK_SKIP;
		} else if (op.store < 0 && op.kind == MB_QUICK_ARRAY) {
			op.size = op.need = op.size * op.bytes;
			op.kind = MB_QUICK_SKIP;
		} else if (op.kind == MB_QUICK_SEQUENCE) {
			op.kind = MB_QUICK_SEQUENCE_SKIP;
		}
		if (op.kind == MB_QUICK_SKIP && !op.size && !op.mask)
			continue;
		if (op.kind == MB_QUICK_SKIP && !op.mask && made && to[made - 1].kind == MB_QUICK_SKIP &&
		    to[made - 1].size < MOST_BYTES) {
			to[made - 1].size += op.size;
			to[made - 1].need += op.need;
			continue;
		}
		to[made++] = op;
	}
	return made;
}

static uint32_t drop_nothing(struct mb_quick_op *ops, uint32_t count)
{
	uint32_t made = 0;

	for (uint32_t i = 0; i < count; i++)
		if (ops[i].kind != MB_QUICK_SKIP || ops[i].mask)
			ops[made++] = ops[i];
	return made;
}

static uint32_t fixed_bytes(const struct mb_quick_class *class)
{
	if (!class->skip_count)
		return 0;
	return class->skip_count == 1 && class->skips->kind == MB_QUICK_SKIP && !class->skips->mask ?
		class->skips->size : MB_CTF_NONE;
}

static int compile_scopes(struct mb_quick_class *class, const struct mb_ctf_op *ops, const struct mb_ctf_scope *scopes, uint32_t count)
{
	uint32_t made = 0;

	for (uint32_t s = 0; s < count; s++)
		for (uint32_t i = 0; i < scopes[s].count;) {
			const struct mb_ctf_op *op = ops + scopes[s].first + i;
			struct mb_quick_op *to = class->values + made;

			if (!made && !class->align)
				class->align = op->align;
			if (!compile_one(to, op) || class->slots > MOST_BYTES)
				return 0;
			class->slots += slots_of(to);
			made++;
			i += 1 + op->body;
		}
	class->value_count = made;
	return stores_before(class->values, made);
}

int mb_quick_compile(struct mb_quick_class *class, const struct mb_ctf_op *ops, const struct mb_ctf_scope *scopes, uint32_t count)
{
	uint64_t all = 0;

	class->state = -1;
	for (uint32_t s = 0; s < count; s++)
		all += scopes[s].count;
	if (all > MOST_OPS)
		return 0;
	class->values = calloc(all + 1, sizeof(*class->values));
	class->skips = calloc(all + 1, sizeof(*class->skips));
	if (!class->values || !class->skips)
		return -ENOMEM;
	if (!compile_scopes(class, ops, scopes, count))
		return 0;
	if (!class->align)
		class->align = 1;
	class->skip_count = make_skips(class->skips, class->values, class->value_count);
	class->value_count = drop_nothing(class->values, class->value_count);
	join_needs(class->values, class->value_count);
	join_needs(class->skips, class->skip_count);
	class->fixed = fixed_bytes(class);
	class->mask = class->align > 8 ? (class->align >> 3) - 1 : 0;
	class->state = 1;
	return 0;
}

void mb_quick_free(struct mb_quick_class *class)
{
	free(class->values);
	free(class->skips);
}

/* --- events --- */

static inline uint64_t number_at(const uint8_t *at, uint8_t kind)
{
	uint64_t u64;
	uint32_t u32;
	uint16_t u16;
	float narrow;
	double wide;

	switch (kind) {
	case MB_QUICK_U8:
		return *at;
	case MB_QUICK_S8:
		return (uint64_t)(int64_t)(int8_t)*at;
	case MB_QUICK_U16:
		memcpy(&u16, at, sizeof(u16));
		return u16;
	case MB_QUICK_S16:
		memcpy(&u16, at, sizeof(u16));
		return (uint64_t)(int64_t)(int16_t)u16;
	case MB_QUICK_B16:
		memcpy(&u16, at, sizeof(u16));
		return __builtin_bswap16(u16);
	case MB_QUICK_U32:
		memcpy(&u32, at, sizeof(u32));
		return u32;
	case MB_QUICK_S32:
		memcpy(&u32, at, sizeof(u32));
		return (uint64_t)(int64_t)(int32_t)u32;
	case MB_QUICK_B32:
		memcpy(&u32, at, sizeof(u32));
		return __builtin_bswap32(u32);
	case MB_QUICK_F32:
		memcpy(&narrow, at, sizeof(narrow));
		wide = narrow;
		memcpy(&u64, &wide, sizeof(u64));
		return u64;
	case MB_QUICK_B64:
		memcpy(&u64, at, sizeof(u64));
		return __builtin_bswap64(u64);
	default:
		memcpy(&u64, at, sizeof(u64));
		return u64;
	}
}

/* The length of text without the NULs at its end. */
static uint64_t without_padding(const uint8_t *text, uint64_t length)
{
	while (length >= 8) {
		const uint64_t last = mb_quick_load(text + length - 8);

		if (last)	/* machines are little-endian: the last byte is the highest */
			return length - ((uint64_t)__builtin_clzll(last) >> 3);
		length -= 8;
	}
	while (length && !text[length - 1])
		length--;
	return length;
}

static inline void put_text(struct mb_ctf_decoder *d, const struct mb_quick_op *op, const uint8_t *text, uint64_t length, int64_t **slot)
{
	if (op->store >= 0) {
		d->variables[op->store] = (int64_t)(uintptr_t)text;
		d->variables[op->store + 1] = (int64_t)strnlen((const char *)text, length);
	}
	if (*slot) {
		(*slot)[0] = (int64_t)(uintptr_t)text;
		(*slot)[1] = (int64_t)length;
		*slot += 2;
	}
}

#define ELEMENTS(KIND)                                                   \
	case KIND:                                                       \
		for (uint64_t i = 0; i < count; i++)                     \
			slot[i] = (int64_t)number_at(at + i * bytes, KIND); \
		break

static void put_elements(int64_t *slot, const uint8_t *at, uint64_t count, uint32_t bytes, uint8_t kind)
{
	switch (kind) {
	ELEMENTS(MB_QUICK_U8);
	ELEMENTS(MB_QUICK_S8);
	ELEMENTS(MB_QUICK_U16);
	ELEMENTS(MB_QUICK_S16);
	ELEMENTS(MB_QUICK_U32);
	ELEMENTS(MB_QUICK_S32);
	ELEMENTS(MB_QUICK_F32);
	ELEMENTS(MB_QUICK_B16);
	ELEMENTS(MB_QUICK_B32);
	ELEMENTS(MB_QUICK_B64);
	default:
		memcpy(slot, at, count * sizeof(*slot));
	}
}

/* Where the bytes behind an op are, or NULL if there are none or the decoder must do it. */
static inline __attribute__((always_inline)) const uint8_t *
run_text(struct mb_ctf_decoder *d, const struct mb_quick_op *op, const uint8_t *at, uint64_t left, int64_t **slot)
{
	uint64_t length;
	const uint8_t *nul;

	switch (op->kind) {
	case MB_QUICK_TEXT:
		nul = mb_quick_end_of_text(at, left);
		if (!nul)
			return NULL;
		put_text(d, op, at, (uint64_t)(nul - at), slot);
		return nul + 1;
	case MB_QUICK_BLOB:
		length = op->flags & MB_CTF_KEEP ? op->size : without_padding(at, op->size);
		put_text(d, op, at, length, slot);
		return at + op->size;
	default:
		length = (uint64_t)d->variables[op->source];
		if (length > left)
			return NULL;
		put_text(d, op, at, length, slot);
		return at + length;
	}
}

#define NUMBER(KIND)                                                          \
	case KIND: {                                                          \
		const int64_t value = (int64_t)number_at(at, KIND);           \
									      \
		if (op->store >= 0)                                           \
			d->variables[op->store] = value;                      \
		if (wanted)                                                   \
			*slot++ = value;                                      \
		at += op->bytes;                                              \
		break;                                                        \
	}

static inline __attribute__((always_inline)) int
run(struct mb_ctf_decoder *d, const struct mb_quick_class *class, const struct mb_quick_op *op, const struct mb_quick_op *last, int wanted)
{
	const uint64_t bit = d->bit + mb_ctf_pad(d->bit, class->align);
	const uint8_t *at = d->bytes + (bit >> 3), *end = d->bytes + (d->end >> 3);
	int64_t *slot = wanted ? d->slot : NULL;

	if (bit & 7 || at > end || (wanted && (uint64_t)(d->slot_end - slot) < class->slots))
		return 0;
	for (; op < last; op++) {
		uint64_t left, length;

		at += (uint64_t)(0 - (uint64_t)(at - d->bytes)) & op->mask;
		left = (uint64_t)(end - at);
		if (at > end || op->need > left)
			return 0;
		switch (op->kind) {
		case MB_QUICK_SKIP:
			at += op->size;
			break;
		case MB_QUICK_TEXT:
		case MB_QUICK_BLOB:
		case MB_QUICK_BYTES:
			at = run_text(d, op, at, left, &slot);
			if (!at)
				return 0;
			break;
		case MB_QUICK_ARRAY:
		case MB_QUICK_SEQUENCE:
		case MB_QUICK_SEQUENCE_SKIP:
			length = op->kind == MB_QUICK_ARRAY ? op->size : (uint64_t)d->variables[op->source];
			if (length > left / op->bytes)
				return 0;
			if (wanted) {
				if ((uint64_t)(d->slot_end - slot) < length + class->slots)
					return 0;
				if (op->kind == MB_QUICK_SEQUENCE)
					*slot++ = (int64_t)length;
				put_elements(slot, at, length, op->bytes, op->element);
				slot += length;
			}
			at += length * op->bytes;
			break;
		NUMBER(MB_QUICK_U8);
		NUMBER(MB_QUICK_S8);
		NUMBER(MB_QUICK_U16);
		NUMBER(MB_QUICK_S16);
		NUMBER(MB_QUICK_U32);
		NUMBER(MB_QUICK_S32);
		NUMBER(MB_QUICK_64);
		NUMBER(MB_QUICK_F32);
		NUMBER(MB_QUICK_B16);
		NUMBER(MB_QUICK_B32);
		NUMBER(MB_QUICK_B64);
		}
	}
	d->bit = (uint64_t)(at - d->bytes) << 3;
	if (wanted)
		d->slot = slot;
	return 1;
}

int mb_quick_values(struct mb_ctf_decoder *d, const struct mb_quick_class *class)
{
	return run(d, class, class->values, class->values + class->value_count, 1);
}

int mb_quick_skip(struct mb_ctf_decoder *d, const struct mb_quick_class *class)
{
	return run(d, class, class->skips, class->skips + class->skip_count, 0);
}
