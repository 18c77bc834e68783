// SPDX-License-Identifier: LGPL-2.1-or-later
/* A session while it runs: records and timers reach their handlers, errors become messages and states. */
#define _GNU_SOURCE
#include "runtime.h"

#include <stdarg.h>
#include <stdio.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES (5u << 20)	/* of the machine stack, for nested calls */
#define MESSAGE_BYTES 16384

/* --- messages --- */

void mb_session_message(struct mb_session *session, const char *kind, const char *format, ...)
{
	char line[MESSAGE_BYTES];
	va_list arguments;
	size_t length;
	int used;

	mb_session_flush(session);
	mb_clear_line(session);
	used = snprintf(line, sizeof(line), "%s: ", kind);
	va_start(arguments, format);
	used += vsnprintf(line + used, sizeof(line) - (size_t)used - 1, format, arguments);
	va_end(arguments);
	length = (size_t)used < sizeof(line) - 1 ? (size_t)used : sizeof(line) - 2;
	line[length] = '\n';
	for (size_t at = 0; at <= length;) {
		ssize_t done = write(session->messages, line + at, length + 1 - at);

		if (done <= 0)
			return;
		at += (size_t)done;
	}
}

/* A line ends once: one newline at the end of the text does not count. */
static int is_new_warning(struct mb_session *session, const char *message, size_t length)
{
	char **grown;

	for (uint32_t i = 0; i < session->warning_count; i++) {
		const char *known = session->warnings[i];

		if (strlen(known) == length && memcmp(known, message, length) == 0)
			return 0;
	}
	grown = realloc(session->warnings, (session->warning_count + 1) * sizeof(*grown));
	if (!grown)
		return 1;
	session->warnings = grown;
	grown[session->warning_count] = strndup(message, length);
	if (grown[session->warning_count])
		session->warning_count++;
	return 1;
}

void mb_session_warn(struct mb_session *session, const char *message)
{
	size_t length = strlen(message);

	if (session->limits.flags & MB_QUIET)
		return;
	if (length && message[length - 1] == '\n')
		length--;
	if (session->limits.flags & MB_REPEAT_WARNINGS || is_new_warning(session, message, length))
		mb_session_message(session, "WARNING", "%.*s", (int)length, message);
}

static void put(struct mb_text *text, const char *piece)
{
	while (*piece)
		mb_text_char(text, *piece++);
}

static const char *site_text(const struct mb_session *session, uint32_t site)
{
	return site < session->site_count ? session->sites[site] : "";
}

/* "MESSAGE near TOKEN at FILE:L:C (called from TOKEN at FILE:L:C)... in probe POINT", as far as it fits into a string. */
static void describe(const struct mb_session *session, const struct mb_handler *handler, struct mb_text *text)
{
	const struct mb_error *error = &session->error;

	put(text, error->message);
	if (error->site < session->site_count) {
		put(text, " near ");
		put(text, session->sites[error->site]);
	}
	for (uint32_t i = 0; i < error->chain_length; i++) {
		put(text, " (called from ");
		put(text, site_text(session, error->chain[i]));
		put(text, ")");
	}
	if (error->dropped)
		return;
	put(text, " in probe ");
	put(text, handler->point);
}

static void report(struct mb_session *session, const struct mb_handler *handler)
{
	struct mb_text text = { session->scratch, session->scratch + session->limits.maxstringlen - 1 };

	describe(session, handler, &text);
	*text.at = '\0';
	mb_session_message(session, "ERROR", "%s", session->scratch);
}

/* --- handlers --- */

static void take_error(struct mb_session *session, const struct mb_handler *handler)
{
	if (session->error.site == MB_NO_SITE && session->head.raised == MB_ABORTED) {
		session->head.raised = MB_OK;
		return;
	}
	session->head.raised = MB_OK;
	session->errors++;
	if (session->limits.flags & MB_SUPPRESS_ERRORS)
		return;
	session->any_error = 1;
	report(session, handler);
	if (session->errors > session->limits.maxerrors && session->state != MB_STOPPED)
		session->state = MB_FAILED;
}

static void prepare(struct mb_session *session, const struct mb_handler *handler)
{
	session->handler = handler;
	session->head.actions = handler->actions;
	session->head.raised = MB_OK;
	session->head.nesting = 0;
	session->frame_top = session->frames;
	session->stack_low = (const char *)__builtin_frame_address(0) - STACK_BYTES;
}

static int holds(struct mb_session *session, const struct mb_handler *handler)
{
	int64_t result = 0;

	if (!handler->condition)
		return 1;
	if (handler->condition(session, &result)) {
		take_error(session, handler);
		return 0;
	}
	return result != 0;
}

static inline __attribute__((always_inline)) void
run(struct mb_session *session, const struct mb_handler *handler, const struct mb_record *record)
{
	prepare(session, handler);
	if (handler->run && holds(session, handler) && handler->run(session, record))
		take_error(session, handler);
}

