/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The run time of compiled handlers: values, arrays, statistics, strings, output, errors.
 * All state hangs off one session, which one thread uses. Strings are NUL-terminated and shorter than the session's MAXSTRINGLEN.
 * Functions that can fail return MB_RAISED after leaving the error in the session.
 */
#ifndef MB_RUNTIME_H
#define MB_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#include "live/record.h"
#include "session.h"
#include "runtime.cdef.h"

#define MB_MAX_CHAIN 64
#define MB_POOL_CLASSES 20
#define MB_OUTPUT_BYTES 65536
#define MB_LINE_COLUMNS 512	/* most of what is shown in passing (bridge/progress.py) */
#define MB_PRINT_BYTES 8192	/* the most that one printf gives */

struct mb_pool {
	void *free[MB_POOL_CLASSES];
	char *chunk;
	size_t left;
	void *chunks;
	uint32_t capacity;	/* MAXSTRINGLEN */
};

/* A statistic; its buckets follow if it has a histogram. */
struct mb_stat {
	int64_t count, sum, min, max;
	int64_t mean;		/* with variance_bits fractional bits */
	int64_t squares;
	int64_t bucket[];
};

struct mb_array {
	struct mb_array_shape shape;
	struct mb_stat_shape stat;
	struct mb_pool *pool;
	char *entries;
	uint32_t *table;
	size_t entry_bytes, entries_bytes, table_bytes;
	uint32_t mask;			/* of the part of the table in use */
	uint32_t count;
	uint32_t fresh;			/* entries from here on were never used */
	uint32_t free;
};

struct mb_format {
	uint32_t count;
	struct mb_piece *pieces;
};

struct mb_hook {
	const struct mb_handler **handlers;
	uint32_t count;
	uint32_t stopped;		/* where the record says whether the process was stopped; 0: it never is */
	int32_t context[MB_CONTEXTS];	/* byte offset in the record, -1 if it is not there */
};

struct mb_handler {
	mb_handler_fn run;
	mb_condition_fn condition;
	char *point, *script_point;
	int64_t actions;
	uint32_t id;
	int returns;		/* a function or call is left where it runs */
};

struct mb_timer {
	uint32_t handler;
	uint64_t period_ns, randomize_ns, base_ns, due_ns;
};

struct mb_speculation {
	int64_t id;
	char *text;
	size_t bytes, capacity;
	struct mb_speculation *next;
};

struct mb_regex;

struct mb_output {
	int fd;
	int failed;		/* errno of the write that was reported */
	size_t used;
	char bytes[MB_OUTPUT_BYTES];
};

struct mb_error {
	uint32_t site;
	uint32_t chain_length;
	uint32_t chain[MB_MAX_CHAIN];
	uint32_t dropped;	/* call sites that did not fit */
	char *message;
};

struct mb_session {
	struct mb_session_head head;	/* first: compiled handlers look at it */

	struct mb_limits limits;
	char *frames, *frame_top, *frame_end;
	const char *stack_low;		/* how deep recursion may go on the machine stack */
	char *scratch;			/* one string */
	const struct mb_record *record;
	const struct mb_hook *hook;
	const struct mb_handler *handler;
	struct mb_error error;

	struct mb_global *global;
	uint32_t global_count;
	struct mb_handler **handlers;
	uint32_t handler_count;
	struct mb_hook *hooks;
	uint32_t hook_count;
	char **sites;
	uint32_t site_count;
	struct mb_format *formats;
	uint32_t format_count;
	struct mb_regex **regexes;
	uint32_t regex_count;
	struct mb_timer *timers;
	uint32_t timer_count;

	int state;
	int64_t errors, skipped, lost;
	int any_error;			/* an ERROR line was due, also below MAXERRORS */
	int64_t target;
	int64_t realtime_offset;	/* what to add to a record's time to get nanoseconds since 1970 */
	uint64_t clock_ns;		/* in a replay: the time now; 0: ask the clocks */
	uint64_t random;

	const struct mb_regex *matched;	/* the last one that did; its groups are told unless another failed since */
	int match_failed;
	char *matched_text;
	int32_t groups[2 * MB_MAX_GROUPS];	/* where each starts and ends, -1: it took no part */
	char *token_text, *token_next;
	char *file;			/* the text of the file that is served, with a NUL; or NULL */
	size_t file_length, file_most;

	struct mb_speculation *speculations;
	int64_t next_speculation;
	char **commands;		/* for the shell, run after the next flush */
	uint32_t command_count;
	char **warnings;
	uint32_t warning_count;
	uint32_t flags;
	char execname[16];
	struct mb_symbols *symbols;	/* the kernel's, once asked for */
	struct mb_stack *stack;		/* the last back trace, once asked for */
	uint64_t hit;			/* how many there were */
	mb_memory_reader kernel_reader;	/* or NULL; `kernel` is its context */
	int64_t task;			/* our own task_struct; 0: not known */
	void *kernel;

	struct mb_pool pool;
	struct mb_output out;
	int messages;			/* file descriptor */
	int32_t *line;			/* columns in use of a line that goes before anything is written; may be NULL */
	int line_is_of_output;		/* whether what is printed goes to a terminal, too */
	char *out_path;			/* the file that `out` is, for switch_file(); may be NULL */
	uint32_t out_number;		/* files so far after the first one */
};

