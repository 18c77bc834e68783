// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Files that are mapped to be read, as memory of exactly their size. A mapping ends with a whole page, so a reader that goes beyond
 * the end of a file would not be noticed; beyond the end of such memory AddressSanitizer sees it. Builds with sanitizers compile csrc/
 * with -Dmmap=exact_mmap -Dmunmap=exact_munmap -Dmadvise=exact_madvise and add this file.
 */
#define _GNU_SOURCE
#undef mmap
#undef munmap
#undef madvise

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct copy {
	void *data;
	struct copy *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct copy *copies;

void *exact_mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset);
int exact_munmap(void *data, size_t bytes);
int exact_madvise(void *data, size_t bytes, int advice);

static void *read_whole(int file, size_t bytes, off_t offset)
{
	uint8_t *data = malloc(bytes);
	size_t done = 0;

	while (data && done < bytes) {
		const ssize_t got = pread(file, data + done, bytes - done, offset + (off_t)done);

		if (got <= 0) {
			free(data);
			return NULL;
		}
		done += (size_t)got;
	}
	return data;
}

void *exact_mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset)
{
	struct copy *copy;

	if (protection != PROT_READ || !(flags & MAP_PRIVATE) || file < 0)
		return mmap(address, bytes, protection, flags, file, offset);
	copy = malloc(sizeof(*copy));
	if (!copy)
		return MAP_FAILED;
	copy->data = read_whole(file, bytes, offset);
	if (!copy->data) {
		free(copy);
		return MAP_FAILED;
	}
	pthread_mutex_lock(&lock);
	copy->next = copies;
	copies = copy;
	pthread_mutex_unlock(&lock);
	return copy->data;
}

/* The record of a copy, out of the list; NULL if the memory is a real mapping. */
static struct copy *take_copy(const void *data)
{
	struct copy *found = NULL;

	pthread_mutex_lock(&lock);
	for (struct copy **at = &copies; *at; at = &(*at)->next) {
		if ((*at)->data != data)
			continue;
		found = *at;
		*at = found->next;
		break;
	}
	pthread_mutex_unlock(&lock);
	return found;
}

int exact_munmap(void *data, size_t bytes)
{
	struct copy *copy = take_copy(data);

	if (!copy)
		return munmap(data, bytes);
	free(copy->data);
	free(copy);
	return 0;
}

/* Pages are only given back, which a copy has no use for. */
int exact_madvise(void *data, size_t bytes, int advice)
{
	(void)data;
	(void)bytes;
	(void)advice;
	return 0;
}
