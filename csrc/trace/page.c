// SPDX-License-Identifier: LGPL-2.1-or-later
/* Single values as text, the same as bridge/trace/ctf/text.py and bridge/json_text.py write them. */
#include "print.h"

#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_BYTES 65536u
#define LONGEST_NUMBER 68u
#define LARGEST_EXACT 9007199254740992.0	/* 2^53 */

char *mb_page_room(struct mb_page *page, uint64_t bytes)
{
	uint64_t capacity = page->capacity ? page->capacity : FIRST_BYTES;
	char *text;

	if (page->failed)
		return NULL;
	if (bytes <= page->capacity - page->used)
		return page->text + page->used;
	while (capacity - page->used < bytes && capacity < UINT64_MAX / 4)
		capacity *= 2;
	text = realloc(page->text, capacity);
	if (!text) {
		page->failed = 1;
		return NULL;
	}
	page->text = text;
	page->capacity = capacity;
	return text + page->used;
}

void mb_page_put(struct mb_page *page, const char *text, uint64_t length)
{
	char *to = mb_page_room(page, length);

	if (to && length) {
		memcpy(to, text, length);
		page->used += length;
	}
}

#define PUT(page, text) mb_page_put(page, text, sizeof(text) - 1)

/* --- whole numbers --- */

static const char PAIRS[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354"
			    "555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

/* The digits end at `end`; where they start. */
static char *digits_before(char *end, uint64_t value)
{
	while (value >= 100) {
		end -= 2;
		memcpy(end, PAIRS + value % 100 * 2, 2);
		value /= 100;
	}
	if (value >= 10) {
		end -= 2;
		memcpy(end, PAIRS + value * 2, 2);
	} else {
		*--end = (char)('0' + value);
	}
	return end;
}

void mb_page_padded(struct mb_page *page, uint64_t value, uint32_t digits)
{
	char buffer[LONGEST_NUMBER], *end = buffer + sizeof(buffer), *start = digits_before(end, value);

	while (end - start < (int64_t)digits)
		*--start = '0';
	mb_page_put(page, start, (uint64_t)(end - start));
}

void mb_page_unsigned(struct mb_page *page, uint64_t value)
{
	mb_page_padded(page, value, 1);
}

void mb_page_signed(struct mb_page *page, int64_t value)
{
	if (value < 0)
		PUT(page, "-");
	mb_page_unsigned(page, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* The digits of a number of `shift` bits each, without leading zeros but for `digits`. */
static void put_digits(struct mb_page *page, uint64_t value, uint32_t shift, uint32_t digits)
{
	char buffer[LONGEST_NUMBER], *end = buffer + sizeof(buffer), *start = end;

	do {
		*--start = "0123456789ABCDEF"[value & ((1u << shift) - 1)];
		value >>= shift;
	} while (value || end - start < (int64_t)digits);
	mb_page_put(page, start, (uint64_t)(end - start));
}

void mb_page_hexadecimal(struct mb_page *page, uint64_t value)
{
	PUT(page, "0x");
	put_digits(page, value, 4, 1);
}

void mb_page_octal(struct mb_page *page, uint64_t value)
{
	PUT(page, "0");
	put_digits(page, value, 3, 1);
}

void mb_page_binary(struct mb_page *page, uint64_t value, uint32_t bits)
{
	PUT(page, "0b");
	put_digits(page, value, 1, bits > 64 ? 64 : bits);
}

/* --- real numbers --- */

static const double TENS[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15 };

/* `whole` * 10^-places, without zeros at the end behind the point. */
static void put_fixed(struct mb_page *page, uint64_t whole, uint32_t places, int point)
{
	uint64_t power = (uint64_t)TENS[places];

	mb_page_unsigned(page, whole / power);
	whole %= power;
	while (places && whole % 10 == 0) {
		whole /= 10;
		places--;
	}
	if (places) {
		PUT(page, ".");
		mb_page_padded(page, whole, places);
	} else if (point) {
		PUT(page, ".0");
	}
}

/* Six digits of a number from 0.0001 to 999999. 0 if it is a tie, or so near to one that the library must decide. */
static int put_six(struct mb_page *page, double value)
{
	uint32_t places = 9;
	double scaled, rounded, rest;

	if (!(value >= 1e-4 && value < 999999))
		return 0;
	while (places && value * TENS[places] >= 999999.4)
		places--;
	scaled = value * TENS[places];
	rounded = nearbyint(scaled);
	rest = fabs(scaled - rounded);
	if (rest > 0.4999999 || rounded >= 1e6 || scaled < 1e5)
		return 0;
	put_fixed(page, (uint64_t)rounded, places, 0);
	return 1;
}

static void put_sign(struct mb_page *page, double *value)
{
	if (signbit(*value)) {
		PUT(page, "-");
		*value = -*value;
	}
}

void mb_page_real(struct mb_page *page, double value)
{
	char text[LONGEST_NUMBER];

	put_sign(page, &value);
	if (isnan(value)) {
		PUT(page, "nan");
	} else if (value == 0) {
		PUT(page, "0");
	} else if (!put_six(page, value)) {
		int length = snprintf(text, sizeof(text), "%g", value);

		mb_page_put(page, text, (uint64_t)length);
	}
}

/* A number of at most 15 digits has one decimal form that short. 0 if it is none. */
static int put_short(struct mb_page *page, double value)
{
	if (!(value >= 1e-4 && value < 1e15))
		return 0;
	for (uint32_t places = 0; places <= 15; places++) {
		const double whole = nearbyint(value * TENS[places]);

		if (whole >= 1e15)
			return 0;
		if (whole / TENS[places] == value) {
			put_fixed(page, (uint64_t)whole, places, 1);
			return 1;
		}
	}
	return 0;
}

/* `digits` of a value, rounded as the mode says, as d.ddde+xx; whether that reads back as the value, and how far it is off. */
static int try_digits(char *text, size_t size, double value, int digits, int mode, long double *off)
{
	int before = fegetround();
	double back;

	fesetround(mode);
	snprintf(text, size, "%.*e", digits - 1, value);
	fesetround(before);
	back = strtod(text, NULL);
	*off = fabsl(strtold(text, NULL) - (long double)value);
	return back == value;
}

/*
 * The fewest digits that read back, and of those the nearest. Where the numbers below are nearer to each other than those above (at a
 * power of two), digits that are not the nearest may read back while the nearest ones do not.
 */
static void shortest(char *text, size_t size, double value)
{
	char down[LONGEST_NUMBER], up[LONGEST_NUMBER];
	long double off, off_down, off_up;

	for (int digits = 1; digits < 17; digits++) {
		int is_down, is_up;

		if (try_digits(text, size, value, digits, FE_TONEAREST, &off))
			return;
		is_down = try_digits(down, sizeof(down), value, digits, FE_DOWNWARD, &off_down);
		is_up = try_digits(up, sizeof(up), value, digits, FE_UPWARD, &off_up);
		if (is_down || is_up) {
			memcpy(text, !is_up || (is_down && off_down <= off_up) ? down : up, size);
			return;
		}
	}
	try_digits(text, size, value, 17, FE_TONEAREST, &off);
}

/* Digits and an exponent, as Python writes them: a point for exponents from -4 to 15. */
static void put_scientific(struct mb_page *page, const char *text)
{
	char digits[LONGEST_NUMBER];
	uint32_t count = 0;
	int exponent = 0;

	for (; *text && *text != 'e'; text++)
		if (*text != '.')
			digits[count++] = *text;
	if (*text)
		exponent = atoi(text + 1);
	while (count > 1 && digits[count - 1] == '0')
		count--;
	if (exponent < -4 || exponent > 15) {
		char tail[16];

		mb_page_put(page, digits, 1);
		if (count > 1)
			PUT(page, ".");
		mb_page_put(page, digits + 1, count - 1);
		mb_page_put(page, tail, (uint64_t)snprintf(tail, sizeof(tail), "e%+03d", exponent));
	} else if (exponent < 0) {
		PUT(page, "0.");
		mb_page_put(page, "000", (uint64_t)(-1 - exponent));
		mb_page_put(page, digits, count);
	} else {
		for (uint32_t i = 0; i <= (uint32_t)exponent; i++)
			mb_page_put(page, i < count ? digits + i : "0", 1);
		PUT(page, ".");
		if (count > (uint32_t)exponent + 1)
			mb_page_put(page, digits + exponent + 1, count - (uint32_t)exponent - 1);
		else
			PUT(page, "0");
	}
}

void mb_page_json_real(struct mb_page *page, double value)
{
	char text[LONGEST_NUMBER];

	if (isnan(value)) {
		PUT(page, "\"NaN\"");
		return;
	}
	if (isinf(value)) {
		if (value > 0)
			PUT(page, "\"Infinity\"");
		else
			PUT(page, "\"-Infinity\"");
		return;
	}
	put_sign(page, &value);
	if (value == 0) {
		PUT(page, "0.0");
	} else if (!(value < LARGEST_EXACT) || !put_short(page, value)) {
		shortest(text, sizeof(text), value);
		put_scientific(page, text);
	}
}

/* --- text --- */

static void put_escape(struct mb_page *page, uint8_t c)
{
	static const char NAMED[][2] = { { '\\', '\\' }, { '\'', '\'' }, { '"', '"' }, { '?', '?' }, { 7, 'a' }, { 8, 'b' },
					 { 27, 'e' }, { 12, 'f' }, { 10, 'n' }, { 13, 'r' }, { 9, 't' }, { 11, 'v' } };
	char text[4] = { '\\', 'x', "0123456789abcdef"[c >> 4], "0123456789abcdef"[c & 15] };

	for (size_t i = 0; i < sizeof(NAMED) / sizeof(*NAMED); i++)
		if (NAMED[i][0] == (char)c) {
			text[1] = NAMED[i][1];
			mb_page_put(page, text, 2);
			return;
		}
	mb_page_put(page, text, 4);
}

static int is_plain(uint8_t c)
{
	return c >= 32 && c != 127 && c != '\\' && c != '\'' && c != '"' && c != '?';
}

void mb_page_text(struct mb_page *page, const uint8_t *text, uint64_t length)
{
	uint64_t done = 0;

	PUT(page, "\"");
	length = length ? strnlen((const char *)text, length) : 0;
	for (uint64_t i = 0; i < length; i++) {
		if (is_plain(text[i]))
			continue;
		mb_page_put(page, (const char *)text + done, i - done);
		put_escape(page, text[i]);
		done = i + 1;
	}
	if (length)
		mb_page_put(page, (const char *)text + done, length - done);
	PUT(page, "\"");
}

void mb_page_bytes(struct mb_page *page, const uint8_t *bytes, uint64_t length)
{
	PUT(page, "{ ");
	for (uint64_t i = 0; i < length; i++) {
		const char pair[3] = { "0123456789abcdef"[bytes[i] >> 4], "0123456789abcdef"[bytes[i] & 15], ' ' };

		mb_page_put(page, pair, sizeof(pair));
	}
	PUT(page, "}");
}

void mb_page_json_bytes(struct mb_page *page, const uint8_t *bytes, uint64_t length)
{
	PUT(page, "{\"bytes\": \"");
	for (uint64_t i = 0; i < length; i++) {
		const char pair[2] = { "0123456789abcdef"[bytes[i] >> 4], "0123456789abcdef"[bytes[i] & 15] };

		mb_page_put(page, pair, sizeof(pair));
	}
	PUT(page, "\"}");
}

/* The bytes of the character at the start of a text that is not ASCII, and the character; 0 if it is none. */
static uint32_t take_character(const uint8_t *text, uint64_t left, uint32_t *character)
{
	static const uint32_t LEAST[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const uint8_t first = *text;
	const uint32_t count = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
	uint32_t value;

	if (!count || first > 0xf4 || count > left)
		return 0;
	value = first & (0x7fu >> count);
	for (uint32_t i = 1; i < count; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (text[i] & 0x3fu);
	}
	if (value < LEAST[count] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
		return 0;
	*character = value;
	return count;
}

static void put_unit(struct mb_page *page, uint32_t unit)
{
	const char *digits = "0123456789abcdef";
	const char text[6] = { '\\', 'u', digits[unit >> 12 & 15], digits[unit >> 8 & 15], digits[unit >> 4 & 15], digits[unit & 15] };

	mb_page_put(page, text, sizeof(text));
}

static void put_character(struct mb_page *page, uint32_t character)
{
	static const char NAMED[][2] = { { '\\', '\\' }, { '"', '"' }, { 8, 'b' }, { 12, 'f' }, { 10, 'n' }, { 13, 'r' }, { 9, 't' } };

	for (size_t i = 0; i < sizeof(NAMED) / sizeof(*NAMED); i++)
		if ((uint32_t)NAMED[i][0] == character) {
			const char text[2] = { '\\', NAMED[i][1] };

			mb_page_put(page, text, sizeof(text));
			return;
		}
	if (character < 0x10000) {
		put_unit(page, character);
		return;
	}
	put_unit(page, 0xd800 + ((character - 0x10000) >> 10));
	put_unit(page, 0xdc00 + ((character - 0x10000) & 0x3ff));
}

void mb_page_json_text(struct mb_page *page, const uint8_t *text, uint64_t length)
{
	const uint64_t start = page->used;
	uint64_t done = 0, i = 0;

	PUT(page, "\"");
	while (i < length) {
		uint32_t character = text[i], bytes = 1;

		if (character >= 32 && character < 127 && character != '"' && character != '\\') {
			i++;
			continue;
		}
		if (character >= 128)
			bytes = take_character(text + i, length - i, &character);
		if (!bytes) {
			page->used = start;
			mb_page_json_bytes(page, text, length);
			return;
		}
		mb_page_put(page, (const char *)text + done, i - done);
		put_character(page, character);
		i += bytes;
		done = i;
	}
	if (length)
		mb_page_put(page, (const char *)text + done, length - done);
	PUT(page, "\"");
}
