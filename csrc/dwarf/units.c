// SPDX-License-Identifier: LGPL-2.1-or-later
/* Units, their abbreviations and entries. Source: DWARF 5, sections 7.5.1 to 7.5.3; DWARF 4 for .debug_types. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "debug_state.h"

#define MOST_UNITS 1000000u
#define MOST_SPECS 4096u	/* attributes of one abbreviation */

int mb_debug_fault(struct mb_debug *debug, const char *what, uint64_t ref)
{
	if (!debug->reason[0])
		snprintf(debug->reason, sizeof(debug->reason), "%s at %#llx of %s%s", what,
			 (unsigned long long)(ref & (MB_DEBUG_TYPES - 1)), ref & MB_DEBUG_TYPES ? ".debug_types" : ".debug_info",
			 ref & MB_DEBUG_OTHER ? " of the file that dwz made" : "");
	return -EINVAL;
}

int mb_debug_spend(struct mb_debug *debug, uint64_t amount)
{
	if (amount > debug->work) {
		debug->work = 0;
		return -EINVAL;
	}
	debug->work -= amount;
	return 0;
}

/* --- bytes --- */

static struct mb_bytes from(const struct mb_debug_bytes *section, uint64_t offset)
{
	struct mb_bytes in = mb_bytes(section->data, section->size);

	mb_skip(&in, offset);
	return in;
}

struct mb_bytes mb_debug_from(const struct mb_debug *debug, const struct mb_debug_unit *unit, int section, uint64_t offset)
{
	return from(&debug->section[unit->second][section], offset);
}

static const struct mb_debug_bytes *home(const struct mb_debug *debug, uint64_t ref)
{
	return &debug->section[ref & MB_DEBUG_OTHER ? 1 : 0][ref & MB_DEBUG_TYPES ? MB_DEBUG_TYPE_UNITS : MB_DEBUG_INFO];
}

struct mb_bytes mb_debug_entries(const struct mb_debug *debug, const struct mb_debug_unit *unit, uint64_t ref)
{
	struct mb_bytes in = from(home(debug, unit->start), ref & (MB_DEBUG_TYPES - 1));
	const uint64_t left = ref < unit->end ? unit->end - ref : 0;

	if (left < mb_left(&in))
		in.end = in.at + left;
	return in;
}

uint64_t mb_debug_ref(const struct mb_debug *debug, const struct mb_debug_unit *unit, const uint8_t *at)
{
	const uint64_t marks = unit->start & ~(MB_DEBUG_TYPES - 1);

	return marks + (uint64_t)(at - home(debug, unit->start)->data);
}

/* --- headers of units --- */

static int room_for(void **array, uint32_t *room, uint32_t count, size_t size)
{
	const uint32_t more = *room ? 2 * *room : 64;
	void *larger;

	if (count < *room)
		return 0;
	larger = realloc(*array, (size_t)more * size);
	if (!larger)
		return -ENOMEM;
	*array = larger;
	*room = more;
	return 0;
}

static int is_type_unit(const struct mb_debug_unit *unit)
{
	return unit->kind == UNIT_TYPE || unit->kind == UNIT_SPLIT_TYPE;
}

static void read_header(struct mb_debug *debug, struct mb_debug_unit *unit, struct mb_bytes *in)
{
	const int is_types = (unit->start & MB_DEBUG_TYPES) != 0;

	unit->version = (uint8_t)mb_fixed(in, 2);
	unit->kind = is_types ? UNIT_TYPE : UNIT_COMPILE;
	if (unit->version >= 5) {
		unit->kind = (uint8_t)mb_fixed(in, 1);
		unit->address_size = (uint8_t)mb_fixed(in, 1);
		unit->abbreviations = mb_debug_offset(unit, in);
	} else {
		unit->abbreviations = mb_debug_offset(unit, in);
		unit->address_size = (uint8_t)mb_fixed(in, 1);
	}
	if (is_type_unit(unit)) {
		unit->signature = mb_fixed(in, 8);
		unit->type = unit->start + mb_debug_offset(unit, in);
	} else if (unit->kind == UNIT_SKELETON || unit->kind == UNIT_SPLIT_COMPILE) {
		unit->signature = mb_fixed(in, 8);
	}
	unit->first = mb_debug_ref(debug, unit, in->at);
}

