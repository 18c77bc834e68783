// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Opening and closing the cursor over a CTF trace. What the description says is checked here, once. Files are mapped; text in slots
 * points into the mapping and is good until the cursor is closed.
 */
#include "ctf_cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/system_calls.h"

#define MAX_SMALL_IDS 65536u
#define NS_PER_S 1000000000u

static void *copy_rows(const void *rows, uint32_t count, size_t size)
{
	void *copy = calloc((size_t)count + 1, size);

	if (copy && count)
		memcpy(copy, rows, count * size);
	return copy;
}

static int check_scope(const struct mb_ctf_description *t, const struct mb_ctf_scope *scope)
{
	if (scope->first > t->op_count || scope->count > t->op_count - scope->first)
		return -EINVAL;
	return mb_ctf_check_ops(t->ops + scope->first, scope->count, t->range_count, t->variables);
}

static int check_description(const struct mb_ctf_description *t)
{
	int ret = check_scope(t, &t->packet_header);

	for (uint32_t i = 0; !ret && i < t->stream_class_count; i++) {
		const struct mb_ctf_stream_class *s = t->stream_classes + i;

		ret = check_scope(t, &s->packet_context) | check_scope(t, &s->event_header) |
		      check_scope(t, &s->event_context);
		if (s->clock != MB_CTF_NONE && s->clock >= t->clock_count)
			ret = -EINVAL;
	}
	for (uint32_t i = 0; !ret && i < t->event_class_count; i++) {
		const struct mb_ctf_event_class *e = t->event_classes + i;

		ret = check_scope(t, &e->context) | check_scope(t, &e->payload);
		if (e->stream_class >= t->stream_class_count)
			ret = -EINVAL;
	}
	for (uint32_t i = 0; i < t->clock_count; i++)
		if (!t->clocks[i].frequency)
			ret = -EINVAL;
	return t->stream_class_count ? ret : -EINVAL;
}

static int index_ids(struct mb_ctf_cursor *c)
{
	const struct mb_ctf_description *t = &c->description;
	size_t cells;

	for (uint32_t i = 0; i < t->event_class_count; i++)
		if (c->event_classes[i].id < MAX_SMALL_IDS && c->event_classes[i].id >= c->ids)
			c->ids = (uint32_t)c->event_classes[i].id + 1;
	cells = (size_t)c->ids * t->stream_class_count;
	c->by_id = malloc((cells + 1) * sizeof(*c->by_id));
	if (!c->by_id)
		return -ENOMEM;
	for (size_t i = 0; i < cells; i++)
		c->by_id[i] = (struct known_class){ MB_CTF_NONE, MB_CTF_NONE };
	for (uint32_t i = 0; i < t->event_class_count; i++)
		if (c->event_classes[i].id < c->ids)
			c->by_id[(size_t)c->event_classes[i].stream_class * c->ids + c->event_classes[i].id].event_class = i;
	return 0;
}

/* Everything is read by the decoder, which the quick ways are held equal to. */
void mb_ctf_without_quick(struct mb_ctf_cursor *c)
{
	for (uint32_t i = 0; i < c->description.stream_class_count; i++)
		c->headers[i].usable = 0;
	for (uint32_t i = 0; i < c->description.event_class_count; i++)
		c->quick[i].state = -1;
}

struct mb_ctf_cursor *mb_ctf_open(const struct mb_ctf_description *t)
{
	struct mb_ctf_cursor *c;

