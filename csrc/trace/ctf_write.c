// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Writes CTF 1.8 streams. Every packet is written with one system call when it is full, so what is on disk is always
 * whole packets: a killed process or a full disk costs the packet in memory, never what was written before.
 */
#include "ctf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_BYTES 32u	/* magic, uuid, stream_id, stream_instance_id */
#define CONTEXT_BYTES 48u	/* six u64; a u32 cpu_id follows where the CPU is known */
#define EXTENDED_ID 65535u
#define MAX_PACKET_BYTES (64u << 20)
#define NAME_BYTES 256
#define EVENT_HEADER_BYTES 14u

struct class {
	struct mb_ctf_op *ops;
	struct mb_ctf_range *ranges;
	int64_t *variables;
	uint64_t id;
	uint32_t count;
	uint32_t range_count;
	uint32_t variable_count;
};

struct stream {
	char name[NAME_BYTES];
	uint8_t *packet;	/* made at the first event */
	uint64_t capacity;
	uint64_t used;		/* bytes; 0 while no packet is open */
	uint64_t content;	/* bits, up to the end of the last event */
	uint64_t first;		/* clock of the packet's first event */
	uint64_t last;
	uint64_t events;	/* in the open packet */
	uint64_t sequence;
	uint64_t lost;
	uint64_t reported;	/* what the last packet on disk said */
	uint64_t instance;
	int64_t bytes;		/* on disk */
	uint32_t stream_class;
	int32_t cpu;
	int file;
};

struct mb_ctf_writer {
	struct class *classes;
	struct stream *streams;
	uint64_t written;
	uint64_t dropped;
	uint32_t class_count;
	uint32_t stream_count;
	uint32_t packet_bytes;
	int folder;
	int failed;		/* -errno of the first failure */
	int told;
	uint8_t uuid[16];
};

/* --- values --- */

struct encoder {
	const struct mb_ctf_range *ranges;
	int64_t *variables;
	const int64_t *slot;
	const int64_t *end;
	uint8_t *bytes;
	uint64_t capacity;	/* bits */
	uint64_t bit;
	int big;		/* byte order of the number before: 0, 1, or -1 if there was none */
};

static void put_u32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

static void put_u64(uint8_t *at, uint64_t value)
{
	memcpy(at, &value, sizeof(value));
}

/* Moves to an alignment; what is skipped is zero. */
static int align(struct encoder *e, uint32_t bits)
{
	uint64_t end = e->bit + mb_ctf_pad(e->bit, bits);

	if (end > e->capacity)
		return -ENOSPC;
	for (; e->bit < end && e->bit & 7; e->bit++)
		e->bytes[e->bit >> 3] &= (uint8_t)~(1u << (e->bit & 7));
	if (e->bit < end)
		memset(e->bytes + (e->bit >> 3), 0, (end + 7 - e->bit) >> 3);
	e->bit = end;
	return 0;
}

/* Bit by bit: little-endian numbers fill a byte from its lowest bit, big-endian ones from its highest. */
static void put_bits(struct encoder *e, uint64_t value, uint32_t bits, int big)
{
	for (uint32_t i = 0; i < bits; i++, e->bit++) {
		uint64_t set = value >> (big ? bits - 1 - i : i) & 1;
		uint32_t shift = big ? 7 - (uint32_t)(e->bit & 7) : (uint32_t)(e->bit & 7);
		uint8_t *byte = e->bytes + (e->bit >> 3);

		*byte = (uint8_t)((*byte & ~(1u << shift)) | (uint32_t)set << shift);
	}
}

/* A number that starts within a byte shares it with the one before, so both must fill bytes from the same end. */
static int put_number(struct encoder *e, uint64_t value, uint32_t bits, int big)
{
	if (e->bit + bits > e->capacity)
		return -ENOSPC;
	if (e->bit & 7 && e->big >= 0 && e->big != !!big)
		return -EINVAL;
	e->big = !!big;
	if ((e->bit | bits) & 7 || big) {
		put_bits(e, value, bits, big);
	} else {
		memcpy(e->bytes + (e->bit >> 3), &value, bits >> 3);
		e->bit += bits;
	}
	return 0;
}

