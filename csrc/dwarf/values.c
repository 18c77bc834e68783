// SPDX-License-Identifier: LGPL-2.1-or-later
/* The values of attributes, whatever form they have. Source: DWARF 5, section 7.5; GNU's forms for files made by dwz. */
#include <errno.h>

#include "debug_state.h"

#define DEEPEST_INDIRECTION 4

int mb_debug_form_bytes(const struct mb_debug_unit *unit, uint16_t form)
{
	switch (form) {
	case FORM_ADDR:
		return unit->address_size;
	case FORM_FLAG_PRESENT: case FORM_IMPLICIT_CONST:
		return 0;
	case FORM_DATA1: case FORM_REF1: case FORM_FLAG: case FORM_STRX1: case FORM_ADDRX1:
		return 1;
	case FORM_DATA2: case FORM_REF2: case FORM_STRX2: case FORM_ADDRX2:
		return 2;
	case FORM_STRX3: case FORM_ADDRX3:
		return 3;
	case FORM_DATA4: case FORM_REF4: case FORM_STRX4: case FORM_ADDRX4: case FORM_REF_SUP4:
		return 4;
	case FORM_DATA8: case FORM_REF8: case FORM_REF_SIG8: case FORM_REF_SUP8:
		return 8;
	case FORM_DATA16:
		return 16;
	case FORM_REF_ADDR:
		return unit->version == 2 ? unit->address_size : unit->is_64 ? 8 : 4;
	case FORM_STRP: case FORM_LINE_STRP: case FORM_SEC_OFFSET: case FORM_STRP_SUP: case FORM_GNU_REF_ALT: case FORM_GNU_STRP_ALT:
		return unit->is_64 ? 8 : 4;
	default:
		return -1;
	}
}

/* The form that DW_FORM_indirect announces. */
static uint16_t direct(struct mb_bytes *in, uint16_t form)
{
	for (int i = 0; form == FORM_INDIRECT && i < DEEPEST_INDIRECTION; i++) {
		const uint64_t next = mb_leb(in);

		form = next > UINT16_MAX ? 0 : (uint16_t)next;
	}
	return form;
}

static uint64_t block_bytes(struct mb_bytes *in, uint16_t form)
{
	switch (form) {
	case FORM_BLOCK1:
		return mb_fixed(in, 1);
	case FORM_BLOCK2:
		return mb_fixed(in, 2);
	case FORM_BLOCK4:
		return mb_fixed(in, 4);
	case FORM_DATA16:
		return 16;
	default:
		return mb_leb(in);
	}
}

void mb_debug_skip(const struct mb_debug_unit *unit, const struct mb_abbreviation_spec *spec, struct mb_bytes *in)
{
	const uint16_t form = direct(in, spec->form);
	const int bytes = mb_debug_form_bytes(unit, form);

	if (bytes >= 0) {
		mb_skip(in, (uint64_t)bytes);
		return;
	}
	switch (form) {
	case FORM_STRING:
		mb_cstring(in);
		break;
	case FORM_BLOCK: case FORM_BLOCK1: case FORM_BLOCK2: case FORM_BLOCK4: case FORM_EXPRLOC:
		mb_skip(in, block_bytes(in, form));
		break;
	case FORM_SDATA: case FORM_UDATA: case FORM_REF_UDATA: case FORM_STRX: case FORM_ADDRX: case FORM_LOCLISTX: case FORM_RNGLISTX:
	case FORM_GNU_ADDR_INDEX: case FORM_GNU_STR_INDEX:
		mb_leb(in);
		break;
	default:
		in->bad = 1;
	}
}

/* --- texts --- */

static void text_at(const struct mb_debug *debug, const struct mb_debug_unit *unit, int section, uint64_t offset, struct mb_debug_value *value)
{
	struct mb_bytes in = mb_debug_from(debug, unit, section, offset);
	const uint8_t *end = mb_left(&in) ? memchr(in.at, 0, mb_left(&in)) : NULL;

	value->kind = MB_DEBUG_TEXT;
	value->data = end ? in.at : (const uint8_t *)"";
	value->size = end ? (uint64_t)(end - in.at) : 0;
}

static void numbered_text(const struct mb_debug *debug, const struct mb_debug_unit *unit, uint64_t number, struct mb_debug_value *value)
{
	const uint64_t size = unit->is_64 ? 8 : 4;
	struct mb_bytes in = mb_debug_from(debug, unit, MB_DEBUG_STR_OFFSETS, unit->strings);

	if (number >= mb_left(&in) / size) {
		text_at(debug, unit, MB_DEBUG_STR, UINT64_MAX, value);
		return;
	}
	mb_skip(&in, number * size);
	text_at(debug, unit, MB_DEBUG_STR, mb_debug_offset(unit, &in), value);
}

