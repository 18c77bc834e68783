// SPDX-License-Identifier: LGPL-2.1-or-later
/* What reading and writing share: checking the ops of a description, choosing the option of a variant. */
#include "ctf.h"

#include <errno.h>

static int is_power(uint32_t value)
{
	return value && !(value & (value - 1));
}

static int has_body(const struct mb_ctf_op *op)
{
	return op->kind == MB_CTF_ARRAY || op->kind == MB_CTF_SEQUENCE || op->kind == MB_CTF_VARIANT ||
	       op->kind == MB_CTF_OPTION;
}

static int has_source(const struct mb_ctf_op *op)
{
	return op->kind == MB_CTF_SEQUENCE || op->kind == MB_CTF_BYTES || op->kind == MB_CTF_VARIANT;
}

static int has_character_size(const struct mb_ctf_op *op)
{
	return !op->bits || op->bits == 8 || op->bits == 16 || op->bits == 32;
}

static int fits(const struct mb_ctf_op *op, uint32_t range_count, uint32_t variables)
{
	if (op->kind < MB_CTF_INT || op->kind > MB_CTF_LEB || !is_power(op->align) || op->roles >> MB_CTF_ROLES)
		return 0;
	if (op->store >= 0 && (uint32_t)op->store + 1 >= variables)
		return 0;
	if (has_source(op) && op->source >= variables)
		return 0;
	if (op->kind == MB_CTF_INT)
		return op->bits >= 1 && op->bits <= 64;
	if (op->kind == MB_CTF_REAL)
		return op->bits == 32 || op->bits == 64;
	if (op->kind == MB_CTF_TEXT)
		return has_character_size(op);
	if (op->kind == MB_CTF_OPTION)
		return op->count <= range_count && op->source <= range_count - op->count;
	return 1;
}

static int check(const struct mb_ctf_op *ops, uint32_t count, uint32_t range_count, uint32_t variables, int depth)
{
	if (depth > MB_CTF_MAX_DEPTH)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		const struct mb_ctf_op *op = ops + i;

		if (!fits(op, range_count, variables) || op->body >= count - i)
			return -EINVAL;
		if (!has_body(op))
			continue;
		if (check(op + 1, op->body, range_count, variables, depth + 1))
			return -EINVAL;
		i += op->body;
	}
	return 0;
}

int mb_ctf_check_ops(const struct mb_ctf_op *ops, uint32_t count, uint32_t range_count, uint32_t variables)
{
	return check(ops, count, range_count, variables, 0);
}

static int holds(const struct mb_ctf_range *range, int64_t tag, int is_signed)
{
	if (is_signed)
		return range->low <= tag && tag <= range->high;
	return (uint64_t)range->low <= (uint64_t)tag && (uint64_t)tag <= (uint64_t)range->high;
}

const struct mb_ctf_op *mb_ctf_select(const struct mb_ctf_op *variant, const struct mb_ctf_range *ranges, int64_t tag,
				      uint32_t *index)
{
	const struct mb_ctf_op *option = variant + 1;

	for (uint32_t i = 0; i < variant->count && option <= variant + variant->body; i++) {
		for (uint32_t r = 0; r < option->count; r++)
			if (holds(ranges + option->source + r, tag, variant->flags & MB_CTF_SIGNED)) {
				*index = i;
				return option;
			}
		option += 1 + option->body;
	}
	return NULL;
}
