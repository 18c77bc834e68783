// SPDX-License-Identifier: LGPL-2.1-or-later
/* Built-ins on strings. All are bytewise and cut what does not fit. */
#define _GNU_SOURCE
#include "builtin.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
	return value < low ? low : value > high ? high : value;
}

static struct mb_text whole(const struct mb_session *session, char *dest)
{
	return (struct mb_text){ dest, dest + session->limits.maxstringlen - 1 };
}

static void put(struct mb_text *text, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		mb_text_char(text, bytes[i]);
}

MB_BUILTIN(strlen)
{
	return mb_give(result, (int64_t)strlen(mb_text_argument(argument[0])));
}

MB_BUILTIN(substr)
{
	const char *text = mb_text_argument(argument[0]);
	int64_t length = (int64_t)strlen(text), start = argument[1];
	int64_t wanted = argument[2] < INT64_MAX ? argument[2] : 0;	/* with the NUL it would overflow */
	struct mb_text out = whole(session, result);

	if (start >= 0 && start < length)
		put(&out, text + start, (size_t)clamp(wanted, 0, length - start));
	*out.at = '\0';
	return MB_OK;
}

MB_BUILTIN(stringat)
{
	const char *text = mb_text_argument(argument[0]);

	if (argument[1] < 0 || argument[1] >= (int64_t)strlen(text))
		return mb_raise(session, site, "Position out of bounds");
	return mb_give(result, (signed char)text[argument[1]]);
}

MB_BUILTIN(isinstr)
{
	return mb_give(result, strstr(mb_text_argument(argument[0]), mb_text_argument(argument[1])) != NULL);
}

MB_BUILTIN(strpos)
{
	const char *text = mb_text_argument(argument[0]), *found = strstr(text, mb_text_argument(argument[1]));

	return mb_give(result, found ? found - text : -1);
}

MB_BUILTIN(isdigit)
{
	const char *text = mb_text_argument(argument[0]);

	return mb_give(result, *text >= '0' && *text <= '9');
}

MB_BUILTIN(str_replace)
{
	const char *text = mb_text_argument(argument[0]), *from = mb_text_argument(argument[1]);
	const char *to = mb_text_argument(argument[2]);
	struct mb_text out = whole(session, result);
	size_t length = strlen(from);
	const char *found = length ? strstr(text, from) : NULL;

	while (found) {
		put(&out, text, (size_t)(found - text));
		put(&out, to, strlen(to));
		text = found + length;
		found = strstr(text, from);
	}
	put(&out, text, strlen(text));
	*out.at = '\0';
	return MB_OK;
}

/* --- numbers in text --- */

static int64_t digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : INT64_MAX;
}

static const char *skip_prefix(const char *text, int64_t *base)
{
	int is_hex = text[0] == '0' && tolower((unsigned char)text[1]) == 'x' && digit_value(text[2]) < 16;

	if (*base == 0)
		*base = is_hex ? 16 : text[0] == '0' ? 8 : 10;
	return *base == 16 && is_hex ? text + 2 : text;
}

/* The number at the start, wrapping; 0 if there is none. As in the kernel, any base will do. */
MB_BUILTIN(strtol)
{
	const char *text = mb_text_argument(argument[0]);
	int64_t base = (uint32_t)argument[1];
	int negative = *text == '-';
	uint64_t value = 0;

	text = skip_prefix(text + negative, &base);
	for (; digit_value(*text) < base; text++)
		value = value * (uint64_t)base + (uint64_t)digit_value(*text);
	return mb_give(result, (int64_t)(negative ? -value : value));
}

/* --- tokens --- */

static void next_token(struct mb_session *session, const char *delimiters, char *dest)
{
	char *token = session->token_next;

	dest[0] = '\0';
	if (!token)
		return;
	token += strspn(token, delimiters);
	session->token_next = token + strcspn(token, delimiters);
	if (*session->token_next)
		*session->token_next++ = '\0';
	if (*token)
		mb_string_copy(session, dest, token);
	else
		session->token_next = NULL;
}

MB_BUILTIN(tokenize_1)
{
	next_token(session, mb_text_argument(argument[0]), result);
	return MB_OK;
}

MB_BUILTIN(tokenize_2)
{
	const char *text = mb_text_argument(argument[0]);

	if (*text) {
		mb_string_copy(session, session->token_text, text);
		session->token_next = session->token_text;
	}
	next_token(session, mb_text_argument(argument[1]), result);
	return MB_OK;
}

/* --- escaping --- */

#define MB_BYTES_QUOTED 58	/* as much text as eight words have bytes for */
#define LONGEST_ESCAPE 10	/* of one character: \U0001F600 */

struct character {
	uint32_t code;
	uint32_t bytes;
};