static void other_text(const struct mb_debug *debug, const struct mb_debug_unit *unit, uint64_t offset, struct mb_debug_value *value)
{
	struct mb_debug_unit other = *unit;

	other.second = 1;
	text_at(debug, &other, MB_DEBUG_STR, offset, value);
}

static int read_text(const struct mb_debug *debug, const struct mb_debug_unit *unit, uint16_t form, struct mb_bytes *in,
		     struct mb_debug_value *value)
{
	switch (form) {
	case FORM_STRING:
		value->kind = MB_DEBUG_TEXT;
		value->data = in->at;
		value->size = strlen(mb_cstring(in));
		if (in->bad)
			value->data = (const uint8_t *)"";
		return 1;
	case FORM_STRP:
		text_at(debug, unit, MB_DEBUG_STR, mb_debug_offset(unit, in), value);
		return 1;
	case FORM_LINE_STRP:
		text_at(debug, unit, MB_DEBUG_LINE_STR, mb_debug_offset(unit, in), value);
		return 1;
	case FORM_STRP_SUP: case FORM_GNU_STRP_ALT:
		other_text(debug, unit, mb_debug_offset(unit, in), value);
		return 1;
	case FORM_STRX: case FORM_GNU_STR_INDEX:
		numbered_text(debug, unit, mb_leb(in), value);
		return 1;
	case FORM_STRX1: case FORM_STRX2: case FORM_STRX3: case FORM_STRX4:
		numbered_text(debug, unit, mb_fixed(in, 1u + form - FORM_STRX1), value);
		return 1;
	default:
		return 0;
	}
}

/* --- references --- */

/* Within the section of the unit. */
static uint64_t section_ref(const struct mb_debug_unit *unit, uint64_t offset)
{
	return offset >= MB_DEBUG_TYPES ? 0 : offset + (unit->second ? MB_DEBUG_OTHER : 0);
}

static uint64_t unit_ref(const struct mb_debug_unit *unit, uint64_t offset)
{
	return offset >= unit->end - unit->start ? 0 : unit->start + offset;
}

static int read_reference(const struct mb_debug_unit *unit, uint16_t form, struct mb_bytes *in, struct mb_debug_value *value)
{
	value->kind = MB_DEBUG_ENTRY;
	switch (form) {
	case FORM_REF1: case FORM_REF2: case FORM_REF4: case FORM_REF8:
		value->number = unit_ref(unit, mb_fixed(in, (unsigned)mb_debug_form_bytes(unit, form)));
		return 1;
	case FORM_REF_UDATA:
		value->number = unit_ref(unit, mb_leb(in));
		return 1;
	case FORM_REF_ADDR:
		value->number = section_ref(unit, mb_fixed(in, (unsigned)mb_debug_form_bytes(unit, form)));
		return 1;
	case FORM_REF_SUP4: case FORM_REF_SUP8: case FORM_GNU_REF_ALT:
		value->number = mb_fixed(in, (unsigned)mb_debug_form_bytes(unit, form));
		value->number = value->number >= MB_DEBUG_TYPES ? 0 : value->number + MB_DEBUG_OTHER;
		return 1;
	case FORM_REF_SIG8:
		value->kind = MB_DEBUG_SIGNATURE;
		value->number = mb_fixed(in, 8);
		return 1;
	default:
		value->kind = MB_DEBUG_NONE;
		return 0;
	}
}

/* --- addresses and lists --- */

int mb_debug_address(struct mb_debug *debug, uint32_t number, uint64_t index, uint64_t *address)
{
	const struct mb_debug_unit *unit = mb_debug_ready(debug, number);
	struct mb_bytes in;

	*address = 0;
	if (!unit)
		return -EINVAL;
	in = mb_debug_from(debug, unit, MB_DEBUG_ADDR, unit->addresses);
	if (index >= mb_left(&in) / unit->address_size)
		return -EINVAL;
	mb_skip(&in, index * unit->address_size);
	*address = mb_fixed(&in, unit->address_size);
	return 0;
}

static uint64_t numbered_address(const struct mb_debug *debug, const struct mb_debug_unit *unit, uint64_t index)
{
	struct mb_bytes in = mb_debug_from(debug, unit, MB_DEBUG_ADDR, unit->addresses);

	if (index >= mb_left(&in) / unit->address_size)
		return 0;
	mb_skip(&in, index * unit->address_size);
	return mb_fixed(&in, unit->address_size);
}

