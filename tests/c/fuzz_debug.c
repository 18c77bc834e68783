// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libFuzzer target: debug information, by every question that is asked of it.
 *
 * An input is a byte (whether a second file, made by dwz, comes along), the sections of the file or files in the order of
 * enum mb_debug_section, .debug_frame and .eh_frame, each as four bytes of size and its bytes; what is left is an index as it is kept.
 */
#define _GNU_SOURCE
#include "fuzz_input.h"
#include "debug.h"

#define MOST_UNITS 32
#define MOST_ENTRIES 96		/* of a unit */
#define MOST_ADDRESSES 64

struct section {
	uint8_t *data;		/* exactly as large as the section */
	struct mb_debug_bytes bytes;
};

static struct section take_section(struct input *input)
{
	const size_t said = take(input, 4), size = said < left(input) ? said : left(input);
	struct section found = { .data = take_rows(input, size, 1) };

	found.bytes = (struct mb_debug_bytes){ found.data, size };
	return found;
}

/* Every byte of a text or block lies in memory that is there. */
static uint64_t touch(const uint8_t *data, uint64_t size)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < size; i++)
		sum += data[i];
	return sum;
}

static void ask_list(struct mb_debug *debug, uint32_t unit, const struct mb_debug_value *value)
{
	struct mb_debug_range ranges[4];
	struct mb_debug_bytes expression;
	const int64_t count = mb_debug_ranges(debug, unit, value->kind, value->number, ranges, 4);

	for (uint64_t address = 0; address < 4; address++)
		if (!mb_debug_location(debug, unit, value->kind, value->number, count > 0 ? ranges[0].low + address : 0x1000 * address,
				       &expression))
			touch(expression.data, expression.size);
}

static void ask_value(struct mb_debug *debug, uint32_t unit, const struct mb_debug_value *value)
{
	struct mb_debug_entry entry;
	uint64_t address;

	switch (value->kind) {
	case MB_DEBUG_TEXT: case MB_DEBUG_BLOCK:
		touch(value->data, value->size);
		break;
	case MB_DEBUG_LIST: case MB_DEBUG_NUMBERED_LIST:
		ask_list(debug, unit, value);
		break;
	case MB_DEBUG_ENTRY:
		mb_debug_entry(debug, value->number, &entry);
		mb_debug_around(debug, value->number, (uint64_t[8]){ 0 }, 8);
		break;
	case MB_DEBUG_SIGNATURE:
		mb_debug_type_of(debug, value->number);
		break;
	default:
		mb_debug_address(debug, unit, value->number, &address);
	}
}

static void ask_unit(struct mb_debug *debug, uint32_t number)
{
	const struct mb_debug_unit *unit = mb_debug_unit(debug, number);
	struct mb_debug_entry entry;
	struct mb_debug_lines lines;
	uint64_t ref;

	if (!unit)
		return;
	CHECK(mb_debug_unit_at(debug, unit->start) == number);
	ref = unit->first;
	for (int i = 0; i < MOST_ENTRIES && ref && !mb_debug_entry(debug, ref, &entry); i++) {
		CHECK(entry.next > ref && entry.count <= sizeof(entry.value) / sizeof(entry.value[0]));
		for (uint32_t k = 0; k < entry.count; k++)
			ask_value(debug, number, &entry.value[k]);
		if (i % 16 == 0)
			mb_debug_around(debug, ref, (uint64_t[4]){ 0 }, 4);
		ref = i % 8 == 7 ? mb_debug_after(debug, ref) : entry.next;
	}
	for (int rows = 0; rows < 2; rows++) {
		if (mb_debug_lines(debug, number, rows, &lines))
			continue;
		for (uint32_t i = 0; i < lines.files; i++)
			touch(lines.file[i].folder.data, lines.file[i].folder.size), touch(lines.file[i].name.data, lines.file[i].name.size);
		for (uint32_t i = 1; i < lines.rows; i++)
			CHECK(lines.row[i - 1].address <= lines.row[i].address);
		mb_debug_lines_free(&lines);
	}
}

/* Whatever debug information gives an index, gives a good one. */
static void ask_index(struct mb_debug *debug)
{
	uint64_t size;
	uint8_t *index = mb_debug_index(debug, &size);

	if (index)
		CHECK(mb_debug_index_is_good(index, size));
	else
		CHECK(mb_debug_reason(debug)[0]);
	mb_debug_index_free(index);
}

static void ask_frames(const struct section *debug_frame, const struct section *eh_frame)
{
	struct mb_debug_frames *frames = mb_debug_frames_open(&debug_frame->bytes, &eh_frame->bytes, 0x2000);
	uint32_t reg;
	int64_t offset;

	if (!frames)
		return;
	for (uint64_t i = 0; i < MOST_ADDRESSES; i++)
		mb_debug_frame_at(frames, 0x1000 + 8 * i, &reg, &offset);
	mb_debug_frames_close(frames);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, data + size };
	const int files = 1 + (take(&input, 1) & 1);
	struct section section[2][MB_DEBUG_SECTIONS] = { 0 }, frame[2];
	struct mb_debug_bytes bytes[2][MB_DEBUG_SECTIONS] = { 0 };
	struct mb_debug *debug;
	uint8_t *index;
	size_t rest;

	for (int i = 0; i < files; i++)
		for (int k = 0; k < MB_DEBUG_SECTIONS; k++) {
			section[i][k] = take_section(&input);
			if (k < MB_DEBUG_RANGES)	/* the others come when they are needed */
				bytes[i][k] = section[i][k].bytes;
		}
	frame[0] = take_section(&input);
	frame[1] = take_section(&input);
	rest = left(&input);
	index = take_rows(&input, rest, 1);
	debug = mb_debug_open(bytes[0], files > 1 ? bytes[1] : NULL);
	if (debug) {
		for (int i = 0; i < files; i++)
			for (int k = MB_DEBUG_RANGES; k < MB_DEBUG_SECTIONS; k++)
				mb_debug_add_section(debug, i, k, &section[i][k].bytes);
		ask_index(debug);
		for (uint32_t i = 0; i < mb_debug_units(debug) && i < MOST_UNITS; i++)
			ask_unit(debug, i);
		mb_debug_close(debug);
	}
	ask_frames(&frame[0], &frame[1]);
	mb_debug_index_is_good(index, rest);
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < MB_DEBUG_SECTIONS; k++)
			free(section[i][k].data);
	free(frame[0].data);
	free(frame[1].data);
	free(index);
	return 0;
}
