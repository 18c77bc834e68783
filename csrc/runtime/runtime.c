// SPDX-License-Identifier: LGPL-2.1-or-later
/* What compiled handlers call besides values and output: frames, errors, captures, context, regular expressions. */
#define _GNU_SOURCE
#include "runtime.h"

#include "memory.h"
#include "live/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* --- errors --- */

static void start_error(struct mb_session *session, uint32_t site)
{
	session->head.raised = MB_RAISED;
	session->error.site = site;
	session->error.chain_length = 0;
	session->error.dropped = 0;
}

int32_t mb_raise(struct mb_session *session, uint32_t site, const char *message)
{
	start_error(session, site);
	mb_string_copy(session, session->error.message, message);
	return MB_RAISED;
}

int32_t mb_raise_format(struct mb_session *session, uint32_t site, const char *format, ...)
{
	va_list arguments;

	start_error(session, site);
	va_start(arguments, format);
	vsnprintf(session->error.message, session->limits.maxstringlen, format, arguments);
	va_end(arguments);
	return MB_RAISED;
}

/* The error passes a call on its way out. */
void mb_error_called(struct mb_session *session, uint32_t site)
{
	if (session->error.site == MB_NO_SITE && session->head.raised == MB_RAISED)
		session->error.site = site;
	else if (session->error.chain_length < MB_MAX_CHAIN)
		session->error.chain[session->error.chain_length++] = site;
	else
		session->error.dropped++;
}

/* Nothing catches this one. */
int32_t mb_raise_actions(struct mb_session *session, uint32_t site)
{
	mb_raise(session, site, "MAXACTION exceeded");
	session->head.raised = MB_ABORTED;
	return MB_ABORTED;
}

void mb_caught(struct mb_session *session, char *dest)
{
	session->head.raised = MB_OK;
	if (dest)
		mb_string_copy(session, dest, session->error.message);
}

/* `what` says what could not be read, with MB_FAULT_ADDRESS where the address belongs. */
int32_t mb_raise_fault(struct mb_session *session, uint32_t site, const char *what, int64_t address)
{
	const char *place = strstr(what, MB_FAULT_ADDRESS);

	if (!place)
		return mb_raise(session, site, what);
	return mb_raise_format(session, site, "%.*s0x%" PRIx64 "%s", (int)(place - what), what, (uint64_t)address,
			       place + strlen(MB_FAULT_ADDRESS));
}

/* The same, if what the hit brings is all that there was to read. */
int32_t mb_raise_unread(struct mb_session *session, uint32_t site, const char *what, int64_t address)
{
	const int later = session->kernel_reader && !mb_memory_is_cut(session);

	if (later || mb_memory_is_noted(session, address))
		return mb_raise_fault(session, site, what, address);
	return mb_raise_format(session, site, "the memory at 0x%" PRIx64 " was not read at the hit%s", (uint64_t)address,
			       mb_memory_is_cut(session) ? ": there was no room for more" : "");
}

/* --- frames of string registers --- */

/* Called by every function with a body; NULL if it would nest too deeply. */
char *mb_enter(struct mb_session *session, uint64_t bytes, uint32_t site)
{
	char *frame = session->frame_top;

	if (session->head.nesting >= session->limits.maxnesting || bytes > (uint64_t)(session->frame_end - frame) ||
	    (const char *)__builtin_frame_address(0) < session->stack_low) {
		mb_raise(session, site, "MAXNESTING exceeded");
		return NULL;
	}
	session->head.nesting++;
	session->frame_top = frame + bytes;
	return frame;
}

/* The outermost frame, which ends with the handler; NULL if it is too large. */
char *mb_enter_handler(struct mb_session *session, uint64_t bytes)
{
	if (bytes > (uint64_t)(session->frame_end - session->frames)) {
		mb_raise(session, MB_NO_SITE, "strings need too much memory, lower MAXSTRINGLEN");
		return NULL;
	}
	session->frame_top = session->frames + bytes;
	return session->frames;
}

