// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * One pass over all entries of all units: functions, inlined copies, variables and types at the top, imports.
 *
 * Entries that say nothing of these are stepped over by their abbreviation alone. Nothing is followed here: what an entry inherits is
 * looked up when all are known (resolve.c).
 */
#include <errno.h>
#include <stdlib.h>

#include "index.h"

#define LONGEST_NAME 65536u
#define LONGEST_SCOPE 4096u
#define MOST_RANGES 65536u	/* of one entry */

struct level {
	uint32_t scope;
	int32_t function;	/* with code, around what is here, or -1 */
	int is_top;		/* here are the unit's own variables and types */
};

struct walk {
	struct mb_scan *scan;
	struct mb_debug_unit *unit;
	const struct mb_abbreviations *table;
	uint32_t number;
	unsigned depth;
	struct level level[MB_DEBUG_DEEPEST + 1];
};

void *mb_index_add(struct mb_index_array *array)
{
	void *one;

	if (array->count == array->room) {
		const uint32_t more = array->room ? 2 * array->room : 256;
		void *larger = more > array->room ? realloc(array->data, (size_t)more * array->size) : NULL;

		if (!larger)
			return NULL;
		array->data = larger;
		array->room = more;
	}
	one = (char *)array->data + (size_t)array->count++ * array->size;
	memset(one, 0, array->size);
	return one;
}

/* --- what an entry says --- */

static int is_wanted(uint32_t tag)
{
	switch (tag) {
	case TAG_CLASS: case TAG_ENUMERATION: case TAG_COMPILE_UNIT: case TAG_STRUCTURE: case TAG_TYPEDEF: case TAG_UNION: case TAG_INLINED:
	case TAG_MODULE: case TAG_BASE_TYPE: case TAG_SUBPROGRAM: case TAG_VARIABLE: case TAG_NAMESPACE: case TAG_PARTIAL_UNIT:
	case TAG_IMPORTED_UNIT: case TAG_TYPE_UNIT: case TAG_SKELETON_UNIT: case 0x0d:
		return 1;
	default:
		return 0;
	}
}

static int is_data(uint32_t tag)
{
	return tag == TAG_VARIABLE || tag == TAG_PARAMETER;
}

static void take_place(struct mb_facts *facts, const struct mb_debug_value *value)
{
	const int is_address = value->kind == MB_DEBUG_ADDRESS;

	switch (value->name) {
	case AT_LOW_PC:
		facts->low = value->number;
		facts->has |= HAS_LOW;
		break;
	case AT_HIGH_PC:
		facts->high = value->number;
		facts->has |= is_address ? HAS_HIGH : HAS_HIGH_SIZE;
		break;
	case AT_ENTRY_PC:
		facts->entry = value->number;
		facts->has |= is_address ? HAS_ENTRY : HAS_ENTRY_SIZE;
		break;
	case AT_RANGES:
		facts->ranges = value->number;
		facts->list = value->kind;
		facts->has |= value->kind == MB_DEBUG_LIST || value->kind == MB_DEBUG_NUMBERED_LIST ? HAS_RANGES : 0;
		break;
	default:
		break;
	}
}

static void take(struct mb_facts *facts, const struct mb_debug_value *value)
{
	const int is_entry = value->kind == MB_DEBUG_ENTRY;

	switch (value->name) {
	case AT_NAME:
		if (value->kind == MB_DEBUG_TEXT && value->size <= LONGEST_NAME && !(facts->has & IS_SPLIT))
			facts->text = (struct mb_debug_bytes){ value->data, value->size };
		break;
	case AT_DWO_NAME: case AT_GNU_DWO_NAME:	/* such a unit has no other name, and its entries are in that file */
		if (value->kind == MB_DEBUG_TEXT && value->size <= LONGEST_NAME) {
			facts->text = (struct mb_debug_bytes){ value->data, value->size };
			facts->has |= IS_SPLIT;
		}
		break;
	case AT_COMP_DIR:
		if (value->kind == MB_DEBUG_TEXT && value->size <= LONGEST_NAME)
			facts->folder = (struct mb_debug_bytes){ value->data, value->size };
		break;
	case AT_ABSTRACT_ORIGIN: case AT_SPECIFICATION:
		if (is_entry && (value->name == AT_ABSTRACT_ORIGIN || !facts->origin))
			facts->origin = value->number;
		break;
	case AT_SIBLING:
		facts->sibling = is_entry ? value->number : 0;
		break;
	case AT_IMPORT:
		facts->import = is_entry ? value->number : 0;
		break;
	case AT_DECL_FILE:
		facts->file = (uint32_t)value->number;
		facts->has |= HAS_FILE;
		break;
	case AT_DECL_LINE:
		facts->line = (uint32_t)value->number;
		facts->has |= HAS_LINE;
		break;
	case AT_DECLARATION:
		facts->has |= value->number ? IS_DECLARATION : 0;
		break;
	case AT_EXTERNAL:
		facts->has |= value->number ? IS_EXTERNAL : 0;
		break;
	default:
		take_place(facts, value);
	}
}

