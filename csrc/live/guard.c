// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The guards of held processes: see guard.h. They are copies of the session's process made by clone(2) alone, so they allocate nothing
 * and use nothing that has a lock. pidfd_open(2) tells them of deaths: a session's comes after its programs are detached.
 */
#define _GNU_SOURCE
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hold.h"
#include "runtime/system_calls.h"

#define TICK_MS 250
#define IDLE_TICKS 2			/* a debugger stops the session for moments, too */
#define LAST_ROUNDS 40
#define ROUND_MS 25
#define LEAVE_MS 2000
#define DYING_ROUNDS 400		/* how long a session that closed its pipe takes to die */
#define FIRST_FILE 3
#define LOW_FILES 64			/* files are moved above them, then into order */
#define NAME "mb-hold"			/* not what `pkill markbridge` looks for: the guards end by themselves */
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434		/* the same number everywhere; libraries older than the call lack it */
#endif
#define ARGUMENTS_FIELD 48		/* of /proc/PID/stat: arg_start, then arg_end */

enum { MAP, ALIVE, LEASE, SESSION, FILES };

struct seat {
	struct mb_guard to;
	int files[FILES];
	pid_t session;
	uint32_t number;	/* of 0 and 1 */
	int peer;		/* the other guard's pidfd */
	int made_peer;		/* whether that is our child */
	int idle;		/* for how many ticks the session could not run */
};

static void live(struct seat *seat, pid_t maker);

