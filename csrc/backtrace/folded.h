/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Back traces counted instead of printed: `name;main;work;read_[k] 12`, the form that flame graphs are made of. What one handler run
 * prints of a process and of the kernel is one stack.
 */
#ifndef MB_FOLDED_H
#define MB_FOLDED_H

#include <stddef.h>
#include <stdint.h>

#define MB_FOLDED_BYTES 16384	/* of one stack; the outermost calls of a longer one are left out */

struct mb_folded_entry {
	char *stack;
	int64_t count;
};

struct mb_folded {
	struct mb_folded_entry *entry;
	uint32_t room, count;	/* a power of two; fewer than three quarters are used */
	uint64_t run;		/* of which run of a handler the parts are; 0: of none */
	char name[64];
	char user[MB_FOLDED_BYTES], kernel[MB_FOLDED_BYTES];
};

/* A part begins; it is that of the run of a handler. Then come its frames, the innermost first. */
void mb_folded_begin(struct mb_folded *folded, uint64_t run, const char *name, int of_kernel);
void mb_folded_frame(struct mb_folded *folded, int of_kernel, const char *frame);

/* All stacks in the order of their text; `put` gets one line each. */
void mb_folded_lines(struct mb_folded *folded, void (*put)(void *context, const char *line, size_t length), void *context);

void mb_folded_free(struct mb_folded *folded);

#endif
