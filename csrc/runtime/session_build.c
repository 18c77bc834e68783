// SPDX-License-Identifier: LGPL-2.1-or-later
/* Making and dropping a session. Indices are given out in order of adding, from 0. */
#include "runtime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define FRAME_BYTES (256u << 20)	/* address space for string registers; pages come when touched */
#define LOG_BUCKETS 128

static void *frames_new(void)
{
	void *memory = mmap(NULL, FRAME_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int allocate(struct mb_session *session, uint32_t globals)
{
	uint32_t capacity = session->limits.maxstringlen;

	session->head.globals = calloc(globals + 1, sizeof(*session->head.globals));
	session->global = calloc(globals + 1, sizeof(*session->global));
	session->scratch = calloc(2, capacity);
	session->error.message = calloc(1, capacity);
	session->matched_text = calloc(1, capacity);
	session->token_text = calloc(1, capacity);
	session->frames = frames_new();
	session->frame_top = session->frames;
	session->frame_end = session->frames + FRAME_BYTES;
	session->global_count = globals;
	return session->head.globals && session->global && session->scratch && session->error.message &&
	       session->matched_text && session->token_text && session->frames ? 0 : -ENOMEM;
}

/* NULL if there is no memory or maxstringlen is out of range. */
struct mb_session *mb_session_new(const struct mb_limits *limits, uint32_t globals)
{
	struct mb_session *session;

	if (limits->maxstringlen < 2 || limits->maxstringlen > 1u << 20)
		return NULL;
	session = calloc(1, sizeof(*session));
	if (!session)
		return NULL;
	session->limits = *limits;
	session->pool.capacity = limits->maxstringlen;
	session->out.fd = 1;
	session->messages = 2;
	session->next_speculation = 1;
	session->random = mb_now_ns(CLOCK_REALTIME) | 1;
	prctl(PR_GET_NAME, session->execname);
	if (allocate(session, globals)) {
		mb_session_free(session);
		return NULL;
	}
	return session;
}

static void free_globals(struct mb_session *session)
{
	for (uint32_t i = 0; session->head.globals && session->global && i < session->global_count; i++) {
		void *held = (void *)(uintptr_t)session->head.globals[i];

		if (session->global[i].kind == MB_ARRAY)
			mb_array_close(held);
		else if (session->global[i].kind != MB_LONG)
			free(held);
	}
	free(session->head.globals);
	free(session->global);
}

static void free_formats(struct mb_session *session)
{
	for (uint32_t i = 0; i < session->format_count; i++) {
		for (uint32_t k = 0; k < session->formats[i].count; k++)
			free((char *)(uintptr_t)session->formats[i].pieces[k].text);
		free(session->formats[i].pieces);
	}
	free(session->formats);
}

static void free_handlers(struct mb_session *session)
{
	for (uint32_t i = 0; i < session->hook_count; i++)
		free(session->hooks[i].handlers);
	for (uint32_t i = 0; i < session->handler_count; i++) {
		free(session->handlers[i]->point);
		free(session->handlers[i]->script_point);
		free(session->handlers[i]);
	}
	free(session->hooks);
	free(session->handlers);
	free(session->timers);
}

static void free_texts(struct mb_session *session)
{
	for (uint32_t i = 0; i < session->site_count; i++)
		free(session->sites[i]);
	for (uint32_t i = 0; i < session->warning_count; i++)
		free(session->warnings[i]);
	for (uint32_t i = 0; i < session->regex_count; i++)
		mb_regex_free(session->regexes[i]);
	for (uint32_t i = 0; i < session->command_count; i++)
		free(session->commands[i]);
	free(session->commands);
	free(session->sites);
	free(session->warnings);
	free(session->regexes);
	free(session->scratch);
	free(session->error.message);
	free(session->matched_text);
	free(session->token_text);
	free(session->file);
	free(session->out_path);
	mb_symbols_free(session->symbols);
	mb_stack_free(session->stack);
}

static void free_speculations(struct mb_session *session)
{
	while (session->speculations) {
		struct mb_speculation *next = session->speculations->next;

		free(session->speculations->text);
		free(session->speculations);
		session->speculations = next;
	}
}

void mb_session_free(struct mb_session *session)
{
	if (!session)
		return;
	free_globals(session);
	free_formats(session);
	free_handlers(session);
	free_texts(session);
	free_speculations(session);
	mb_pool_close(&session->pool);
	if (session->frames)
		munmap(session->frames, FRAME_BYTES);
	free(session);
}

/* --- globals --- */

int mb_session_set_long(struct mb_session *session, uint32_t global, int64_t initial)
{
	if (global >= session->global_count)
		return -EINVAL;
	session->head.globals[global] = initial;
	return 0;
}

static int hold(struct mb_session *session, uint32_t global, int kind, void *held)
{
	if (!held)
		return -ENOMEM;
	session->global[global].kind = kind;
	session->head.globals[global] = (int64_t)(uintptr_t)held;
	return 0;
}

int mb_session_set_string(struct mb_session *session, uint32_t global, const char *initial)
{
	char *held;

	if (global >= session->global_count)
		return -EINVAL;
	held = calloc(1, session->limits.maxstringlen);
	if (held)
		mb_string_copy(session, held, initial);
	return hold(session, global, MB_STRING, held);
}

/* Fill in the number of buckets; -ERANGE if there would be too many. */
static int size_histogram(struct mb_stat_shape *shape)
{
	int64_t buckets;

	shape->buckets = shape->histogram == MB_LOG ? LOG_BUCKETS : 0;
	if (shape->histogram != MB_LINEAR)
		return 0;
	if (shape->step <= 0 || shape->high < shape->low)
		return -ERANGE;
	buckets = (int64_t)(((uint64_t)shape->high - (uint64_t)shape->low) / (uint64_t)shape->step);
	if (buckets < 0 || buckets > MB_MAX_BUCKETS - 3)
		return -ERANGE;
	shape->buckets = (uint32_t)buckets + 3;
	return 0;
}

int mb_session_set_stat(struct mb_session *session, uint32_t global, const struct mb_stat_shape *shape)
{
	struct mb_global *held;
	int ret;

	if (global >= session->global_count)
		return -EINVAL;
	held = &session->global[global];
	held->stat = *shape;
	ret = size_histogram(&held->stat);
	if (ret)
		return ret;
	held->bytes = mb_stat_bytes(&held->stat);
	return hold(session, global, MB_STATISTIC, calloc(1, held->bytes));
}

int mb_session_set_array(struct mb_session *session, uint32_t global, const struct mb_array_shape *shape,
			 const struct mb_stat_shape *stat)
{
	struct mb_stat_shape sized = { 0 };
	int ret;

	if (global >= session->global_count || shape->key_count < 1 || shape->key_count > MB_MAX_KEYS || shape->size < 1)
		return -EINVAL;
	if (stat)
		sized = *stat;
	ret = size_histogram(&sized);
	if (ret)
		return ret;
	return hold(session, global, MB_ARRAY, mb_array_new(shape, &sized, &session->pool));
}

/* --- lists that grow by one --- */

static void *grow(void *list, uint32_t count, size_t bytes)
{
	return realloc(list, (count + 1) * bytes);
}

int mb_session_add_site(struct mb_session *session, const char *text)
{
	char **sites = grow(session->sites, session->site_count, sizeof(*sites));

	if (!sites)
		return -ENOMEM;
	session->sites = sites;
	sites[session->site_count] = strdup(text);
	if (!sites[session->site_count])
		return -ENOMEM;
	return (int)session->site_count++;
}

static int copy_pieces(struct mb_piece *own, const struct mb_piece *pieces, uint32_t count)
{
	memcpy(own, pieces, count * sizeof(*own));
	for (uint32_t i = 0; i < count; i++)
		own[i].text = NULL;
	for (uint32_t i = 0; i < count; i++) {
		char *text = malloc(pieces[i].length + 1);

		if (!text)
			return -ENOMEM;
		if (pieces[i].length)
			memcpy(text, pieces[i].text, pieces[i].length);
		own[i].text = text;
	}
	return 0;
}

int mb_session_add_format(struct mb_session *session, const struct mb_piece *pieces, uint32_t count)
{
	struct mb_format *formats = grow(session->formats, session->format_count, sizeof(*formats));
	struct mb_format *format;

	if (!formats)
		return -ENOMEM;
	session->formats = formats;
	format = &formats[session->format_count];
	format->count = count;
	format->pieces = calloc(count + 1, sizeof(*pieces));
	if (!format->pieces)
		return -ENOMEM;
	session->format_count++;
	if (copy_pieces(format->pieces, pieces, count))
		return -ENOMEM;
	return (int)session->format_count - 1;
}

int mb_session_add_regex(struct mb_session *session, const struct mb_regex_op *ops, uint32_t count, const uint8_t *sets,
			 uint32_t set_count, uint32_t groups)
{
	struct mb_regex **regexes = grow(session->regexes, session->regex_count, sizeof(*regexes));
	int ret;

	if (!regexes)
		return -ENOMEM;
	session->regexes = regexes;
	ret = mb_regex_new(&regexes[session->regex_count], ops, count, sets, set_count, groups);
	return ret ? ret : (int)session->regex_count++;
}

int mb_session_add_handler(struct mb_session *session, uintptr_t run, uintptr_t condition, uint32_t flags,
			   const char *point, const char *script_point)
{
	struct mb_handler **handlers = grow(session->handlers, session->handler_count, sizeof(*handlers));
	struct mb_handler *handler = calloc(1, sizeof(*handler));

	if (handlers)
		session->handlers = handlers;
	if (!handlers || !handler) {
		free(handler);
		return -ENOMEM;
	}
	handlers[session->handler_count] = handler;
	handler->run = (mb_handler_fn)run;
	handler->condition = (mb_condition_fn)condition;
	handler->actions = flags & MB_INTERRUPTIBLE ? session->limits.maxaction_interruptible : session->limits.maxaction;
	handler->point = strdup(point);
	handler->script_point = strdup(script_point);
	handler->returns = !!(flags & MB_RETURNS);
	handler->id = session->handler_count;
	return (int)session->handler_count++;
}

/* `context` is the byte offset of each of MB_CONTEXTS in the record, or -1. */
int mb_session_add_hook(struct mb_session *session, const uint32_t *handlers, uint32_t count, const int32_t *context)
{
	struct mb_hook *hooks = grow(session->hooks, session->hook_count, sizeof(*hooks));
	struct mb_hook *hook;

	if (!hooks)
		return -ENOMEM;
	session->hooks = hooks;
	hook = &hooks[session->hook_count];
	hook->count = count;
	hook->stopped = 0;
	hook->handlers = calloc(count + 1, sizeof(struct mb_handler *));
	if (!hook->handlers)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		if (handlers[i] >= session->handler_count) {
			free(hook->handlers);
			return -EINVAL;
		}
		hook->handlers[i] = session->handlers[handlers[i]];
	}
	memcpy(hook->context, context, sizeof(hook->context));
	return (int)session->hook_count++;
}

void mb_session_hold(struct mb_session *session, uint32_t hook, uint32_t stopped)
{
	if (hook < session->hook_count)
		session->hooks[hook].stopped = stopped;
}

int mb_session_add_timer(struct mb_session *session, uint32_t handler, uint64_t period_ns, uint64_t randomize_ns)
{
	struct mb_timer *timers = grow(session->timers, session->timer_count, sizeof(*timers));

	if (!timers)
		return -ENOMEM;
	session->timers = timers;
	if (handler >= session->handler_count || !period_ns || randomize_ns > period_ns)
		return -EINVAL;
	timers[session->timer_count] = (struct mb_timer){ handler, period_ns, randomize_ns, 0, 0 };
	return (int)session->timer_count++;
}

void mb_session_outputs(struct mb_session *session, int out, int messages)
{
	session->out.fd = out;
	session->messages = messages;
}

/* `columns` is how much of the terminal's last line is in use by what is shown there in passing. */
void mb_session_watch_line(struct mb_session *session, int32_t *columns)
{
	session->line = columns;
	session->line_is_of_output = isatty(session->out.fd);
}

void mb_session_set_target(struct mb_session *session, int64_t pid)
{
	session->target = pid;
}

void mb_session_set_offset(struct mb_session *session, int64_t realtime_offset)
{
	session->realtime_offset = realtime_offset;
}
