// SPDX-License-Identifier: LGPL-2.1-or-later
/* Built-ins that act on the session or read the process that was hit. */
#define _GNU_SOURCE
#include "builtin.h"

#include "memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* In an error probe, those that follow are left out. */
static void leave(struct mb_session *session)
{
	mb_session_stop(session);
	if (session->state == MB_FAILED)
		session->state = MB_STOPPING;
}

MB_BUILTIN(exit)
{
	leave(session);
	return MB_OK;
}

MB_BUILTIN(abort)
{
	leave(session);
	mb_raise(session, MB_NO_SITE, "");
	session->head.raised = MB_ABORTED;
	return MB_ABORTED;
}

MB_BUILTIN(error)
{
	return mb_raise(session, site, mb_text_argument(argument[0]));
}

MB_BUILTIN(warn)
{
	mb_session_warn(session, mb_text_argument(argument[0]));
	return MB_OK;
}

MB_BUILTIN(log)
{
	const char *text = mb_text_argument(argument[0]);

	mb_write(session, text, mb_string_length(session, text));
	mb_write(session, "\n", 1);
	return MB_OK;
}

MB_BUILTIN(target)
{
	return mb_give(result, session->target);
}

/* --- the file that is served --- */

static void append_to_file(struct mb_session *session, const char *text)
{
	size_t length = mb_string_length(session, text), room = session->file_most - session->file_length;

	if (!session->file)
		return;
	if (length > room)
		length = room;
	memcpy(session->file + session->file_length, text, length);
	session->file_length += length;
	session->file[session->file_length] = '\0';
}

MB_BUILTIN(__file_text)
{
	mb_string_copy(session, result, session->file ? session->file : "");
	return MB_OK;
}

MB_BUILTIN(__file_set)
{
	session->file_length = 0;
	append_to_file(session, mb_text_argument(argument[0]));
	mb_string_copy(session, result, mb_text_argument(argument[0]));
	return MB_OK;
}

MB_BUILTIN(__file_append)
{
	append_to_file(session, mb_text_argument(argument[0]));
	mb_string_copy(session, result, session->file ? session->file : "");
	return MB_OK;
}

/* --- memory --- */

#define PAGE 4096

/* Whose memory is read, and what is said when it is not there. */
struct space {
	int (*read)(const struct mb_session *session, int64_t address, char *dest, size_t bytes);
	const char *fault;
	const char *wide_fault;
	int64_t spare;		/* how much less than MAXSTRINGLEN a string has */
};

static const struct space user = {
	mb_read_user,
	"user string copy fault -14 at " MB_FAULT_ADDRESS " [man error::fault]",
	"user string copy fault at " MB_FAULT_ADDRESS " [man error::fault]",
	2,
};
static const struct space kernel = {
	mb_read_kernel,
	"kernel string copy fault at " MB_FAULT_ADDRESS " [man error::fault]",
	"kernel string copy fault at " MB_FAULT_ADDRESS " [man error::fault]",
	1,
};

/* As many bytes as there are up to a NUL, page by page, because the next page may not be there. */
static int read_text(const struct mb_session *session, const struct space *space, int64_t address, char *dest, size_t most)
{
	size_t done = 0;

	while (done < most) {
		size_t part = PAGE - (size_t)((uint64_t)address + done) % PAGE;
		int ret;

		if (part > most - done)
			part = most - done;
		ret = space->read(session, address + (int64_t)done, dest + done, part);
		if (ret)
			return ret;
		if (memchr(dest + done, '\0', part))
			return 0;
		done += part;
	}
	dest[most] = '\0';
	return 0;
}

/* At most `most` bytes, of user memory one less than fits into a string, as in SystemTap. */
static int32_t text_at(struct mb_session *session, uint32_t site, const struct space *space, char *dest, int64_t address,
		       int64_t most)
{
	int64_t room = session->limits.maxstringlen - space->spare;

	*dest = '\0';
	if (most <= 0 || most == INT64_MAX)	/* which overflows with a NUL */
		return MB_OK;
	if (read_text(session, space, address, dest, (size_t)(most < room ? most : room)))
		return mb_raise_unread(session, site, space->fault, address);
	return MB_OK;
}

MB_BUILTIN(user_string_1)
{
	return text_at(session, site, &user, result, argument[0], session->limits.maxstringlen);
}

MB_BUILTIN(user_string_n_2)
{
	return text_at(session, site, &user, result, argument[0], argument[1]);
}

MB_BUILTIN(kernel_string_1)
{
	return text_at(session, site, &kernel, result, argument[0], session->limits.maxstringlen);
}

MB_BUILTIN(kernel_string_n)
{
	return text_at(session, site, &kernel, result, argument[0], argument[1]);
}

