// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The printf family. It differs from C's: a precision does not switch `0` off, the sign of `%+d` is there for 0 too, `#` prefixes 0 as well,
 * `%c` can escape, `%b` gives bytes, `%m` and `%M` read memory.
 */
#include "runtime.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct conversion {
	char letter;
	int left, zero, special;
	char sign;		/* what stands before a number that is not negative, 0 for nothing */
	int64_t width, precision;	/* -1 for none */
};

static void pad(struct mb_text *text, char c, int64_t count)
{
	for (; count > 0 && text->at < text->end; count--)
		*text->at++ = c;
}

static void put(struct mb_text *text, const char *bytes, size_t length)
{
	size_t room = (size_t)(text->end - text->at);

	if (length > room)
		length = room;
	memcpy(text->at, bytes, length);
	text->at += length;
}

/* --- numbers --- */

#define MOST_DIGITS 22

/* The digits of a number at the end of a buffer; returns where they start. */
static char *put_digits(char *end, uint64_t value, unsigned int base, int capital)
{
	const char *digits = capital ? "0123456789ABCDEF" : "0123456789abcdef";

	do {
		*--end = digits[value % base];
		value /= base;
	} while (value);
	return end;
}

static void put_number(struct mb_text *text, const struct conversion *how, uint64_t value, unsigned int base)
{
	int capital = how->letter == 'X', is_signed = how->letter == 'd' || how->letter == 'i';
	char buffer[MOST_DIGITS], prefix[3] = "";
	char *end = buffer + MOST_DIGITS, *digits;
	int64_t zeros, fill;
	size_t prefix_length;

	if (is_signed && (int64_t)value < 0) {
		prefix[0] = '-';
		value = -value;
	} else if (is_signed) {
		prefix[0] = how->sign;
	}
	if (how->special && base == 8)
		prefix[0] = '0';
	else if (how->special && base == 16)
		memcpy(prefix, capital ? "0X" : "0x", 2);
	digits = put_digits(end, value, base, capital);
	prefix_length = strlen(prefix);
	zeros = how->precision > end - digits ? how->precision - (end - digits) : 0;
	fill = how->width - (int64_t)prefix_length - zeros - (end - digits);
	if (!how->left && !how->zero)
		pad(text, ' ', fill);
	put(text, prefix, prefix_length);
	if (!how->left && how->zero)
		pad(text, '0', fill);
	pad(text, '0', zeros);
	put(text, digits, (size_t)(end - digits));
	if (how->left)
		pad(text, ' ', fill);
}

/* --- characters and strings --- */

static const char *escape_of(char c)
{
	static const char from[] = "\a\b\f\n\r\t\v'\\", to[] = "abfnrtv'\\";
	const char *found = c ? strchr(from, c) : NULL;

	return found ? &to[found - from] : NULL;
}

static size_t escape(char *piece, char c)
{
	const char *named = escape_of(c);
	unsigned char byte = (unsigned char)c;

	piece[0] = '\\';
	if (named) {
		piece[1] = *named;
		return 2;
	}
	if (byte >= ' ' && byte < 0x7f) {
		piece[0] = c;
		return 1;
	}
	piece[1] = (char)('0' + (byte >> 6));
	piece[2] = (char)('0' + (byte >> 3 & 7));
	piece[3] = (char)('0' + (byte & 7));
	return 4;
}

static void put_padded(struct mb_text *text, const struct conversion *how, const char *bytes, size_t length)
{
	int64_t fill = how->width - (int64_t)length;

	if (!how->left)
		pad(text, ' ', fill);
	put(text, bytes, length);
	if (how->left)
		pad(text, ' ', fill);
}

static void put_char(struct mb_text *text, const struct conversion *how, char c)
{
	char piece[4] = { c };
	size_t length = 1;

	if (how->special)
		length = escape(piece, c);
	put_padded(text, how, piece, length);
}

static void put_string(struct mb_text *text, const struct conversion *how, const char *string, size_t capacity)
{
	size_t most = how->precision >= 0 && (size_t)how->precision < capacity ? (size_t)how->precision : capacity;

	put_padded(text, how, string, strnlen(string, most));
	if (how->zero)
		mb_text_char(text, '\0');
}

/* --- bytes --- */

static int is_size(int64_t bytes)
{
	return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
}

/* Little endian; the width pads with zero bytes. */
static void put_binary(struct mb_text *text, const struct conversion *how, int64_t value)
{
	int64_t size = is_size(how->precision) ? how->precision : is_size(how->width) ? how->width : 8;
	int64_t fill = how->width - size;

	if (!how->left)
		pad(text, '\0', fill);
	put(text, (const char *)&value, (size_t)size);
	if (how->left)
		pad(text, '\0', fill);
}

#define PAGE 4096

/* With `#` that of the process, else the kernel's. */
static int read_memory(const struct mb_session *session, const struct conversion *how, int64_t address, char *dest, size_t bytes)
{
	return how->special ? mb_read_user(session, address, dest, bytes) : mb_read_kernel(session, address, dest, bytes);
}