static void read_facts(struct walk *walk, const struct mb_abbreviation *one, struct mb_bytes *in, struct mb_facts *facts)
{
	memset(facts, 0, sizeof(*facts));
	for (uint32_t i = 0; i < one->count && !in->bad; i++) {
		struct mb_debug_value value;

		mb_debug_read(walk->scan->debug, walk->unit, &walk->table->spec[one->first + i], in, &value);
		take(facts, &value);
	}
}

/* --- code --- */

static int add_range(struct mb_scan *scan, struct mb_index_function *function, struct mb_debug_range range)
{
	struct mb_debug_range *one;

	if (range.high <= range.low)
		return 0;
	one = mb_index_add(&scan->ranges);
	if (!one)
		return -ENOMEM;
	*one = range;
	function->ranges++;
	return 0;
}

static int add_list(struct walk *walk, struct mb_index_function *function, int kind, uint64_t list)
{
	struct mb_debug_range *ranges, some[16];
	int64_t count = mb_debug_ranges(walk->scan->debug, walk->number, kind, list, some, 16);
	int ret = 0;

	if (count < 0 || count > MOST_RANGES)
		return -EINVAL;
	ranges = count > 16 ? calloc((size_t)count, sizeof(*ranges)) : some;
	if (!ranges)
		return -ENOMEM;
	if (count > 16)
		mb_debug_ranges(walk->scan->debug, walk->number, kind, list, ranges, (uint32_t)count);
	for (int64_t i = 0; i < count && !ret; i++)
		ret = add_range(walk->scan, function, ranges[i]);
	if (ranges != some)
		free(ranges);
	return ret;
}

static int add_ranges(struct walk *walk, struct mb_index_function *function, const struct mb_facts *facts)
{
	struct mb_debug_range range = { facts->low, facts->high };

	function->range = walk->scan->ranges.count;
	if (facts->has & HAS_RANGES)
		return add_list(walk, function, facts->list, facts->ranges);
	if (!(facts->has & HAS_LOW) || !(facts->has & (HAS_HIGH | HAS_HIGH_SIZE)))
		return 0;
	if (facts->has & HAS_HIGH_SIZE)
		range.high = facts->low + facts->high;
	return add_range(walk->scan, function, range);
}

/* Where it is entered: a constant counts from the start of the code (DWARF 5, section 2.18). */
static uint64_t entry_of(const struct mb_scan *scan, const struct mb_index_function *function, const struct mb_facts *facts)
{
	const struct mb_debug_range *ranges = scan->ranges.data;
	const uint64_t first = function->ranges ? ranges[function->range].low : facts->low;

	if (facts->has & HAS_ENTRY)
		return facts->entry;
	if (facts->has & HAS_ENTRY_SIZE)
		return first + facts->entry;
	return facts->has & HAS_LOW ? facts->low : first;
}

