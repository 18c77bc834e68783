// SPDX-License-Identifier: LGPL-2.1-or-later
/* Built-ins that read or change the system: environment, load, kernel log, signals. In a replay they change nothing. */
#define _GNU_SOURCE
#include "builtin.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHUNK 4096

static int is_replay(const struct mb_session *session)
{
	return (session->limits.flags & MB_TRACE_TIME) != 0;
}

/* --- the environment of the process that was hit --- */

struct search {
	const char *name;
	size_t length;
	size_t matched;		/* bytes of "name=" so far; SIZE_MAX: this variable is another */
	struct mb_text found;
	int done;
};

static void search_byte(struct search *search, char c)
{
	if (search->matched == search->length + 1) {
		mb_text_char(&search->found, c);
		search->done = !c;
	} else if (!c) {
		search->matched = 0;
	} else if (search->matched < search->length && c == search->name[search->matched]) {
		search->matched++;
	} else {
		search->matched = search->matched == search->length && c == '=' ? search->length + 1 : SIZE_MAX;
	}
}

static void search_file(struct search *search, int file)
{
	char bytes[CHUNK];
	ssize_t length;

	while (!search->done && (length = read(file, bytes, sizeof(bytes))) > 0)
		for (ssize_t i = 0; i < length && !search->done; i++)
			search_byte(search, bytes[i]);
}

MB_BUILTIN(env_var)
{
	struct search search = { .name = mb_text_argument(argument[0]) };
	char path[64];
	int file;

	search.length = strlen(search.name);
	search.found = (struct mb_text){ result, (char *)result + session->limits.maxstringlen - 1 };
	snprintf(path, sizeof(path), "/proc/%" PRId64 "/environ", mb_context_long(session, MB_PID));
	file = is_replay(session) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (file >= 0) {
		search_file(&search, file);
		close(file);
	}
	*search.found.at = '\0';
	return MB_OK;
}

MB_BUILTIN(pid2execname)
{
	char path[64];
	char *name = result;
	ssize_t length = 0;
	int file;

	snprintf(path, sizeof(path), "/proc/%" PRId64 "/comm", argument[0]);
	file = is_replay(session) || argument[0] <= 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (file >= 0) {
		length = read(file, name, session->limits.maxstringlen);
		close(file);
	}
	name[length > 0 ? length - 1 : 0] = '\0';	/* a newline ends it */
	return MB_OK;
}

/* A number of /proc/PID/statm, which counts pages: see proc(5); 0 where there is none. */
MB_BUILTIN(_process_pages)
{
	char text[256];
	char *at = text;
	int64_t pages = 0;
	ssize_t length = 0;
	int file;

	snprintf(text, sizeof(text), "/proc/%" PRId64 "/statm", argument[0]);
	file = is_replay(session) || argument[0] <= 0 ? -1 : open(text, O_RDONLY | O_CLOEXEC);
	if (file >= 0) {
		length = read(file, text, sizeof(text) - 1);
		close(file);
	}
	text[length > 0 ? length : 0] = '\0';
	for (int64_t number = 0; length > 0 && number <= argument[1]; number++)
		pages = strtoll(at, &at, 10);
	return mb_give(result, pages);
}

/* --- load --- */

static void load(double *averages)
{
	if (getloadavg(averages, 3) != 3)
		memset(averages, 0, 3 * sizeof(*averages));
}

MB_BUILTIN(get_loadavg_index)
{
	double averages[3];

	if (argument[0] < 0 || argument[0] > 2)
		return mb_raise_format(session, site, "Invalid loadavg index %" PRId64 " specified.", argument[0]);
	load(averages);
	return mb_give(result, (int64_t)averages[argument[0]]);
}

MB_BUILTIN(sprint_loadavg)
{
	double averages[3];
	char text[128];

	load(averages);
	snprintf(text, sizeof(text), "%.2f %.2f %.2f\n", averages[0], averages[1], averages[2]);
	mb_string_copy(session, result, text);
	return MB_OK;
}

/* --- the kernel's logs --- */

static void append(const char *path, const char *text, size_t length)
{
	int file = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);

	if (file < 0)
		return;
	if (write(file, text, length) < 0)
		errno = 0;	/* as with printk(), nobody hears of it */
	close(file);
}

#define LEVELS 8
#define DEFAULT_LEVEL 4

MB_BUILTIN(printk)
{
	int level = argument[0] >= 0 && argument[0] < LEVELS ? (int)argument[0] : DEFAULT_LEVEL;
	char prefix[16];
	int64_t parts[] = { (int64_t)(uintptr_t)prefix, argument[1], (int64_t)(uintptr_t)"\n" };
	struct mb_text line = { session->scratch, session->scratch + session->limits.maxstringlen - 1 };

	snprintf(prefix, sizeof(prefix), "<%d>", level);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		for (const char *at = mb_text_argument(parts[i]); *at; at++)
			mb_text_char(&line, *at);
	if (!is_replay(session))
		append("/dev/kmsg", session->scratch, (size_t)(line.at - session->scratch));
	return MB_OK;
}

MB_BUILTIN(ftrace)
{
	const char *text = mb_text_argument(argument[0]);

	if (!is_replay(session))
		append("/sys/kernel/tracing/trace_marker", text, strlen(text));
	return MB_OK;
}

/* --- signals --- */

MB_BUILTIN(raise)
{
	int64_t process = mb_context_long(session, MB_PID), thread = mb_context_long(session, MB_TID);

	if (is_replay(session) || !syscall(SYS_tgkill, (pid_t)process, (pid_t)thread, (int)argument[0]))
		return MB_OK;
	return mb_raise_format(session, site, "raise/send_sig error %d", -errno);
}
