/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the cursor over an LTT trace knows: of itself, of each file, and of the event that comes next there. */
#ifndef MB_LTT_CURSOR_H
#define MB_LTT_CURSOR_H

#include "ltt.h"

#define PAGE 4096u
#define MAX_DAMAGES 256u

struct current {
	uint64_t tsc;
	uint64_t key;
	uint32_t id;
	uint32_t class_index;
	uint32_t size;
	uint32_t offset;	/* in the block, where the event before ended */
	uint32_t data;		/* compact: what the header carries of the first field */
	uint64_t payload;	/* in the block */
};

struct stream {
	struct mb_ltt_layout layout;
	const uint8_t *map;
	uint64_t size;
	uint32_t *ids;
	uint32_t id_count;
	uint64_t next;		/* where the next block starts */
	uint64_t at;		/* where this one does */
	uint64_t pos;		/* in the block */
	uint64_t end;
	uint32_t block;		/* number */
	uint32_t reported;	/* this block has its diagnostic */
	uint32_t suspect;	/* where its data ends is not known */
	uint32_t tries;		/* at finding the way back in this block */
	uint64_t released;	/* pages before this were given back */
	uint64_t tsc;
	uint64_t time_ns[2];	/* INTERPOLATE: begin and end of the block */
	uint64_t time_tsc[2];
	struct current event;
	struct mb_ltt_totals totals;
};

struct mb_ltt_cursor {
	struct stream *streams;
	uint32_t stream_count;
	struct mb_ltt_class *classes;
	uint32_t class_count;
	struct mb_ltt_op *ops;
	uint32_t *heap;		/* streams that have an event, the earliest first */
	uint32_t heap_count;
	uint32_t started;
	uint32_t waiting;	/* the first of the heap is still to be given out */
	uint64_t begin_ns;
	uint64_t end_ns;
	uint32_t limited;
	struct mb_ltt_damage damages[MAX_DAMAGES];
	uint32_t damage_count;
};

/* ltt_blocks.c */
void mb_ltt_report(struct mb_ltt_cursor *c, struct stream *s, uint32_t code, uint64_t at);
int mb_ltt_next_block(struct mb_ltt_cursor *c, struct stream *s);

#endif
