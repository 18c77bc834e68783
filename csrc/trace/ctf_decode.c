// SPDX-License-Identifier: LGPL-2.1-or-later
/* Bits of a scope into slots and variables, by the ops of its description. */
#include "ctf_read.h"

/* Elements of no bits cost time, and nothing in the file pays for it: so many ops of theirs a packet, and some more for each bit. */
#define IDLE_OPS 1024
#define IDLE_OPS_PER_BIT 8

static int emit(struct mb_ctf_decoder *d, int64_t value)
{
	if (!d->slot)
		return 0;
	if (d->slot >= d->slot_end)
		return -MB_CTF_FULL;
	*d->slot++ = value;
	return 0;
}

static int align(struct mb_ctf_decoder *d, uint32_t bits)
{
	d->bit += mb_ctf_pad(d->bit, bits);
	return d->bit > d->end ? -MB_CTF_BAD_EVENT : 0;
}

/* Little-endian numbers fill a byte from its lowest bit, big-endian ones from its highest. */
static uint64_t odd_bits(const struct mb_ctf_decoder *d, uint32_t bits, int big)
{
	uint64_t value = 0, at = d->bit;

	for (uint32_t done = 0; done < bits;) {
		uint32_t within = (uint32_t)(at & 7), n = 8 - within;
		uint64_t byte = d->bytes[at >> 3];

		if (n > bits - done)
			n = bits - done;
		if (big)
			value = value << n | (byte >> (8 - within - n) & ((1u << n) - 1));
		else
			value |= (byte >> within & ((1u << n) - 1)) << done;
		done += n;
		at += n;
	}
	return value;
}

static uint64_t whole_bytes(const uint8_t *at, uint32_t bits, int big)
{
	uint64_t u64;
	uint32_t u32;
	uint16_t u16;

	switch (bits) {
	case 8:
		return *at;
	case 16:
		memcpy(&u16, at, sizeof(u16));
		return big ? __builtin_bswap16(u16) : u16;
	case 32:
		memcpy(&u32, at, sizeof(u32));
		return big ? __builtin_bswap32(u32) : u32;
	default:
		memcpy(&u64, at, sizeof(u64));
		return big ? __builtin_bswap64(u64) : u64;
	}
}

static int is_simple(uint32_t bits)
{
	return bits == 8 || bits == 16 || bits == 32 || bits == 64;
}

static int number(struct mb_ctf_decoder *d, uint32_t bits, int big, uint64_t *value)
{
	if (bits > d->end - d->bit)
		return -MB_CTF_BAD_EVENT;
	if (!(d->bit & 7) && is_simple(bits))
		*value = whole_bytes(d->bytes + (d->bit >> 3), bits, big);
	else
		*value = odd_bits(d, bits, big);
	d->bit += bits;
	return 0;
}

/* A narrow time stamp holds the low bits; if they went back, the high ones counted on once. */
static void tick(struct mb_ctf_decoder *d, uint64_t value, uint32_t bits)
{
	uint64_t mask;

	if (bits == 64) {
		d->clock = value;
		return;
	}
	mask = (1ull << bits) - 1;
	if (value < (d->clock & mask))
		d->clock += mask + 1;
	d->clock = (d->clock & ~mask) | value;
}

static int get_int(struct mb_ctf_decoder *d, const struct mb_ctf_op *op)
{
	uint64_t value;
	int ret = number(d, op->bits, op->flags & MB_CTF_BIG, &value);

	if (ret)
		return ret;
	if (op->flags & MB_CTF_CLOCK)
		tick(d, value, op->bits);
	if (op->flags & MB_CTF_SIGNED && op->bits < 64)
		value = (uint64_t)((int64_t)(value << (64 - op->bits)) >> (64 - op->bits));
	if (op->store >= 0)
		d->variables[op->store] = (int64_t)value;
	if (op->role) {
		d->roles[op->role] = value;
		d->seen |= 1u << op->role;
	}
	return emit(d, (int64_t)value);
}

static int get_real(struct mb_ctf_decoder *d, const struct mb_ctf_op *op)
{
	uint64_t raw;
	uint32_t narrow_bits;
	float narrow;
	double value;
	int ret = number(d, op->bits, op->flags & MB_CTF_BIG, &raw);

	if (ret)
		return ret;
	if (op->bits == 32) {
		narrow_bits = (uint32_t)raw;
		memcpy(&narrow, &narrow_bits, sizeof(narrow));
		value = narrow;
		memcpy(&raw, &value, sizeof(raw));
	}
	return emit(d, (int64_t)raw);
}

