// SPDX-License-Identifier: LGPL-2.1-or-later
/* The canonical frame address at an instruction, by the index that back traces use. */
#include <errno.h>
#include <stdlib.h>

#include "debug.h"
#include "backtrace/unwind.h"

struct mb_debug_frames {
	struct mb_frame_index index[2];
};

struct mb_debug_frames *mb_debug_frames_open(const struct mb_debug_bytes *debug_frame, const struct mb_debug_bytes *eh_frame,
					     uint64_t eh_frame_address)
{
	struct mb_debug_frames *frames = calloc(1, sizeof(*frames));
	const struct mb_frame_section eh = { .data = eh_frame->data, .bytes = eh_frame->size, .address = eh_frame_address, .is_eh = 1 };
	const struct mb_frame_section debug = { .data = debug_frame->data, .bytes = debug_frame->size };

	if (frames && (mb_frame_index_make(&frames->index[0], &eh) || mb_frame_index_make(&frames->index[1], &debug))) {
		mb_debug_frames_close(frames);
		return NULL;
	}
	return frames;
}

void mb_debug_frames_close(struct mb_debug_frames *frames)
{
	if (!frames)
		return;
	for (int i = 0; i < 2; i++)
		mb_frame_index_free(&frames->index[i]);
	free(frames);
}

int mb_debug_frame_at(const struct mb_debug_frames *frames, uint64_t address, uint32_t *reg, int64_t *offset)
{
	int ret = -ENOENT;

	for (int i = 0; i < 2 && ret; i++)
		ret = mb_frame_address(&frames->index[i], address, reg, offset);
	return ret;
}