void mb_leave(struct mb_session *session, char *frame)
{
	session->head.nesting--;
	session->frame_top = frame;
}

/* --- captures and context --- */

/* The text in the record, or in `buffer` if it is too long for a string; NULL if the memory could not be read (MB_FAULT is no length). */
const char *mb_capture_string(struct mb_session *session, const struct mb_record *record, uint32_t offset, char *buffer)
{
	struct mb_string_slot slot;
	const char *text;
	uint32_t room;

	memcpy(&slot, (const char *)record + offset, sizeof(slot));
	if (slot.offset >= record->size || slot.length >= record->size - slot.offset)
		return NULL;
	text = (const char *)record + slot.offset;
	if (slot.length < session->limits.maxstringlen && !text[slot.length])
		return text;
	room = session->limits.maxstringlen - 1;
	if (slot.length < room)
		room = slot.length;
	memcpy(buffer, text, room);
	buffer[room] = '\0';
	return buffer;
}

uint64_t mb_now_ns(int clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int64_t mb_record_realtime(const struct mb_session *session, const struct mb_record *record)
{
	return (int64_t)record->time_ns + session->realtime_offset;
}

static int64_t own_context(const struct mb_session *session, uint32_t which)
{
	switch (which) {
	case MB_PID:
		return getpid();
	case MB_TID:
		return syscall(SYS_gettid);
	case MB_PPID:
		return getppid();
	case MB_UID:
		return getuid();
	case MB_EUID:
		return geteuid();
	case MB_GID:
		return getgid();
	case MB_EGID:
		return getegid();
	case MB_CPU:
		return sched_getcpu();
	case MB_PGRP:
		return getpgrp();
	case MB_SID:
		return getsid(0);
	case MB_TASK:
		return session->task;
	case MB_USER_MODE:
	case MB_REGISTERS ... MB_KERNEL_STACK:
		return 0;
	case MB_REALTIME:
		return session->clock_ns ? (int64_t)session->clock_ns : (int64_t)mb_now_ns(CLOCK_REALTIME);
	default:
		return session->clock_ns ? (int64_t)session->clock_ns : (int64_t)mb_now_ns(CLOCK_MONOTONIC);
	}
}

static int32_t context_offset(const struct mb_session *session, uint32_t which)
{
	return session->record && session->hook ? session->hook->context[which] : -1;
}

/* A property of the hit, or of ourselves in a handler that no hit started. */
int64_t mb_context_long(struct mb_session *session, uint32_t which)
{
	int32_t offset = context_offset(session, which);
	int64_t value;

	if (session->record && which == MB_REALTIME)
		return mb_record_realtime(session, session->record);
	if (offset < 0)
		return own_context(session, which);
	memcpy(&value, (const char *)session->record + offset, sizeof(value));
	return value;
}

/* A file of /proc as a string, whose last byte ends a line or an argument. */
static void own_file(const struct mb_session *session, const char *path, char *dest)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = file < 0 ? 0 : read(file, dest, session->limits.maxstringlen);

	if (file >= 0)
		close(file);
	dest[length > 0 ? length - 1 : 0] = '\0';
	for (ssize_t i = 0; i < length - 1; i++)
		if (!dest[i])
			dest[i] = MB_ARGUMENT_END;
}

static void own_string(const struct mb_session *session, uint32_t which, char *dest)
{
	char path[64];

	if (which == MB_EXECNAME) {
		mb_string_copy(session, dest, session->execname);
	} else if (which == MB_COMMAND) {
		own_file(session, "/proc/self/cmdline", dest);
	} else {
		snprintf(path, sizeof(path), "/proc/%d/comm", (int)getppid());
		own_file(session, path, dest);
	}
}

void mb_context_string(struct mb_session *session, uint32_t which, char *dest)
{
	int32_t offset = context_offset(session, which);
	const char *text = NULL;

	if (offset >= 0)
		text = mb_capture_string(session, session->record, (uint32_t)offset, dest);
	if (text)
		mb_string_copy(session, dest, text);
	else
		own_string(session, which, dest);
}

