// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Regular expressions: SystemTap's syntax, rewritten for POSIX regcomp(), which finds the same leftmost longest match. What differs: a
 * backslash makes any character literal, in brackets, too; `(?:...)` is a group without a number; [:d:] [:s:] [:l:] [:u:] are short names.
 */
#include "runtime.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#define SPECIAL "\\^$.[]|()?*+{}"
#define BYTES 256

struct rewrite {
	const char *at;
	char *out;
	uint32_t opened;		/* groups of the rewritten expression */
	struct mb_regex *regex;
};

static void put_literal(struct rewrite *rewrite, char c)
{
	if (c && strchr(SPECIAL, c))
		*rewrite->out++ = '\\';
	*rewrite->out++ = c;
}

/* --- brackets: read as a set of bytes, written in an order that has no second meaning --- */

static const struct {
	const char *name;
	int (*has)(int c);
} classes[] = {
	{ "alpha", isalpha }, { "alnum", isalnum }, { "blank", isblank }, { "cntrl", iscntrl }, { "d", isdigit },
	{ "digit", isdigit }, { "xdigit", isxdigit }, { "graph", isgraph }, { "l", islower }, { "lower", islower },
	{ "print", isprint }, { "punct", ispunct }, { "s", isspace }, { "space", isspace }, { "u", isupper },
	{ "upper", isupper },
};

static int read_class(struct rewrite *rewrite, uint8_t *set)
{
	const char *name = rewrite->at + 2, *end = strstr(name, ":]");

	for (size_t i = 0; end && i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (strlen(classes[i].name) != (size_t)(end - name) || strncmp(classes[i].name, name, (size_t)(end - name)))
			continue;
		for (int c = 1; c < 128; c++)
			set[c] |= classes[i].has(c) != 0;
		rewrite->at = end + 2;
		return 0;
	}
	return -EINVAL;
}

static uint8_t read_byte(struct rewrite *rewrite)
{
	if (*rewrite->at == '\\' && rewrite->at[1])
		rewrite->at++;
	return (uint8_t)*rewrite->at++;
}

static int read_set(struct rewrite *rewrite, uint8_t *set)
{
	int negated = *rewrite->at == '^', first = 1;

	rewrite->at += negated;
	for (; first || *rewrite->at != ']'; first = 0) {
		uint8_t low, high;

		if (!*rewrite->at)
			return -EINVAL;
		if (rewrite->at[0] == '[' && rewrite->at[1] == ':') {
			if (read_class(rewrite, set))
				return -EINVAL;
			continue;
		}
		low = high = read_byte(rewrite);
		if (rewrite->at[0] == '-' && rewrite->at[1] && rewrite->at[1] != ']') {
			rewrite->at++;
			high = read_byte(rewrite);
		}
		for (int c = low; c <= high; c++)
			set[c] = 1;
	}
	rewrite->at++;
	for (int c = 1; c < BYTES; c++)
		set[c] ^= (uint8_t)negated;
	set[0] = 0;
	return 0;
}

static void write_set(struct rewrite *rewrite, const uint8_t *set)
{
	int count = 0, last = 0, plain = 0;

	for (int c = 1; c < BYTES; c++) {
		count += set[c];
		last = set[c] ? c : last;
		plain += set[c] && c != '^' && c != '-';
	}
	if (count == 1) {
		put_literal(rewrite, (char)last);
		return;
	}
	*rewrite->out++ = '[';
	if (!count)			/* nothing matches: not any byte */
		*rewrite->out++ = '^';
	if (set[']'] || !count)
		*rewrite->out++ = ']';
	if (!plain && count)		/* only ^ and -, and a leading ^ would negate */
		*rewrite->out++ = '-';
	for (int c = 1; c < BYTES; c++) {
		if ((set[c] || !count) && c != ']' && c != '[' && c != '^' && c != '-')
			*rewrite->out++ = (char)c;
	}
	if (set['['] || !count)
		*rewrite->out++ = '[';
	if (set['^'] || !count)
		*rewrite->out++ = '^';
	if ((set['-'] && plain) || !count)
		*rewrite->out++ = '-';
	*rewrite->out++ = ']';
}

/* --- the expression --- */

static void open_group(struct rewrite *rewrite)
{
	rewrite->opened++;
	*rewrite->out++ = '(';
	if (rewrite->at[0] == '?' && rewrite->at[1] == ':')
		rewrite->at += 2;
	else if (rewrite->regex->groups < MB_MAX_GROUPS)
		rewrite->regex->number[rewrite->regex->groups++] = rewrite->opened;
}

static int rewrite_next(struct rewrite *rewrite)
{
	uint8_t set[BYTES] = { 0 };
	char c = *rewrite->at++;

	if (c == '[') {
		if (read_set(rewrite, set))
			return -EINVAL;
		write_set(rewrite, set);
	} else if (c == '\\' && *rewrite->at) {
		put_literal(rewrite, *rewrite->at++);
	} else if (c == '(') {
		open_group(rewrite);
	} else {
		*rewrite->out++ = c;
	}
	return 0;
}

static int compile(regex_t *compiled, const char *pattern)
{
	locale_t bytes = newlocale(LC_ALL_MASK, "C", (locale_t)0), before;
	int ret;

	if (!bytes)
		return -ENOMEM;
	before = uselocale(bytes);
	ret = regcomp(compiled, pattern, REG_EXTENDED);
	uselocale(before);
	freelocale(bytes);
	return ret ? -EINVAL : 0;
}

/* Over bytes, whatever the locale. -EINVAL if the pattern is malformed. */
int mb_regex_compile(struct mb_regex *regex, const char *pattern)
{
	char *text = malloc((strlen(pattern) + 1) * (BYTES + 2));
	struct rewrite rewrite = { .at = pattern, .out = text, .regex = regex };
	int ret = 0;

	if (!text)
		return -ENOMEM;
	regex->groups = 1;
	regex->number[0] = 0;
	while (*rewrite.at && !ret)
		ret = rewrite_next(&rewrite);
	*rewrite.out = '\0';
	if (!ret)
		ret = compile(&regex->compiled, text);
	free(text);
	if (!ret && rewrite.opened >= MB_MAX_GROUPS) {
		regfree(&regex->compiled);
		ret = -E2BIG;
	}
	return ret;
}
