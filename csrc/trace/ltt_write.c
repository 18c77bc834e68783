// SPDX-License-Identifier: LGPL-2.1-or-later
/* One trace file being written: events packed into blocks, each closed when the next event does not fit. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "ltt.h"

#define MAX_BLOCK (1u << 30)

/* --- slots -> payload bytes --- */

struct image {
	uint8_t *bytes;
	uint64_t max;
	uint64_t at;
};

struct source {
	const int64_t *slots;
	uint32_t count;
	uint32_t at;
	const uint8_t *bytes;
	uint64_t byte_count;
	uint64_t last;		/* the last integer, which is the length of a sequence */
	uint32_t big;
};

static int reserve(struct image *image, uint64_t more)
{
	uint64_t max = image->max ? image->max : 4096;
	uint8_t *bytes;

	if (more > MAX_BLOCK || image->at + more > MAX_BLOCK)
		return -EFBIG;
	while (max < image->at + more)
		max *= 2;
	if (max == image->max)
		return 0;
	bytes = realloc(image->bytes, max);
	if (!bytes)
		return -ENOMEM;
	image->bytes = bytes;
	image->max = max;
	return 0;
}

static int append(struct image *image, const void *bytes, uint64_t count)
{
	int ret = reserve(image, count);

	if (ret)
		return ret;
	if (count)	/* nothing at all may have no address */
		memcpy(image->bytes + image->at, bytes, count);
	image->at += count;
	return 0;
}

static int append_pad(struct image *image, uint64_t count)
{
	int ret = reserve(image, count);

	if (ret)
		return ret;
	if (count)
		memset(image->bytes + image->at, 0, count);
	image->at += count;
	return 0;
}

static int append_int(struct image *image, uint64_t value, uint32_t size, uint32_t big)
{
	uint8_t bytes[8];
	uint32_t i;

	for (i = 0; i < size; i++)
		bytes[big ? size - 1 - i : i] = (uint8_t)(value >> 8 * i);
	return append(image, bytes, size);
}

static int take(struct source *from, int64_t *value)
{
	if (from->at >= from->count)
		return -EINVAL;
	*value = from->slots[from->at++];
	return 0;
}

static int encode_scalar(const struct mb_ltt_op *op, struct source *from, struct image *image)
{
	uint32_t big = op->flags & MB_LTT_BIG ? 1 : from->big, bits;
	int64_t value;
	double wide;
	float narrow;
	int ret = take(from, &value);

	if (ret)
		return ret;
	if (op->kind == MB_LTT_REAL && op->size == 4) {
		memcpy(&wide, &value, 8);
		narrow = (float)wide;
		memcpy(&bits, &narrow, 4);
		return append_int(image, bits, 4, big);
	}
	from->last = (uint64_t)value;
	return append_int(image, (uint64_t)value, op->size, big);
}

static int encode_text(struct source *from, struct image *image)
{
	uint64_t start, length;
	int64_t slot;
	int ret = take(from, &slot);

	if (ret)
		return ret;
	start = (uint64_t)slot >> 32;
	length = (uint32_t)slot;
	if (start > from->byte_count || length > from->byte_count - start)
		return -EINVAL;
	ret = append(image, from->bytes + start, length);
	return ret ? ret : append_pad(image, 1);
}

static int encode(const struct mb_ltt_op *ops, uint32_t count, struct source *from, struct image *image);

static int encode_loop(const struct mb_ltt_op *op, struct source *from, struct image *image)
{
	uint64_t times = op->flags & MB_LTT_DYNAMIC ? from->last : op->count, i;
	int ret = 0;

	if (times > MAX_BLOCK)
		return -EFBIG;
	for (i = 0; i < times && !ret; i++)
		ret = encode(op + 1, op->body, from, image);
	return ret;
}

/* The members of a union lie on each other: the last one that has bits wins, as when it was read. */
static int encode_union(const struct mb_ltt_op *op, struct source *from, struct image *image)
{
	uint64_t start = image->at, i;
	struct image member = { 0 };
	uint32_t first = 0, last;
	int ret = append_pad(image, op->count);

	while (!ret && first < op->body) {
		for (last = first; last < op->body && op[1 + last].kind != MB_LTT_REWIND; last++)
			;
		member.at = 0;
		ret = encode(op + 1 + first, last - first, from, &member);
		for (i = 0; !ret && i < member.at && i < op->count; i++)
			image->bytes[start + i] |= member.bytes[i];
		first = last + 1;
	}
	free(member.bytes);
	return ret;
}

