/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the readers of debug information share: the open files, their units and abbreviations. */
#ifndef MB_DEBUG_STATE_H
#define MB_DEBUG_STATE_H

#include <string.h>

#include "debug.h"
#include "backtrace/dwarf.h"
#include "names.h"

#define MB_DEBUG_TYPES (UINT64_C(1) << 48)	/* added to offsets in .debug_types */
#define MB_DEBUG_OTHER (UINT64_C(1) << 56)	/* added to refs into the second file */
#define MB_DEBUG_DEEPEST 256			/* entries within each other */

struct mb_abbreviation_spec {
	uint16_t name, form;
	int64_t constant;		/* DW_FORM_implicit_const */
};

struct mb_abbreviation {
	uint64_t code;
	uint32_t tag, first, count;	/* its specs */
	uint8_t has_children, has_list, has_sibling;
	int32_t bytes;			/* of its attributes where they all have a fixed size, or -1 */
};

struct mb_abbreviations {
	struct mb_abbreviation *one;
	struct mb_abbreviation_spec *spec;
	uint32_t count, specs, room, spec_room;
	uint64_t offset;
	uint8_t second, address_size, is_64, version;	/* for which sizes `bytes` holds */
};

struct mb_debug {
	struct mb_debug_bytes section[2][MB_DEBUG_SECTIONS];
	struct mb_debug_unit *unit;	/* by ref */
	struct mb_abbreviations *table;
	uint32_t units, unit_room, tables, table_room;
	uint64_t work;			/* what may still be read of abbreviations, headers of line tables and lists */
	char reason[160];
};

/* Note why something is damaged (the first reason stays); -EINVAL. */
int mb_debug_fault(struct mb_debug *debug, const char *what, uint64_t ref);

/* Take some of the work that a file of this size may cause; -EINVAL if it is used up. */
int mb_debug_spend(struct mb_debug *debug, uint64_t amount);

/* The bytes of a section, of the file that a unit is in, from an offset on. */
struct mb_bytes mb_debug_from(const struct mb_debug *debug, const struct mb_debug_unit *unit, int section, uint64_t offset);

/* The bytes of a unit's section of entries from a ref on, up to the unit's end. */
struct mb_bytes mb_debug_entries(const struct mb_debug *debug, const struct mb_debug_unit *unit, uint64_t ref);

/* The ref of a place in those bytes. */
uint64_t mb_debug_ref(const struct mb_debug *debug, const struct mb_debug_unit *unit, const uint8_t *at);

/* A unit whose top entry has been read, or NULL. */
struct mb_debug_unit *mb_debug_ready(struct mb_debug *debug, uint32_t number);

/* The abbreviation of a code, or NULL. */
const struct mb_abbreviation *mb_debug_abbreviation(const struct mb_abbreviations *table, uint64_t code);

/* The next attribute's value. */
void mb_debug_read(struct mb_debug *debug, const struct mb_debug_unit *unit, const struct mb_abbreviation_spec *spec, struct mb_bytes *in,
		   struct mb_debug_value *value);

/* Step over an attribute. */
void mb_debug_skip(const struct mb_debug_unit *unit, const struct mb_abbreviation_spec *spec, struct mb_bytes *in);

/* The size of a form's value if it is always the same, or -1. */
int mb_debug_form_bytes(const struct mb_debug_unit *unit, uint16_t form);

/* A number of the size that offsets have in a unit. */
static inline uint64_t mb_debug_offset(const struct mb_debug_unit *unit, struct mb_bytes *in)
{
	return mb_fixed(in, unit->is_64 ? 8 : 4);
}

#endif
