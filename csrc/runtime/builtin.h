/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Built-in functions. All have one form: `result` is an int64_t or a string of MAXSTRINGLEN bytes, which is none of the arguments;
 * arguments are 8 bytes each, a number or a pointer to a string. They return MB_OK, or what mb_raise gave.
 */
#ifndef MB_BUILTIN_H
#define MB_BUILTIN_H

#include "runtime.h"
#include "builtin.cdef.h"

#define MB_BUILTIN(name) \
	int32_t mb_do_##name(struct mb_session *session __attribute__((unused)), uint32_t site __attribute__((unused)), \
			     void *result __attribute__((unused)), const int64_t *argument __attribute__((unused)))

static inline int32_t mb_give(void *result, int64_t value)
{
	*(int64_t *)result = value;
	return MB_OK;
}

static inline const char *mb_text_argument(int64_t argument)
{
	return mb_slot_text(argument);
}

/* builtin_string.c */
void mb_put_escaped(const struct mb_session *session, char *dest, const char *text, int64_t size, int64_t most, int quoted, int buffer);

/* error_names.c: NULL for a number that is no error's; the sign does not matter */
const char *mb_error_name(int64_t number);

#endif
