// SPDX-License-Identifier: LGPL-2.1-or-later
/* Built-ins on strings. All are bytewise and cut what does not fit. */
#define _GNU_SOURCE
#include "builtin.h"

#include <ctype.h>
#include <errno.h>
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
	int64_t wanted = (int32_t)(uint32_t)((uint64_t)argument[2] + 1);	/* 32 bits, with the NUL */
	struct mb_text out = whole(session, result);

	if (start >= 0 && start < length && wanted > 0)
		put(&out, text + start, (size_t)clamp(wanted - 1, 0, length - start));
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

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

static const char *skip_prefix(const char *text, int64_t *base)
{
	int is_hex = text[0] == '0' && tolower((unsigned char)text[1]) == 'x' && digit_value(text[2]) < 16;

	if (*base == 0)
		*base = is_hex ? 16 : text[0] == '0' ? 8 : 10;
	return *base == 16 && is_hex ? text + 2 : text;
}

/* The number at the start, wrapping; 0 if there is none. */
MB_BUILTIN(strtol)
{
	const char *text = mb_text_argument(argument[0]);
	int64_t base = argument[1];
	int negative = *text == '-';
	uint64_t value = 0;

	text = skip_prefix(text + negative, &base);
	if (base < 2 || base > 36)
		return mb_give(result, 0);
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

static size_t escape(char *piece, unsigned char c)
{
	static const char from[] = "\a\b\f\n\r\t\v\"\\", to[] = "abfnrtv\"\\";
	const char *named = strchr(from, c);

	piece[0] = '\\';
	if (named) {
		piece[1] = to[named - from];
		return 2;
	}
	if (c >= ' ' && c < 0x7f) {
		piece[0] = (char)c;
		return 1;
	}
	piece[1] = (char)('0' + (c >> 6));
	piece[2] = (char)('0' + (c >> 3 & 7));
	piece[3] = (char)('0' + (c & 7));
	return 4;
}

/* Whether the escaped text has at most `room` bytes. */
static int fits(const char *text, int64_t room)
{
	char piece[4];

	for (; *text && room >= 0; text++)
		room -= (int64_t)escape(piece, (unsigned char)*text);
	return room >= 0;
}

/* Escaped text of at most `most` bytes, quotes included; if it must be cut, dots follow the closing quote and count as well. */
static void put_escaped(const struct mb_session *session, char *dest, const char *text, int64_t most, int quoted)
{
	struct mb_text out = whole(session, dest);
	int64_t room = session->limits.maxstringlen - 1;
	char piece[4];
	int cut;

	if (most > 0 && most < room)
		room = most;
	if (quoted)
		room = room > 5 ? room - 2 : 3;
	cut = !fits(text, room);
	if (quoted && cut)
		room -= 3;
	if (quoted)
		mb_text_char(&out, '"');
	for (; *text; text++) {
		size_t length = escape(piece, (unsigned char)*text);

		room -= (int64_t)length;
		if (room < 0)
			break;
		put(&out, piece, length);
	}
	if (quoted)
		put(&out, cut ? "\"..." : "\"", cut ? 4 : 1);
	*out.at = '\0';
}

MB_BUILTIN(text_str)
{
	put_escaped(session, result, mb_text_argument(argument[0]), 0, 0);
	return MB_OK;
}

MB_BUILTIN(text_strn)
{
	put_escaped(session, result, mb_text_argument(argument[0]), argument[1], argument[2] != 0);
	return MB_OK;
}

MB_BUILTIN(string_quoted)
{
	put_escaped(session, result, mb_text_argument(argument[0]), 0, 1);
	return MB_OK;
}

/* --- names of errors --- */

#define LAST_NAMED_ERROR 131

MB_BUILTIN(errno_str)
{
	int64_t number = argument[0] < 0 ? -argument[0] : argument[0];
	const char *name = NULL;

	if (number > 0 && number <= LAST_NAMED_ERROR)
		name = strerrorname_np((int)number);
	mb_string_copy(session, result, name ? name : "");
	return MB_OK;
}
