/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CTF 1.8 data streams: a writer of folders, and a cursor over all streams of a folder. */
#ifndef MB_CTF_H
#define MB_CTF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ctf.cdef.h"

#define MB_CTF_MAGIC 0xC1FC1FC1u
#define MB_CTF_MAX_DEPTH 160

static inline uint64_t mb_ctf_pad(uint64_t bit, uint32_t align)
{
	return (0 - bit) & (align - 1);
}

static inline uint64_t mb_ctf_reversed(uint64_t value, uint32_t bits)
{
	uint64_t turned = 0;

	for (uint32_t i = 0; i < bits; i++)
		turned |= (value >> i & 1) << (bits - 1 - i);
	return turned;
}

/* 0, or -EINVAL if an op leaves its scope, names no variable or range, or is none. */
int mb_ctf_check_ops(const struct mb_ctf_op *ops, uint32_t count, uint32_t range_count, uint32_t variables);

/* Which option of a variant a tag selects; NULL if none. */
const struct mb_ctf_op *mb_ctf_select(const struct mb_ctf_op *variant, const struct mb_ctf_range *ranges, int64_t tag,
				      uint32_t *index);

#endif
