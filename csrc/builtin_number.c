// SPDX-License-Identifier: LGPL-2.1-or-later
/* Built-ins on numbers: random ones, floating point carried in 64 bits. */
#define _GNU_SOURCE
#include "builtin.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

MB_BUILTIN(randint)
{
	uint64_t x = session->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	session->random = x;
	return mb_give(result, argument[0] > 0 ? (int64_t)(x % (uint64_t)argument[0]) : 0);
}

/* --- floating point --- */

static double real(int64_t bits)
{
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static int32_t give_real(void *result, double value)
{
	memcpy(result, &value, sizeof(value));
	return MB_OK;
}

MB_BUILTIN(long_to_fp)
{
	return give_real(result, (double)argument[0]);
}

MB_BUILTIN(string_to_fp)
{
	return give_real(result, strtod(mb_text_argument(argument[0]), NULL));
}

MB_BUILTIN(fp_to_string)
{
	int64_t digits = argument[1] < 0 ? 0 : argument[1] > 99 ? 99 : argument[1];
	char text[512];

	snprintf(text, sizeof(text), "%.*f", (int)digits, real(argument[0]));
	mb_string_copy(session, result, text);
	return MB_OK;
}

/* Rounding modes: 0 to the nearest, ties to even; 1 towards 0; 2 down; 3 up; 4 to the nearest, ties away from 0. */
static double rounded(double value, int64_t mode)
{
	switch (mode) {
	case 1:
		return trunc(value);
	case 2:
		return floor(value);
	case 3:
		return ceil(value);
	case 4:
		return round(value);
	default:
		return nearbyint(value);
	}
}

MB_BUILTIN(fp_to_long)
{
	double value = rounded(real(argument[0]), argument[1]);

	if (value >= 9223372036854775808.0)
		return mb_give(result, INT64_MAX);
	if (!(value >= -9223372036854775808.0))
		return mb_give(result, INT64_MIN);
	return mb_give(result, (int64_t)value);
}

MB_BUILTIN(fp_add)
{
	return give_real(result, real(argument[0]) + real(argument[1]));
}

MB_BUILTIN(fp_sub)
{
	return give_real(result, real(argument[0]) - real(argument[1]));
}

MB_BUILTIN(fp_mul)
{
	return give_real(result, real(argument[0]) * real(argument[1]));
}

MB_BUILTIN(fp_div)
{
	return give_real(result, real(argument[0]) / real(argument[1]));
}

MB_BUILTIN(fp_rem)
{
	return give_real(result, remainder(real(argument[0]), real(argument[1])));
}

MB_BUILTIN(fp_sqrt)
{
	return give_real(result, sqrt(real(argument[0])));
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
