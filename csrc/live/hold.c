// SPDX-License-Identifier: LGPL-2.1-or-later
/* Processes that stand still while handlers read them: see hold.h. */
#define _GNU_SOURCE
#include "hold.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bpf.h"

#define LOOK_NS 20000			/* between two looks at a process that is about to stop */
#define PATIENCE_NS 1000000000ull	/* how long that may take */
#define KERNEL_NS 50000000ull		/* how long a thread that waits in the kernel keeps us waiting */
#define BPF_EXIST 2

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
		return 0;	/* a guard has let it go */
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

/*
 * The entry goes first: a hit at the same time looks for it again after it has sent its SIGSTOP. Either it finds none and makes another
 * one, or its signal was earlier than this one, which takes it back. So whoever is stopped has an entry.
 */
static void let_go(int map, uint64_t key)
{
	mb_bpf_map_delete(map, &key);
	kill((pid_t)key, SIGCONT);
}

/* The process stands still, so nobody else counts at the same time; where it does not, a hit is let go too early. */
int mb_hold_release(int map, int64_t pid)
{
	uint64_t key = (uint64_t)pid;
	struct mb_held held;
	const int stood = mb_bpf_map_lookup(map, &key, &held) == 0;

	if (stood && held.hits > 1) {
		held.hits--;
		if (mb_bpf_map_update(map, &key, &held, BPF_EXIST) == 0)
			return 1;
	}
	let_go(map, key);
	return stood;
}

/* Keys of the map, at most MB_MOST_HELD; those that come or go meanwhile may be missed. */
static uint32_t held_keys(int map, uint64_t *keys)
{
	const uint64_t *previous = NULL;
	uint32_t count = 0;

	while (count < MB_MOST_HELD && mb_bpf_map_next_key(map, previous, &keys[count]) == 0)
		previous = &keys[count++];
	return count;
}

/* Nothing is allocated: the guards run this in a copy of a process whose locks somebody may have held. */
int mb_hold_release_all(int map, uint64_t before_ns)
{
	uint64_t keys[MB_MOST_HELD];
	const uint32_t count = held_keys(map, keys);
	int released = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct mb_held held;

		if (mb_bpf_map_lookup(map, &keys[i], &held) < 0 || held.since_ns >= before_ns)
			continue;
		kill((pid_t)keys[i], SIGCONT);	/* should we die in between, it goes on nevertheless */
		let_go(map, keys[i]);
		released++;
	}
	return released;
}
