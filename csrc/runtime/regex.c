// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Regular expressions: a machine that goes over the text once with all ways to match at a time, the preferred ones first. Its operations
 * come from bridge/codegen/native/patterns.py. What a match is, is as in SystemTap: of the ways that end first the preferred one says where the
 * match starts; a later end counts if the preferred way to it starts there, too. A group that this way leaves out keeps what it had.
 * Nothing is allocated here but in mb_regex_new(); time is operations times length.
 */
#include "runtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RESTORE UINT32_MAX	/* a pending entry that gives a position back its value */

/* The ways that go on from one place in the text, in order; row `op` of `positions` belongs to the way that is at this operation. */
struct ways {
	uint32_t count;
	int32_t accepted;		/* index of the operation that ends the match, or -1 */
	uint32_t *op;
	int32_t *positions;
};

struct pending {
	uint32_t op, slot;
	int32_t position;
};

struct mb_regex {
	struct mb_regex_op *ops;
	uint8_t (*sets)[MB_REGEX_SET_BYTES];
	const uint8_t *beginnings;	/* bytes that a match can begin with after the start of the text */
	uint32_t count, groups, slots;
	struct ways now, after;
	uint32_t *seen, round;		/* op was visited in this round */
	struct pending *pending;
	int32_t *current;		/* positions of the way that is followed */
};

static int has(const uint8_t *set, uint8_t byte)
{
	return set[byte / 8] >> (byte % 8) & 1;
}

/* --- building --- */

static int valid(const struct mb_regex *regex, uint32_t sets)
{
	for (uint32_t i = 0; i < regex->count; i++) {
		const struct mb_regex_op *op = &regex->ops[i];
		int goes_on = op->op != MB_REGEX_ACCEPT && op->op != MB_REGEX_JUMP && op->op != MB_REGEX_SPLIT;

		if (op->op > MB_REGEX_ACCEPT || (goes_on && i + 1 == regex->count) ||
		    (op->op == MB_REGEX_BYTE && op->x >= sets) ||
		    ((op->op == MB_REGEX_JUMP || op->op == MB_REGEX_SPLIT) && op->x >= regex->count) ||
		    (op->op == MB_REGEX_SPLIT && op->y >= regex->count) ||
		    (op->op == MB_REGEX_SAVE && op->x >= regex->slots))
			return 0;
	}
	return 1;
}

static int new_ways(struct ways *ways, const struct mb_regex *regex)
{
	ways->op = calloc(regex->count, sizeof(*ways->op));
	ways->positions = calloc((size_t)regex->count * regex->slots + 1, sizeof(*ways->positions));
	return ways->op && ways->positions ? 0 : -ENOMEM;
}

static void *copy(const void *from, size_t bytes)
{
	void *to = malloc(bytes);

	return to ? memcpy(to, from, bytes) : NULL;
}

static int fill(struct mb_regex *regex, const struct mb_regex_op *ops, const uint8_t *sets, uint32_t set_count)
{
	regex->ops = copy(ops, regex->count * sizeof(*ops));
	regex->sets = copy(sets, (size_t)set_count * MB_REGEX_SET_BYTES);
	regex->seen = calloc(regex->count, sizeof(*regex->seen));
	regex->pending = calloc((size_t)regex->count + 1, sizeof(*regex->pending));
	regex->current = calloc((size_t)regex->slots + 1, sizeof(*regex->current));
	if (!regex->ops || !regex->sets || !regex->seen || !regex->pending || !regex->current)
		return -ENOMEM;
	regex->beginnings = regex->sets[set_count - 1];
	return new_ways(&regex->now, regex) || new_ways(&regex->after, regex) ? -ENOMEM : 0;
}

/* The sets are of MB_REGEX_SET_BYTES each, the last one the bytes that a match begins with. -EINVAL if an operand is out of range. */
int mb_regex_new(struct mb_regex **result, const struct mb_regex_op *ops, uint32_t count, const uint8_t *sets, uint32_t set_count,
		 uint32_t groups)
{
	struct mb_regex *regex;
	int ret;

	if (!count || count > MB_REGEX_OPS || !set_count || set_count > MB_REGEX_OPS + 1 || groups > MB_MAX_GROUPS)
		return -EINVAL;
	regex = calloc(1, sizeof(*regex));
	if (!regex)
		return -ENOMEM;
	regex->count = count;
	regex->groups = groups;
	regex->slots = 2 * groups;
	ret = fill(regex, ops, sets, set_count);
	if (!ret && !valid(regex, set_count))
		ret = -EINVAL;
	if (ret)
		mb_regex_free(regex);
	else
		*result = regex;
	return ret;
}

void mb_regex_free(struct mb_regex *regex)
{
	if (!regex)
		return;
	free(regex->ops);
	free(regex->sets);
	free(regex->seen);
	free(regex->pending);
	free(regex->current);
	free(regex->now.op);
	free(regex->now.positions);
	free(regex->after.op);
	free(regex->after.positions);
	free(regex);
}

