// SPDX-License-Identifier: LGPL-2.1-or-later
/* Built-ins that print or hold output back, run commands, and tell of regular expressions and probe points. */
#define _GNU_SOURCE
#include "builtin.h"

#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- speculation: output that is kept until it is known to be wanted --- */

static struct mb_speculation **find(struct mb_session *session, int64_t id)
{
	struct mb_speculation **at = &session->speculations;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static void drop(struct mb_speculation **at)
{
	struct mb_speculation *gone = *at;

	*at = gone->next;
	free(gone->text);
	free(gone);
}

MB_BUILTIN(speculation)
{
	return mb_give(result, session->next_speculation++);
}

static struct mb_speculation *held(struct mb_session *session, int64_t id)
{
	struct mb_speculation **at = find(session, id);

	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (*at)
			(*at)->id = id;
	}
	return *at;
}

MB_BUILTIN(speculate)
{
	const char *text = mb_text_argument(argument[1]);
	struct mb_speculation *buffer = held(session, argument[0]);
	size_t length = strlen(text), wanted;
	char *grown;

	if (!buffer)
		return mb_raise(session, site, "out of memory");
	wanted = buffer->bytes + length;
	if (wanted > buffer->capacity) {
		grown = realloc(buffer->text, wanted * 2);
		if (!grown)
			return mb_raise(session, site, "out of memory");
		buffer->text = grown;
		buffer->capacity = wanted * 2;
	}
	if (length)
		memcpy(buffer->text + buffer->bytes, text, length);
	buffer->bytes = wanted;
	return MB_OK;
}

MB_BUILTIN(commit)
{
	struct mb_speculation **at = find(session, argument[0]);

	if (*at) {
		mb_write(session, (*at)->text, (*at)->bytes);
		drop(at);
	}
	return MB_OK;
}

MB_BUILTIN(discard)
{
	struct mb_speculation **at = find(session, argument[0]);

	if (*at)
		drop(at);
	return MB_OK;
}

/* --- commands: started once what was printed before is written; nobody waits for them --- */

extern char **environ;

static void start_command(const struct mb_session *session, char *command)
{
	char shell[] = "/bin/sh", option[] = "-c";
	char *words[] = { shell, option, command, NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	if (session->out.fd != STDOUT_FILENO)
		posix_spawn_file_actions_adddup2(&actions, session->out.fd, STDOUT_FILENO);
	posix_spawn(&pid, shell, &actions, NULL, words, environ);
	posix_spawn_file_actions_destroy(&actions);
}

void mb_run_commands(struct mb_session *session)
{
	for (uint32_t i = 0; i < session->command_count; i++) {
		start_command(session, session->commands[i]);
		free(session->commands[i]);
	}
	session->command_count = 0;
}

MB_BUILTIN(system)
{
	char **grown = realloc(session->commands, (session->command_count + 1) * sizeof(*grown));

	if (!grown)
		return mb_raise(session, site, "out of memory");
	session->commands = grown;
	grown[session->command_count] = strdup(mb_text_argument(argument[0]));
	if (!grown[session->command_count])
		return mb_raise(session, site, "out of memory");
	session->command_count++;
	return MB_OK;
}

/* --- the last regular expression that matched --- */

MB_BUILTIN(ngroups)
{
	if (!session->matched || session->match_failed)
		return mb_raise(session, site, "Attempted to get subexpression count from failed match");
	return mb_give(result, mb_regex_groups(session->matched));
}

MB_BUILTIN(matched)
{
	int64_t number = argument[0];
	size_t start, end, length;

	*(char *)result = '\0';
	if (!session->matched || number < 0 || number >= mb_regex_groups(session->matched))
		return mb_raise_format(session, site, "Attempted to get nonexistent subexpression %lld", (long long)number);
	if (session->match_failed)
		return mb_raise_format(session, site, "Attempted to get subexpression %lld from failed match", (long long)number);
	if (session->groups[2 * number] < 0 || session->groups[2 * number + 1] < 0)
		return MB_OK;
	length = strlen(session->matched_text);		/* `$` is one past it */
	start = (size_t)session->groups[2 * number];
	end = (size_t)session->groups[2 * number + 1];
	end = end < length ? end : length;
	if (start < end) {
		memcpy(result, session->matched_text + start, end - start);
		((char *)result)[end - start] = '\0';
	}
	return MB_OK;
}

/* --- probe points --- */

MB_BUILTIN(pp)
{
	mb_string_copy(session, result, session->handler ? session->handler->point : "");
	return MB_OK;
}

MB_BUILTIN(pn)
{
	mb_string_copy(session, result, session->handler ? session->handler->script_point : "");
	return MB_OK;
}

#if defined(__x86_64__)
#define SYSTEM_CALL_FUNCTION "__x64_sys_"
#elif defined(__aarch64__)
#define SYSTEM_CALL_FUNCTION "__arm64_sys_"
#else
#define SYSTEM_CALL_FUNCTION "sys_"
#endif

/* What stands behind one of the words in a text; NULL if it has none. */
static const char *behind(const char *text, const char *const *words)
{
	for (; *words; words++) {
		const char *found = strstr(text, *words);

		if (found)
			return found + strlen(*words);
	}
	return NULL;
}

/* The name of the function in the probe point: function("NAME@file:line"); at a system call's event, the kernel's function of it. */
static void put_function(const struct mb_session *session, char *dest)
{
	static const char *const named[] = { "function(\"", "statement(\"", NULL };
	static const char *const call[] = { "trace(\"syscalls:sys_enter_", "trace(\"syscalls:sys_exit_", NULL };
	const char *point = session->handler ? session->handler->point : "";
	const char *start = behind(point, named);
	struct mb_text text = { dest, dest + session->limits.maxstringlen - 1 };

	if (!start) {
		start = behind(point, call);
		for (const char *word = SYSTEM_CALL_FUNCTION; start && *word; word++)
			mb_text_char(&text, *word);
	}
	for (; start && *start && *start != '"' && *start != '@'; start++)
		mb_text_char(&text, *start);
	*text.at = '\0';
}

MB_BUILTIN(ppfunc)
{
	put_function(session, result);
	return MB_OK;
}

MB_BUILTIN(probefunc)
{
	put_function(session, result);
	return MB_OK;
}

MB_BUILTIN(is_return)
{
	return mb_give(result, session->handler && session->handler->returns);
}

MB_BUILTIN(stp_pid)
{
	return mb_give(result, getpid());
}

MB_BUILTIN(module_name)
{
	mb_string_copy(session, result, "markbridge");
	return MB_OK;
}