/* All bytes, but what a script sees of them (the variable) ends at the first NUL. */
static int give_text(struct mb_ctf_decoder *d, const struct mb_ctf_op *op, const uint8_t *text, uint64_t length)
{
	int ret;

	if (op->store >= 0) {
		d->variables[op->store] = (int64_t)(uintptr_t)text;
		d->variables[op->store + 1] = (int64_t)strnlen((const char *)text, length);
	}
	ret = emit(d, (int64_t)(uintptr_t)text);
	return ret ? ret : emit(d, (int64_t)length);
}

/* The NULs at the end of an array of characters are padding; a sequence has the length that its field tells. */
static int get_text(struct mb_ctf_decoder *d, const struct mb_ctf_op *op)
{
	uint64_t left = (d->end - d->bit) >> 3, size, length;
	const uint8_t *text = d->bytes + (d->bit >> 3), *nul;

	if (op->kind == MB_CTF_TEXT) {
		nul = memchr(text, 0, left);
		if (!nul)
			return -MB_CTF_BAD_EVENT;
		length = (uint64_t)(nul - text);
		size = length + 1;
	} else {
		size = op->kind == MB_CTF_BLOB ? op->count : (uint64_t)d->variables[op->source];
		if (size > left)
			return -MB_CTF_BAD_EVENT;
		length = size;
		while (op->kind == MB_CTF_BLOB && length && !text[length - 1])
			length--;
	}
	d->bit += size << 3;
	return give_text(d, op, text, length);
}

static int is_idle_for_too_long(struct mb_ctf_decoder *d, const struct mb_ctf_op *loop)
{
	d->idle += 1 + (uint64_t)loop->body;
	return d->idle > IDLE_OPS + IDLE_OPS_PER_BIT * d->bit;
}

static int get_loop(struct mb_ctf_decoder *d, const struct mb_ctf_op *op)
{
	uint64_t length = op->count;
	int ret = 0;

	if (op->role == MB_CTF_ROLE_UUID) {
		d->roles[op->role] = d->bit;
		d->seen |= 1u << op->role;
	}
	if (op->kind == MB_CTF_SEQUENCE) {
		length = (uint64_t)d->variables[op->source];
		ret = emit(d, (int64_t)length);
	}
	for (uint64_t i = 0; !ret && i < length; i++) {
		const uint64_t before = d->bit;

		ret = mb_ctf_decode(d, op + 1, op->body);
		if (d->bit == before && is_idle_for_too_long(d, op))
			return -MB_CTF_BAD_EVENT;
	}
	return ret;
}

static int get_variant(struct mb_ctf_decoder *d, const struct mb_ctf_op *op)
{
	const struct mb_ctf_op *option;
	uint32_t index = 0;
	int ret;

	option = mb_ctf_select(op, d->ranges, d->variables[op->source], &index);
	if (!option)
		return -MB_CTF_BAD_TAG;
	ret = emit(d, index);
	return ret ? ret : mb_ctf_decode(d, option + 1, option->body);
}

static int get_one(struct mb_ctf_decoder *d, const struct mb_ctf_op *op)
{
	switch (op->kind) {
	case MB_CTF_INT:
		return get_int(d, op);
	case MB_CTF_REAL:
		return get_real(d, op);
	case MB_CTF_TEXT:
	case MB_CTF_BLOB:
	case MB_CTF_BYTES:
		return get_text(d, op);
	case MB_CTF_ARRAY:
	case MB_CTF_SEQUENCE:
		return get_loop(d, op);
	case MB_CTF_VARIANT:
		return get_variant(d, op);
	default:
		return 0;
	}
}

int mb_ctf_decode(struct mb_ctf_decoder *d, const struct mb_ctf_op *ops, uint32_t count)
{
	const struct mb_ctf_op *end = ops + count;

	for (const struct mb_ctf_op *op = ops; op < end; op += 1 + op->body) {
		int ret = align(d, op->align);

		if (!ret)
			ret = get_one(d, op);
		if (ret)
			return ret;
	}
	return 0;
}