/* The number of the function that an entry with code is, or -1; -ENOMEM and -EINVAL by `ret`. */
static int32_t add_function(struct walk *walk, uint64_t ref, uint32_t tag, const struct mb_facts *facts, int *ret)
{
	struct mb_scan *scan = walk->scan;
	struct mb_index_function one = { .ref = ref, .unit = walk->number, .outer = walk->level[walk->depth].function };
	struct mb_index_function *kept;

	if (facts->has & IS_DECLARATION)
		return -1;
	*ret = add_ranges(walk, &one, facts);
	one.entry = entry_of(scan, &one, facts);
	one.flags = tag == TAG_INLINED ? MB_INDEX_INLINED : 0;
	/* the linker leaves the code that it took away at 0 */
	if (*ret || !one.entry || (!one.ranges && tag != TAG_INLINED) || scan->functions.count >= INT32_MAX) {
		scan->ranges.count -= *ret ? 0 : one.ranges;
		return -1;
	}
	kept = mb_index_add(&scan->functions);
	if (!kept) {
		*ret = -ENOMEM;
		return -1;
	}
	*kept = one;
	return (int32_t)scan->functions.count - 1;
}

/* --- entries --- */

static struct mb_item *add_item(struct walk *walk, uint64_t ref, uint32_t tag, const struct mb_facts *facts)
{
	struct mb_item *item = mb_index_add(&walk->scan->items);

	if (!item)
		return NULL;
	*item = (struct mb_item){ .ref = ref, .origin = facts->origin, .unit = walk->number, .scope = walk->level[walk->depth].scope,
				  .file = facts->file, .line = facts->line, .has = facts->has, .function = -1, .tag = (uint16_t)tag,
				  .is_top = walk->level[walk->depth].is_top ? 1 : 0 };
	item->name = mb_texts_number(&walk->scan->pool, facts->text.data, facts->text.size);
	return item;
}

static uint32_t scope_within(struct walk *walk, uint32_t outer, const struct mb_debug_bytes *name)
{
	struct mb_texts *pool = &walk->scan->pool;
	const size_t before = strlen(pool->data + outer);
	char text[LONGEST_SCOPE];

	if (!name->size)
		return outer;
	if (!outer)
		return mb_texts_number(pool, name->data, name->size);
	if (before + 2 + name->size > sizeof(text))
		return outer;
	memcpy(text, pool->data + outer, before);
	memcpy(text + before, "::", 2);
	memcpy(text + before + 2, name->data, name->size);
	return mb_texts_number(pool, (const uint8_t *)text, before + 2 + name->size);
}

static int enter_unit(struct walk *walk, uint32_t tag, const struct mb_facts *facts)
{
	struct mb_index_unit *unit = (struct mb_index_unit *)walk->scan->units.data + walk->number;

	unit->name = mb_texts_number(&walk->scan->pool, facts->text.data, facts->text.size);
	unit->folder = mb_texts_number(&walk->scan->pool, facts->folder.data, facts->folder.size);
	if (facts->has & IS_SPLIT)
		unit->flags |= MB_INDEX_SPLIT;
	else if (tag != TAG_COMPILE_UNIT)
		unit->flags |= MB_INDEX_PARTIAL;
	return 0;
}

static int add_import(struct walk *walk, const struct mb_facts *facts)
{
	const int64_t target = mb_debug_unit_at(walk->scan->debug, facts->import);
	struct mb_index_import *import;

	if (!facts->import || target < 0)
		return 0;
	import = mb_index_add(&walk->scan->imports);
	if (!import)
		return -ENOMEM;
	*import = (struct mb_index_import){ walk->number, (uint32_t)target };
	return 0;
}

static int is_space(uint32_t tag)
{
	return tag == TAG_NAMESPACE || tag == TAG_MODULE || tag == TAG_CLASS || tag == TAG_STRUCTURE || tag == TAG_UNION;
}