static int read_unit(struct mb_debug *debug, uint64_t start, struct mb_bytes *in, struct mb_debug_unit *unit)
{
	int is_64;
	uint64_t length;

	memset(unit, 0, sizeof(*unit));
	unit->start = start;
	unit->second = start & MB_DEBUG_OTHER ? 1 : 0;
	unit->table = -1;
	unit->lines = UINT64_MAX;
	length = mb_unit_length(in, &is_64);
	unit->is_64 = (uint8_t)is_64;
	if (in->bad || length > mb_left(in))
		return mb_debug_fault(debug, "a unit is cut off", start);
	unit->end = mb_debug_ref(debug, unit, in->at) + length;
	read_header(debug, unit, in);
	if (in->bad || unit->first > unit->end)
		return mb_debug_fault(debug, "the header of a unit is cut off", start);
	if (unit->version < 2 || unit->version > 5)
		return mb_debug_fault(debug, "a unit of an unknown version", start);
	if (unit->address_size != 8 && unit->address_size != 4)
		return mb_debug_fault(debug, "a unit with an odd size of addresses", start);
	return 0;
}

static int read_units(struct mb_debug *debug, uint64_t marks)
{
	struct mb_bytes in = from(home(debug, marks), 0);
	const uint8_t *start = in.at;

	while (mb_left(&in)) {
		struct mb_debug_unit unit;
		int ret = read_unit(debug, marks + (uint64_t)(in.at - start), &in, &unit);

		if (!ret && debug->units >= MOST_UNITS)
			ret = mb_debug_fault(debug, "more units than are believed", unit.start);
		if (!ret)
			ret = room_for((void **)&debug->unit, &debug->unit_room, debug->units, sizeof(*debug->unit));
		if (ret)
			return ret;
		debug->unit[debug->units++] = unit;
		in.at = start + ((unit.end - marks));
	}
	return 0;
}

struct mb_debug *mb_debug_open(const struct mb_debug_bytes *first, const struct mb_debug_bytes *second)
{
	static const uint64_t parts[] = { 0, MB_DEBUG_TYPES, MB_DEBUG_OTHER, MB_DEBUG_OTHER + MB_DEBUG_TYPES };
	struct mb_debug *debug = calloc(1, sizeof(*debug));
	uint64_t size = 0;

	if (!debug)
		return NULL;
	memcpy(debug->section[0], first, sizeof(debug->section[0]));
	if (second)
		memcpy(debug->section[1], second, sizeof(debug->section[1]));
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < MB_DEBUG_SECTIONS; k++)
			size += debug->section[i][k].size;
	debug->work = 64 * size + (1 << 20);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (read_units(debug, parts[i]) == -ENOMEM) {
			mb_debug_close(debug);
			return NULL;
		}
	return debug;
}

void mb_debug_add_section(struct mb_debug *debug, int second, int section, const struct mb_debug_bytes *bytes)
{
	debug->section[second != 0][section] = *bytes;
	debug->work += 64 * bytes->size;
}

void mb_debug_close(struct mb_debug *debug)
{
	if (!debug)
		return;
	for (uint32_t i = 0; i < debug->tables; i++) {
		free(debug->table[i].one);
		free(debug->table[i].spec);
	}
	free(debug->table);
	free(debug->unit);
	free(debug);
}

const char *mb_debug_reason(const struct mb_debug *debug)
{
	return debug->reason;
}

uint32_t mb_debug_units(const struct mb_debug *debug)
{
	return debug->units;
}

int64_t mb_debug_unit_at(const struct mb_debug *debug, uint64_t ref)
{
	uint32_t low = 0, high = debug->units;

	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;

		if (debug->unit[middle].start <= ref)
			low = middle + 1;
		else
			high = middle;
	}
	return low && ref < debug->unit[low - 1].end ? (int64_t)low - 1 : -ENOENT;
}

