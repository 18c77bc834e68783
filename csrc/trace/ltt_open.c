// SPDX-License-Identifier: LGPL-2.1-or-later
/* Opening and closing the files of a trace; what a layout may say is checked here, once. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ltt_cursor.h"
#include "runtime/system_calls.h"

static void rewind_stream(struct stream *s)
{
	s->next = s->layout.first_at;
	s->at = s->next;
	s->block = MB_LTT_NONE;
	s->pos = s->end = 0;
	s->reported = s->suspect = 0;
	s->released = 0;
	memset(&s->totals, 0, sizeof(s->totals));
	memset(&s->event, 0, sizeof(s->event));
}

void mb_ltt_rewind(struct mb_ltt_cursor *c)
{
	uint32_t i;

	for (i = 0; i < c->stream_count; i++)
		rewind_stream(&c->streams[i]);
	c->started = 0;
	c->damage_count = 0;
}

void mb_ltt_set_range(struct mb_ltt_cursor *c, uint64_t begin_ns, uint64_t end_ns)
{
	c->begin_ns = begin_ns;
	c->end_ns = end_ns;
	c->limited = begin_ns > 0 || end_ns < UINT64_MAX;
}

struct mb_ltt_cursor *mb_ltt_open(void)
{
	return calloc(1, sizeof(struct mb_ltt_cursor));
}

static void unmap(struct stream *s)
{
	if (s->size)
		munmap((void *)s->map, s->size);
	free(s->ids);
}

void mb_ltt_close(struct mb_ltt_cursor *c)
{
	uint32_t i;

	for (i = 0; i < c->stream_count; i++)
		unmap(&c->streams[i]);
	free(c->streams);
	free(c->classes);
	free(c->ops);
	free(c->heap);
	free(c);
}

static int map_file(struct stream *s, const char *path)
{
	struct stat status;
	void *map;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (mb_fstat(fd, &status) || !S_ISREG(status.st_mode)) {
		close(fd);
		return -1;
	}
	s->size = (uint64_t)status.st_size;
	if (s->size) {
		map = mmap(NULL, s->size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (map == MAP_FAILED)
			s->size = 0;
		s->map = map;
	}
	close(fd);
	return status.st_size && !s->size ? -1 : 0;
}

/* Whether a field of the block header lies inside it. */
static int inside(const struct mb_ltt_layout *l, uint32_t at, uint32_t bytes)
{
	return at == MB_LTT_NONE || (l->header_bytes >= bytes && at <= l->header_bytes - bytes);
}

static int check_header(const struct mb_ltt_layout *l)
{
	if (l->header_bytes > PAGE || (l->block_bytes && l->block_bytes < l->header_bytes))
		return -1;
	if (!inside(l, l->begin_at, 8) || !inside(l, l->end_at, 8) || !inside(l, l->magic_at, 4) ||
	    !inside(l, l->size_at, 4) || !inside(l, l->used_at, 4) || !inside(l, l->lost_at, 4) ||
	    !inside(l, l->corrupt_at, 4) || l->begin_at == MB_LTT_NONE || l->end_at == MB_LTT_NONE)
		return -1;
	if (l->time_mode == MB_LTT_TIME_INTERPOLATE &&
	    (l->time_at == MB_LTT_NONE || l->end_time_at == MB_LTT_NONE ||
	     !inside(l, l->time_at, 2 * l->time_bytes) || !inside(l, l->end_time_at, 2 * l->time_bytes)))
		return -1;
	return 0;
}

static int check_layout(const struct mb_ltt_layout *l)
{
	const uint32_t aligns[3] = { l->head_align, l->tsc_align, l->arch_align };
	uint32_t i;

	for (i = 0; i < 3; i++)
		if (!aligns[i] || aligns[i] & (aligns[i] - 1))
			return -1;
	if (l->kind < MB_LTT_M2 || l->kind > MB_LTT_K || l->tscbits + l->eventbits > 32 || l->lsb > 31)
		return -1;
	if (l->kind == MB_LTT_X || l->kind == MB_LTT_K)
		return l->block_bytes < 64 ? -1 : 0;
	return check_header(l);
}

int mb_ltt_add_stream(struct mb_ltt_cursor *c, const char *path, const struct mb_ltt_layout *layout,
		      const uint32_t *ids, uint32_t id_count)
{
	struct stream *streams, *s;
	uint32_t *heap;

	if (check_layout(layout))
		return -1;
	streams = realloc(c->streams, (c->stream_count + 1) * sizeof(*streams));
	if (!streams)
		return -1;
	c->streams = streams;
	heap = realloc(c->heap, (c->stream_count + 1) * sizeof(*heap));
	if (!heap)
		return -1;
	c->heap = heap;
	s = &streams[c->stream_count];
	memset(s, 0, sizeof(*s));
	s->layout = *layout;
	if (map_file(s, path))
		return -1;
	s->ids = malloc((size_t)id_count * sizeof(*ids) + 1);
	if (!s->ids) {
		unmap(s);
		return -1;
	}
	memcpy(s->ids, ids, (size_t)id_count * sizeof(*ids));
	s->id_count = id_count;
	rewind_stream(s);
	c->stream_count++;
	return (int)c->stream_count - 1;
}

int mb_ltt_set_classes(struct mb_ltt_cursor *c, const struct mb_ltt_class *classes, uint32_t class_count,
		       const struct mb_ltt_op *ops, uint32_t op_count)
{
	uint32_t i, j;

	if (mb_ltt_check_classes(classes, class_count, ops, op_count))
		return -1;
	for (i = 0; i < c->stream_count; i++)
		for (j = 0; j < c->streams[i].id_count; j++)
			if (c->streams[i].ids[j] != MB_LTT_NONE && c->streams[i].ids[j] >= class_count)
				return -1;
	free(c->classes);
	free(c->ops);
	c->classes = malloc(class_count * sizeof(*classes) + 1);
	c->ops = malloc(op_count * sizeof(*ops) + 1);
	if (!c->classes || !c->ops)
		return -1;
	memcpy(c->classes, classes, class_count * sizeof(*classes));
	memcpy(c->ops, ops, op_count * sizeof(*ops));
	c->class_count = class_count;
	return 0;
}
