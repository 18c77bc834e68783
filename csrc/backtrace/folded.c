// SPDX-License-Identifier: LGPL-2.1-or-later
/* Counted back traces: see folded.h. */
#include "folded.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES (2 * MB_FOLDED_BYTES + 128)

static uint64_t hash(const char *text)
{
	uint64_t value = UINT64_C(14695981039346656037);

	while (*text)
		value = (value ^ (uint8_t)*text++) * UINT64_C(1099511628211);
	return value;
}

static struct mb_folded_entry *slot(struct mb_folded_entry *entry, uint32_t room, const char *stack)
{
	uint64_t at = hash(stack);

	while (entry[at & (room - 1)].stack && strcmp(entry[at & (room - 1)].stack, stack) != 0)
		at++;
	return &entry[at & (room - 1)];
}

static int grow(struct mb_folded *folded)
{
	const uint32_t room = folded->room ? 2 * folded->room : 1024;
	struct mb_folded_entry *entry = calloc(room, sizeof(*entry));

	if (!entry)
		return -1;
	for (uint32_t i = 0; i < folded->room; i++)
		if (folded->entry[i].stack)
			*slot(entry, room, folded->entry[i].stack) = folded->entry[i];
	free(folded->entry);
	folded->entry = entry;
	folded->room = room;
	return 0;
}

/* The parts of a run are complete. */
static void count(struct mb_folded *folded)
{
	struct mb_folded_entry *entry;
	char stack[LINE_BYTES];

	if (!folded->run || (folded->count >= folded->room / 4 * 3 && grow(folded)))
		return;
	folded->run = 0;
	snprintf(stack, sizeof(stack), "%s%s%s", folded->name, folded->user, folded->kernel);
	entry = slot(folded->entry, folded->room, stack);
	if (!entry->stack) {
		entry->stack = strdup(stack);
		if (!entry->stack)
			return;
		folded->count++;
	}
	entry->count++;
}

void mb_folded_begin(struct mb_folded *folded, uint64_t run, const char *name, int of_kernel)
{
	if (folded->run != run) {
		count(folded);
		folded->run = run;
		folded->user[0] = folded->kernel[0] = '\0';
		snprintf(folded->name, sizeof(folded->name), "%s", name);
		for (char *at = folded->name; *at; at++)
			if (*at == ';')
				*at = ':';
	}
	(of_kernel ? folded->kernel : folded->user)[0] = '\0';
}

void mb_folded_frame(struct mb_folded *folded, int of_kernel, const char *frame)
{
	char *stack = of_kernel ? folded->kernel : folded->user;
	const size_t has = strlen(stack), more = strlen(frame) + 1 + (of_kernel ? 4 : 0);

	if (has + more >= MB_FOLDED_BYTES)
		return;
	memmove(stack + more, stack, has + 1);
	stack[0] = ';';
	memcpy(stack + 1, frame, strlen(frame));
	if (of_kernel)
		memcpy(stack + more - 4, "_[k]", 4);
	for (size_t i = 1; i < more; i++)
		if (stack[i] == ';' || stack[i] == '\n')
			stack[i] = ':';
}

static int by_text(const void *a, const void *b)
{
	const struct mb_folded_entry *x = a, *y = b;

	if (!x->stack || !y->stack)
		return !x->stack - !y->stack;
	return strcmp(x->stack, y->stack);
}

void mb_folded_lines(struct mb_folded *folded, void (*put)(void *context, const char *line, size_t length), void *context)
{
	char line[LINE_BYTES + 32];

	count(folded);
	if (folded->room)
		qsort(folded->entry, folded->room, sizeof(*folded->entry), by_text);
	for (uint32_t i = 0; i < folded->count; i++) {
		const int length = snprintf(line, sizeof(line), "%s %" PRId64 "\n", folded->entry[i].stack, folded->entry[i].count);

		put(context, line, (size_t)length);
	}
}

void mb_folded_free(struct mb_folded *folded)
{
	for (uint32_t i = 0; i < folded->room; i++)
		free(folded->entry[i].stack);
	free(folded->entry);
}
