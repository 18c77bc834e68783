/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading DWARF's encodings from bytes that may be cut off anywhere: what lies beyond the end reads as 0 and sets `bad`.
 * Source: DWARF 5, section 7.6; the pointer encodings of .eh_frame are in the Linux Standard Base, "DWARF Extensions".
 */
#ifndef MB_DWARF_H
#define MB_DWARF_H

#include <stdint.h>
#include <string.h>

struct mb_bytes {
	const uint8_t *at, *end;
	int bad;
};

static inline struct mb_bytes mb_bytes(const uint8_t *data, uint64_t bytes)
{
	if (!data)	/* no bytes may be nowhere, to which nothing may be added */
		data = (const uint8_t *)"";
	return (struct mb_bytes){ data, data + bytes, 0 };
}

static inline uint64_t mb_left(const struct mb_bytes *in)
{
	return (uint64_t)(in->end - in->at);
}

static inline void mb_skip(struct mb_bytes *in, uint64_t count)
{
	if (count > mb_left(in)) {
		in->bad = 1;
		count = mb_left(in);
	}
	in->at += count;
}

/* A little-endian number of `size` bytes. */
static inline uint64_t mb_fixed(struct mb_bytes *in, unsigned size)
{
	uint64_t value = 0;

	if (size > 8 || size > mb_left(in)) {
		in->bad = 1;
		in->at = in->end;
		return 0;
	}
	memcpy(&value, in->at, size);
	in->at += size;
	return value;
}

static inline int64_t mb_fixed_signed(struct mb_bytes *in, unsigned size)
{
	const unsigned shift = 64 - 8 * size;

	return (int64_t)(mb_fixed(in, size) << shift) >> shift;
}

/* The bits of a LEB128 number; how many there are, and whether the highest is set. */
static inline uint64_t mb_leb_bits(struct mb_bytes *in, unsigned *bits, int *negative)
{
	uint64_t value = 0;
	uint8_t byte;

	*bits = 0;
	do {
		byte = (uint8_t)mb_fixed(in, 1);
		if (*bits < 64)
			value |= (uint64_t)(byte & 0x7f) << *bits;
		*bits += 7;
	} while (byte & 0x80);
	*negative = byte & 0x40;
	return value;
}

static inline uint64_t mb_leb(struct mb_bytes *in)
{
	unsigned bits;
	int negative;

	return mb_leb_bits(in, &bits, &negative);
}

static inline int64_t mb_leb_signed(struct mb_bytes *in)
{
	unsigned bits;
	int negative;
	uint64_t value = mb_leb_bits(in, &bits, &negative);

	if (negative && bits < 64)
		value |= ~UINT64_C(0) << bits;
	return (int64_t)value;
}

/* The next text with its NUL; "" if it does not end. */
static inline const char *mb_cstring(struct mb_bytes *in)
{
	const char *text = (const char *)in->at;
	const uint8_t *end = mb_left(in) ? memchr(in->at, 0, mb_left(in)) : NULL;

	if (!end) {
		in->bad = 1;
		in->at = in->end;
		return "";
	}
	in->at = end + 1;
	return text;
}

/* The length of a unit; *is_64 says whether its offsets have 8 bytes. */
static inline uint64_t mb_unit_length(struct mb_bytes *in, int *is_64)
{
	uint64_t length = mb_fixed(in, 4);

	*is_64 = length == 0xffffffff;
	return *is_64 ? mb_fixed(in, 8) : length;
}

#endif