	if (check_description(t))
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->description = *t;
	c->ops = copy_rows(t->ops, t->op_count, sizeof(*t->ops));
	c->ranges = copy_rows(t->ranges, t->range_count, sizeof(*t->ranges));
	c->stream_classes = copy_rows(t->stream_classes, t->stream_class_count, sizeof(*t->stream_classes));
	c->event_classes = copy_rows(t->event_classes, t->event_class_count, sizeof(*t->event_classes));
	c->clocks = copy_rows(t->clocks, t->clock_count, sizeof(*t->clocks));
	c->unwanted = calloc((size_t)t->event_class_count + 1, sizeof(*c->unwanted));
	c->begin_ns = c->last_ns = INT64_MIN;
	c->end_ns = INT64_MAX;
	c->quick = calloc((size_t)t->event_class_count + 1, sizeof(*c->quick));
	c->bases = calloc((size_t)t->clock_count + 1, sizeof(*c->bases));
	c->headers = calloc((size_t)t->stream_class_count + 1, sizeof(*c->headers));
	if (!c->ops || !c->ranges || !c->stream_classes || !c->event_classes || !c->clocks || !c->unwanted || !c->quick ||
	    !c->headers || !c->bases || index_ids(c)) {
		mb_ctf_close(c);
		return NULL;
	}
	for (uint32_t i = 0; i < t->clock_count; i++)
		c->bases[i] = (struct clock_base){ mb_ctf_time(c->clocks + i, 0), c->clocks[i].frequency == NS_PER_S };
	for (uint32_t i = 0; i < t->stream_class_count; i++) {
		const struct mb_ctf_scope *scope = &c->stream_classes[i].event_header;

		mb_quick_compile_header(c->headers + i, c->ops + scope->first, scope->count, c->ranges);
	}
	return c;
}

void mb_ctf_close(struct mb_ctf_cursor *c)
{
	for (uint32_t i = 0; i < c->stream_count; i++) {
		munmap((void *)(uintptr_t)c->streams[i]->data, c->streams[i]->size);
		free(c->streams[i]->d.variables);
		free(c->streams[i]->skipped);
		free(c->streams[i]);
	}
	for (uint32_t i = 0; c->quick && i < c->description.event_class_count; i++)
		mb_quick_free(c->quick + i);
	free(c->quick);
	free(c->headers);
	free(c->bases);
	free(c->streams);
	free(c->heap);
	free(c->by_id);
	free(c->unwanted);
	free(c->clocks);
	free(c->event_classes);
	free(c->stream_classes);
	free(c->ranges);
	free(c->ops);
	free(c);
}

static const uint8_t *map_file(const char *path, uint64_t *size)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	void *data = NULL;

	if (file < 0)
		return NULL;
	if (!mb_fstat(file, &status)) {
		*size = (uint64_t)status.st_size;
		data = *size ? mmap(NULL, *size, PROT_READ, MAP_PRIVATE, file, 0) : MAP_FAILED;
		if (!*size)
			errno = ENODATA;
	}
	close(file);
	return data == MAP_FAILED ? NULL : data;
}

static int more_room(struct mb_ctf_cursor *c)
{
	struct stream **streams = realloc(c->streams, (c->stream_count + 1) * sizeof(struct stream *));
	uint32_t *heap;

	if (!streams)
		return -ENOMEM;
	c->streams = streams;
	heap = realloc(c->heap, (c->stream_count + 1) * sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	c->heap = heap;
	return 0;
}

/* The number of the stream, or -errno; -ENODATA if the file is empty. */
int mb_ctf_add_stream(struct mb_ctf_cursor *c, const char *path)
{
	struct stream *s;

	if (more_room(c))
		return -ENOMEM;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->d.variables = calloc(c->description.variables + 2, sizeof(int64_t));
	s->data = s->d.variables ? map_file(path, &s->size) : NULL;
	if (!s->data) {
		free(s->d.variables);
		free(s);
		return errno ? -errno : -EIO;
	}
	s->index = s->rank = c->stream_count;
	s->instance = -1;
	mb_ctf_rewind_stream(c, s);
	c->streams[c->stream_count] = s;
	return (int)c->stream_count++;
}

/* The bytes of a stream, in which its text is; NULL if there is none. */
const uint8_t *mb_ctf_mapped(struct mb_ctf_cursor *c, uint32_t stream, uint64_t *bytes)
{
	if (stream >= c->stream_count)
		return NULL;
	*bytes = c->streams[stream]->size;
	return c->streams[stream]->data;
}
