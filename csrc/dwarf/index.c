// SPDX-License-Identifier: LGPL-2.1-or-later
/* The index as bytes, made and checked. They are kept on disk, so what is read back is believed no more than any file. */
#include "index.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int open_scan(struct mb_scan *scan, struct mb_debug *debug)
{
	uint64_t bytes = 1 << 20;

	for (int i = 0; i < 2; i++)
		for (int k = 0; k < MB_DEBUG_SECTIONS; k++)
			bytes += 2 * debug->section[i][k].size;
	*scan = (struct mb_scan){ .debug = debug };
	scan->units.size = sizeof(struct mb_index_unit);
	scan->functions.size = sizeof(struct mb_index_function);
	scan->ranges.size = sizeof(struct mb_debug_range);
	scan->names.size = sizeof(struct mb_index_name);
	scan->imports.size = sizeof(struct mb_index_import);
	scan->items.size = sizeof(struct mb_item);
	return mb_texts_open(&scan->pool, bytes);
}

static void close_scan(struct mb_scan *scan)
{
	for (uint32_t i = 0; scan->paths && i < scan->units.count; i++)
		free(scan->paths[i]);
	free(scan->paths);
	free(scan->path_counts);
	free(scan->units.data);
	free(scan->functions.data);
	free(scan->ranges.data);
	free(scan->names.data);
	free(scan->imports.data);
	free(scan->items.data);
	mb_texts_close(&scan->pool);
}

static uint64_t index_bytes(const struct mb_index_head *head)
{
	return sizeof(*head) + (uint64_t)head->units * sizeof(struct mb_index_unit) +
	       (uint64_t)head->functions * sizeof(struct mb_index_function) + (uint64_t)head->ranges * sizeof(struct mb_debug_range) +
	       (uint64_t)head->names * sizeof(struct mb_index_name) + (uint64_t)head->imports * sizeof(struct mb_index_import) +
	       (uint64_t)head->slots * sizeof(uint32_t) + head->texts;
}

static uint8_t *put(uint8_t *at, const struct mb_index_array *array)
{
	const size_t bytes = (size_t)array->count * array->size;

	if (bytes)
		memcpy(at, array->data, bytes);
	return at + bytes;
}

static uint8_t *write_index(const struct mb_scan *scan, uint64_t *size)
{
	const struct mb_index_head head = { .magic = MB_INDEX_MAGIC, .version = MB_INDEX_VERSION, .units = scan->units.count,
					    .functions = scan->functions.count, .ranges = scan->ranges.count, .names = scan->names.count,
					    .imports = scan->imports.count, .slots = scan->pool.slots, .texts = scan->pool.size };
	uint8_t *index = malloc(index_bytes(&head)), *at = index;

	if (!index)
		return NULL;
	memcpy(at, &head, sizeof(head));
	at = put(at + sizeof(head), &scan->units);
	at = put(at, &scan->functions);
	at = put(at, &scan->ranges);
	at = put(at, &scan->names);
	at = put(at, &scan->imports);
	memcpy(at, scan->pool.slot, head.slots * sizeof(uint32_t));
	memcpy(at + head.slots * sizeof(uint32_t), scan->pool.data, head.texts);
	*size = index_bytes(&head);
	return index;
}

uint8_t *mb_debug_index(struct mb_debug *debug, uint64_t *size)
{
	struct mb_scan scan;
	uint8_t *index = NULL;
	int ret = open_scan(&scan, debug);

	*size = 0;
	if (!ret)
		ret = mb_index_collect(&scan);
	if (!ret)
		ret = mb_index_resolve(&scan);
	if (!ret)
		ret = mb_index_prologues(&scan);
	if (!ret)
		index = write_index(&scan, size);
	if (!index && !debug->reason[0])
		snprintf(debug->reason, sizeof(debug->reason), "%s", ret == -EINVAL ? "damaged" : "it takes more memory than there is");
	close_scan(&scan);
	return index;
}

void mb_debug_index_free(uint8_t *index)
{
	free(index);
}

/* --- is it one --- */

struct view {
	struct mb_index_head head;
	const struct mb_index_unit *unit;
	const struct mb_index_function *function;
	const struct mb_index_name *name;
	const struct mb_index_import *import;
	const uint32_t *slot;
	const char *text;
};

static int open_view(struct view *view, const uint8_t *index, uint64_t size)
{
	const struct mb_index_head *head = &view->head;

	if (size < sizeof(*head) || (uintptr_t)index % 8)
		return 0;
	memcpy(&view->head, index, sizeof(*head));
	if (memcmp(head->magic, MB_INDEX_MAGIC, sizeof(head->magic)) != 0 || head->version != MB_INDEX_VERSION ||
	    index_bytes(head) != size || !head->texts || !head->slots || head->slots & (head->slots - 1))
		return 0;
	view->unit = (const void *)(index + sizeof(*head));
	view->function = (const void *)(view->unit + head->units);
	view->name = (const void *)((const struct mb_debug_range *)(view->function + head->functions) + head->ranges);
	view->import = (const void *)(view->name + head->names);
	view->slot = (const void *)(view->import + head->imports);
	view->text = (const char *)(view->slot + head->slots);
	return !view->text[0] && !view->text[head->texts - 1];
}

static int is_good_function(const struct view *view, uint32_t number)
{
	const struct mb_index_head *head = &view->head;
	const struct mb_index_function *one = &view->function[number];

	return one->unit < head->units && one->name < head->texts && one->scope < head->texts && one->file < head->texts &&
	       one->range <= head->ranges && one->ranges <= head->ranges - one->range && one->outer < (int64_t)number && one->outer >= -1;
}

static int is_good_unit(const struct view *view, uint32_t number)
{
	const struct mb_index_head *head = &view->head;
	const struct mb_index_unit *one = &view->unit[number];

	return one->name < head->texts && one->folder < head->texts && one->function <= head->functions &&
	       one->functions <= head->functions - one->function;
}

static int is_good_name(const struct view *view, uint32_t number)
{
	const struct mb_index_head *head = &view->head;
	const struct mb_index_name *one = &view->name[number];

	return one->name < head->texts && one->unit < head->units && (one->kind != MB_INDEX_FUNCTION || one->number < head->functions);
}

static int is_good_import(const struct view *view, uint32_t number)
{
	return view->import[number].unit < view->head.units && view->import[number].target < view->head.units;
}

static int is_good_slot(const struct view *view, uint32_t number)
{
	return view->slot[number] < view->head.texts;
}

static int are_good(const struct view *view, uint32_t count, int (*is_good)(const struct view *, uint32_t))
{
	for (uint32_t i = 0; i < count; i++)
		if (!is_good(view, i))
			return 0;
	return 1;
}

int mb_debug_index_is_good(const uint8_t *index, uint64_t size)
{
	struct view view;

	return open_view(&view, index, size) && are_good(&view, view.head.units, is_good_unit) &&
	       are_good(&view, view.head.functions, is_good_function) && are_good(&view, view.head.names, is_good_name) &&
	       are_good(&view, view.head.imports, is_good_import) && are_good(&view, view.head.slots, is_good_slot);
}
