/*
 * How the fields of a scope lie in a stream: a program of these, in order of declaration. Values travel as a flat row of slots, in
 * the same order: a number is one slot (a real number its double), text is two (pointer, length), an array its elements, a sequence
 * its length and its elements, a variant the number of the option and what the option holds (an optional field: 0, or 1 and the field).
 */
struct mb_ctf_op {
	uint8_t kind;		/* MB_CTF_INT .. */
	uint8_t flags;		/* MB_CTF_SIGNED .. */
	uint16_t bits;		/* INT, REAL: size; TEXT: that of a character (0: 8) */
	uint32_t align;		/* in bits, a power of 2; 1 is none */
	uint32_t count;		/* ARRAY, BLOB: elements; VARIANT: options; OPTION: ranges */
	uint32_t source;	/* SEQUENCE, BYTES, VARIANT: variable with the length or tag; OPTION: first range; INT: clock */
	uint32_t body;		/* ARRAY, SEQUENCE, VARIANT, OPTION: how many following ops belong to it */
	int32_t store;		/* variable that gets the value (of text: the pointer; the next gets the length), or -1 */
	uint32_t roles;		/* 1 << MB_CTF_ROLE_.. */
};

/* Values of a tag that select an option: signed or unsigned as the tag is. */
struct mb_ctf_range {
	int64_t low;
	int64_t high;
};

/* A stretch of the ops. */
struct mb_ctf_scope {
	uint32_t first;
	uint32_t count;
};

struct mb_ctf_event_class {
	uint64_t id;
	uint32_t stream_class;
	struct mb_ctf_scope context;
	struct mb_ctf_scope payload;
};

struct mb_ctf_stream_class {
	uint64_t id;
	struct mb_ctf_scope packet_context;
	struct mb_ctf_scope event_header;
	struct mb_ctf_scope event_context;
	uint32_t clock;		/* MB_CTF_NONE */
};

/* ns since the origin = offset_s * 10^9 + (offset + value) * 10^9 / frequency, as babeltrace2 rounds it. */
struct mb_ctf_clock {
	uint64_t frequency;
	int64_t offset_s;
	uint64_t offset;
};

/* What a reader must know of a trace. */
struct mb_ctf_description {
	const struct mb_ctf_op *ops;
	uint32_t op_count;
	const struct mb_ctf_range *ranges;
	uint32_t range_count;
	const struct mb_ctf_stream_class *stream_classes;
	uint32_t stream_class_count;
	const struct mb_ctf_event_class *event_classes;
	uint32_t event_class_count;
	const struct mb_ctf_clock *clocks;
	uint32_t clock_count;
	struct mb_ctf_scope packet_header;
	uint32_t big;		/* byte order of the trace */
	uint32_t variables;
	uint32_t has_uuid;
	uint8_t uuid[16];
};

struct mb_ctf_event {
	uint64_t clock;		/* raw value */
	int64_t time_ns;	/* since the clock's origin */
	uint32_t stream;
	uint32_t event_class;	/* its index */
	uint64_t packet;	/* where its packet starts in the file */
	uint32_t slot;		/* its first slot: context of the stream, of the event, payload */
	uint32_t slots;
	int32_t cpu;		/* -1 if unknown */
};

struct mb_ctf_totals {
	uint64_t events;
	uint64_t packets;
	uint64_t lost;
	uint64_t damaged;
	int64_t first_ns;
	int64_t last_ns;
};

/* Something wrong, or lost, in a stream. */
struct mb_ctf_note {
	uint64_t byte;		/* in the file */
	uint64_t packet;
	uint64_t value;		/* what was found, or how many events were lost */
	int64_t begin_ns;	/* LOST: the packets before and of the count */
	int64_t end_ns;
	uint32_t stream;
	uint32_t code;		/* MB_CTF_BAD_.., MB_CTF_LOST */
};

enum mb_ctf_constants {
	MB_CTF_INT = 1, MB_CTF_REAL = 2, MB_CTF_TEXT = 3, MB_CTF_ARRAY = 4, MB_CTF_SEQUENCE = 5, MB_CTF_BLOB = 6,
	MB_CTF_BYTES = 7, MB_CTF_VARIANT = 8, MB_CTF_OPTION = 9, MB_CTF_ALIGN = 10,
	MB_CTF_LEB = 11,	/* a number of as many bytes as it needs (LEB128) */

	MB_CTF_SIGNED = 1, MB_CTF_BIG = 2, MB_CTF_CLOCK = 4, MB_CTF_BOOL = 8,
	MB_CTF_KEEP = 16,	/* BLOB: NULs at the end are no padding */
	MB_CTF_REVERSED = 32,	/* INT, REAL: the last bit is the lowest */
	MB_CTF_OPTIONAL = 64,	/* VARIANT: one option, or nothing */

	MB_CTF_ROLE_MAGIC = 1, MB_CTF_ROLE_UUID = 2, MB_CTF_ROLE_STREAM = 3, MB_CTF_ROLE_INSTANCE = 4,
	MB_CTF_ROLE_BEGIN = 5, MB_CTF_ROLE_END = 6, MB_CTF_ROLE_CONTENT = 7, MB_CTF_ROLE_PACKET = 8,
	MB_CTF_ROLE_SEQUENCE = 9, MB_CTF_ROLE_DISCARDED = 10, MB_CTF_ROLE_CPU = 11, MB_CTF_ROLE_ID = 12,
	MB_CTF_ROLES = 13,

