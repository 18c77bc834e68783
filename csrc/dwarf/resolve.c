// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What entries inherit from their abstract origins and declarations, in whatever unit those are; and the names by which functions,
 * variables and types are found.
 */
#include <errno.h>
#include <stdlib.h>

#include "index.h"

#define MOST_LINKS 16
#define MEMBER 0x0d

static struct mb_item *items(const struct mb_scan *scan)
{
	return scan->items.data;
}

/* The item at a ref, or NULL: they are in the order of refs. */
static const struct mb_item *item_at(const struct mb_scan *scan, uint64_t ref)
{
	uint32_t low = 0, high = scan->items.count;

	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;

		if (items(scan)[middle].ref < ref)
			low = middle + 1;
		else
			high = middle;
	}
	return low < scan->items.count && items(scan)[low].ref == ref ? &items(scan)[low] : NULL;
}

/* --- paths of files --- */

static size_t append(char *text, size_t at, size_t room, const char *more, size_t bytes)
{
	if (bytes && more[0] == '/')
		at = 0;
	else if (at && text[at - 1] != '/' && at < room)
		text[at++] = '/';
	if (bytes > room - at)
		bytes = room - at;
	memcpy(text + at, more, bytes);
	return at + bytes;
}

static uint32_t path_number(struct mb_scan *scan, uint32_t unit, const struct mb_debug_lines *lines, uint32_t number)
{
	const struct mb_debug_file *file = &lines->file[number];
	const uint32_t folder = ((struct mb_index_unit *)scan->units.data)[unit].folder;
	char text[4096];
	size_t used = 0;

	if (!file->name.size)
		return 0;
	used = append(text, used, sizeof(text), scan->pool.data + folder, strlen(scan->pool.data + folder));
	if (!file->from_unit && !file->is_folder)
		used = append(text, used, sizeof(text), (const char *)file->folder.data, file->folder.size);
	used = append(text, used, sizeof(text), (const char *)file->name.data, file->name.size);
	return mb_texts_number(&scan->pool, (const uint8_t *)text, used);
}

static int read_paths(struct mb_scan *scan, uint32_t unit)
{
	struct mb_debug_lines lines;
	int ret = mb_debug_lines(scan->debug, unit, 0, &lines);

	if (ret)
		return ret;
	scan->paths[unit] = calloc(lines.files + 1u, sizeof(**scan->paths));
	if (!scan->paths[unit])
		ret = -ENOMEM;
	for (uint32_t i = 0; i < lines.files && !ret; i++)
		scan->paths[unit][i] = path_number(scan, unit, &lines, i);
	scan->path_counts[unit] = lines.files;
	mb_debug_lines_free(&lines);
	return ret;
}

int mb_index_paths(struct mb_scan *scan, uint32_t unit)
{
	return scan->paths[unit] ? 0 : read_paths(scan, unit);
}

static int path_of(struct mb_scan *scan, const struct mb_item *item, uint32_t *path)
{
	const int ret = mb_index_paths(scan, item->unit);

	*path = !ret && item->file < scan->path_counts[item->unit] ? scan->paths[item->unit][item->file] : 0;
	return ret;
}

/* --- what is inherited --- */

struct inherited {
	const struct mb_item *named, *filed, *lined, *last;
	uint32_t has;
};

static struct inherited inherit(const struct mb_scan *scan, const struct mb_item *item)
{
	struct inherited found = { .has = item->has & IS_DECLARATION };

	for (int i = 0; item && i < MOST_LINKS; i++) {
		if (!found.named && item->name)
			found.named = item;
		if (!found.filed && item->has & HAS_FILE)
			found.filed = item;
		if (!found.lined && item->has & HAS_LINE)
			found.lined = item;
		found.has |= item->has & IS_EXTERNAL;
		found.last = item;
		item = item->origin ? item_at(scan, item->origin) : NULL;
	}
	return found;
}

static int add_name(struct mb_scan *scan, const struct mb_item *item, uint32_t name, uint16_t kind)
{
	struct mb_index_name *one;

	if (!name)
		return 0;
	one = mb_index_add(&scan->names);
	if (!one)
		return -ENOMEM;
	*one = (struct mb_index_name){ .ref = item->ref, .name = name, .unit = item->unit, .kind = kind, .tag = item->tag,
				       .number = item->function >= 0 ? (uint32_t)item->function : 0 };
	return 0;
}

static int resolve_function(struct mb_scan *scan, const struct mb_item *item)
{
	struct mb_index_function *function = (struct mb_index_function *)scan->functions.data + item->function;
	const struct inherited found = inherit(scan, item);
	int ret = 0;

	function->name = found.named ? found.named->name : 0;
	function->scope = found.last->scope;
	function->line = found.lined ? found.lined->line : 0;
	function->flags |= found.has & IS_EXTERNAL ? MB_INDEX_EXTERNAL : 0;
	if (found.filed)
		ret = path_of(scan, found.filed, &function->file);
	return ret ? ret : add_name(scan, item, function->name, MB_INDEX_FUNCTION);
}

static int resolve(struct mb_scan *scan, const struct mb_item *item)
{
	const struct mb_item *named;

	if (item->function >= 0)
		return resolve_function(scan, item);
	if (!item->is_top || item->tag == TAG_SUBPROGRAM || item->tag == TAG_INLINED || item->tag == MEMBER)
		return 0;
	named = inherit(scan, item).named;
	if (item->tag == TAG_VARIABLE)
		return add_name(scan, item, named ? named->name : 0, MB_INDEX_VARIABLE);
	if (item->has & IS_DECLARATION)
		return 0;
	return add_name(scan, item, named ? named->name : 0, MB_INDEX_TYPE);
}

/* --- the order of names --- */

static int by_name(const void *a, const void *b)
{
	const struct mb_index_name *x = a, *y = b;

	if (x->name != y->name)
		return x->name < y->name ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->kind == MB_INDEX_TYPE && x->tag != y->tag)
		return x->tag < y->tag ? -1 : 1;
	return (x->ref > y->ref) - (x->ref < y->ref);
}

/* Of the definitions of a type, which each unit may have, the first one stays. */
static void keep_first_types(struct mb_index_array *names)
{
	struct mb_index_name *one = names->data;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < names->count; i++) {
		const struct mb_index_name *last = kept ? &one[kept - 1] : NULL;

		if (last && one[i].kind == MB_INDEX_TYPE && last->kind == MB_INDEX_TYPE && last->name == one[i].name &&
		    last->tag == one[i].tag)
			continue;
		one[kept++] = one[i];
	}
	names->count = kept;
}

int mb_index_resolve(struct mb_scan *scan)
{
	int ret = 0;

	scan->paths = calloc(scan->units.count + 1u, sizeof(*scan->paths));
	scan->path_counts = calloc(scan->units.count + 1u, sizeof(*scan->path_counts));
	if (!scan->paths || !scan->path_counts)
		return -ENOMEM;
	for (uint32_t i = 0; i < scan->items.count && !ret; i++)
		ret = resolve(scan, &items(scan)[i]);
	if (scan->pool.full)
		ret = -ENOMEM;
	if (ret || !scan->names.count)
		return ret;
	qsort(scan->names.data, scan->names.count, sizeof(struct mb_index_name), by_name);
	keep_first_types(&scan->names);
	return 0;
}