/* Memory of the process that was hit, or our own; 0 or a negative errno. */
int mb_read_user(const struct mb_session *session, int64_t address, char *dest, size_t bytes)
{
	int32_t offset = context_offset(session, MB_PID);
	struct iovec local = { dest, bytes };
	struct iovec remote = { (void *)(uintptr_t)address, bytes };
	int64_t pid = getpid();
	ssize_t ret;

	if (session->record && session->hook && session->hook->context[MB_MEMORY] >= 0 && !session->hook->stopped) {
		if (!mb_memory_read(session, address, dest, bytes))
			return 0;
		if (mb_memory_is_cut(session) || mb_memory_has_failed(session, address))
			return -EFAULT;	/* what is left is read now: deferred_reads.py, read_later */
	}
	if (session->limits.flags & MB_TRACE_TIME || (session->record && offset < 0))
		return -ESRCH;	/* of a recorded process there is what was recorded */
	if (offset >= 0)
		memcpy(&pid, (const char *)session->record + offset, sizeof(pid));
	ret = process_vm_readv((pid_t)pid, &local, 1, &remote, 1, 0);
	if (ret < 0)
		return -errno;
	return (size_t)ret == bytes ? 0 : -EFAULT;
}

/*
 * The same for writing: only while the process of the hit stands still, and only what it could write itself. Nothing is written where the
 * process could not be stopped.
 */
int mb_write_user(const struct mb_session *session, int64_t address, const void *source, size_t bytes)
{
	int32_t offset = context_offset(session, MB_PID);
	struct iovec local = { (void *)(uintptr_t)source, bytes };
	struct iovec remote = { (void *)(uintptr_t)address, bytes };
	int64_t held, pid;
	ssize_t ret;

	if (!session->record || !session->hook || !session->hook->stopped || offset < 0)
		return -ESRCH;
	memcpy(&held, (const char *)session->record + session->hook->stopped, sizeof(held));
	if (held != MB_STOPPED_IT)
		return -EBUSY;
	memcpy(&pid, (const char *)session->record + offset, sizeof(pid));
	ret = process_vm_writev((pid_t)pid, &local, 1, &remote, 1, 0);
	if (ret < 0)
		return -errno;
	return (size_t)ret == bytes ? 0 : -EFAULT;
}

/*
 * At a hit there is what was read then, and what no hit can bring is read now (deferred_reads.py, read_later);
 * a recorded kernel is long gone. 0 or a negative errno.
 */
int mb_read_kernel(const struct mb_session *session, int64_t address, char *dest, size_t bytes)
{
	if (session->record) {
		if (!mb_memory_read(session, address, dest, bytes))
			return 0;
		if (mb_memory_is_cut(session) || mb_memory_has_failed(session, address))
			return -EFAULT;
	}
	if (!session->kernel_reader || session->limits.flags & MB_TRACE_TIME)
		return -EFAULT;
	return session->kernel_reader(session->kernel, address, dest, bytes);
}

/* --- globals --- */

void mb_clear_global(struct mb_session *session, uint32_t global)
{
	int64_t *slot = &session->head.globals[global];

	switch (session->global[global].kind) {
	case MB_LONG:
		*slot = 0;
		break;
	case MB_STRING:
		*(char *)(uintptr_t)*slot = '\0';
		break;
	case MB_STATISTIC:
		memset((void *)(uintptr_t)*slot, 0, session->global[global].bytes);
		break;
	default:
		mb_array_clear((struct mb_array *)(uintptr_t)*slot);
	}
}

/* --- regular expressions --- */

int64_t mb_match(struct mb_session *session, const char *text, uint32_t regex)
{
	struct mb_regex *expression = session->regexes[regex];

	session->match_failed = !mb_regex_match(expression, text, session->groups);
	if (session->match_failed)
		return 0;
	session->matched = expression;
	if (mb_regex_groups(expression))
		mb_string_copy(session, session->matched_text, text);
	return 1;
}