static int take(struct encoder *e, int64_t *value)
{
	if (e->slot >= e->end)
		return -EINVAL;
	*value = *e->slot++;
	return 0;
}

/* A number of the size and in the orders that are declared. */
static int put_bit_array(struct encoder *e, const struct mb_ctf_op *op, uint64_t value)
{
	if (op->flags & MB_CTF_REVERSED)
		value = mb_ctf_reversed(value, op->bits);
	return put_number(e, value, op->bits, op->flags & MB_CTF_BIG);
}

/* The last byte's second highest bit is the sign of what has one. */
static int put_leb(struct encoder *e, const struct mb_ctf_op *op, int64_t value)
{
	const int is_signed = op->flags & MB_CTF_SIGNED;

	for (;;) {
		uint64_t low = (uint64_t)value & 0x7f;
		int ret, last;

		value = is_signed ? value >> 7 : (int64_t)((uint64_t)value >> 7);
		last = is_signed ? value == (low & 0x40 ? -1 : 0) : !value;
		ret = put_number(e, last ? low : low | 0x80, 8, 0);
		if (ret || last)
			return ret;
	}
}

static int put_real(struct encoder *e, const struct mb_ctf_op *op)
{
	int64_t raw;
	double value;
	float narrow;
	uint32_t narrow_bits;

	if (take(e, &raw))
		return -EINVAL;
	if (op->bits == 64)
		return put_bit_array(e, op, (uint64_t)raw);
	memcpy(&value, &raw, sizeof(value));
	narrow = (float)value;
	memcpy(&narrow_bits, &narrow, sizeof(narrow_bits));
	return put_bit_array(e, op, narrow_bits);
}

static int put_bytes(struct encoder *e, const void *bytes, uint64_t length)
{
	if (e->bit & 7)
		return -EINVAL;
	if (length > (e->capacity - e->bit) >> 3)
		return -ENOSPC;
	if (length)
		memcpy(e->bytes + (e->bit >> 3), bytes, length);
	e->bit += length << 3;
	return 0;
}

/* The caller sees to it that no string has a NUL in it; arrays of characters have the length that is declared, padded with NULs. */
static int put_text(struct encoder *e, const struct mb_ctf_op *op)
{
	static const char nul[4];
	int64_t pointer, length;
	const char *text;
	uint64_t size;
	int ret;

	if (take(e, &pointer) || take(e, &length) || length < 0)
		return -EINVAL;
	text = (const char *)(uintptr_t)pointer;
	size = (uint64_t)length;
	if (op->kind == MB_CTF_BYTES)
		return size == (uint64_t)e->variables[op->source] ? put_bytes(e, text, size) : -EINVAL;
	if (op->kind == MB_CTF_TEXT) {
		ret = put_bytes(e, text, size);
		return ret ? ret : put_bytes(e, nul, op->bits ? op->bits >> 3 : 1);
	}
	if (size > op->count)
		return -EINVAL;
	ret = put_bytes(e, text, size);
	for (; !ret && size < op->count; size++)
		ret = put_bytes(e, "", 1);
	return ret;
}

static int put(struct encoder *e, const struct mb_ctf_op *ops, uint32_t count);

static int put_loop(struct encoder *e, const struct mb_ctf_op *op)
{
	int64_t length = op->count;

	if (op->kind == MB_CTF_SEQUENCE && (take(e, &length) || length != e->variables[op->source]))
		return -EINVAL;
	for (int64_t i = 0; i < length; i++) {
		int ret = put(e, op + 1, op->body);

		if (ret)
			return ret;
	}
	return 0;
}

static int put_variant(struct encoder *e, const struct mb_ctf_op *op)
{
	const struct mb_ctf_op *option;
	int64_t wanted;
	uint32_t index = 0;

	option = mb_ctf_select(op, e->ranges, e->variables[op->source], &index);
	if (op->flags & MB_CTF_OPTIONAL)
		index = !!option;
	else if (!option)
		return -EINVAL;
	if (take(e, &wanted) || wanted != index)
		return -EINVAL;
	if (!option)
		return 0;
	return put(e, option + 1, option->body);
}