/* Offsets count from the start of the image. */
static int encode(const struct mb_ltt_op *ops, uint32_t count, struct source *from, struct image *image)
{
	uint32_t i;
	int ret;

	for (i = 0; i < count; i++) {
		const struct mb_ltt_op *op = &ops[i];

		ret = append_pad(image, mb_ltt_pad(image->at, op->align));
		if (ret)
			return ret;
		switch (op->kind) {
		case MB_LTT_INT:
		case MB_LTT_REAL:
			ret = encode_scalar(op, from, image);
			break;
		case MB_LTT_TEXT:
			ret = encode_text(from, image);
			break;
		case MB_LTT_LOOP:
			ret = encode_loop(op, from, image);
			i += op->body;
			break;
		case MB_LTT_UNION:
			ret = encode_union(op, from, image);
			i += op->body;
			break;
		default:
			ret = 0;
		}
		if (ret)
			return ret;
	}
	return 0;
}

/* --- blocks --- */

struct mb_ltt_writer {
	struct mb_ltt_layout layout;
	struct image block;
	struct image payload;
	struct image head;
	uint8_t *header;
	struct mb_ltt_class *classes;
	struct mb_ltt_op *ops;
	uint64_t begin;
	uint64_t last;		/* clock of the event before */
	uint32_t class_count;
	uint32_t block_bytes;
	uint32_t page_bytes;
	uint32_t lost;
	uint32_t any;		/* whether an event was written */
	int fd;
	int error;
};

static void put_u32(struct mb_ltt_writer *w, uint32_t at, uint32_t value)
{
	if (at == MB_LTT_NONE)
		return;
	value = w->layout.big ? __builtin_bswap32(value) : value;
	memcpy(w->block.bytes + at, &value, 4);
}

static void put_u64(struct mb_ltt_writer *w, uint32_t at, uint64_t value)
{
	value = w->layout.big ? __builtin_bswap64(value) : value;
	memcpy(w->block.bytes + at, &value, 8);
}

static int open_block(struct mb_ltt_writer *w, uint64_t tsc)
{
	w->block.at = 0;
	w->begin = tsc;
	return append(&w->block, w->header, w->layout.header_bytes);
}

static int write_all(int fd, const uint8_t *bytes, uint64_t count)
{
	ssize_t done;

	while (count) {
		done = write(fd, bytes, count);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done ? -errno : -EIO;
		bytes += done;
		count -= (uint64_t)done;
	}
	return 0;
}

static int close_block(struct mb_ltt_writer *w, uint64_t tsc)
{
	uint64_t used = w->block.at, total = w->block_bytes;
	int ret;

	if (!w->layout.used_is_lost)
		total = used + mb_ltt_pad(used, w->page_bytes);
	ret = append_pad(&w->block, total - used);
	if (ret)
		return ret;
	put_u64(w, w->layout.begin_at, w->begin);
	put_u64(w, w->layout.end_at, tsc);
	put_u32(w, w->layout.size_at, (uint32_t)total);
	put_u32(w, w->layout.used_at, (uint32_t)(w->layout.used_is_lost ? total - used : used));
	put_u32(w, w->layout.lost_at, w->lost);
	return write_all(w->fd, w->block.bytes, total);
}

int mb_ltt_switch(struct mb_ltt_writer *w, uint64_t tsc)
{
	int ret = close_block(w, tsc);

	if (!ret)
		ret = open_block(w, tsc);
	w->error = ret;
	return ret;
}

/* What is there goes to disk; a block without events stays open. */
int mb_ltt_flush(struct mb_ltt_writer *w, uint64_t tsc)
{
	if (w->error)
		return w->error;
	return w->block.at > w->layout.header_bytes ? mb_ltt_switch(w, tsc > w->last ? tsc : w->last) : 0;
}

/* --- event headers: written to `head`, as it would lie at offset `at` of the block --- */

static int pad_head(struct mb_ltt_writer *w, uint64_t at, uint32_t align)
{
	return append_pad(&w->head, mb_ltt_pad(at + w->head.at, align));
}

