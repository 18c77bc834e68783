// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * symname(), symdata(): the running kernel's names for addresses, from /proc/kallsyms, which is read at the first call.
 * In a replay the addresses are those of another kernel, so they have no names. Source: proc(5).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/builtin.h"

#define LINE_BYTES 1024
#define PAGE 4096
#define LOWEST (UINT64_C(1) << 63)	/* below are per-CPU offsets and constants, or addresses that are hidden from us */

struct symbol {
	uint64_t address;
	uint32_t order;		/* of aliases the first counts */
	uint32_t module;	/* offset of its name in `text`; 0: the kernel itself */
	uint32_t name;
};

struct mb_symbols {
	struct symbol *symbol;
	size_t count, room;
	char *text;
	size_t used, bytes;
};

static int by_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

/* Keep a text; its offset, or 0 if there is no memory. */
static uint32_t keep(struct mb_symbols *symbols, const char *text)
{
	size_t length = strlen(text) + 1;
	size_t at = symbols->used ? symbols->used : 1;

	if (at + length > symbols->bytes) {
		size_t bytes = 2 * symbols->bytes + LINE_BYTES;
		char *larger = bytes < UINT32_MAX ? realloc(symbols->text, bytes) : NULL;

		if (!larger)
			return 0;
		symbols->text = larger;
		symbols->bytes = bytes;
	}
	memcpy(symbols->text + at, text, length);
	symbols->used = at + length;
	return (uint32_t)at;
}

static int add(struct mb_symbols *symbols, uint64_t address, const char *name, const char *module)
{
	struct symbol *last = symbols->count ? &symbols->symbol[symbols->count - 1] : NULL;
	struct symbol made = { .address = address, .order = (uint32_t)symbols->count };

	if (symbols->count == symbols->room) {
		size_t room = 2 * symbols->room + 4096;
		struct symbol *larger = realloc(symbols->symbol, room * sizeof(*larger));

		if (!larger)
			return -1;
		symbols->symbol = larger;
		symbols->room = room;
		last = symbols->count ? &larger[symbols->count - 1] : NULL;
	}
	made.name = keep(symbols, name[0] == '.' ? name + 1 : name);
	if (*module) {
		int same = last && last->module && strcmp(symbols->text + last->module, module) == 0;

		made.module = same ? last->module : keep(symbols, module);
	}
	if (!made.name || (*module && !made.module))
		return -1;
	symbols->symbol[symbols->count++] = made;
	return 0;
}

/* `ffffffff81000000 T _text`, and for a module a tab and `[module]`. */
static int add_line(struct mb_symbols *symbols, const char *line)
{
	char name[LINE_BYTES], module[LINE_BYTES] = "";
	uint64_t address;
	char type;
	int found = sscanf(line, "%" SCNx64 " %c %1023s [%1023[^]]]", &address, &type, name, module);

	if (found < 3 || address < LOWEST || type == 'a' || type == 'A')
		return 0;
	return add(symbols, address, name, module);
}

static struct mb_symbols *load(void)
{
	struct mb_symbols *symbols = calloc(1, sizeof(*symbols));
	FILE *file = symbols ? fopen("/proc/kallsyms", "re") : NULL;
	char line[LINE_BYTES];

	if (!file)
		return symbols;
	while (fgets(line, sizeof(line), file) && add_line(symbols, line) == 0)
		;
	fclose(file);
	if (symbols->count)
		qsort(symbols->symbol, symbols->count, sizeof(*symbols->symbol), by_address);
	return symbols;
}

void mb_symbols_free(struct mb_symbols *symbols)
{
	if (!symbols)
		return;
	free(symbols->symbol);
	free(symbols->text);
	free(symbols);
}

/* Where a symbol ends: at the next one. The last one of a module reaches to the end of its page, as nothing tells more. */
static uint64_t end_of(const struct mb_symbols *symbols, size_t first)
{
	const struct symbol *symbol = &symbols->symbol[first];
	uint64_t page = (symbol->address | (PAGE - 1)) + 1;
	size_t next = first;

	while (next < symbols->count && symbols->symbol[next].address == symbol->address)
		next++;
	if (next == symbols->count)
		return page;
	if (symbols->symbol[next].module != symbol->module && symbols->symbol[next].address > page)
		return page;
	return symbols->symbol[next].address;
}

static const struct symbol *find(struct mb_session *session, uint64_t address, uint64_t *end)
{
	size_t low = 0, high;

	if (session->limits.flags & MB_TRACE_TIME)
		return NULL;
	if (!session->symbols)
		session->symbols = load();
	high = session->symbols ? session->symbols->count : 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (session->symbols->symbol[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return NULL;
	for (low--; low && session->symbols->symbol[low - 1].address == session->symbols->symbol[low].address; low--)
		;
	*end = end_of(session->symbols, low);
	return address < *end ? &session->symbols->symbol[low] : NULL;
}

int mb_kernel_symbol(struct mb_session *session, uint64_t address, struct mb_kernel_symbol *found)
{
	const struct symbol *symbol = find(session, address, &found->end);
	const char *names = symbol ? session->symbols->text : NULL;

	if (!symbol)
		return 0;
	found->name = names + symbol->name;
	found->module = symbol->module ? names + symbol->module : "kernel";
	found->start = symbol->address;
	return 1;
}

MB_BUILTIN(modname)
{
	struct mb_kernel_symbol found;

	*(char *)result = '\0';
	if (!mb_kernel_symbol(session, (uint64_t)argument[0], &found))
		return mb_raise(session, site, "Cannot determine kernel module name");
	mb_string_copy(session, result, found.module);
	return MB_OK;
}

static int32_t give_address(struct mb_session *session, void *result, uint64_t address)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%" PRIx64, address);
	mb_string_copy(session, result, text);
	return MB_OK;
}

MB_BUILTIN(symname)
{
	uint64_t address = (uint64_t)argument[0], end;
	const struct symbol *symbol = find(session, address, &end);

	if (!symbol)
		return give_address(session, result, address);
	mb_string_copy(session, result, session->symbols->text + symbol->name);
	return MB_OK;
}

MB_BUILTIN(symdata)
{
	struct mb_kernel_symbol found;
	char text[2 * LINE_BYTES + 64];

	if (!mb_kernel_symbol(session, (uint64_t)argument[0], &found))
		return give_address(session, result, (uint64_t)argument[0]);
	snprintf(text, sizeof(text), "%s+0x%" PRIx64 "/0x%" PRIx64 " [%s]", found.name, (uint64_t)argument[0] - found.start,
		 found.end - found.start, found.module);
	mb_string_copy(session, result, text);
	return MB_OK;
}
