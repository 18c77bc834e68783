/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the cursor over a CTF trace knows: of itself, and of each stream. */
#ifndef MB_CTF_CURSOR_H
#define MB_CTF_CURSOR_H

#include "ctf_quick.h"

#define MAX_NOTES 4096

struct stream {
	const uint8_t *data;
	uint64_t size;
	uint64_t packet;	/* where the open packet starts */
	uint64_t packet_end;	/* where the next one starts */
	uint64_t event;		/* bit where the next event's header starts */
	uint64_t *skipped;	/* packets that are read elsewhere, in order */
	uint32_t skipped_count;
	struct mb_ctf_decoder d;
	struct mb_ctf_event next;
	struct mb_ctf_totals totals;
	const struct mb_ctf_stream_class *class;
	uint64_t lost;		/* cumulative, as the packet before said */
	uint64_t sequence;
	uint64_t end_clock;	/* of the packet before */
	int64_t instance;
	uint32_t index;
	uint32_t class_index;
	uint32_t unwanted;
	uint32_t rank;		/* among events of the same time */
	int32_t cpu;
	int open;		/* in a packet */
	int counted;		/* lost and sequence are known */
	int foreign;		/* a packet of another trace was noted */
};

/* What a clock's value is added to, where it counts nanoseconds; others are asked for each time. */
struct clock_base {
	int64_t ns;
	int is_plain;
};

struct mb_ctf_cursor {
	struct mb_ctf_op *ops;
	struct mb_ctf_range *ranges;
	struct mb_ctf_stream_class *stream_classes;
	struct mb_ctf_event_class *event_classes;
	struct mb_ctf_clock *clocks;
	struct clock_base *bases;
	struct mb_quick_class *quick;	/* by event class; compiled when its first event comes */
	struct mb_quick_header *headers;	/* by stream class */
	uint32_t *unwanted;	/* by event class */
	uint32_t *by_id;	/* stream class by stream class: event class of a small number */
	struct stream **streams;
	uint32_t *heap;		/* streams with a next event, the earliest first */
	struct mb_ctf_description description;
	struct mb_ctf_note notes[MAX_NOTES];
	uint32_t note_count;
	uint32_t stream_count;
	uint32_t heap_count;
	uint32_t ids;		/* numbers per stream class in by_id */
	int started;
	int64_t last_ns;	/* the latest end of a packet that was opened */
	int64_t begin_ns;
	int64_t end_ns;
};

/* Back to the start of a stream. */
void mb_ctf_rewind_stream(struct mb_ctf_cursor *cursor, struct stream *stream);

#endif