static int put_one(struct encoder *e, const struct mb_ctf_op *op)
{
	switch (op->kind) {
	case MB_CTF_REAL:
		return put_real(e, op);
	case MB_CTF_TEXT:
	case MB_CTF_BLOB:
	case MB_CTF_BYTES:
		return put_text(e, op);
	case MB_CTF_ARRAY:
	case MB_CTF_SEQUENCE:
		return put_loop(e, op);
	case MB_CTF_VARIANT:
		return put_variant(e, op);
	case MB_CTF_ALIGN:
		return 0;
	default:
		return -EINVAL;
	}
}

static int put_int(struct encoder *e, const struct mb_ctf_op *op)
{
	int64_t value;

	if (take(e, &value))
		return -EINVAL;
	if (op->store >= 0)
		e->variables[op->store] = value;
	return op->kind == MB_CTF_LEB ? put_leb(e, op, value) : put_bit_array(e, op, (uint64_t)value);
}

static int put(struct encoder *e, const struct mb_ctf_op *ops, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct mb_ctf_op *op = ops + i;
		int ret = align(e, op->align);

		if (!ret)
			ret = op->kind == MB_CTF_INT || op->kind == MB_CTF_LEB ? put_int(e, op) : put_one(e, op);
		if (ret)
			return ret;
		i += op->body;
	}
	return 0;
}

/* --- packets --- */

static uint32_t content_start(const struct stream *s)
{
	return HEADER_BYTES + CONTEXT_BYTES + (s->cpu >= 0 ? 4 : 0);
}

/* Losses are counted from the first packet on, so what was lost before it or in it is told by the next. */
static void fill_header(const struct mb_ctf_writer *w, struct stream *s)
{
	uint8_t *p = s->packet;

	put_u32(p, MB_CTF_MAGIC);
	memcpy(p + 4, w->uuid, 16);
	put_u32(p + 20, s->stream_class);
	put_u64(p + 24, s->instance);
	put_u64(p + 32, s->first);
	put_u64(p + 40, s->last);
	put_u64(p + 48, s->content);
	put_u64(p + 56, s->used << 3);
	put_u64(p + 64, s->sequence);
	put_u64(p + 72, s->sequence ? s->lost : 0);
	if (s->cpu >= 0)
		put_u32(p + 80, (uint32_t)s->cpu);
}