uint32_t mb_regex_groups(const struct mb_regex *regex)
{
	return regex->groups;
}

/* --- matching --- */

static void clear(struct mb_regex *regex, struct ways *ways)
{
	ways->count = 0;
	ways->accepted = -1;
	if (!++regex->round) {
		memset(regex->seen, 0, regex->count * sizeof(*regex->seen));
		regex->round = 1;
	}
}

static void arrive(const struct mb_regex *regex, struct ways *ways, uint32_t at)
{
	if (regex->ops[at].op == MB_REGEX_ACCEPT && ways->accepted < 0)
		ways->accepted = (int32_t)at;
	ways->op[ways->count++] = at;
	memcpy(ways->positions + (size_t)at * regex->slots, regex->current, regex->slots * sizeof(*regex->current));
}

/* One operation that consumes nothing; returns where to go on, or `count` if nowhere. Each operation leaves one entry pending at most. */
static uint32_t pass(struct mb_regex *regex, uint32_t at, int32_t position, uint32_t *waiting)
{
	const struct mb_regex_op *op = &regex->ops[at];

	switch (op->op) {
	case MB_REGEX_JUMP:
		return op->x;
	case MB_REGEX_SPLIT:
		regex->pending[(*waiting)++] = (struct pending){ .op = op->y };
		return op->x;
	case MB_REGEX_SAVE:
		regex->pending[(*waiting)++] = (struct pending){ RESTORE, op->x, regex->current[op->x] };
		regex->current[op->x] = position;
		return at + 1;
	default:			/* MB_REGEX_START */
		return position ? regex->count : at + 1;
	}
}

/* Where the current way can get to from `at` without consuming anything, the preferred places first. */
static void follow(struct mb_regex *regex, struct ways *ways, uint32_t at, int32_t position)
{
	uint32_t waiting = 0;

	for (;;) {
		while (at < regex->count && regex->seen[at] != regex->round) {
			uint8_t op = (uint8_t)regex->ops[at].op;

			regex->seen[at] = regex->round;
			if (op == MB_REGEX_BYTE || op == MB_REGEX_ACCEPT) {
				arrive(regex, ways, at);
				break;
			}
			at = pass(regex, at, position, &waiting);
		}
		at = regex->count;
		while (waiting && at == regex->count) {
			const struct pending *entry = &regex->pending[--waiting];

			if (entry->op == RESTORE)
				regex->current[entry->slot] = entry->position;
			else
				at = entry->op;
		}
		if (at == regex->count)
			return;
	}
}

static void begin(struct mb_regex *regex, struct ways *ways, int32_t position)
{
	for (uint32_t i = 0; i < regex->slots; i++)
		regex->current[i] = -1;
	follow(regex, ways, 0, position);
}

static void step(struct mb_regex *regex, uint8_t byte, int32_t position)
{
	clear(regex, &regex->after);
	for (uint32_t i = 0; i < regex->now.count; i++) {
		uint32_t at = regex->now.op[i];
		const struct mb_regex_op *op = &regex->ops[at];

		if (op->op != MB_REGEX_BYTE || !has(regex->sets[op->x], byte))
			continue;
		memcpy(regex->current, regex->now.positions + (size_t)at * regex->slots, regex->slots * sizeof(*regex->current));
		follow(regex, &regex->after, at + 1, position);
	}
}

/* Keep the match that ends here if it is the first, or goes on from where the one before started. */
static void keep(const struct mb_regex *regex, int32_t *groups, int found)
{
	const int32_t *positions = regex->now.positions + (size_t)regex->now.accepted * regex->slots;

	if (found && positions[0] != groups[0])
		return;
	for (uint32_t i = 0; i < regex->slots; i++)
		if (positions[i] >= 0)
			groups[i] = positions[i];
}

/* Whether some way goes on that a match found before can become longer by. */
static int goes_on(const struct mb_regex *regex, const int32_t *groups)
{
	for (uint32_t i = 0; i < regex->now.count; i++)
		if (regex->now.positions[(size_t)regex->now.op[i] * regex->slots] == groups[0])
			return 1;
	return 0;
}

/* `groups` gets two positions for each group, -1 where it took no part; nothing is written if there is no match. */
int mb_regex_match(struct mb_regex *regex, const char *text, int32_t *groups)
{
	int found = 0;
	int32_t at = 0;

	clear(regex, &regex->now);
	begin(regex, &regex->now, 0);
	for (;;) {
		struct ways before;

		if (regex->now.accepted >= 0) {
			if (!regex->slots)
				return 1;
			if (!found)
				memset(groups, -1, regex->slots * sizeof(*groups));
			keep(regex, groups, found);
			found = 1;
		}
		if (found && !goes_on(regex, groups))
			return 1;
		if (at && !text[at - 1])
			return found;
		step(regex, (uint8_t)text[at], at + 1);
		if (!found && text[at] && has(regex->beginnings, (uint8_t)text[at + 1]))
			begin(regex, &regex->after, at + 1);
		before = regex->now;
		regex->now = regex->after;
		regex->after = before;
		at++;
	}
}