int mb_session_run(struct mb_session *session, uint32_t handler)
{
	session->record = NULL;
	session->hook = NULL;
	if (handler < session->handler_count)
		run(session, session->handlers[handler], NULL);
	return session->state;
}

int mb_session_dispatch(struct mb_session *session, const struct mb_record *record)
{
	const struct mb_hook *hook;

	if (record->hook >= session->hook_count || session->state != MB_RUNNING)
		return session->state;
	hook = &session->hooks[record->hook];
	session->record = record;
	session->hook = hook;
	session->hit++;
	if (session->limits.flags & MB_TRACE_TIME)
		session->clock_ns = record->time_ns;
	for (uint32_t i = 0; i < hook->count && session->state == MB_RUNNING; i++)
		run(session, hook->handlers[i], record);
	session->record = NULL;
	session->hook = NULL;
	return session->state;
}

int mb_session_consume(void *context, const struct mb_record *record)
{
	struct mb_session *session = context;

	if (session->timer_count && record->time_ns >= mb_session_next_timer(session))
		mb_session_timers(session, record->time_ns);
	return mb_session_dispatch(session, record) != MB_RUNNING;
}

void mb_session_error(struct mb_session *session, uint32_t handler, uint32_t site, const char *message)
{
	if (handler >= session->handler_count)
		return;
	mb_raise(session, site, message);
	take_error(session, session->handlers[handler]);
}

/* --- files --- */

int mb_session_serve(struct mb_session *session, uint32_t handler, const char *text, uint64_t length, uint64_t most)
{
	size_t room = (size_t)(most > length ? most : length);
	char *file = realloc(session->file, room + 1);

	if (!file)
		return -ENOMEM;
	memcpy(file, text, (size_t)length);
	file[length] = '\0';
	session->file = file;
	session->file_length = (size_t)length;
	session->file_most = room;
	return mb_session_run(session, handler);
}

const char *mb_session_served(const struct mb_session *session, uint64_t *length)
{
	*length = session->file_length;
	return session->file;
}

/* --- timers --- */

static uint64_t random_bits(struct mb_session *session)
{
	uint64_t x = session->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	session->random = x;
	return x;
}

static void schedule(struct mb_session *session, struct mb_timer *timer, uint64_t now_ns)
{
	uint64_t spread = timer->randomize_ns;

	timer->base_ns += timer->period_ns;
	if (!(session->limits.flags & MB_TRACE_TIME) && timer->base_ns < now_ns)
		timer->base_ns = now_ns;	/* periods that were missed are not made up for */
	timer->due_ns = timer->base_ns;
	if (spread)
		timer->due_ns += random_bits(session) % (2 * spread + 1) - spread;
}

void mb_session_start(struct mb_session *session, uint64_t now_ns)
{
	for (uint32_t i = 0; i < session->timer_count; i++) {
		session->timers[i].base_ns = now_ns;
		schedule(session, &session->timers[i], now_ns);
	}
}

static struct mb_timer *next_timer(const struct mb_session *session)
{
	struct mb_timer *next = NULL;

	for (uint32_t i = 0; i < session->timer_count; i++) {
		if (!next || session->timers[i].due_ns < next->due_ns)
			next = &session->timers[i];
	}
	return next;
}

uint64_t mb_session_next_timer(const struct mb_session *session)
{
	const struct mb_timer *next = next_timer(session);

	return next ? next->due_ns : UINT64_MAX;
}

int mb_session_timers(struct mb_session *session, uint64_t now_ns)
{
	struct mb_timer *timer = next_timer(session);

	while (timer && timer->due_ns <= now_ns && session->state == MB_RUNNING) {
		if (session->limits.flags & MB_TRACE_TIME)
			session->clock_ns = timer->due_ns;
		mb_session_run(session, timer->handler);
		schedule(session, timer, now_ns);
		timer = next_timer(session);
	}
	return session->state;
}

void mb_session_read_kernel_by(struct mb_session *session, mb_memory_reader reader, void *context, int64_t task)
{
	session->kernel_reader = reader;
	session->kernel = context;
	session->task = task;
}

void mb_session_set_clock(struct mb_session *session, uint64_t now_ns)
{
	session->clock_ns = now_ns;
}

/* --- state --- */

void mb_session_stop(struct mb_session *session)
{
	if (session->state == MB_STARTING || session->state == MB_RUNNING)
		session->state = MB_STOPPING;
}

int mb_session_state(const struct mb_session *session)
{
	return session->state;
}

void mb_session_set_state(struct mb_session *session, int state)
{
	session->state = state;
}

void mb_session_note_lost(struct mb_session *session, int64_t records)
{
	session->lost += records;
}

void mb_session_summary(const struct mb_session *session, struct mb_summary *summary)
{
	*summary = (struct mb_summary){
		.errors = session->errors,
		.skipped = session->skipped,
		.lost = session->lost,
		.state = session->state,
		.any_error = session->any_error,
		.output_errno = session->out.failed,
	};
}