struct mb_global {
	int kind;			/* MB_LONG, MB_STRING, MB_STATISTIC, MB_ARRAY */
	struct mb_stat_shape stat;
	size_t bytes;
};

/* A bounded text being written; `at` may pass `end`, what is beyond is dropped. */
struct mb_text {
	char *at, *end;
};

static inline void mb_text_char(struct mb_text *text, char c)
{
	if (text->at < text->end)
		*text->at++ = c;
}

/* string.c */
size_t mb_string_length(const struct mb_session *session, const char *text);
int mb_pool_set(struct mb_pool *pool, int64_t *slot, const char *text);
void mb_pool_drop(struct mb_pool *pool, int64_t *slot);
void mb_pool_close(struct mb_pool *pool);
const char *mb_slot_text(int64_t slot);

/* map.c */
struct mb_array *mb_array_new(const struct mb_array_shape *shape, const struct mb_stat_shape *stat, struct mb_pool *pool);
void mb_array_close(struct mb_array *array);
struct mb_entry *mb_array_find(const struct mb_array *array, const int64_t *keys);
struct mb_entry *mb_array_make(struct mb_array *array, const int64_t *keys);
void mb_array_unlink(struct mb_array *array, struct mb_entry *entry);
void mb_array_link_after(struct mb_array *array, struct mb_entry *entry, struct mb_entry *after);
int mb_array_matches(const struct mb_array *array, const struct mb_entry *entry, const int64_t *keys, uint32_t mask);
void mb_array_clear(struct mb_array *array);

static inline struct mb_entry *mb_array_entry(const struct mb_array *array, uint32_t index)
{
	return (struct mb_entry *)(void *)(array->entries + (size_t)index * array->entry_bytes);
}

static inline uint32_t mb_array_index(const struct mb_array *array, const struct mb_entry *entry)
{
	return (uint32_t)((size_t)((const char *)entry - array->entries) / array->entry_bytes);
}

static inline int64_t *mb_entry_value(const struct mb_array *array, struct mb_entry *entry)
{
	return &entry->slot[array->shape.key_count];
}

static inline struct mb_stat *mb_entry_stat(const struct mb_array *array, struct mb_entry *entry)
{
	return (struct mb_stat *)(void *)mb_entry_value(array, entry);
}

/* map_sort.c */

/* stat.c */
size_t mb_stat_bytes(const struct mb_stat_shape *shape);
void mb_stat_add(const struct mb_stat_shape *shape, struct mb_stat *stat, int64_t value);
void mb_stat_merge(const struct mb_stat_shape *shape, struct mb_stat *stat, const int64_t *values, const int64_t *buckets);
int64_t mb_stat_average(const struct mb_stat *stat);
const struct mb_stat *mb_stat_find(const struct mb_session *session, uint32_t global, const int64_t *keys, const struct mb_stat_shape **shape);

/* stat_text.c */
void mb_histogram_text(const struct mb_stat_shape *shape, const struct mb_stat *stat, int32_t elision, struct mb_text *text);

/* printf.c */
int32_t mb_format_text(struct mb_session *session, const struct mb_format *format, const int64_t *arguments, struct mb_text *text, int nul,
		       uint32_t site);

/* builtin_symbols.c */
void mb_symbols_free(struct mb_symbols *symbols);

struct mb_kernel_symbol {
	const char *name, *module;
	uint64_t start, end;
};

/* The kernel's name for an address: 1, or 0 if it has none. */
int mb_kernel_symbol(struct mb_session *session, uint64_t address, struct mb_kernel_symbol *found);

/* builtin_stack.c */
void mb_stack_free(struct mb_stack *stack);

struct mb_folded *mb_stack_folded(struct mb_session *session, int of_kernel);	/* with MB_FOLDED: where this part is counted; else NULL */

/* runtime.c */
int32_t mb_raise_format(struct mb_session *session, uint32_t site, const char *format, ...) __attribute__((format(printf, 3, 4)));
#define MB_FAULT_ADDRESS "%#x"	/* known to bridge/ir/program.py */
uint64_t mb_now_ns(int clock);
int mb_read_user(const struct mb_session *session, int64_t address, char *dest, size_t bytes);
int mb_write_user(const struct mb_session *session, int64_t address, const void *source, size_t bytes);
int mb_read_kernel(const struct mb_session *session, int64_t address, char *dest, size_t bytes);

/* builtin_output.c */
void mb_run_commands(struct mb_session *session);

/* regex.c */
int mb_regex_new(struct mb_regex **result, const struct mb_regex_op *ops, uint32_t count, const uint8_t *sets, uint32_t set_count,
		 uint32_t groups);
void mb_regex_free(struct mb_regex *regex);
uint32_t mb_regex_groups(const struct mb_regex *regex);
int mb_regex_match(struct mb_regex *regex, const char *text, int32_t *groups);

/* output.c */
void mb_session_message(struct mb_session *session, const char *kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
void mb_write(struct mb_session *session, const char *bytes, size_t length);
void mb_clear_line(struct mb_session *session);
char *mb_output_room(struct mb_session *session, size_t bytes);

#endif
