// SPDX-License-Identifier: LGPL-2.1-or-later
/* Built-ins that act on the session or read the process that was hit. */
#define _GNU_SOURCE
#include "builtin.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

MB_BUILTIN(exit)
{
	mb_session_stop(session);
	return MB_OK;
}

MB_BUILTIN(abort)
{
	mb_session_stop(session);
	mb_raise(session, MB_NO_SITE, "");
	session->raised = MB_ABORTED;
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

/* --- memory --- */

#define PAGE 4096
#define USER_FAULT "user string copy fault -14"

/* As many bytes as there are up to a NUL, page by page, because the next page may not be there. */
static int read_text(const struct mb_session *session, int64_t address, char *dest, size_t most)
{
	size_t done = 0;

	while (done < most) {
		size_t part = PAGE - (size_t)((uint64_t)address + done) % PAGE;
		int ret;

		if (part > most - done)
			part = most - done;
		ret = mb_read_user(session, address + (int64_t)done, dest + done, part);
		if (ret)
			return ret;
		if (memchr(dest + done, '\0', part))
			return 0;
		done += part;
	}
	dest[most] = '\0';
	return 0;
}

static int32_t user_text(struct mb_session *session, uint32_t site, char *dest, int64_t address, int64_t most)
{
	int64_t room = session->limits.maxstringlen - 1;

	if (most < 0 || most > room)
		most = room;
	if (read_text(session, address, dest, (size_t)most))
		return mb_raise_fault(session, site, USER_FAULT, address);
	return MB_OK;
}

MB_BUILTIN(user_string_1)
{
	return user_text(session, site, result, argument[0], INT64_MAX);
}

MB_BUILTIN(user_string_n)
{
	return user_text(session, site, result, argument[0], argument[1]);
}

MB_BUILTIN(kernel_string_1)
{
	return mb_raise_fault(session, site, "kernel string copy fault", argument[0]);
}

MB_BUILTIN(kernel_string_n)
{
	return mb_raise_fault(session, site, "kernel string copy fault", argument[0]);
}

/* Numbers in user memory; in kernel memory only the kernel reads, at the hit. */
#define MB_NUMBER(name, type, word) \
	MB_BUILTIN(user_##name) \
	{ \
		type value; \
		if (mb_read_user(session, argument[0], (char *)&value, sizeof(value))) \
			return mb_raise_fault(session, site, "user " word " copy fault", argument[0]); \
		return mb_give(result, (int64_t)value); \
	} \
	MB_BUILTIN(kernel_##name) \
	{ \
		return mb_raise_fault(session, site, "kernel " word " copy fault", argument[0]); \
	}

MB_NUMBER(int8, int8_t, "char")
MB_NUMBER(uint8, uint8_t, "char")
MB_NUMBER(int16, int16_t, "short")
MB_NUMBER(uint16, uint16_t, "short")
MB_NUMBER(int32, int32_t, "int")
MB_NUMBER(uint32, uint32_t, "int")
MB_NUMBER(int64, int64_t, "long")
MB_NUMBER(uint64, uint64_t, "long")

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