uint64_t mb_debug_type_of(struct mb_debug *debug, uint64_t signature)
{
	for (uint32_t i = 0; i < debug->units; i++)
		if (is_type_unit(&debug->unit[i]) && debug->unit[i].signature == signature)
			return debug->unit[i].type;
	return 0;
}

/* --- abbreviations --- */

static void free_table(struct mb_abbreviations *table)
{
	free(table->one);
	free(table->spec);
	memset(table, 0, sizeof(*table));
}

static int is_list_form(uint16_t form)
{
	return form == FORM_SEC_OFFSET || form == FORM_LOCLISTX || form == FORM_DATA4 || form == FORM_DATA8;
}

static int add_spec(struct mb_abbreviations *table, struct mb_abbreviation *one, const struct mb_debug_unit *unit, struct mb_bytes *in,
		    uint64_t name, uint64_t form)
{
	struct mb_abbreviation_spec spec = { .name = name > UINT16_MAX ? 0 : (uint16_t)name, .form = form > UINT16_MAX ? 0 : (uint16_t)form };
	const int bytes = mb_debug_form_bytes(unit, spec.form);

	if (spec.form == FORM_IMPLICIT_CONST)
		spec.constant = mb_leb_signed(in);
	if (one->count >= MOST_SPECS || room_for((void **)&table->spec, &table->spec_room, table->specs, sizeof(spec)))
		return -EINVAL;
	table->spec[table->specs++] = spec;
	one->count++;
	one->has_sibling |= spec.name == AT_SIBLING;
	one->has_list |= spec.name == AT_LOCATION && is_list_form(spec.form);
	one->bytes = bytes < 0 || one->bytes < 0 ? -1 : one->bytes + bytes;
	return 0;
}

static int by_code(const void *a, const void *b)
{
	const struct mb_abbreviation *x = a, *y = b;

	return (x->code > y->code) - (x->code < y->code);
}

static int read_table(struct mb_abbreviations *table, const struct mb_debug_unit *unit, struct mb_bytes *in)
{
	for (;;) {
		struct mb_abbreviation one = { .code = mb_leb(in), .first = table->specs };
		uint64_t tag;

		if (in->bad || !one.code)
			break;
		tag = mb_leb(in);
		one.tag = tag > UINT32_MAX ? UINT32_MAX : (uint32_t)tag;
		one.has_children = mb_fixed(in, 1) != 0;
		for (;;) {
			const uint64_t name = mb_leb(in), form = mb_leb(in);

			if (in->bad || (!name && !form))
				break;
			if (add_spec(table, &one, unit, in, name, form))
				return -EINVAL;
		}
		if (in->bad || room_for((void **)&table->one, &table->room, table->count, sizeof(one)))
			return -EINVAL;
		table->one[table->count++] = one;
	}
	if (table->count)
		qsort(table->one, table->count, sizeof(*table->one), by_code);
	return in->bad ? -EINVAL : 0;
}

static int32_t known_table(const struct mb_debug *debug, const struct mb_debug_unit *unit)
{
	/* units that share a table mostly follow each other, or they all share the first */
	for (uint32_t i = 0; i < debug->tables && i < 64; i++) {
		const uint32_t number = i % 2 ? i / 2 : debug->tables - 1 - i / 2;
		const struct mb_abbreviations *table = &debug->table[number];

		if (table->offset == unit->abbreviations && table->second == unit->second && table->address_size == unit->address_size &&
		    table->is_64 == unit->is_64 && table->version == unit->version)
			return (int32_t)number;
	}
	return -1;
}

static const struct mb_abbreviations *table_of(struct mb_debug *debug, struct mb_debug_unit *unit)
{
	struct mb_bytes in;
	const uint8_t *start;
	struct mb_abbreviations table = { .offset = unit->abbreviations, .second = unit->second, .address_size = unit->address_size,
					  .is_64 = unit->is_64, .version = unit->version };

	if (unit->table < 0)
		unit->table = known_table(debug, unit);
	if (unit->table >= 0)
		return &debug->table[unit->table];
	in = mb_debug_from(debug, unit, MB_DEBUG_ABBREV, unit->abbreviations);
	start = in.at;
	if (in.bad || read_table(&table, unit, &in) || mb_debug_spend(debug, (uint64_t)(in.at - start)) ||
	    room_for((void **)&debug->table, &debug->table_room, debug->tables, sizeof(table))) {
		free_table(&table);
		return NULL;
	}
	debug->table[debug->tables] = table;
	unit->table = (int32_t)debug->tables++;
	return &debug->table[unit->table];
}