	MB_CTF_BAD_MAGIC = 1, MB_CTF_BAD_UUID = 2, MB_CTF_BAD_STREAM = 3, MB_CTF_BAD_SIZE = 4, MB_CTF_BAD_EVENT = 5,
	MB_CTF_BAD_ID = 6, MB_CTF_BAD_CUT = 7, MB_CTF_BAD_TAG = 8, MB_CTF_BAD_ORDER = 9, MB_CTF_BAD_HEADER = 10,
	MB_CTF_BAD_BYTE_ORDER = 11, MB_CTF_BAD_NUMBER = 12,
	MB_CTF_LOST = 20, MB_CTF_GAP = 21,

	MB_CTF_FULL = 100,
	MB_CTF_NONE = 0x7fffffff
};

/* --- writing: little-endian, packets of a bounded size, event headers as LTTng's large ones --- */

struct mb_ctf_writer;

/* Where events that were read are written. What is not known yet, or not written as it was read, is -1. */
struct mb_ctf_route {
	int32_t *classes;	/* two for each class that is read: of events whose CPU is known, and of others */
	int32_t *streams;	/* for each stream that is read, while its CPU is that in `cpus` */
	int32_t *cpus;
	uint32_t class_count;
	uint32_t stream_count;
	uint32_t by_clock;	/* times are values of the clock, not ns */
	uint64_t moved;		/* events that got the time of the one before them */
};

/* Before the bytes of an event that was encoded elsewhere; rows follow each other without padding. */
struct mb_ctf_row {
	uint32_t clock_low;
	uint32_t clock_high;
	uint32_t stream;
	uint32_t event_class;
	uint32_t size;
};

struct mb_ctf_writer *mb_ctf_writer_create(const char *folder, const uint8_t *uuid, uint32_t packet_bytes);
int mb_ctf_writer_add_class(struct mb_ctf_writer *writer, uint64_t id, const struct mb_ctf_op *ops, uint32_t count,
			    const struct mb_ctf_range *ranges, uint32_t range_count, uint32_t variables);
int mb_ctf_writer_add_stream(struct mb_ctf_writer *writer, const char *name, uint32_t stream_class, uint64_t instance,
			     int32_t cpu);
int mb_ctf_write(struct mb_ctf_writer *writer, uint32_t stream, uint32_t event_class, uint64_t clock,
		 const int64_t *slots, uint32_t slot_count);
int mb_ctf_write_rows(struct mb_ctf_writer *writer, const uint8_t *rows, uint64_t bytes);
int64_t mb_ctf_copy(struct mb_ctf_writer *writer, struct mb_ctf_route *route, const struct mb_ctf_event *events, uint32_t count,
		    const int64_t *slots);
uint64_t mb_ctf_writer_last(const struct mb_ctf_writer *writer, uint32_t stream);
void mb_ctf_writer_lost(struct mb_ctf_writer *writer, uint32_t stream, uint64_t total);
int mb_ctf_writer_mark(struct mb_ctf_writer *writer, uint32_t stream, uint64_t clock);
int mb_ctf_writer_flush(struct mb_ctf_writer *writer, uint64_t clock);
int mb_ctf_writer_close(struct mb_ctf_writer *writer, uint64_t clock);
uint64_t mb_ctf_writer_written(const struct mb_ctf_writer *writer);
uint64_t mb_ctf_writer_dropped(const struct mb_ctf_writer *writer);

/* --- reading: one cursor over all streams of a trace, in order of time --- */

struct mb_ctf_cursor;

struct mb_ctf_cursor *mb_ctf_open(const struct mb_ctf_description *description);
void mb_ctf_close(struct mb_ctf_cursor *cursor);
int mb_ctf_add_stream(struct mb_ctf_cursor *cursor, const char *path);
void mb_ctf_set_range(struct mb_ctf_cursor *cursor, int64_t begin_ns, int64_t end_ns);
void mb_ctf_without_quick(struct mb_ctf_cursor *cursor);
void mb_ctf_probe(struct mb_ctf_cursor *cursor);
void mb_ctf_rank(struct mb_ctf_cursor *cursor, uint32_t stream, uint32_t rank);
void mb_ctf_want(struct mb_ctf_cursor *cursor, uint32_t event_class, uint32_t wanted);
void mb_ctf_want_stream(struct mb_ctf_cursor *cursor, uint32_t stream, uint32_t wanted);
int64_t mb_ctf_packets(struct mb_ctf_cursor *cursor, uint32_t stream, uint64_t *places, uint32_t max);
int mb_ctf_skip(struct mb_ctf_cursor *cursor, uint32_t stream, const uint64_t *packets, uint32_t count);
void mb_ctf_rewind(struct mb_ctf_cursor *cursor);
int64_t mb_ctf_next(struct mb_ctf_cursor *cursor, struct mb_ctf_event *events, uint32_t max_events, int64_t *slots,
		    uint32_t max_slots);
int64_t mb_ctf_packet_context(struct mb_ctf_cursor *cursor, uint32_t stream, uint64_t packet, int64_t *slots,
			      uint32_t max_slots);
int64_t mb_ctf_count(struct mb_ctf_cursor *cursor, uint64_t *counts);
int64_t mb_ctf_end_ns(struct mb_ctf_cursor *cursor);
int mb_ctf_totals(struct mb_ctf_cursor *cursor, uint32_t stream, struct mb_ctf_totals *totals);
uint32_t mb_ctf_notes(struct mb_ctf_cursor *cursor, struct mb_ctf_note *notes, uint32_t max);
int mb_ctf_stream_class_of(struct mb_ctf_cursor *cursor, uint32_t stream);
const uint8_t *mb_ctf_mapped(struct mb_ctf_cursor *cursor, uint32_t stream, uint64_t *bytes);
int64_t mb_ctf_instance_of(struct mb_ctf_cursor *cursor, uint32_t stream);
int64_t mb_ctf_time(const struct mb_ctf_clock *clock, uint64_t value);