#define MB_KERNEL(name, type, words) \
	MB_BUILTIN(kernel_##name) \
	{ \
		type value; \
		if (mb_read_kernel(session, argument[0], (char *)&value, sizeof(value))) \
			return mb_raise_unread(session, site, "kernel " words " copy fault at " MB_FAULT_ADDRESS " [man error::fault]", argument[0]); \
		return mb_give(result, (int64_t)value); \
	}

MB_KERNEL(char, int8_t, "char")
MB_KERNEL(short, int16_t, "short")
MB_KERNEL(int, int32_t, "int")
MB_KERNEL(long, int64_t, "long")
MB_KERNEL(pointer, uint64_t, "pointer")

#define MB_NUMBER(name, type, words) \
	MB_BUILTIN(user_##name##_error) \
	{ \
		type value; \
		if (mb_read_user(session, argument[0], (char *)&value, sizeof(value))) \
			return mb_raise_unread(session, site, "read fault [man error::fault] at " MB_FAULT_ADDRESS, argument[0]); \
		return mb_give(result, (int64_t)value); \
	} \
	MB_KERNEL(name, type, words)

MB_NUMBER(int8, int8_t, "char")
MB_NUMBER(uint8, uint8_t, "char")
MB_NUMBER(int16, int16_t, "short")
MB_NUMBER(uint16, uint16_t, "short")
MB_NUMBER(int32, int32_t, "int")
MB_NUMBER(uint32, uint32_t, "int")
MB_NUMBER(int64, int64_t, "long")
MB_NUMBER(uint64, uint64_t, "pointer")

/* --- writes, while the process stands still --- */

static int32_t write_user(struct mb_session *session, uint32_t site, const char *what, int64_t address, const void *source, size_t bytes)
{
	int ret = mb_write_user(session, address, source, bytes);

	if (!ret)
		return MB_OK;
	if (ret == -EBUSY)
		return mb_raise(session, site, "the process could not be stopped, so nothing was written");
	return mb_raise_format(session, site, "user %s copy fault at 0x%" PRIx64 " [man error::fault]", what, (uint64_t)address);
}

#define MB_SET_USER(name, type) \
	MB_BUILTIN(set_user_##name) \
	{ \
		type value = (type)argument[1]; \
		return write_user(session, site, #name, argument[0], &value, sizeof(value)); \
	}

MB_SET_USER(char, int8_t)
MB_SET_USER(short, int16_t)
MB_SET_USER(int, int32_t)
MB_SET_USER(long, int64_t)
MB_SET_USER(pointer, int64_t)

/* The low bytes of a value, of a machine that has them first. */
MB_BUILTIN(_set_user)
{
	int64_t value = argument[1];
	int32_t ret = write_user(session, site, "memory", argument[0], &value, (size_t)argument[2]);

	return ret == MB_OK ? mb_give(result, value) : ret;
}

/* At most `most` bytes, and a NUL. */
static int32_t write_text(struct mb_session *session, uint32_t site, int64_t address, const char *text, int64_t most)
{
	size_t length = strnlen(text, most > 0 ? (size_t)most : 0);
	int32_t ret = write_user(session, site, "string", address, text, length);

	return ret == MB_OK ? write_user(session, site, "string", address + (int64_t)length, "", 1) : ret;
}

MB_BUILTIN(set_user_string)
{
	return write_text(session, site, argument[0], mb_text_argument(argument[1]), INT32_MAX);
}

MB_BUILTIN(set_user_string_n)
{
	return write_text(session, site, argument[0], mb_text_argument(argument[2]), argument[1]);
}

/* --- wide characters --- */

/* UTF-8 for a character, 0 if it is none. */
static size_t encode(uint32_t code, char *bytes)
{
	if (code > 0x10ffff || code >> 11 == 0xd800 >> 11)
		return 0;
	if (code < 0x80) {
		bytes[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		bytes[0] = (char)(0xc0 | code >> 6);
		bytes[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		bytes[0] = (char)(0xe0 | code >> 12);
		bytes[1] = (char)(0x80 | (code >> 6 & 0x3f));
		bytes[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	bytes[0] = (char)(0xf0 | code >> 18);
	bytes[1] = (char)(0x80 | (code >> 12 & 0x3f));
	bytes[2] = (char)(0x80 | (code >> 6 & 0x3f));
	bytes[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

struct wide {
	const struct mb_session *session;
	const struct space *space;
	int64_t address;
	size_t unit;		/* 2 or 4 bytes */
};

static int next_unit(struct wide *wide, uint32_t *code)
{
	*code = 0;
	if (wide->space->read(wide->session, wide->address, (char *)code, wide->unit))
		return -1;
	return 0;
}

/* The character at the address, which moves on to its last unit: a surrogate that has no partner stays what it is. */
static int next_character(struct wide *wide, uint32_t *code)
{
	uint32_t low;

	if (next_unit(wide, code))
		return -1;
	if (wide->unit == 4 || *code >> 10 != 0xd800 >> 10)
		return 0;
	wide->address += 2;
	if (next_unit(wide, &low))
		return -1;
	if (low >> 10 == 0xdc00 >> 10)
		*code = 0x10000 + ((*code & 0x3ff) << 10) + (low & 0x3ff);
	else
		wide->address -= 2;
	return 0;
}

static int32_t wide_text(struct mb_session *session, uint32_t site, const struct space *space, char *dest, int64_t address,
			 size_t unit)
{
	struct wide wide = { session, space, address, unit };
	char *end = dest + session->limits.maxstringlen - 1;
	uint32_t code;
	char bytes[4];
	size_t length;

	for (; dest < end; wide.address += (int64_t)unit, dest += length) {
		if (next_character(&wide, &code))
			return mb_raise_unread(session, site, space->wide_fault, wide.address);
		if (!code)
			break;
		length = encode(code, bytes);
		if (!length)
			return mb_raise_format(session, site, "invalid UTF-%zu character U+%X at 0x%" PRIx64, 8 * unit, code,
					       (uint64_t)wide.address);
		if (length > (size_t)(end - dest))
			break;
		memcpy(dest, bytes, length);
	}
	*dest = '\0';
	return MB_OK;
}

MB_BUILTIN(user_string_utf16_1)
{
	return wide_text(session, site, &user, result, argument[0], 2);
}

MB_BUILTIN(kernel_string_utf16_1)
{
	return wide_text(session, site, &kernel, result, argument[0], 2);
}

MB_BUILTIN(kernel_string_utf32_1)
{
	return wide_text(session, site, &kernel, result, argument[0], 4);
}

MB_BUILTIN(user_string_utf32_1)
{
	return wide_text(session, site, &user, result, argument[0], 4);
}

/* --- buffers, quoted --- */

/* As many bytes as can show: each takes one at least. -1 if they cannot be read. */
static int quoted_buffer(struct mb_session *session, const struct space *space, const int64_t *argument, char *dest)
{
	int64_t longest = session->limits.maxstringlen - 1;
	int64_t size = argument[1] > 0 && argument[1] < longest ? argument[1] : longest;

	if (space->read(session, argument[0], session->scratch, (size_t)size))
		return -1;
	mb_put_escaped(session, dest, session->scratch, size, argument[2], 1, 1);
	return 0;
}

MB_BUILTIN(user_buffer_quoted)
{
	int32_t most = (int32_t)argument[2];
	char text[32];

	*(char *)result = '\0';
	if (most <= 0 || quoted_buffer(session, &user, argument, result) == 0)
		return MB_OK;
	snprintf(text, sizeof(text), "0x%" PRIx64, (uint64_t)argument[0]);
	if ((size_t)most <= strlen(text))
		text[most - 1] = '\0';
	mb_string_copy(session, result, text);
	return MB_OK;
}

MB_BUILTIN(user_buffer_quoted_error)
{
	if ((int32_t)argument[2] > 0 && quoted_buffer(session, &user, argument, result) == 0)
		return MB_OK;
	return mb_raise_format(session, site, "Unable to access user space data at 0x%" PRIx64, (uint64_t)argument[0]);
}

MB_BUILTIN(kernel_buffer_quoted_error)
{
	if ((int32_t)argument[2] > 0 && quoted_buffer(session, &kernel, argument, result) == 0)
		return MB_OK;
	return mb_raise_format(session, site, "Unable to access kernel space data at 0x%" PRIx64, (uint64_t)argument[0]);
}

/* --- time --- */

static struct tm local_time(struct mb_session *session)
{
	time_t now = (time_t)(mb_context_long(session, MB_REALTIME) / 1000000000);
	struct tm parts = { 0 };

	localtime_r(&now, &parts);
	return parts;
}

MB_BUILTIN(tz_gmtoff)
{
	return mb_give(result, -local_time(session).tm_gmtoff);
}

MB_BUILTIN(tz_name)
{
	struct tm parts = local_time(session);

	mb_string_copy(session, result, parts.tm_zone ? parts.tm_zone : "");
	return MB_OK;
}

/* Times have 32 bits here, as in SystemTap. */
MB_BUILTIN(ctime)
{
	time_t seconds = (time_t)argument[0];
	struct tm parts;
	char text[64];

	if (argument[0] > INT32_MAX)
		return mb_raise(session, site, "Time too far in the future to be converted");
	if (argument[0] < INT32_MIN)
		return mb_raise(session, site, "Time too far in the past to be converted");
	gmtime_r(&seconds, &parts);
	strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &parts);
	mb_string_copy(session, result, text);
	return MB_OK;
}
