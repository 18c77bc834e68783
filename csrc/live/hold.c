// SPDX-License-Identifier: LGPL-2.1-or-later
/* Processes that stand still while handlers read them: see hold.h. */
#define _GNU_SOURCE
#include "hold.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "bpf.h"
#include "runtime/system_calls.h"

#define MOST_HELD 4096
#define LOOK_NS 20000			/* between two looks at a process that is about to stop */
#define PATIENCE_NS 1000000000ull	/* how long that may take */
#define KERNEL_NS 50000000ull		/* how long a thread that waits in the kernel keeps us waiting */
#define LONGEST_NS 10000000000ull	/* nobody is held for longer */
#define GUARD_MS 1000
#define CONTROL_BYTES_MAX 4096

uint64_t mb_hold_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* --- whether a process stands still --- */

/* The state of a thread as /proc says it; 0 if it is gone. */
static char thread_state(int tasks, const char *thread)
{
	char path[64], text[512];
	const char *end;
	ssize_t length;
	int file;

	snprintf(path, sizeof(path), "%.20s/stat", thread);
	file = openat(tasks, path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return 0;
	length = read(file, text, sizeof(text) - 1);
	close(file);
	if (length <= 0)
		return 0;
	text[length] = '\0';
	end = strrchr(text, ')');	/* a name may have parentheses */
	return end && end[1] == ' ' ? end[2] : 0;
}

/* 1 if no thread runs or can run, 0 if one does, -ESRCH if there is no such process. */
static int stands(int64_t pid, int in_kernel)
{
	char path[64];
	struct dirent *entry;
	DIR *tasks;
	int still = 1, threads = 0;

	snprintf(path, sizeof(path), "/proc/%lld/task", (long long)pid);
	tasks = opendir(path);
	if (!tasks)
		return -ESRCH;
	while (still && (entry = readdir(tasks))) {
		char state;

		if (entry->d_name[0] == '.')
			continue;
		state = thread_state(dirfd(tasks), entry->d_name);
		threads++;
		/* a tracer's stop is one, too; the dead do not move */
		still = !state || strchr("TtZX", state) || (in_kernel && state == 'D');
	}
	closedir(tasks);
	return threads ? still : -ESRCH;
}

int mb_hold_wait(int map, int64_t pid)
{
	const struct timespec pause = { 0, LOOK_NS };
	const uint64_t start = mb_hold_now();
	uint64_t key = (uint64_t)pid, passed = 0;
	struct mb_held held;

	if (mb_bpf_map_lookup(map, &key, &held) < 0 || !held.hits)
		return 0;
	while (passed < PATIENCE_NS) {
		int still = stands(pid, passed > KERNEL_NS);

		if (still)
			return 1;
		nanosleep(&pause, NULL);
		passed = mb_hold_now() - start;
	}
	return 0;
}

/* --- letting go --- */

static void let_go(int map, uint64_t key)
{
	mb_bpf_map_delete(map, &key);
	kill((pid_t)key, SIGCONT);
}

/* The process stands still, so nobody else counts at the same time. */
void mb_hold_release(int map, int64_t pid)
{
	uint64_t key = (uint64_t)pid;
	struct mb_held held;

	if (mb_bpf_map_lookup(map, &key, &held) < 0)
		return;
	if (held.hits > 1) {
		held.hits--;
		mb_bpf_map_update(map, &key, &held, 0);
		return;
	}
	let_go(map, key);
}

int mb_hold_release_all(int map, uint64_t before_ns)
{
	uint64_t *keys = calloc(MOST_HELD, sizeof(*keys));
	struct mb_held *held = calloc(MOST_HELD, sizeof(*held));
	int64_t count = -ENOMEM;
	int released = 0;

	if (keys && held)
		count = mb_bpf_map_read(map, sizeof(*keys), sizeof(*held), keys, held, MOST_HELD);
	if (count == -ENOSPC)
		count = MOST_HELD;
	for (int64_t i = 0; i < count; i++) {
		if (held[i].since_ns >= before_ns)
			continue;
		let_go(map, keys[i]);
		released++;
	}
	free(held);
	free(keys);
	return released;
}

/* --- the guard --- */

/* No file but the three that it needs: whoever waits for the end of a pipe must not wait for the guard. */
static void keep_only(int *files, int count)
{
	const int null = open("/dev/null", O_RDWR);
	int first = 3;

	for (int i = 0; i < count; i++) {
		files[i] = fcntl(files[i], F_DUPFD, 64);
		if (files[i] < 0)
			_exit(1);
	}
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	for (int i = 0; i < count; i++) {
		mb_close_range((unsigned int)first, (unsigned int)files[i] - 1);
		first = files[i] + 1;
	}
	mb_close_range((unsigned int)first, ~0u);
}

static void disarm(int control)
{
	uint8_t words[CONTROL_BYTES_MAX];
	const uint32_t zero = 0;

	if (mb_bpf_map_lookup(control, &zero, words) < 0)
		return;
	memset(words, 0, sizeof(int64_t));
	mb_bpf_map_update(control, &zero, words, 0);
}

static void guard(int map, int control, int alive)
{
	struct pollfd end = { .fd = alive, .events = POLLIN };
	char word;

	for (;;) {
		const int ready = poll(&end, 1, GUARD_MS);

		if (ready < 0 && errno != EINTR)
			break;
		if (ready > 0) {
			if (read(alive, &word, 1) > 0)
				_exit(0);	/* a session that ended as it should */
			break;
		}
		mb_hold_release_all(map, mb_hold_now() - LONGEST_NS);
	}
	disarm(control);
	for (int i = 0; i < 20; i++) {
		mb_hold_release_all(map, UINT64_MAX);
		poll(NULL, 0, 25);	/* a program that was running may still stop somebody */
	}
	_exit(0);
}

int mb_hold_guard(int map, int control, uint32_t control_bytes, int alive)
{
	int files[] = { alive, map, control };
	sigset_t all;
	pid_t child;

	if (control_bytes > CONTROL_BYTES_MAX)
		return -E2BIG;
	child = fork();
	if (child)
		return child < 0 ? -errno : child;
	setsid();
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	prctl(PR_SET_NAME, "markbridge-hold");
	keep_only(files, 3);
	guard(files[1], files[2], files[0]);
	return 0;
}
