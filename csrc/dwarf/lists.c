// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Lists of ranges and of locations. Source: DWARF 4, sections 2.17.3 and 2.6.2 (.debug_ranges, .debug_loc); DWARF 5, sections 2.17.3,
 * 2.6.2, 7.25 and 7.29 (.debug_rnglists, .debug_loclists), whose kinds of entries have the same numbers up to one.
 */
#include <errno.h>

#include "debug_state.h"

#define LONGEST 1000000u	/* entries of a list */

enum { RLE_END, RLE_BASEX, RLE_STARTX_ENDX, RLE_STARTX_LENGTH, RLE_OFFSET_PAIR, RLE_BASE, RLE_START_END, RLE_START_LENGTH };
enum { LLE_DEFAULT = 5, LLE_BASE = 6, LLE_START_END = 7, LLE_START_LENGTH = 8, LLE_GNU_VIEW_PAIR = 9 };

struct list {
	struct mb_debug *debug;
	const struct mb_debug_unit *unit;
	struct mb_bytes in;
	uint64_t base;
	int has_locations;
};

static uint64_t address(struct list *list)
{
	return mb_fixed(&list->in, list->unit->address_size);
}

static uint64_t address_by_number(struct list *list)
{
	const uint64_t number = mb_leb(&list->in);
	struct mb_bytes in = mb_debug_from(list->debug, list->unit, MB_DEBUG_ADDR, list->unit->addresses);

	if (number >= mb_left(&in) / list->unit->address_size) {
		list->in.bad = 1;
		return 0;
	}
	mb_skip(&in, number * list->unit->address_size);
	return mb_fixed(&in, list->unit->address_size);
}

/* The next range of a DWARF 4 list: 1; 0 at the end. */
static int next_old(struct list *list, struct mb_debug_range *range)
{
	const uint64_t highest = list->unit->address_size == 8 ? UINT64_MAX : UINT32_MAX;

	for (;;) {
		range->low = address(list);
		range->high = address(list);
		if (list->in.bad || (!range->low && !range->high))
			return 0;
		if (range->low != highest)
			break;
		list->base = range->high;
	}
	range->low += list->base;
	range->high += list->base;
	return 1;
}

/* What an entry of a DWARF 5 list says: 1 for a range, 0 at the end, 2 for something else. Kinds are those of range lists. */
static int new_entry(struct list *list, uint64_t kind, struct mb_debug_range *range)
{
	switch (kind) {
	case RLE_BASEX:
		list->base = address_by_number(list);
		return 2;
	case RLE_STARTX_ENDX:
		range->low = address_by_number(list);
		range->high = address_by_number(list);
		return 1;
	case RLE_STARTX_LENGTH:
		range->low = address_by_number(list);
		range->high = range->low + mb_leb(&list->in);
		return 1;
	case RLE_OFFSET_PAIR:
		range->low = list->base + mb_leb(&list->in);
		range->high = list->base + mb_leb(&list->in);
		return 1;
	case RLE_BASE:
		list->base = address(list);
		return 2;
	case RLE_START_END:
		range->low = address(list);
		range->high = address(list);
		return 1;
	case RLE_START_LENGTH:
		range->low = address(list);
		range->high = range->low + mb_leb(&list->in);
		return 1;
	default:
		list->in.bad = kind != RLE_END;
		return 0;
	}
}

/* A kind of a location list as that of a range list. */
static uint64_t range_kind(uint64_t kind)
{
	return kind >= LLE_BASE && kind <= LLE_START_LENGTH ? kind - 1 : kind;
}

static int next_new(struct list *list, struct mb_debug_range *range)
{
	int found;

	do {
		uint64_t kind = mb_fixed(&list->in, 1);

		if (list->in.bad)
			return 0;
		if (list->has_locations && kind == LLE_GNU_VIEW_PAIR) {
			mb_leb(&list->in);
			mb_leb(&list->in);
			found = 2;
		} else if (list->has_locations && kind == LLE_DEFAULT) {
			*range = (struct mb_debug_range){ 0, UINT64_MAX };
			found = 1;
		} else {
			found = new_entry(list, list->has_locations ? range_kind(kind) : kind, range);
		}
	} while (found == 2 && !list->in.bad);
	return found == 1 && !list->in.bad;
}

static int next_range(struct list *list, struct mb_debug_range *range)
{
	return list->unit->version < 5 ? next_old(list, range) : next_new(list, range);
}

/* The offset that a table of offsets holds for a number (DWARF 5, section 7.28). */
static uint64_t numbered_list(const struct mb_debug *debug, const struct mb_debug_unit *unit, int section, uint64_t base, uint64_t number)
{
	const uint64_t size = unit->is_64 ? 8 : 4;
	struct mb_bytes in = mb_debug_from(debug, unit, section, base);

	if (number >= mb_left(&in) / size)
		return UINT64_MAX;
	mb_skip(&in, number * size);
	return base + mb_debug_offset(unit, &in);
}

static int open_list(struct list *list, struct mb_debug *debug, uint32_t number, int kind, uint64_t offset, int has_locations)
{
	static const int sections[2][2] = { { MB_DEBUG_RANGES, MB_DEBUG_RNGLISTS }, { MB_DEBUG_LOC, MB_DEBUG_LOCLISTS } };

	list->debug = debug;
	list->unit = mb_debug_ready(debug, number);
	if (!list->unit)
		return -EINVAL;
	if (kind == MB_DEBUG_NUMBERED_LIST)
		offset = numbered_list(debug, list->unit, sections[has_locations][1],
				       has_locations ? list->unit->location_lists : list->unit->range_lists, offset);
	list->in = mb_debug_from(debug, list->unit, sections[has_locations][list->unit->version >= 5], offset);
	list->base = list->unit->low_pc;
	list->has_locations = has_locations;
	return list->in.bad ? -EINVAL : 0;
}

int64_t mb_debug_ranges(struct mb_debug *debug, uint32_t unit, int kind, uint64_t offset, struct mb_debug_range *ranges, uint32_t room)
{
	struct mb_debug_range range;
	struct list list;
	const uint8_t *start;
	int64_t count = 0;

	if (open_list(&list, debug, unit, kind, offset, 0))
		return -EINVAL;
	start = list.in.at;
	for (uint32_t i = 0; i < LONGEST && next_range(&list, &range); i++) {
		if (range.high <= range.low)
			continue;
		if (count < room)
			ranges[count] = range;
		count++;
	}
	if (list.in.bad || mb_debug_spend(debug, (uint64_t)(list.in.at - start)))
		return mb_debug_fault(debug, "a list of ranges cannot be read for the unit", list.unit->start);
	return count;
}

static struct mb_debug_bytes expression_here(struct list *list)
{
	const uint64_t size = list->unit->version < 5 ? mb_fixed(&list->in, 2) : mb_leb(&list->in);
	struct mb_debug_bytes expression = { list->in.at, size };

	mb_skip(&list->in, size);
	return expression;
}

int mb_debug_location(struct mb_debug *debug, uint32_t unit, int kind, uint64_t offset, uint64_t at,
		      struct mb_debug_bytes *expression)
{
	struct mb_debug_range range;
	struct list list;

	if (open_list(&list, debug, unit, kind, offset, 1))
		return -EINVAL;
	for (uint32_t i = 0; i < LONGEST && next_range(&list, &range); i++) {
		*expression = expression_here(&list);
		if (list.in.bad)
			return -EINVAL;
		if (range.low <= at && at < range.high)
			return 0;
	}
	return list.in.bad ? -EINVAL : -ENOENT;
}
