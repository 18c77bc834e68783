// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Where the prologues of functions end, in units whose variables are told to be where they are only behind them.
 *
 * The choice of the row follows SystemTap, so that a probe stands where its `$variables` are right in unoptimised code.
 */
#include <errno.h>

#include "index.h"

struct unit_rows {
	struct mb_scan *scan;
	const struct mb_debug_lines *lines;
	uint32_t unit;
};

static uint32_t path_of_row(const struct unit_rows *rows, const struct mb_debug_row *row)
{
	return row->file < rows->scan->path_counts[rows->unit] ? rows->scan->paths[rows->unit][row->file] : 0;
}

/* The number of the first row at or behind an address. */
static uint32_t row_at(const struct mb_debug_lines *lines, uint64_t address)
{
	uint32_t low = 0, high = lines->rows;

	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;

		if (lines->row[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * The address behind the prologue of the code [low, high): at the first row if that is marked so or of another file, else at the
 * next one in the code; `low` where there is none.
 */
static uint64_t end_of(const struct unit_rows *rows, uint64_t low, uint64_t high, uint32_t path)
{
	const struct mb_debug_lines *lines = rows->lines;
	uint32_t at = row_at(lines, low);

	while (at < lines->rows && lines->row[at].address == low && lines->row[at].flags & MB_DEBUG_END)
		at++;
	if (at >= lines->rows || lines->row[at].address != low)
		return low;
	if (lines->row[at].flags & MB_DEBUG_PROLOGUE_END || path_of_row(rows, &lines->row[at]) != path)
		return low;
	at++;
	return at < lines->rows && lines->row[at].address < high ? lines->row[at].address : low;
}

/* Where the range ends that holds an address; the address itself if none does. */
static uint64_t range_end(const struct mb_scan *scan, const struct mb_index_function *function)
{
	const struct mb_debug_range *range = (struct mb_debug_range *)scan->ranges.data + function->range;

	for (uint32_t i = 0; i < function->ranges; i++)
		if (range[i].low <= function->entry && function->entry < range[i].high)
			return range[i].high;
	return function->entry;
}

static void find_in(const struct unit_rows *rows, struct mb_index_function *function)
{
	uint64_t end;

	if (function->flags & MB_INDEX_INLINED)
		return;
	end = end_of(rows, function->entry, range_end(rows->scan, function), function->file);
	if (end - function->entry <= UINT32_MAX)
		function->prologue = (uint32_t)(end - function->entry);
}

int mb_index_prologues(struct mb_scan *scan)
{
	struct mb_index_function *functions = scan->functions.data;

	for (uint32_t i = 0; i < scan->units.count; i++) {
		const struct mb_index_unit *unit = (struct mb_index_unit *)scan->units.data + i;
		struct mb_debug_lines lines;
		struct unit_rows rows = { scan, &lines, i };
		int ret;

		if (unit->flags & MB_INDEX_OPTIMISED || !unit->functions)
			continue;
		ret = mb_index_paths(scan, i);
		if (!ret)
			ret = mb_debug_lines(scan->debug, i, 1, &lines);
		if (ret)
			return ret;
		for (uint32_t k = 0; k < unit->functions; k++)
			find_in(&rows, &functions[unit->function + k]);
		mb_debug_lines_free(&lines);
	}
	return 0;
}
