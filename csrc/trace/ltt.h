/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LTT trace buffers of every generation: one cursor over all files of a trace, and a writer per file. */
#ifndef MB_LTT_H
#define MB_LTT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MB_LTT_NONE 0xffffffffu

#include "ltt.cdef.h"

static inline uint64_t mb_ltt_pad(uint64_t at, uint32_t align)
{
	return (0 - at) & (align - 1);
}

static inline uint16_t mb_ltt_u16(const uint8_t *at, uint32_t big)
{
	uint16_t value;

	memcpy(&value, at, 2);
	return big ? __builtin_bswap16(value) : value;
}

static inline uint32_t mb_ltt_u32(const uint8_t *at, uint32_t big)
{
	uint32_t value;

	memcpy(&value, at, 4);
	return big ? __builtin_bswap32(value) : value;
}

static inline uint64_t mb_ltt_u64(const uint8_t *at, uint32_t big)
{
	uint64_t value;

	memcpy(&value, at, 8);
	return big ? __builtin_bswap64(value) : value;
}

/* Where decoded values go; slots == NULL only measures. */
struct mb_ltt_sink {
	int64_t *slots;
	uint32_t count;
	uint32_t max;
	uint32_t big;		/* of the file */
	uint32_t text_base;	/* what payload offsets of text are relative to */
};

/* Returns the position after the ops, or -MB_LTT_BAD_EVENT, -MB_LTT_FULL. */
int64_t mb_ltt_decode(const struct mb_ltt_op *ops, uint32_t count, const uint8_t *payload, uint64_t limit,
		      uint64_t at, struct mb_ltt_sink *sink);

int mb_ltt_check_classes(const struct mb_ltt_class *classes, uint32_t class_count, const struct mb_ltt_op *ops,
			 uint32_t op_count);

#endif
