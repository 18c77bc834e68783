/* SPDX-License-Identifier: 0BSD */
/*
 * What programs that were written for LTT's generated headers use beside their functions.
 * Markers need no handles, no registration, no buffers and no blocking, so there is
 * little to do: these are the names.
 */
#ifndef _LTT_USERTRACE_H
#define _LTT_USERTRACE_H

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#ifndef LTT_BLOCKING
#define LTT_BLOCKING 0
#endif

typedef unsigned int ltt_facility_t;

/* Bytes to the next place for a type in an event; no type is aligned to more than a word. */
static inline __attribute__((no_instrument_function, unused)) unsigned int ltt_align(
		size_t offset, size_t type_size)
{
#ifdef LTT_PACK
	(void)offset;
	(void)type_size;
	return 0;
#else
	size_t alignment = type_size < sizeof(void *) ? type_size : sizeof(void *);

	return (unsigned int)((alignment - offset) & (alignment - 1));
#endif
}

/* A thread had a buffer of its own; a marker needs none. */
static inline __attribute__((no_instrument_function, unused)) void ltt_thread_init(void)
{
}

#endif