/* What an entry is to the index; *inner is what its children lie in. */
static int visit(struct walk *walk, uint64_t ref, uint32_t tag, const struct mb_facts *facts, struct level *inner)
{
	struct mb_item *item;
	int ret = 0;

	switch (tag) {
	case TAG_COMPILE_UNIT: case TAG_PARTIAL_UNIT: case TAG_TYPE_UNIT: case TAG_SKELETON_UNIT:
		inner->is_top = 1;
		return enter_unit(walk, tag, facts);
	case TAG_IMPORTED_UNIT:
		return add_import(walk, facts);
	case TAG_SUBPROGRAM: case TAG_INLINED:
		item = add_item(walk, ref, tag, facts);
		if (!item)
			return -ENOMEM;
		item->function = add_function(walk, ref, tag, facts, &ret);
		if (item->function >= 0)
			inner->function = item->function;
		inner->is_top = 0;
		return ret;
	case TAG_NAMESPACE: case TAG_MODULE:
		inner->scope = scope_within(walk, inner->scope, &facts->text);
		return 0;
	default:
		inner->is_top = 0;
	}
	if (is_space(tag))
		inner->scope = scope_within(walk, inner->scope, &facts->text);
	/* of members only those that are declarations of variables or functions matter */
	if (walk->level[walk->depth].is_top || (tag == 0x0d && facts->has & (IS_DECLARATION | IS_EXTERNAL)))
		return add_item(walk, ref, tag, facts) ? 0 : -ENOMEM;
	return 0;
}

static int step(struct walk *walk, struct mb_bytes *in)
{
	const uint64_t ref = mb_debug_ref(walk->scan->debug, walk->unit, in->at), code = mb_leb(in);
	const struct mb_abbreviation *one = code ? mb_debug_abbreviation(walk->table, code) : NULL;
	struct level inner = walk->level[walk->depth];
	struct mb_facts facts = { 0 };
	int ret = 0;

	if (!code) {
		walk->depth -= walk->depth ? 1 : 0;
		return 0;
	}
	if (!one)
		return mb_debug_fault(walk->scan->debug, "an entry without abbreviation", ref);
	if (one->has_list && is_data(one->tag))
		((struct mb_index_unit *)walk->scan->units.data)[walk->number].flags |= MB_INDEX_OPTIMISED;
	if (is_wanted(one->tag) && (one->tag != TAG_VARIABLE || inner.is_top)) {
		read_facts(walk, one, in, &facts);
		if (!in->bad)
			ret = visit(walk, ref, one->tag, &facts, &inner);
	} else if (one->bytes >= 0) {
		mb_skip(in, (uint64_t)one->bytes);
	} else {
		for (uint32_t i = 0; i < one->count && !in->bad; i++)
			mb_debug_skip(walk->unit, &walk->table->spec[one->first + i], in);
	}
	if (ret || !one->has_children)
		return ret;
	if (one->tag == TAG_ENUMERATION && facts.sibling > ref && facts.sibling < walk->unit->end) {
		*in = mb_debug_entries(walk->scan->debug, walk->unit, facts.sibling);
		return 0;
	}
	if (walk->depth == MB_DEBUG_DEEPEST)
		return mb_debug_fault(walk->scan->debug, "entries lie too deep within each other", ref);
	walk->level[++walk->depth] = inner;
	return 0;
}

static int collect_unit(struct mb_scan *scan, uint32_t number)
{
	struct walk walk = { .scan = scan, .number = number };
	struct mb_index_unit *kept = mb_index_add(&scan->units);
	struct mb_bytes in;
	int ret = 0;

	if (!kept)
		return -ENOMEM;
	walk.unit = mb_debug_ready(scan->debug, number);
	if (!walk.unit)
		return -EINVAL;
	walk.table = &scan->debug->table[walk.unit->table];
	walk.level[0].function = -1;
	kept->start = walk.unit->start;
	kept->function = scan->functions.count;
	in = mb_debug_entries(scan->debug, walk.unit, walk.unit->first);
	while (mb_left(&in) && !ret) {
		const uint64_t here = mb_debug_ref(scan->debug, walk.unit, in.at);

		ret = step(&walk, &in);
		if (!ret && in.bad)
			ret = mb_debug_fault(scan->debug, "an entry is cut off", here);
		if (scan->pool.full)
			ret = -ENOMEM;
	}
	kept = (struct mb_index_unit *)scan->units.data + number;
	kept->functions = scan->functions.count - kept->function;
	return ret;
}

int mb_index_collect(struct mb_scan *scan)
{
	int ret = scan->debug->reason[0] ? -EINVAL : 0;

	for (uint32_t i = 0; i < mb_debug_units(scan->debug) && !ret; i++)
		ret = collect_unit(scan, i);
	return ret;
}