static int write_whole(const struct stream *s)
{
	uint64_t done = 0;

	while (done < s->used) {
		ssize_t n = pwrite(s->file, s->packet + done, s->used - done, (off_t)(s->bytes + (int64_t)done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (uint64_t)n;
	}
	return 0;
}

static int open_file(const struct mb_ctf_writer *w, struct stream *s)
{
	if (s->file >= 0)
		return 0;
	s->file = openat(w->folder, s->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	return s->file < 0 ? -errno : 0;
}

/* Writes the open packet; if that fails, cuts the file after the last whole one. */
static int close_packet(struct mb_ctf_writer *w, struct stream *s)
{
	uint64_t events = s->events;
	int ret = w->failed;

	if (!s->used)
		return 0;
	fill_header(w, s);
	if (!ret)
		ret = open_file(w, s);
	if (!ret) {
		ret = write_whole(s);
		if (ret && ftruncate(s->file, (off_t)s->bytes))
			ret = -errno;
	}
	if (!ret) {
		s->bytes += (int64_t)s->used;
		s->reported = s->sequence ? s->lost : 0;
		s->sequence++;
	} else {
		w->written -= events;
		w->dropped += events;
	}
	s->used = 0;
	s->events = 0;
	if (ret && !w->failed)
		w->failed = ret;
	return ret;
}

static int grow(struct stream *s, uint64_t capacity)
{
	uint8_t *packet = realloc(s->packet, capacity);

	if (!packet)
		return -ENOMEM;
	s->packet = packet;
	s->capacity = capacity;
	return 0;
}

static int open_packet(struct mb_ctf_writer *w, struct stream *s, uint64_t clock)
{
	if (!s->packet && grow(s, w->packet_bytes))
		return -ENOMEM;
	s->used = content_start(s);
	s->content = s->used << 3;
	s->first = clock;
	s->last = clock;
	return 0;
}

/* --- events --- */

static void put_event_header(struct encoder *e, uint64_t id, uint64_t clock, int extended)
{
	uint8_t *at = e->bytes + (e->bit >> 3);
	uint16_t tag = extended ? EXTENDED_ID : (uint16_t)id;

	memcpy(at, &tag, sizeof(tag));
	if (!extended) {
		put_u32(at + 2, (uint32_t)clock);
		e->bit += 48;
	} else {
		put_u32(at + 2, (uint32_t)id);
		put_u64(at + 6, clock);
		e->bit += 112;
	}
}

/* What an event holds: slots, or bytes that are written as they are. */
struct body {
	const int64_t *slots;
	uint32_t slot_count;
	uint32_t size;
	const uint8_t *bytes;	/* NULL: slots */
};

static int try_event(struct stream *s, const struct class *c, uint64_t clock, const struct body *body)
{
	struct encoder e = { c->ranges, c->variables, body->slots, body->slots + body->slot_count, s->packet, s->capacity << 3, s->used << 3, -1 };
	int extended = c->id >= EXTENDED_ID || (clock - s->last) >> 32;
	uint64_t content;
	int ret;

	if (s->used + EVENT_HEADER_BYTES > s->capacity)
		return -ENOSPC;
	put_event_header(&e, c->id, clock, extended);
	ret = body->bytes ? put_bytes(&e, body->bytes, body->size) : put(&e, c->ops, c->count);
	content = e.bit;
	if (!ret)
		ret = align(&e, 8);
	if (!ret && e.slot != e.end)
		ret = -EINVAL;
	if (ret)
		return ret;
	s->used = e.bit >> 3;
	s->content = content;
	s->last = clock;
	s->events++;
	return 0;
}

static int make_room(struct mb_ctf_writer *w, struct stream *s, uint64_t clock)
{
	int ret = 0;

	if (s->events) {
		ret = close_packet(w, s);
		return ret ? ret : open_packet(w, s, clock);
	}
	return s->capacity >= MAX_PACKET_BYTES ? -E2BIG : grow(s, s->capacity * 2);
}

static int add_event(struct mb_ctf_writer *w, struct stream *s, const struct class *c, uint64_t clock,
		     const struct body *body)
{
	int ret = 0;

	if (!s->used)
		ret = open_packet(w, s, clock);
	while (!ret) {
		ret = try_event(s, c, clock, body);
		if (ret != -ENOSPC)
			break;
		ret = make_room(w, s, clock);
	}
	if (ret && !s->events)
		s->used = 0;
	return ret;
}

/* 0; -EINVAL and -E2BIG for an event that cannot be written; -errno once when the disk fails, and all later events are dropped. */
static int write_body(struct mb_ctf_writer *w, uint32_t stream, uint32_t event_class, uint64_t clock, const struct body *body)
{
	struct stream *s;
	int ret;

	if (stream >= w->stream_count || event_class >= w->class_count)
		return -EINVAL;
	s = w->streams + stream;
	if (clock < s->last)
		return -EINVAL;
	if (!w->failed) {
		ret = add_event(w, s, w->classes + event_class, clock, body);
		if (!ret)
			w->written++;
		if (!w->failed)
			return ret;
	}
	w->dropped++;
	ret = w->told ? 0 : w->failed;
	w->told = 1;
	return ret;
}

int mb_ctf_write(struct mb_ctf_writer *w, uint32_t stream, uint32_t event_class, uint64_t clock, const int64_t *slots,
		 uint32_t slot_count)
{
	const struct body body = { slots, slot_count, 0, NULL };

	return write_body(w, stream, event_class, clock, &body);
}

/*
 * Writes rows of struct mb_ctf_row, each with its bytes, which the caller has encoded as the class says. Threads may have taken their times
 * in another order than they gave their rows: such a row gets the time of the one before it. As mb_ctf_write, for the first that fails.
 */
int mb_ctf_write_rows(struct mb_ctf_writer *w, const uint8_t *rows, uint64_t bytes)
{
	int first = 0;

	while (bytes) {
		struct body body = { NULL, 0, 0, rows + sizeof(struct mb_ctf_row) };
		struct mb_ctf_row row;
		uint64_t clock, last;
		int ret;

		if (bytes < sizeof(row))
			return -EINVAL;
		memcpy(&row, rows, sizeof(row));
		if (row.size > bytes - sizeof(row))
			return -EINVAL;
		body.size = row.size;
		clock = row.clock_low | (uint64_t)row.clock_high << 32;
		last = mb_ctf_writer_last(w, row.stream);
		ret = write_body(w, row.stream, row.event_class, clock < last ? last : clock, &body);
		if (!first)
			first = ret;
		rows += sizeof(row) + row.size;
		bytes -= sizeof(row) + row.size;
	}
	return first;
}

/* The time of the last event of a stream. */
uint64_t mb_ctf_writer_last(const struct mb_ctf_writer *w, uint32_t stream)
{
	return stream < w->stream_count ? w->streams[stream].last : 0;
}

/* Writes one event as it was read. 0, or not: whoever asked must do it, or say what is wrong. */
static int copy_event(struct mb_ctf_writer *w, struct mb_ctf_route *route, const struct mb_ctf_event *event, const int64_t *slots)
{
	const int64_t time = route->by_clock ? (int64_t)event->clock : event->time_ns;
	int32_t stream, class;
	uint64_t last;

	if (event->event_class >= route->class_count || event->stream >= route->stream_count || time < 0)
		return -EINVAL;
	class = route->classes[2 * (size_t)event->event_class + (event->cpu < 0)];
	stream = route->cpus[event->stream] == event->cpu ? route->streams[event->stream] : -1;
	if (class < 0 || stream < 0 || (uint32_t)stream >= w->stream_count)
		return -EINVAL;
	last = w->streams[stream].last;
	if (mb_ctf_write(w, (uint32_t)stream, (uint32_t)class, (uint64_t)time < last ? last : (uint64_t)time, slots + event->slot,
			 event->slots))
		return -EINVAL;
	route->moved += (uint64_t)time < last;
	return 0;
}

/* Writes events as they were read, up to the first that cannot be. How many. */
int64_t mb_ctf_copy(struct mb_ctf_writer *w, struct mb_ctf_route *route, const struct mb_ctf_event *events, uint32_t count,
		    const int64_t *slots)
{
	uint32_t done = 0;

	while (done < count && !w->failed && !copy_event(w, route, events + done, slots))
		done++;
	return done;
}

void mb_ctf_writer_lost(struct mb_ctf_writer *w, uint32_t stream, uint64_t total)
{
	if (stream < w->stream_count && total > w->streams[stream].lost)
		w->streams[stream].lost = total;
}

static int flush_stream(struct mb_ctf_writer *w, struct stream *s, uint64_t clock)
{
	int ret = close_packet(w, s);

	if (clock < s->last)
		clock = s->last;
	/* Losses after the last packet need an empty one that says so; the first packet cannot. */
	while (!ret && s->lost > s->reported) {
		ret = open_packet(w, s, clock);
		if (!ret)
			ret = close_packet(w, s);
	}
	return ret;
}

/* Closes all open packets. 0 or -errno of the first failure ever. */
int mb_ctf_writer_flush(struct mb_ctf_writer *w, uint64_t clock)
{
	for (uint32_t i = 0; i < w->stream_count; i++) {
		int ret = flush_stream(w, w->streams + i, clock);

		if (ret && !w->failed)
			w->failed = ret;
	}
	return w->failed;
}

/* An empty packet at this time. */
int mb_ctf_writer_mark(struct mb_ctf_writer *w, uint32_t stream, uint64_t clock)
{
	struct stream *s = w->streams + stream;
	int ret;

	if (stream >= w->stream_count || clock < s->last)
		return -EINVAL;
	ret = close_packet(w, s);
	if (!ret)
		ret = open_packet(w, s, clock);
	return ret ? ret : close_packet(w, s);
}

/* --- the whole --- */

struct mb_ctf_writer *mb_ctf_writer_create(const char *folder, const uint8_t *uuid, uint32_t packet_bytes)
{
	struct mb_ctf_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	memcpy(w->uuid, uuid, sizeof(w->uuid));
	w->packet_bytes = packet_bytes < 4096 ? 4096 : packet_bytes;
	if (w->packet_bytes > MAX_PACKET_BYTES)
		w->packet_bytes = MAX_PACKET_BYTES;
	w->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->folder < 0) {
		free(w);
		return NULL;
	}
	return w;
}

static void *copy(const void *from, size_t count, size_t size)
{
	void *to = calloc(count + 1, size);

	if (to && count)
		memcpy(to, from, count * size);
	return to;
}

/* The number of the new class, or -errno. */
int mb_ctf_writer_add_class(struct mb_ctf_writer *w, uint64_t id, const struct mb_ctf_op *ops, uint32_t count,
			    const struct mb_ctf_range *ranges, uint32_t range_count, uint32_t variables)
{
	struct class *classes, *c;

	if (id > UINT32_MAX || mb_ctf_check_ops(ops, count, range_count, variables))
		return -EINVAL;
	classes = realloc(w->classes, (w->class_count + 1) * sizeof(*classes));
	if (!classes)
		return -ENOMEM;
	w->classes = classes;
	c = classes + w->class_count;
	*c = (struct class){ copy(ops, count, sizeof(*ops)), copy(ranges, range_count, sizeof(*ranges)),
			     calloc(variables + 1, sizeof(int64_t)), id, count, range_count, variables };
	if (!c->ops || !c->ranges || !c->variables) {
		free(c->ops);
		free(c->ranges);
		free(c->variables);
		return -ENOMEM;
	}
	return (int)w->class_count++;
}

/* The number of the new stream, or -errno. Its file is made when its first packet is written. */
int mb_ctf_writer_add_stream(struct mb_ctf_writer *w, const char *name, uint32_t stream_class, uint64_t instance,
			     int32_t cpu)
{
	struct stream *streams, *s;

	if (strnlen(name, NAME_BYTES) >= NAME_BYTES)
		return -ENAMETOOLONG;
	streams = realloc(w->streams, (w->stream_count + 1) * sizeof(*streams));
	if (!streams)
		return -ENOMEM;
	w->streams = streams;
	s = streams + w->stream_count;
	memset(s, 0, sizeof(*s));
	memcpy(s->name, name, strlen(name));
	s->stream_class = stream_class;
	s->instance = instance;
	s->cpu = cpu;
	s->file = -1;
	return (int)w->stream_count++;
}

/* Writes what is left and frees the writer. 0 or -errno of the first failure ever. */
int mb_ctf_writer_close(struct mb_ctf_writer *w, uint64_t clock)
{
	int ret = mb_ctf_writer_flush(w, clock);

	for (uint32_t i = 0; i < w->stream_count; i++) {
		if (w->streams[i].file >= 0 && close(w->streams[i].file) && !ret)
			ret = -errno;
		free(w->streams[i].packet);
	}
	for (uint32_t i = 0; i < w->class_count; i++) {
		free(w->classes[i].ops);
		free(w->classes[i].ranges);
		free(w->classes[i].variables);
	}
	close(w->folder);
	free(w->streams);
	free(w->classes);
	free(w);
	return ret;
}

uint64_t mb_ctf_writer_written(const struct mb_ctf_writer *w)
{
	return w->written;
}

uint64_t mb_ctf_writer_dropped(const struct mb_ctf_writer *w)
{
	return w->dropped;
}
