// SPDX-License-Identifier: LGPL-2.1-or-later
/* Signals that the kernel sends when a process of ours dies: see wake.h. */
#define _GNU_SOURCE
#include "wake.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define ENDS (sizeof(((struct mb_wake *)0)->ends) / sizeof(int32_t))

/* Another reading end of the pipe, with an owner of its own; -1 if there is none. */
static int open_end(int reader)
{
	char path[32];
	int end;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", reader);
	end = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (end < 0)
		return -1;
	if (fcntl(end, F_SETSIG, SIGCONT) == 0 && fcntl(end, F_SETFL, O_ASYNC | O_NONBLOCK) == 0)
		return end;
	close(end);
	return -1;
}

/* The pipe's first two numbers are lower than those of the ends, so the writing end gets another one. */
static int fill(struct mb_wake *wake, int reader, int writer)
{
	int highest = writer;

	while (wake->count < ENDS) {
		const int end = open_end(reader);

		if (end < 0)
			break;
		highest = end > highest ? end : highest;
		wake->ends[wake->count] = end;
		if (wake->pids[wake->count])
			fcntl(end, F_SETOWN, (pid_t)wake->pids[wake->count]);
		wake->count++;
	}
	wake->writer = fcntl(writer, F_DUPFD_CLOEXEC, highest + 1);
	return wake->writer < 0 || !wake->count ? -EMFILE : 0;
}

int mb_wake_open(struct mb_wake *wake)
{
	int pipe_ends[2], ret;

	wake->writer = -1;
	wake->count = 0;
	if (pipe2(pipe_ends, O_CLOEXEC) < 0)
		return -errno;
	ret = fill(wake, pipe_ends[0], pipe_ends[1]);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	if (ret < 0)
		mb_wake_close(wake);
	return ret;
}

int mb_wake_give(struct mb_wake *wake)
{
	const int ret = wake->writer < 0 ? 0 : close(wake->writer);

	wake->writer = -1;
	return ret < 0 ? -errno : 0;
}

/* The owner is set each time: a number that was seen before may be another process's by now. */
int mb_wake_add(struct mb_wake *wake, int64_t pid)
{
	uint32_t slot = 0;

	if (!wake->count || pid <= 0 || pid > INT32_MAX)
		return -EINVAL;
	while (slot < wake->count && wake->pids[slot] != pid)
		slot++;
	if (slot == wake->count)
		slot = wake->next++ % wake->count;
	wake->pids[slot] = pid;
	return fcntl(wake->ends[slot], F_SETOWN, (pid_t)pid) < 0 ? -errno : 0;
}

/* The reading ends go first: without them nobody is told. */
void mb_wake_close(struct mb_wake *wake)
{
	for (uint32_t i = 0; i < wake->count; i++)
		close(wake->ends[i]);
	wake->count = 0;
	mb_wake_give(wake);
}
