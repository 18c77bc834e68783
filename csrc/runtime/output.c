// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a script prints: one buffer to a file descriptor. A write that fails for good is reported once, what follows is dropped. */
#include "runtime.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static void wait_writable(int fd)
{
	struct pollfd wanted = { .fd = fd, .events = POLLOUT };

	poll(&wanted, 1, -1);
}

/* All of it; 0 or an errno. */
static int write_all(int fd, const char *bytes, size_t length)
{
	while (length) {
		ssize_t done = write(fd, bytes, length);

		if (done < 0 && errno == EAGAIN)
			wait_writable(fd);
		else if (done < 0 && errno != EINTR)
			return errno;
		if (done > 0) {
			bytes += done;
			length -= (size_t)done;
		}
	}
	return 0;
}

static void report(struct mb_session *session, int error)
{
	session->out.failed = error;
	mb_session_message(session, "ERROR", "cannot write output: %s", strerror(error));
	session->any_error = 1;
	mb_session_stop(session);
}

/* What is shown on the terminal in passing goes away before anything else comes there. */
void mb_clear_line(struct mb_session *session)
{
	char blank[MB_LINE_COLUMNS + 2];
	size_t columns;

	if (!session->line || *session->line <= 0)
		return;
	columns = *session->line < MB_LINE_COLUMNS ? (size_t)*session->line : MB_LINE_COLUMNS;
	*session->line = 0;
	memset(blank, ' ', sizeof(blank));
	blank[0] = blank[columns + 1] = '\r';
	write_all(session->messages, blank, columns + 2);
}

void mb_session_flush(struct mb_session *session)
{
	size_t used = session->out.used;
	int error;

	session->out.used = 0;
	if ((used && session->line_is_of_output) || session->command_count)
		mb_clear_line(session);
	if (used && !session->out.failed) {
		error = write_all(session->out.fd, session->out.bytes, used);
		if (error)
			report(session, error);
	}
	if (session->command_count)
		mb_run_commands(session);
}

/* Space for so many bytes at the end of the buffer; the caller adds what it used. */
char *mb_output_room(struct mb_session *session, size_t bytes)
{
	if (bytes > MB_OUTPUT_BYTES - session->out.used)
		mb_session_flush(session);
	return session->out.bytes + session->out.used;
}

void mb_write(struct mb_session *session, const char *bytes, size_t length)
{
	while (length) {
		size_t part = length < MB_OUTPUT_BYTES / 2 ? length : MB_OUTPUT_BYTES / 2;

		memcpy(mb_output_room(session, part), bytes, part);
		session->out.used += part;
		bytes += part;
		length -= part;
	}
}