static int read_address(const struct mb_debug *debug, const struct mb_debug_unit *unit, uint16_t form, struct mb_bytes *in,
			struct mb_debug_value *value)
{
	switch (form) {
	case FORM_ADDR:
		value->number = mb_fixed(in, unit->address_size);
		break;
	case FORM_ADDRX: case FORM_GNU_ADDR_INDEX:
		value->number = numbered_address(debug, unit, mb_leb(in));
		break;
	case FORM_ADDRX1: case FORM_ADDRX2: case FORM_ADDRX3: case FORM_ADDRX4:
		value->number = numbered_address(debug, unit, mb_fixed(in, 1u + form - FORM_ADDRX1));
		break;
	default:
		return 0;
	}
	value->kind = MB_DEBUG_ADDRESS;
	return 1;
}

/* Attributes that are lists in DWARF 2 and 3 where they are numbers of four or eight bytes. */
static int is_list(uint16_t name)
{
	switch (name) {
	case AT_LOCATION: case AT_STMT_LIST: case AT_STRING_LENGTH: case AT_RETURN_ADDR: case AT_START_SCOPE: case AT_FRAME_BASE:
	case AT_MACRO_INFO: case AT_SEGMENT: case AT_STATIC_LINK: case AT_USE_LOCATION: case AT_VTABLE_ELEM_LOCATION: case AT_RANGES:
		return 1;
	default:
		return 0;
	}
}

static int read_list(const struct mb_debug_unit *unit, uint16_t form, struct mb_bytes *in, struct mb_debug_value *value)
{
	value->kind = MB_DEBUG_LIST;
	switch (form) {
	case FORM_SEC_OFFSET:
		value->number = mb_debug_offset(unit, in);
		break;
	case FORM_LOCLISTX: case FORM_RNGLISTX:
		value->kind = MB_DEBUG_NUMBERED_LIST;
		value->number = mb_leb(in);
		break;
	case FORM_DATA4: case FORM_DATA8:
		if (unit->version > 3 || !is_list(value->name))
			return 0;
		value->number = mb_fixed(in, form == FORM_DATA4 ? 4 : 8);
		break;
	default:
		return 0;
	}
	return 1;
}

/* --- the rest --- */

static int read_number(const struct mb_debug_unit *unit, const struct mb_abbreviation_spec *spec, uint16_t form, struct mb_bytes *in,
		       struct mb_debug_value *value)
{
	value->kind = form == FORM_FLAG || form == FORM_FLAG_PRESENT ? MB_DEBUG_FLAG : MB_DEBUG_NUMBER;
	switch (form) {
	case FORM_FLAG_PRESENT:
		value->number = 1;
		return 1;
	case FORM_FLAG: case FORM_DATA1: case FORM_DATA2: case FORM_DATA4: case FORM_DATA8:
		value->number = mb_fixed(in, (unsigned)mb_debug_form_bytes(unit, form));
		return 1;
	case FORM_UDATA:
		value->number = mb_leb(in);
		return 1;
	case FORM_SDATA:
		value->number = (uint64_t)mb_leb_signed(in);
		return 1;
	case FORM_IMPLICIT_CONST:
		value->number = (uint64_t)spec->constant;
		return 1;
	default:
		return 0;
	}
}

void mb_debug_read(struct mb_debug *debug, const struct mb_debug_unit *unit, const struct mb_abbreviation_spec *spec, struct mb_bytes *in,
		   struct mb_debug_value *value)
{
	const uint16_t form = direct(in, spec->form);

	memset(value, 0, sizeof(*value));
	value->name = spec->name;
	value->form = form;
	if (read_list(unit, form, in, value) || read_number(unit, spec, form, in, value) || read_text(debug, unit, form, in, value) ||
	    read_reference(unit, form, in, value) || read_address(debug, unit, form, in, value))
		return;
	switch (form) {
	case FORM_BLOCK: case FORM_BLOCK1: case FORM_BLOCK2: case FORM_BLOCK4: case FORM_EXPRLOC: case FORM_DATA16:
		value->kind = MB_DEBUG_BLOCK;
		value->size = block_bytes(in, form);
		value->data = in->at;
		if (value->size > mb_left(in))
			value->size = mb_left(in), in->bad = 1;
		mb_skip(in, value->size);
		break;
	default:
		value->kind = MB_DEBUG_NONE;
		in->bad = 1;
	}
}
