// SPDX-License-Identifier: LGPL-2.1-or-later
/* Built-ins on numbers: random ones, floating point carried in 64 bits. */
#define _GNU_SOURCE
#include "builtin.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RANDOM_RANGE (1024 * 1024)

MB_BUILTIN(randint)
{
	uint64_t x = session->random, below = (uint64_t)argument[0];

	if (below > RANDOM_RANGE)
		return mb_raise(session, site, "range too wide");
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	session->random = x;
	return mb_give(result, below ? (int64_t)(x % below) : 0);
}

/* --- floating point --- */

static double real(int64_t bits)
{
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* What is not a number has one form, whatever the processor makes of it. */
#define NOT_A_NUMBER INT64_C(0x7ff8000000000000)

static int32_t give_real(void *result, double value)
{
	if (value != value)
		return mb_give(result, NOT_A_NUMBER);
	memcpy(result, &value, sizeof(value));
	return MB_OK;
}

#define NAN_DEFAULT 0x7ff8000000000000
#define NAN_QUIET 0x0008000000000000

static int is_signalling(int64_t bits)
{
	return isnan(real(bits)) && !(bits & NAN_QUIET);
}

/* What is not a number is so in SystemTap's way, not in the processor's: an operand that is none, else a positive one. */
static int32_t give_result(void *result, double value, int64_t a, int64_t b)
{
	if (!isnan(value))
		return give_real(result, value);
	if (is_signalling(a) || is_signalling(b))
		return mb_give(result, (is_signalling(a) ? a : b) | NAN_QUIET);
	if (isnan(real(a)) || isnan(real(b)))
		return mb_give(result, isnan(real(a)) ? a : b);
	return mb_give(result, NAN_DEFAULT);
}

MB_BUILTIN(long_to_fp)
{
	return give_real(result, (double)argument[0]);
}

#define LARGEST_EXPONENT 2000	/* beyond, everything is 0 or infinite */

static const char *digits(const char *at, double *value, double *power)
{
	for (; *at >= '0' && *at <= '9'; at++) {
		*value = *value * 10 + (*at - '0');
		if (power)
			*power *= 10;
	}
	return at;
}

static const char *exponent(const char *at, double *power)
{
	int negative = *at == '-';
	double number = 0;

	if (*at == '-' || *at == '+')
		at++;
	at = digits(at, &number, NULL);
	for (double i = 0; i < number && i < LARGEST_EXPONENT; i++)
		*power = negative ? *power * 10 : *power / 10;
	return at;
}

/* Sign, digits, fraction, exponent: each may be missing, and nothing may follow. The steps are SystemTap's, so that each rounds as there. */
MB_BUILTIN(string_to_fp)
{
	const char *at = mb_text_argument(argument[0]);
	double sign = *at == '-' ? -1 : 1, value = 0, power = 1;

	if (*at == '-' || *at == '+')
		at++;
	at = digits(at, &value, NULL);
	if (*at == '.')
		at++;
	at = digits(at, &value, &power);
	if (*at == 'e' || *at == 'E')
		at = exponent(at + 1, &power);
	value = sign * (value / power);
	if (*at || value != value)
		return mb_raise(session, site, "invalid format");
	return give_real(result, value);
}

static void put_number(struct mb_text *text, int64_t value)
{
	char number[24];
	int length = snprintf(number, sizeof(number), "%" PRId64, value);

	for (int i = 0; i < length; i++)
		mb_text_char(text, number[i]);
}

/* Decimals by repeated multiplication. The last one is rounded by what follows it alone, so that it may come out as 10. */
static void put_decimals(struct mb_text *text, double part, int64_t count)
{
	int64_t last;

	for (; count > 1 && text->at < text->end; count--) {
		part *= 10;
		put_number(text, (int64_t)part);
		part -= (double)(int64_t)part;
	}
	part *= 10;
	last = (int64_t)part;
	put_number(text, last + ((part - (double)last) * 10 >= 5));
}

MB_BUILTIN(fp_to_string)
{
	struct mb_text text = { result, (char *)result + session->limits.maxstringlen - 1 };
	double value = real(argument[0]), rest = fabs(value);
	int64_t scaled = 0;

	if (!isfinite(value)) {
		mb_string_copy(session, result, value != value ? "NaN" : value < 0 ? "-Infinity" : "Infinity");
		return MB_OK;
	}
	if (signbit(value))
		mb_text_char(&text, '-');
	for (; rest >= 1e18; rest /= 10)
		scaled++;
	put_number(&text, (int64_t)rest);
	if (argument[1] > 0) {
		mb_text_char(&text, '.');
		put_decimals(&text, rest - (double)(int64_t)rest, (int32_t)argument[1]);
	}
	if (scaled) {
		mb_text_char(&text, 'e');
		put_number(&text, scaled);
	}
	*text.at = '\0';
	return MB_OK;
}

/* Rounding modes: 0 to the nearest, ties to even; 2 down; 3 up; 4 to the nearest, ties away from 0; others towards 0. */
static double rounded(double value, uint8_t mode)
{
	switch (mode) {
	case 0:
		return nearbyint(value);
	case 2:
		return floor(value);
	case 3:
		return ceil(value);
	case 4:
		return round(value);
	default:
		return trunc(value);
	}
}

MB_BUILTIN(fp_to_long)
{
	double value = rounded(real(argument[0]), (uint8_t)argument[1]);

	if (value != value)
		return mb_give(result, 0);
	if (value >= 9223372036854775808.0)
		return mb_give(result, INT64_MAX);
	if (value < -9223372036854775808.0)
		return mb_give(result, INT64_MIN);
	return mb_give(result, (int64_t)value);
}

MB_BUILTIN(fp32_to_fp64)
{
	uint32_t bits = (uint32_t)argument[0];
	float value;

	memcpy(&value, &bits, sizeof(value));
	return give_real(result, (double)value);
}

MB_BUILTIN(fp_add)
{
	return give_result(result, real(argument[0]) + real(argument[1]), argument[0], argument[1]);
}

MB_BUILTIN(fp_sub)
{
	return give_result(result, real(argument[0]) - real(argument[1]), argument[0], argument[1]);
}

MB_BUILTIN(fp_mul)
{
	return give_result(result, real(argument[0]) * real(argument[1]), argument[0], argument[1]);
}

MB_BUILTIN(fp_div)
{
	return give_result(result, real(argument[0]) / real(argument[1]), argument[0], argument[1]);
}

MB_BUILTIN(fp_rem)
{
	return give_result(result, remainder(real(argument[0]), real(argument[1])), argument[0], argument[1]);
}

MB_BUILTIN(fp_sqrt)
{
	return give_result(result, sqrt(real(argument[0])), argument[0], 0);
}

MB_BUILTIN(fp_eq)
{
	return mb_give(result, real(argument[0]) == real(argument[1]));
}

MB_BUILTIN(fp_le)
{
	return mb_give(result, real(argument[0]) <= real(argument[1]));
}

MB_BUILTIN(fp_lt)
{
	return mb_give(result, real(argument[0]) < real(argument[1]));
}
