// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Back traces of the kernel: return addresses that the kernel's own unwinder found at the hit, oldest call last. They are in the
 * record. The texts are SystemTap's: tapset::context-unwind(3stap).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/builtin.h"
#include "folded.h"

#define LINE_BYTES 3072

/* How many addresses there are; *first is where the first one is. */
static uint32_t addresses(const struct mb_session *session, const char **first)
{
	const int32_t offset = session->record && session->hook ? session->hook->context[MB_KERNEL_STACK] : -1;
	struct mb_string_slot slot;
	uint32_t count;

	if (offset < 0)
		return 0;
	memcpy(&slot, (const char *)session->record + offset, sizeof(slot));
	if (slot.length == MB_FAULT)
		return 0;
	*first = (const char *)session->record + slot.offset;
	count = slot.length / (uint32_t)sizeof(uint64_t);
	return count < session->limits.maxbacktrace ? count : session->limits.maxbacktrace;
}

static uint64_t address_at(const char *first, uint32_t number)
{
	uint64_t address;

	memcpy(&address, first + number * sizeof(address), sizeof(address));
	return address;
}

/* ` 0xffffffff812a3b40 : vfs_read+0x0/0x2c0 [kernel]`, or `vfs_read+0x0 [kernel]`. */
static void line_of(struct mb_session *session, char *line, uint64_t address, int full)
{
	struct mb_kernel_symbol found;
	const int has = mb_kernel_symbol(session, address, &found);

	if (has && full)
		snprintf(line, LINE_BYTES, " 0x%" PRIx64 " : %s+0x%" PRIx64 "/0x%" PRIx64 " [%s]\n", address, found.name,
			 address - found.start, found.end - found.start, found.module);
	else if (has)
		snprintf(line, LINE_BYTES, "%s+0x%" PRIx64 " [%s]\n", found.name, address - found.start, found.module);
	else
		snprintf(line, LINE_BYTES, "%s0x%" PRIx64 "\n", full ? " " : "", address);
}

static void fold(struct mb_session *session, struct mb_folded *folded, const char *first, uint32_t count)
{
	for (uint32_t i = 0; folded && i < count; i++) {
		struct mb_kernel_symbol found;
		const int has = mb_kernel_symbol(session, address_at(first, i), &found);

		mb_folded_frame(folded, 1, has ? found.name : "[unknown]");
	}
}

MB_BUILTIN(print_backtrace)
{
	const char *first = NULL;
	const uint32_t count = addresses(session, &first);
	struct mb_folded *folded = count ? mb_stack_folded(session, 1) : NULL;
	char line[LINE_BYTES];

	if (folded || session->limits.flags & MB_FOLDED) {
		fold(session, folded, first, count);
		return MB_OK;
	}
	for (uint32_t i = 0; i < count; i++) {
		line_of(session, line, address_at(first, i), 1);
		mb_write(session, line, strlen(line));
	}
	if (!count) {
		snprintf(line, sizeof(line), "<no kernel backtrace at %s>\n", session->handler ? session->handler->point : "");
		mb_write(session, line, strlen(line));
	}
	return MB_OK;
}

static int32_t give(struct mb_session *session, void *result, int with_names)
{
	struct mb_text text = { result, (char *)result + session->limits.maxstringlen - 1 };
	const char *first = NULL;
	const uint32_t count = addresses(session, &first);
	char line[LINE_BYTES];

	for (uint32_t i = 0; i < count; i++) {
		if (with_names)
			line_of(session, line, address_at(first, i), 0);
		else
			snprintf(line, sizeof(line), "0x%" PRIx64 " ", address_at(first, i));
		for (const char *at = line; *at; at++)
			mb_text_char(&text, *at);
	}
	if (!count)
		mb_text_char(&text, '\n');
	*text.at = '\0';
	return MB_OK;
}

MB_BUILTIN(backtrace)
{
	return give(session, result, 0);
}

MB_BUILTIN(sprint_backtrace)
{
	return give(session, result, 1);
}

/* One of the addresses; 0 if there are fewer. */
MB_BUILTIN(_stack)
{
	const char *first = NULL;
	const uint32_t count = addresses(session, &first);

	return mb_give(result, argument[0] >= 0 && argument[0] < count ? (int64_t)address_at(first, (uint32_t)argument[0]) : 0);
}