static int full_m2(struct mb_ltt_writer *w, uint64_t at, uint32_t id, uint64_t tsc)
{
	uint32_t big = w->layout.big, size = (uint32_t)w->payload.at;
	int ret = append_int(&w->head, 29u << 27 | (uint32_t)(tsc & 0x7ffffff), 4, big);

	if (!ret)
		ret = append_int(&w->head, id, 2, big);
	if (!ret)
		ret = append_int(&w->head, size < 0xffff ? size : 0xffff, 2, big);
	if (!ret && size >= 0xffff)
		ret = append_int(&w->head, size, 4, big);
	if (!ret)
		ret = pad_head(w, at, w->layout.tsc_align);
	return ret ? ret : append_int(&w->head, tsc, 8, big);
}

static int head_m2(struct mb_ltt_writer *w, uint64_t at, const struct mb_ltt_class *class, uint32_t id, uint64_t tsc)
{
	/* 32-bit tracers compare the upper bits, 64-bit tracers the distance. */
	int far = w->layout.long_time ? (tsc - w->last) >> 27 != 0 : tsc >> 27 != w->last >> 27;
	uint32_t field = id >= 29 ? 31 : id, big = w->layout.big;
	int ret = pad_head(w, at, w->layout.head_align);

	if (ret)
		return ret;
	if (!w->any || far) {
		ret = full_m2(w, at, id, tsc);
	} else {
		ret = append_int(&w->head, field << 27 | (uint32_t)(tsc & 0x7ffffff), 4, big);
		if (!ret && field == 31)
			ret = append_int(&w->head, id, 2, big);
	}
	return ret ? ret : pad_head(w, at, class->align);
}

static int head_f(struct mb_ltt_writer *w, uint64_t at, uint32_t id, uint64_t tsc)
{
	const struct mb_ltt_layout *l = &w->layout;
	uint32_t size = w->payload.at < 0xffff ? (uint32_t)w->payload.at : 0xffff;
	uint8_t number[2] = { (uint8_t)(id >> 8), (uint8_t)id };
	int ret = pad_head(w, at, l->arch_align);

	if (!ret)
		ret = append_int(&w->head, tsc, l->long_time ? 8 : 4, l->big);
	if (!ret)
		ret = append(&w->head, number, 2);
	if (!ret)
		ret = append_int(&w->head, size, 2, l->big);
	return ret ? ret : pad_head(w, at, l->arch_align);
}

static int make_head(struct mb_ltt_writer *w, const struct mb_ltt_class *class, uint32_t id, uint64_t tsc)
{
	w->head.at = 0;
	if (w->layout.kind == MB_LTT_M2)
		return head_m2(w, w->block.at, class, id, tsc);
	return head_f(w, w->block.at, id, tsc);
}

/* Makes room: a new block if the event does not fit, or if its clock is too far from the last one to be told. */
static int place(struct mb_ltt_writer *w, const struct mb_ltt_class *class, uint32_t id, uint64_t tsc)
{
	int ret = make_head(w, class, id, tsc), empty = w->block.at == w->layout.header_bytes;
	int far = w->layout.kind != MB_LTT_M2 && !w->layout.long_time &&
		  (tsc - (empty ? w->begin : w->last)) >> 32 != 0;

	if (ret)
		return ret;
	if (!far && w->block.at + w->head.at + w->payload.at <= w->block_bytes)
		return 0;
	if (!empty || far) {
		ret = mb_ltt_switch(w, tsc);
		if (!ret)
			ret = make_head(w, class, id, tsc);
		if (ret)
			return ret;
	}
	if (w->layout.used_is_lost && w->block.at + w->head.at + w->payload.at > w->block_bytes)
		return -EFBIG;
	return 0;
}

