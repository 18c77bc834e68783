/* SPDX-License-Identifier: 0BSD */
/* trace_user_generic_slow_printf(): a text that is put together at the place of the event. */
#ifndef _LTT_FACILITY_CUSTOM_USER_GENERIC_H_
#define _LTT_FACILITY_CUSTOM_USER_GENERIC_H_

#include <ltt/ltt-facility-user_generic.h>
#include <ltt/ltt-usertrace.h>
#include <stdarg.h>
#include <stdio.h>

static inline __attribute__((format(printf, 1, 2), unused)) int trace_user_generic_slow_printf(
		const char *format, ...)
{
	va_list arguments;
	char *text;
	int size, result;

	va_start(arguments, format);
	size = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	text = size < 0 ? NULL : (char *)malloc((size_t)size + 1);
	if (text == NULL)
		return -1;
	va_start(arguments, format);
	vsnprintf(text, (size_t)size + 1, format, arguments);
	va_end(arguments);
	result = trace_user_generic_slow_printf_param_buffer(text, (size_t)size + 1);
	free(text);
	return result;
}

#endif
