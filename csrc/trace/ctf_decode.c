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

/* A number that starts within a byte shares it with the one before, so both must fill bytes from the same end. */
static int number(struct mb_ctf_decoder *d, const struct mb_ctf_op *op, uint64_t *value)
{
	const uint32_t bits = op->bits;
	const int big = !!(op->flags & MB_CTF_BIG);

	if (bits > d->end - d->bit)
		return -MB_CTF_BAD_EVENT;
	if (d->bit & 7 && d->big >= 0 && d->big != big)
		return -MB_CTF_BAD_BYTE_ORDER;
	d->big = big;
	if (!(d->bit & 7) && is_simple(bits))
		*value = whole_bytes(d->bytes + (d->bit >> 3), bits, big);
	else
		*value = odd_bits(d, bits, big);
	if (op->flags & MB_CTF_REVERSED)
		*value = mb_ctf_reversed(*value, bits);
	d->bit += bits;
	return 0;
}

static void keep_roles(struct mb_ctf_decoder *d, uint32_t roles, uint64_t value)
{
	d->seen |= roles;
	for (; roles; roles &= roles - 1)
		d->roles[__builtin_ctz(roles)] = value;
}

/* `bits` of a value that was read are known. */
static int give_number(struct mb_ctf_decoder *d, const struct mb_ctf_op *op, uint64_t value, uint32_t bits)
{
	if (op->flags & MB_CTF_CLOCK)
		mb_ctf_tick(d, value, bits);
	if (op->roles & 1u << MB_CTF_ROLE_END)
		d->end_bits = bits;
	if (op->flags & MB_CTF_SIGNED && bits < 64)
		value = (uint64_t)((int64_t)(value << (64 - bits)) >> (64 - bits));
	if (op->flags & MB_CTF_BOOL)
		value = value != 0;
	if (op->store >= 0)
		d->variables[op->store] = (int64_t)value;
	if (op->roles)
		keep_roles(d, op->roles, value);
	return emit(d, (int64_t)value);
}

static int get_int(struct mb_ctf_decoder *d, const struct mb_ctf_op *op)
{
	uint64_t value;
	int ret = number(d, op, &value);

	return ret ? ret : give_number(d, op, value, op->bits);
}

/* Of the tenth byte only the sign is left, or the last bit of what has no sign. */
static int is_last_of_ten(const struct mb_ctf_op *op, uint8_t byte)
{
	if (op->flags & MB_CTF_SIGNED)
		return byte == 0 || byte == 0x7f;
	return byte == 1;
}

static int get_leb(struct mb_ctf_decoder *d, const struct mb_ctf_op *op)
{
	uint64_t value = 0;

	for (uint32_t bits = 0;; bits += 7) {
		uint8_t byte;

		if (d->end - d->bit < 8)
			return -MB_CTF_BAD_EVENT;
		byte = d->bytes[d->bit >> 3];
		if (bits == 63 && !is_last_of_ten(op, byte))
			return -MB_CTF_BAD_NUMBER;
		d->bit += 8;
		value |= (uint64_t)(byte & 0x7f) << bits;
		if (!(byte & 0x80))
			return give_number(d, op, value, bits == 63 ? 64 : bits + 7);
	}
}

static int get_real(struct mb_ctf_decoder *d, const struct mb_ctf_op *op)
{
	uint64_t raw;
	uint32_t narrow_bits;
	float narrow;
	double value;
	int ret = number(d, op, &raw);

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

/* How many bytes there are before the first character of `width` bytes that is NUL; `left` if there is none. */
static uint64_t before_nul(const uint8_t *text, uint64_t left, uint32_t width)
{
	static const uint8_t nul[4];
	const uint8_t *found;

	if (width == 1) {
		found = memchr(text, 0, left);
		return found ? (uint64_t)(found - text) : left;
	}
	for (uint64_t at = 0; left - at >= width; at += width)
		if (!memcmp(text + at, nul, width))
			return at;
	return left;
}

static int get_string(struct mb_ctf_decoder *d, const struct mb_ctf_op *op)
{
	const uint8_t *text = d->bytes + (d->bit >> 3);
	uint64_t left = (d->end - d->bit) >> 3;
	uint32_t width = op->bits ? op->bits >> 3 : 1;
	uint64_t length = before_nul(text, left, width);

	if (length >= left)
		return -MB_CTF_BAD_EVENT;
	d->bit += (length + width) << 3;
	return give_text(d, op, text, length);
}

/* The NULs at the end of an array of characters are padding; a sequence has the length that its field tells. */
static int get_text(struct mb_ctf_decoder *d, const struct mb_ctf_op *op)
{
	const uint8_t *text = d->bytes + (d->bit >> 3);
	uint64_t size = op->kind == MB_CTF_BLOB ? op->count : (uint64_t)d->variables[op->source];
	uint64_t length = size;

	if (size > (d->end - d->bit) >> 3)
		return -MB_CTF_BAD_EVENT;
	while (op->kind == MB_CTF_BLOB && !(op->flags & MB_CTF_KEEP) && length && !text[length - 1])
		length--;
	if (op->roles)
		keep_roles(d, op->roles, d->bit);
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

	if (op->roles)
		keep_roles(d, op->roles, d->bit);
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
	if (op->flags & MB_CTF_OPTIONAL)
		index = !!option;
	else if (!option)
		return -MB_CTF_BAD_TAG;
	ret = emit(d, index);
	if (!option)
		return ret;
	return ret ? ret : mb_ctf_decode(d, option + 1, option->body);
}

static int get_one(struct mb_ctf_decoder *d, const struct mb_ctf_op *op)
{
	switch (op->kind) {
	case MB_CTF_INT:
		return get_int(d, op);
	case MB_CTF_REAL:
		return get_real(d, op);
	case MB_CTF_LEB:
		return get_leb(d, op);
	case MB_CTF_TEXT:
		return get_string(d, op);
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