const struct mb_abbreviation *mb_debug_abbreviation(const struct mb_abbreviations *table, uint64_t code)
{
	uint32_t low = 0, high = table->count;

	if (code - 1 < table->count && table->one[code - 1].code == code)
		return &table->one[code - 1];
	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;

		if (table->one[middle].code < code)
			low = middle + 1;
		else
			high = middle;
	}
	return low < table->count && table->one[low].code == code ? &table->one[low] : NULL;
}

/* --- entries --- */

static int read_entry(struct mb_debug *debug, struct mb_debug_unit *unit, uint64_t ref, struct mb_debug_entry *entry)
{
	struct mb_bytes in = mb_debug_entries(debug, unit, ref);
	const struct mb_abbreviations *table = table_of(debug, unit);
	const uint64_t code = mb_leb(&in);
	const struct mb_abbreviation *one;

	entry->ref = ref;
	entry->unit = (uint32_t)(unit - debug->unit);
	entry->tag = entry->count = 0;
	entry->has_children = 0;
	if (!table)
		return mb_debug_fault(debug, "the abbreviations of a unit cannot be read", unit->start);
	one = code ? mb_debug_abbreviation(table, code) : NULL;
	if (in.bad || (code && !one))
		return mb_debug_fault(debug, "an entry without abbreviation", ref);
	for (uint32_t i = 0; one && i < one->count; i++) {
		const struct mb_abbreviation_spec *spec = &table->spec[one->first + i];

		if (entry->count < sizeof(entry->value) / sizeof(entry->value[0]))
			mb_debug_read(debug, unit, spec, &in, &entry->value[entry->count++]);
		else
			mb_debug_skip(unit, spec, &in);
	}
	if (in.bad)
		return mb_debug_fault(debug, "an entry is cut off", ref);
	entry->tag = one ? one->tag : 0;
	entry->has_children = one && one->has_children;
	entry->next = mb_debug_ref(debug, unit, in.at);
	return 0;
}

/* Where the unit's parts of sections begin without a word about it: behind the header of the section's first part. */
static void set_defaults(struct mb_debug_unit *unit)
{
	const uint64_t header = unit->is_64 ? 16 : 8;

	if (unit->version < 5)
		return;
	unit->strings = unit->addresses = header;
	unit->range_lists = unit->location_lists = header + 4;
}

static void take_top(struct mb_debug_unit *unit, const struct mb_debug_entry *top)
{
	for (uint32_t i = 0; i < top->count; i++) {
		const struct mb_debug_value *value = &top->value[i];

		switch (value->name) {
		case AT_STMT_LIST: unit->lines = value->number; break;
		case AT_LOW_PC: unit->low_pc = value->number; break;
		case AT_STR_OFFSETS_BASE: unit->strings = value->number; break;
		case AT_ADDR_BASE: case AT_GNU_ADDR_BASE: unit->addresses = value->number; break;
		case AT_RNGLISTS_BASE: unit->range_lists = value->number; break;
		case AT_LOCLISTS_BASE: unit->location_lists = value->number; break;
		default: break;
		}
	}
}

struct mb_debug_unit *mb_debug_ready(struct mb_debug *debug, uint32_t number)
{
	struct mb_debug_unit *unit;
	struct mb_debug_entry top;

	if (number >= debug->units)
		return NULL;
	unit = &debug->unit[number];
	if (!unit->ready) {
		unit->ready = 2;
		set_defaults(unit);
		/* twice, because numbers of addresses and texts need the bases that come behind them */
		if (read_entry(debug, unit, unit->first, &top))
			return NULL;
		take_top(unit, &top);
		if (read_entry(debug, unit, unit->first, &top))
			return NULL;
		take_top(unit, &top);
		unit->ready = 1;
	}
	return unit->ready == 1 ? unit : NULL;
}

