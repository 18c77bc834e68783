/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The index of debug information: what it is made of while it is made, and the form in which it is kept. */
#ifndef MB_DEBUG_INDEX_H
#define MB_DEBUG_INDEX_H

#include "debug_state.h"
#include "texts.h"

#define MB_INDEX_MAGIC "mbdebug"
#define MB_INDEX_VERSION 2u

enum { MB_INDEX_OPTIMISED = 1, MB_INDEX_PARTIAL = 2, MB_INDEX_SPLIT = 4 };	/* flags of units; split: its name is that of a file */
enum { MB_INDEX_INLINED = 1, MB_INDEX_EXTERNAL = 2 };				/* flags of functions */
enum { MB_INDEX_FUNCTION = 1, MB_INDEX_VARIABLE = 2, MB_INDEX_TYPE = 3 };	/* kinds of names */

/* The kept form: the head, then these arrays in this order, then slots (uint32_t), then texts. Texts are numbers of the pool. */
struct mb_index_head {
	char magic[8];
	uint32_t version, units, functions, ranges, names, imports, slots, texts;
};

struct mb_index_unit {
	uint64_t start;
	uint32_t name, folder, function, functions, flags, spare;
};

struct mb_index_function {
	uint64_t ref, entry;
	uint32_t unit, name, scope, file, line, range, ranges, flags;
	int32_t outer;			/* the function around it, or -1 */
	uint32_t prologue;		/* how far behind its entry a probe on it stands */
};

struct mb_index_name {
	uint64_t ref;
	uint32_t name, unit, number;	/* of a function */
	uint16_t kind, tag;
};

struct mb_index_import {
	uint32_t unit, target;
};

/* What one entry says; `has` tells which. */
enum { HAS_LOW = 1, HAS_HIGH = 2, HAS_HIGH_SIZE = 4, HAS_RANGES = 8, HAS_ENTRY = 16, HAS_ENTRY_SIZE = 32, HAS_FILE = 64, HAS_LINE = 128,
       IS_EXTERNAL = 256, IS_DECLARATION = 512, IS_SPLIT = 1024 };

struct mb_facts {
	uint64_t low, high, ranges, entry, origin, sibling, import;
	struct mb_debug_bytes text, folder;
	uint32_t file, line, has;
	int list;		/* the kind of `ranges` */
};

/* An entry that others may refer to, or that has a name or code of its own. */
struct mb_item {
	uint64_t ref, origin;
	uint32_t unit, name, scope, file, line, has;
	int32_t function;
	uint16_t tag, is_top;
};

struct mb_index_array {
	void *data;
	uint32_t count, room, size;
};

struct mb_scan {
	struct mb_debug *debug;
	struct mb_texts pool;
	struct mb_index_array units, functions, ranges, names, imports, items;
	uint32_t **paths;	/* by unit: the numbers of its files' paths */
	uint32_t *path_counts;
};

/* The next element of an array, zeroed; NULL without memory. */
void *mb_index_add(struct mb_index_array *array);

/* Collect what all units have. */
int mb_index_collect(struct mb_scan *scan);

/* Give functions and variables the names, places and scopes that they inherit, and list names. */
int mb_index_resolve(struct mb_scan *scan);

/* Read the paths of a unit's files, once. */
int mb_index_paths(struct mb_scan *scan, uint32_t unit);

/* Find where probes on functions stand; after mb_index_resolve. */
int mb_index_prologues(struct mb_scan *scan);

#endif