int mb_ltt_write(struct mb_ltt_writer *w, uint32_t class_index, uint32_t id, uint64_t tsc, const int64_t *slots,
		 uint32_t slot_count, const uint8_t *bytes, uint64_t byte_count)
{
	struct source from = {
		.slots = slots, .count = slot_count, .bytes = bytes, .byte_count = byte_count, .big = w->layout.big,
	};
	const struct mb_ltt_class *class;
	int ret;

	if (w->error)
		return w->error;
	if (class_index >= w->class_count || id > 0xffff)
		return -EINVAL;
	class = &w->classes[class_index];
	w->payload.at = 0;
	ret = encode(w->ops + class->first, class->count, &from, &w->payload);
	if (!ret && from.at != from.count)
		ret = -EINVAL;
	if (!ret)
		ret = place(w, class, id, tsc);
	if (!ret)
		ret = append(&w->block, w->head.bytes, w->head.at);
	if (!ret)
		ret = append(&w->block, w->payload.bytes, w->payload.at);
	if (ret)
		return ret;
	w->last = tsc;
	w->any = 1;
	return 0;
}

/*
 * Events of a cursor's batch: which writer by stream and class of the source (`files`, MB_LTT_NONE: leave out), class
 * and id there by class of the source. Returns how many were written.
 */
int64_t mb_ltt_write_batch(const struct mb_ltt_route *route, const struct mb_ltt_event *events, uint32_t event_count,
			   const int64_t *slots, uint32_t slot_count, const uint8_t *bytes, uint64_t byte_count)
{
	int64_t written = 0;
	uint32_t i, file;
	int ret;

	for (i = 0; i < event_count; i++) {
		const struct mb_ltt_event *e = &events[i];

		if (e->class_index >= route->class_count || e->stream >= route->stream_count)
			continue;
		file = route->files[e->stream * route->class_count + e->class_index];
		if (file == MB_LTT_NONE)
			continue;
		if (e->slot > slot_count || e->slots > slot_count - e->slot || file >= route->writer_count)
			return -EINVAL;
		ret = mb_ltt_write(route->writers[file], route->classes[e->class_index], route->ids[e->class_index],
				   e->tsc, slots + e->slot, e->slots, bytes, byte_count);
		if (ret)
			return ret;
		written++;
	}
	return written;
}

void mb_ltt_write_lost(struct mb_ltt_writer *w, uint32_t lost)
{
	w->lost = lost;
}

/* --- life --- */

static void destroy(struct mb_ltt_writer *w)
{
	if (w->fd >= 0)
		close(w->fd);
	free(w->block.bytes);
	free(w->payload.bytes);
	free(w->head.bytes);
	free(w->header);
	free(w->classes);
	free(w->ops);
	free(w);
}

struct mb_ltt_writer *mb_ltt_create(const char *path, const struct mb_ltt_layout *layout, const uint8_t *header,
				    uint32_t block_bytes, uint32_t page_bytes, uint64_t begin_tsc)
{
	struct mb_ltt_writer *w;

	if (block_bytes < layout->header_bytes || block_bytes > MAX_BLOCK || !page_bytes ||
	    page_bytes & (page_bytes - 1))
		return NULL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->layout = *layout;
	w->block_bytes = block_bytes;
	w->page_bytes = page_bytes;
	w->header = malloc(layout->header_bytes + 1);
	w->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (!w->header || w->fd < 0) {
		destroy(w);
		return NULL;
	}
	memcpy(w->header, header, layout->header_bytes);
	if (open_block(w, begin_tsc)) {
		destroy(w);
		return NULL;
	}
	return w;
}

int mb_ltt_write_classes(struct mb_ltt_writer *w, const struct mb_ltt_class *classes, uint32_t class_count,
			 const struct mb_ltt_op *ops, uint32_t op_count)
{
	if (mb_ltt_check_classes(classes, class_count, ops, op_count))
		return -EINVAL;
	free(w->classes);
	free(w->ops);
	w->class_count = 0;
	w->classes = malloc(class_count * sizeof(*classes) + 1);
	w->ops = malloc(op_count * sizeof(*ops) + 1);
	if (!w->classes || !w->ops)
		return -ENOMEM;
	memcpy(w->classes, classes, class_count * sizeof(*classes));
	memcpy(w->ops, ops, op_count * sizeof(*ops));
	w->class_count = class_count;
	return 0;
}

/* Closes the last block and the file; the writer is gone whatever it returns. */
int mb_ltt_finish(struct mb_ltt_writer *w, uint64_t end_tsc)
{
	int ret = w->error ? w->error : close_block(w, end_tsc);

	if (close(w->fd) && !ret)
		ret = -errno;
	w->fd = -1;
	destroy(w);
	return ret;
}