/* A UTF-8 sequence (RFC 3629), or the first byte as it is if there is none. */
static struct character decode(const char *text, int64_t size)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char first = (unsigned char)text[0];
	uint32_t bytes = first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 1;
	uint32_t code = first & (0x7fu >> bytes);

	if (bytes == 1 || bytes > size)
		return (struct character){ first, 1 };
	for (uint32_t i = 1; i < bytes; i++) {
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			return (struct character){ first, 1 };
		code = code << 6 | ((unsigned char)text[i] & 0x3f);
	}
	if (code < smallest[bytes] || code > 0x10ffff || code >> 11 == 0xd800 >> 11)
		return (struct character){ first, 1 };
	return (struct character){ code, bytes };
}

/* A character as C writes it; the length of that. */
static size_t escape(char *piece, struct character character)
{
	static const char from[] = "\a\b\f\n\r\t\v\"\\", to[] = "abfnrtv\"\\";
	char c = (char)character.code;
	const char *named = c ? strchr(from, c) : NULL;

	if (character.bytes > 1)
		return (size_t)snprintf(piece, LONGEST_ESCAPE + 1, character.code > 0xffff ? "\\U%08X" : "\\u%04X", character.code);
	piece[0] = '\\';
	if (named) {
		piece[1] = to[named - from];
		return 2;
	}
	if (c >= ' ' && c < 0x7f) {
		piece[0] = c;
		return 1;
	}
	return (size_t)snprintf(piece, LONGEST_ESCAPE + 1, c ? "\\%03o" : "\\%o", (unsigned int)(unsigned char)c);
}

/* An escape that dots might cut in two. */
struct risk {
	char *start;
	int64_t width;
};

/* Where dots go: three bytes of the room are theirs, and an escape is left out whole. */
static char *dots(char *out, int64_t room, struct risk risk)
{
	char *at = out - 3 + room;

	return risk.start && risk.start < at && at < risk.start + risk.width ? risk.start : at;
}

/*
 * Up to `size` bytes of a text, to its NUL unless it is a buffer, escaped to `most` bytes with the quotes. A text that does not fit is cut
 * where three dots fit behind the closing quote, never inside an escape. A NUL is written in two bytes and counted as four, as in SystemTap.
 */
void mb_put_escaped(const struct mb_session *session, char *dest, const char *text, int64_t size, int64_t most, int quoted, int buffer)
{
	int64_t longest = session->limits.maxstringlen - 1;
	char *out = dest + (quoted != 0);
	int64_t left = size > 0 && size < longest ? size : longest;
	int64_t room = most > 0 && most < longest ? most : longest;
	struct character character = { 0, 0 };
	struct risk risk = { NULL, 0 };

	if (quoted)
		room = (room > 5 ? room : 5) - 2;
	while (left > 0) {
		char piece[LONGEST_ESCAPE + 1];
		int64_t length, width;

		character = decode(text, left);
		if ((!character.code && !buffer) || room <= 0)
			break;
		text += character.bytes;
		left -= character.bytes;
		length = (int64_t)escape(piece, character);
		width = character.code ? length : 4;
		if (!risk.start && width > 1 && room - 3 < width)
			risk = (struct risk){ out, width };
		if (room < width)
			break;
		memcpy(out, piece, (size_t)length);
		out += length;
		room -= width;
	}
	if (quoted) {
		/* What was cut off at the very end of the input goes without dots, and so does what ends at a NUL, as in SystemTap. */
		int cut = character.code && left > 0;

		*dest = '"';
		out = cut ? dots(out, room, risk) : out;
		memcpy(out, cut ? "\"..." : "\"", cut ? 4 : 1);
		out += cut ? 4 : 1;
	}
	*out = '\0';
}

MB_BUILTIN(text_str)
{
	mb_put_escaped(session, result, mb_text_argument(argument[0]), 0, 0, 0, 0);
	return MB_OK;
}

MB_BUILTIN(text_strn)
{
	mb_put_escaped(session, result, mb_text_argument(argument[0]), 0, argument[1], argument[2] != 0, 0);
	return MB_OK;
}

MB_BUILTIN(string_quoted)
{
	mb_put_escaped(session, result, mb_text_argument(argument[0]), 0, 0, 1, 0);
	return MB_OK;
}

/* Bytes of a buffer from the words that hold its start: eight words, where in them it begins, how long it is, at most. */
MB_BUILTIN(_bytes_quoted)
{
	char words[8 * sizeof(int64_t) + 8] = { 0 };
	int64_t skip = argument[8] & 7;
	int64_t most = argument[10] < MB_BYTES_QUOTED ? argument[10] : MB_BYTES_QUOTED;

	memcpy(words, argument, 8 * sizeof(int64_t));
	mb_put_escaped(session, result, words + skip, argument[9], most > 0 ? most : MB_BYTES_QUOTED, 1, 1);
	return MB_OK;
}

/* --- names of errors --- */

MB_BUILTIN(errno_str)
{
	const char *name = mb_error_name(argument[0]);

	mb_string_copy(session, result, name ? name : "");
	return MB_OK;
}

MB_BUILTIN(errno_p)
{
	return mb_give(result, mb_error_name(argument[0]) ? llabs(argument[0]) : 0);
}
