/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The smallest test frame: CHECK ends the program with the place. */
#ifndef MB_CHECK_H
#define MB_CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/runtime.h"

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

static inline struct mb_session *new_session(uint32_t capacity, uint32_t globals)
{
	struct mb_limits limits = {
		.maxstringlen = capacity, .maxnesting = 10, .maxaction = 1000, .maxaction_interruptible = 10000,
		.maxskipped = 100, .hist_elision = 2,
	};
	struct mb_session *session = mb_session_new(&limits, globals);

	CHECK(session);
	return session;
}

static inline int64_t word(const char *text)
{
	return (int64_t)(uintptr_t)text;
}

static inline const char *text_of(int64_t value)
{
	return (const char *)(uintptr_t)value;
}

#endif