const struct mb_debug_unit *mb_debug_unit(struct mb_debug *debug, uint32_t number)
{
	return mb_debug_ready(debug, number);
}

int mb_debug_entry(struct mb_debug *debug, uint64_t ref, struct mb_debug_entry *entry)
{
	const int64_t number = mb_debug_unit_at(debug, ref);
	struct mb_debug_unit *unit = number < 0 ? NULL : mb_debug_ready(debug, (uint32_t)number);

	if (!unit || ref < unit->first)
		return mb_debug_fault(debug, "no entry", ref);
	return read_entry(debug, unit, ref, entry);
}

static void skip_attributes(const struct mb_debug_unit *unit, const struct mb_abbreviations *table, const struct mb_abbreviation *one,
			    struct mb_bytes *in)
{
	if (one->bytes >= 0)
		mb_skip(in, (uint64_t)one->bytes);
	else
		for (uint32_t i = 0; i < one->count && !in->bad; i++)
			mb_debug_skip(unit, &table->spec[one->first + i], in);
}

static uint64_t sibling_of(const struct mb_debug_entry *entry)
{
	for (uint32_t i = 0; i < entry->count; i++)
		if (entry->value[i].name == AT_SIBLING && entry->value[i].kind == MB_DEBUG_ENTRY)
			return entry->value[i].number;
	return 0;
}

/* The same by walking over all that is below. */
static uint64_t walk_over(struct mb_debug *debug, struct mb_debug_unit *unit, uint64_t first)
{
	const struct mb_abbreviations *table = table_of(debug, unit);
	struct mb_bytes in = mb_debug_entries(debug, unit, first);
	uint64_t depth = 1;

	while (table && depth && !in.bad && mb_left(&in)) {
		const uint64_t code = mb_leb(&in);
		const struct mb_abbreviation *one = code ? mb_debug_abbreviation(table, code) : NULL;

		if (!code) {
			depth--;
			continue;
		}
		if (!one)
			return 0;
		skip_attributes(unit, table, one, &in);
		depth += one->has_children;
	}
	return in.bad || depth ? 0 : mb_debug_ref(debug, unit, in.at);
}

uint64_t mb_debug_after(struct mb_debug *debug, uint64_t ref)
{
	struct mb_debug_entry entry;
	struct mb_debug_unit *unit;
	uint64_t after;

	if (mb_debug_entry(debug, ref, &entry))
		return 0;
	if (!entry.has_children)
		return entry.next;
	unit = &debug->unit[entry.unit];
	after = sibling_of(&entry);
	if (after <= entry.next || after >= unit->end)
		after = walk_over(debug, unit, entry.next);
	if (!after)
		mb_debug_fault(debug, "what is below an entry is cut off", ref);
	return after;
}

int mb_debug_around(struct mb_debug *debug, uint64_t ref, uint64_t *around, uint32_t room)
{
	const int64_t number = mb_debug_unit_at(debug, ref);
	struct mb_debug_unit *unit = number < 0 ? NULL : mb_debug_ready(debug, (uint32_t)number);
	const struct mb_abbreviations *table = unit ? table_of(debug, unit) : NULL;
	struct mb_bytes in;
	uint32_t depth = 0;

	if (!table || ref < unit->first)
		return -EINVAL;
	in = mb_debug_entries(debug, unit, unit->first);
	while (!in.bad && mb_left(&in)) {
		const uint64_t here = mb_debug_ref(debug, unit, in.at), code = mb_leb(&in);
		const struct mb_abbreviation *one = code ? mb_debug_abbreviation(table, code) : NULL;

		if (here >= ref)
			return here == ref ? (int)depth : -EINVAL;
		if (code && !one)
			return -EINVAL;
		if (!code) {
			if (!depth--)
				return -EINVAL;
			continue;
		}
		skip_attributes(unit, table, one, &in);
		if (one->has_children) {
			if (depth < room)
				around[depth] = here;
			if (++depth > MB_DEBUG_DEEPEST)
				return -EINVAL;
		}
	}
	return -EINVAL;
}