static int open_process(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* The kernel writes the new process's id into its word before it runs, so no program ever takes it for another one. */
static pid_t start(const struct seat *from, uint32_t number, pid_t maker)
{
	int64_t *word = &from->to.control[from->to.seats + number];
	struct seat seat = *from;
	long child;

	*word = 0;
	child = syscall(SYS_clone, CLONE_PARENT_SETTID | SIGCHLD, NULL, word, NULL, NULL);
	if (child)
		return child < 0 ? -errno : (pid_t)child;
	seat.number = number;
	live(&seat, maker);
	_exit(0);
}

/* --- what a guard is --- */

/* No file but those that it needs: whoever waits for the end of a pipe must not wait for a guard. */
static void keep_files(struct seat *seat)
{
	const int null = open("/dev/null", O_RDWR);

	for (int i = 0; i < FILES; i++) {
		if (seat->files[i] >= 0)
			seat->files[i] = fcntl(seat->files[i], F_DUPFD, LOW_FILES);
	}
	for (int i = 0; i < FIRST_FILE; i++)
		dup2(null, i);
	for (int i = 0; i < FILES; i++) {
		if (seat->files[i] >= 0)
			seat->files[i] = dup2(seat->files[i], FIRST_FILE + i);
	}
	mb_close_range(FIRST_FILE + FILES, ~0u);
}

static ssize_t read_file(const char *path, char *text, size_t bytes)
{
	const int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	if (file < 0)
		return -1;
	length = read(file, text, bytes - 1);
	close(file);
	if (length >= 0)
		text[length] = '\0';
	return length;
}

/* The fields of /proc/PID/stat from the third one on; NULL if there is no such process. */
static const char *fields(pid_t pid, char *text, size_t bytes)
{
	char path[32];
	const char *end;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (read_file(path, text, bytes) <= 0)
		return NULL;
	end = strrchr(text, ')');
	return end && end[1] == ' ' ? end + 2 : NULL;
}

/* In the list of processes, too, it is not what it was copied from. */
static void rename_process(void)
{
	char text[1024];
	const char *at = fields(getpid(), text, sizeof(text));
	uintptr_t start, end;

	prctl(PR_SET_NAME, NAME);
	for (int field = 3; at && field < ARGUMENTS_FIELD; field++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	if (!at)
		return;
	start = strtoul(at, (char **)&at, 10);
	end = strtoul(at, NULL, 10);
	if (!start || end < start + sizeof(NAME))
		return;
	memset((void *)start, 0, end - start);
	memcpy((void *)start, NAME, sizeof(NAME));
}

static void settle(struct seat *seat)
{
	sigset_t all;

	setsid();
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	signal(SIGCHLD, SIG_IGN);	/* nobody waits for a guard that a guard started */
	keep_files(seat);
	rename_process();
}

/* --- what it does --- */

/* Whether the session is stopped, or waits for whoever reads what it writes, which may be one that it holds. */
static int is_idle(pid_t pid)
{
	char path[32], text[1024];
	const char *state = fields(pid, text, sizeof(text));
	char *end;

	if (!state || *state == 'T' || *state == 't')
		return state != NULL;
	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	return read_file(path, text, sizeof(text)) > 0 && strtol(text, &end, 10) == SYS_write && end != text;
}

static void tick(struct seat *seat)
{
	seat->idle = is_idle(seat->session) ? seat->idle + 1 : 0;
	if (seat->idle < IDLE_TICKS) {
		mb_hold_release_all(seat->files[MAP], mb_hold_now() - MB_LONGEST_HELD_NS);
		return;
	}
	__atomic_store_n(&seat->to.control[seat->to.beat], 0, __ATOMIC_RELEASE);	/* nobody takes care, so nobody is stopped */
	mb_hold_release_all(seat->files[MAP], UINT64_MAX);
}

/* A guard waits for one that it started, so that none is left to whoever inherits orphans. */
static void leave(struct seat *seat)
{
	struct pollfd peer = { .fd = seat->peer, .events = POLLIN };

	if (seat->made_peer)
		poll(&peer, 1, LEAVE_MS);
	_exit(0);
}

static void end_session(struct seat *seat)
{
	__atomic_store_n(&seat->to.control[seat->to.armed], 0, __ATOMIC_RELEASE);
	for (int i = 0; i < LAST_ROUNDS; i++) {
		mb_hold_release_all(seat->files[MAP], UINT64_MAX);
		poll(NULL, 0, ROUND_MS);	/* a program that was running may still stop somebody */
	}
	leave(seat);
}

/* The session's end of the pipe is closed: it ends as it should, or it dies. */
static void await_end(struct seat *seat)
{
	struct pollfd session = { .fd = seat->files[SESSION], .events = POLLIN };

	if (__atomic_load_n(&seat->to.control[seat->to.leaving], __ATOMIC_ACQUIRE))
		leave(seat);
	for (int i = 0; i < DYING_ROUNDS && poll(&session, 1, ROUND_MS) <= 0; i++)
		mb_hold_release_all(seat->files[MAP], UINT64_MAX);
	end_session(seat);
}

static void replace_peer(struct seat *seat)
{
	pid_t pid;

	if (seat->peer >= 0)
		close(seat->peer);
	pid = start(seat, !seat->number, getpid());
	seat->peer = pid > 0 ? open_process(pid) : -1;
	seat->made_peer = pid > 0;
}

static void live(struct seat *seat, pid_t maker)
{
	settle(seat);
	seat->peer = -1;
	seat->made_peer = 0;
	if (maker)
		seat->peer = open_process(maker);
	else
		replace_peer(seat);
	for (;;) {
		struct pollfd ends[] = {
			{ .fd = seat->files[ALIVE], .events = POLLIN },
			{ .fd = seat->files[SESSION], .events = POLLIN },
			{ .fd = seat->peer, .events = POLLIN },
		};

		poll(ends, sizeof(ends) / sizeof(*ends), TICK_MS);
		if (seat->peer < 0 || ends[2].revents)
			replace_peer(seat);
		if (ends[1].revents)
			end_session(seat);
		if (ends[0].revents)
			await_end(seat);
		tick(seat);
	}
}

int mb_guard_start(const struct mb_guard *guard)
{
	struct seat seat = { .to = *guard, .session = getpid(), .peer = -1 };
	pid_t child;

	seat.files[MAP] = guard->map;
	seat.files[ALIVE] = guard->alive;
	seat.files[LEASE] = guard->lease;
	seat.files[SESSION] = open_process(seat.session);
	child = start(&seat, 0, 0);
	if (seat.files[SESSION] >= 0)
		close(seat.files[SESSION]);
	return child;
}