/* The first byte of unreadable memory. */
static int64_t faulty_address(const struct mb_session *session, const struct conversion *how, int64_t address)
{
	char byte;

	while (!read_memory(session, how, address, &byte, 1))
		address = (int64_t)(((uint64_t)address & ~(uint64_t)(PAGE - 1)) + PAGE);
	return address;
}

/* What cannot be read is an error. */
static int32_t put_memory(struct mb_session *session, struct mb_text *text, const struct conversion *how, int64_t address, uint32_t site)
{
	int64_t length = how->precision > 0 ? how->precision : 1, shown = how->letter == 'M' ? 2 * length : length;
	char bytes[MB_PRINT_BYTES];

	if (length > (int64_t)sizeof(bytes))
		length = (int64_t)sizeof(bytes);
	if (read_memory(session, how, address, bytes, (size_t)length))
		return mb_raise_format(session, site, "read fault [man error::fault] at 0x%" PRIx64,
				       (uint64_t)faulty_address(session, how, address));
	if (!how->left)
		pad(text, ' ', how->width - shown);
	for (int64_t i = 0; i < length; i++) {
		if (how->letter == 'M') {
			mb_text_char(text, "0123456789abcdef"[(unsigned char)bytes[i] >> 4]);
			mb_text_char(text, "0123456789abcdef"[bytes[i] & 15]);
		} else {
			mb_text_char(text, bytes[i]);
		}
	}
	if (how->left)
		pad(text, ' ', how->width - shown);
	return MB_OK;
}

/* --- whole formats --- */

static int64_t clamp(int64_t value, int64_t most)
{
	return value < 0 ? 0 : value > most ? most : value;
}

static const int64_t *read_conversion(const struct mb_piece *piece, const int64_t *argument, int64_t widest, struct conversion *how)
{
	*how = (struct conversion){ .letter = piece->letter, .width = piece->width, .precision = piece->precision };
	how->left = piece->flag == '-';
	how->zero = piece->flag == '0';
	how->special = piece->flag == '#' || piece->letter == 'p';
	how->sign = piece->flag == '+' || piece->flag == ' ' ? piece->flag : '\0';
	if (piece->star_width)
		how->width = clamp((int32_t)*argument++, widest);
	else if (how->width >= 0)
		how->width = clamp(how->width, widest);
	if (piece->star_precision)
		how->precision = clamp((int32_t)*argument++, widest);
	else if (how->precision >= 0)
		how->precision = clamp(how->precision, widest);
	return argument;
}

static void put_value(struct mb_session *session, struct mb_text *text, const struct conversion *how, int64_t argument)
{
	switch (how->letter) {
	case 's':
		put_string(text, how, mb_slot_text(argument), session->limits.maxstringlen - 1);
		break;
	case 'c':
		put_char(text, how, (char)argument);
		break;
	case 'b':
		put_binary(text, how, argument);
		break;
	case 'o':
		put_number(text, how, (uint64_t)argument, 8);
		break;
	case 'x':
	case 'X':
	case 'p':
		put_number(text, how, (uint64_t)argument, 16);
		break;
	default:
		put_number(text, how, (uint64_t)argument, 10);
	}
}

/* A width is at most the room that is left, `nul` included: what does not fit is cut in front of the digits, not behind. */
int32_t mb_format_text(struct mb_session *session, const struct mb_format *format, const int64_t *arguments, struct mb_text *text, int nul,
		       uint32_t site)
{
	for (uint32_t i = 0; i < format->count; i++) {
		const struct mb_piece *piece = &format->pieces[i];
		struct conversion how;

		if (!piece->letter) {
			put(text, piece->text, piece->length);
			continue;
		}
		arguments = read_conversion(piece, arguments, text->end - text->at + nul, &how);
		if (piece->letter != 'm' && piece->letter != 'M')
			put_value(session, text, &how, *arguments);
		else if (put_memory(session, text, &how, *arguments, site))
			return MB_RAISED;
		arguments++;
	}
	return MB_OK;
}

int32_t mb_print(struct mb_session *session, uint32_t format, const int64_t *arguments, uint32_t site)
{
	char *room = mb_output_room(session, MB_PRINT_BYTES);
	struct mb_text text = { room, room + MB_PRINT_BYTES };
	int32_t ret = mb_format_text(session, &session->formats[format], arguments, &text, 0, site);

	if (!ret)
		session->out.used += (size_t)(text.at - room);
	return ret;
}

int32_t mb_sprint(struct mb_session *session, char *dest, uint32_t format, const int64_t *arguments, uint32_t site)
{
	size_t room = session->limits.maxstringlen - 1;
	struct mb_text text = { session->scratch, session->scratch + room };
	int32_t ret = mb_format_text(session, &session->formats[format], arguments, &text, 1, site);

	*text.at = '\0';
	mb_string_copy(session, dest, session->scratch);
	return ret;
}
