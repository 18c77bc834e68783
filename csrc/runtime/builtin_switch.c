// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * switch_file(): what is printed from now on goes to the next file: NAME of -o, then NAME.1, NAME.2, ...
 * The file descriptor stays the same, so whoever holds it writes to the new file, too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "builtin.h"

int mb_session_set_output_path(struct mb_session *session, const char *path)
{
	free(session->out_path);
	session->out_path = strdup(path);
	return session->out_path ? 0 : -ENOMEM;
}

static int open_next(struct mb_session *session, char *path, size_t bytes)
{
	int file = -1, length = snprintf(path, bytes, "%s.%u", session->out_path, session->out_number + 1);

	if (length < 0 || (size_t)length >= bytes)
		return -ENAMETOOLONG;
	file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (file < 0)
		return -errno;
	mb_session_flush(session);
	if (dup3(file, session->out.fd, O_CLOEXEC) < 0) {
		int code = -errno;

		close(file);
		return code;
	}
	close(file);
	session->out_number++;
	return 0;
}

/* Without -o there is nothing to switch. */
MB_BUILTIN(switch_file)
{
	char path[PATH_MAX], message[PATH_MAX + 128];
	int code;

	if (!session->out_path)
		return MB_OK;
	code = open_next(session, path, sizeof(path));
	if (code < 0) {
		snprintf(message, sizeof(message), "cannot switch the output to %s: %s", path, strerror(-code));
		mb_session_warn(session, message);
	}
	return MB_OK;
}
