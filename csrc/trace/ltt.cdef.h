/* How the fields of one event lie in its payload: a small program of these, in order of declaration. */
struct mb_ltt_op {
	uint8_t kind;		/* MB_LTT_INT .. */
	uint8_t size;		/* bytes of an INT or REAL */
	uint8_t align;		/* pad to this first, counted from the start of the payload; 1 is none */
	uint8_t flags;		/* MB_LTT_SIGNED .. */
	uint32_t count;		/* LOOP: how often; BLOB: slot that holds the length; UNION: its size */
	uint32_t body;		/* LOOP, UNION: how many following ops belong to it */
};

struct mb_ltt_class {
	uint32_t first;		/* its ops */
	uint32_t count;
	uint32_t align;		/* the payload starts on a multiple of this */
	int32_t fixed;		/* payload bytes, -1 if they depend on the content */
	uint32_t flags;		/* MB_LTT_HAS_TEXT .. */
};

/* What a reader must know of one file: from its first block and the description of the trace. */
struct mb_ltt_layout {
	uint32_t kind;		/* MB_LTT_M2 .. */
	uint32_t big;		/* bytes are in big endian order */
	uint32_t header_bytes;	/* of a block */
	uint32_t magic_at;
	uint32_t magic;
	uint32_t begin_at;	/* cycle counts, u64 */
	uint32_t end_at;
	uint32_t size_at;	/* u32: size of the block */
	uint32_t used_at;	/* u32: bytes used, or unused bytes at the end */
	uint32_t used_is_lost;
	uint32_t lost_at;	/* u32 cumulative lost events; MB_LTT_NONE */
	uint32_t corrupt_at;
	uint32_t block_bytes;	/* size of every block; 0: each block says its own */
	uint32_t head_align;	/* of an event header */
	uint32_t tsc_align;	/* M2: of the u64 in a full header */
	uint32_t arch_align;	/* F, M1: of what follows the event header */
	uint32_t long_time;	/* F, M1: events carry 64 bits of time */
	uint32_t lsb;		/* compact: truncated bits of the clock */
	uint32_t tscbits;
	uint32_t eventbits;
	uint32_t facility;
	uint32_t log_cpu;	/* K: events start with the CPU */
	uint32_t use_tsc;	/* K: times are low clock values, not microseconds */
	uint32_t first_at;	/* where the first block starts */
	uint32_t time_mode;	/* MB_LTT_TIME_.. */
	uint32_t time_at;	/* INTERPOLATE: begin time in the header */
	uint32_t end_time_at;
	uint32_t time_bytes;	/* width of its seconds and of its microseconds */
	uint32_t unknown_empty;	/* an event without description and size has no payload */
	uint64_t start_tsc;
	double freq;
	double scale;
};

struct mb_ltt_event {
	uint64_t tsc;
	uint64_t time_ns;
	uint32_t stream;
	uint32_t class_index;	/* MB_LTT_NONE: not described, skipped by its size */
	uint32_t id;
	uint32_t size;		/* of the payload */
	uint32_t block;
	uint32_t offset;	/* in the block, where the event before ended */
	uint32_t slot;		/* its first slot */
	uint32_t slots;
	uint64_t bytes;		/* where its payload was copied to */
};

struct mb_ltt_totals {
	uint64_t events;
	uint64_t first_ns;
	uint64_t last_ns;
	uint64_t first_tsc;
	uint64_t last_tsc;
	uint64_t blocks;
	uint64_t damaged;
	uint32_t lost;
	uint32_t corrupt;
};

struct mb_ltt_damage {
	uint64_t byte;		/* in the file */
	uint64_t block;
	uint32_t stream;
	uint32_t code;		/* MB_LTT_BAD_.. */
	uint32_t id;		/* of the event, where there is one */
	uint32_t size;
};

enum mb_ltt_constants {
	MB_LTT_M2 = 1, MB_LTT_F = 2, MB_LTT_M1 = 3, MB_LTT_COMPACT_F = 4, MB_LTT_COMPACT_M1 = 5,
	MB_LTT_X = 6, MB_LTT_K = 7,

	MB_LTT_INT = 1, MB_LTT_REAL = 2, MB_LTT_TEXT = 3, MB_LTT_LOOP = 4, MB_LTT_ALIGN = 5,
	MB_LTT_UNION = 6, MB_LTT_REWIND = 7, MB_LTT_BLOB = 8,

	MB_LTT_SIGNED = 1, MB_LTT_BIG = 2, MB_LTT_DYNAMIC = 4, MB_LTT_NAME = 8,

	MB_LTT_HAS_TEXT = 1, MB_LTT_SETS_TSC = 2, MB_LTT_FIRST_IN_HEADER = 4, MB_LTT_UNWANTED = 8,

	MB_LTT_TIME_KHZ = 1, MB_LTT_TIME_MULTIPLY = 2, MB_LTT_TIME_DIVIDE = 3, MB_LTT_TIME_ABSOLUTE = 4,
	MB_LTT_TIME_INTERPOLATE = 5,

	MB_LTT_BAD_MAGIC = 1, MB_LTT_BAD_SIZE = 2, MB_LTT_BAD_EVENT = 3, MB_LTT_BAD_ID = 4,
	MB_LTT_BAD_LENGTH = 5, MB_LTT_CUT = 6, MB_LTT_UNCLOSED = 7,

	MB_LTT_WITH_FIELDS = 1, MB_LTT_WITH_PAYLOAD = 2,

	MB_LTT_FULL = 0x70000000
};

struct mb_ltt_cursor;

struct mb_ltt_cursor *mb_ltt_open(void);
void mb_ltt_close(struct mb_ltt_cursor *cursor);
int mb_ltt_add_stream(struct mb_ltt_cursor *cursor, const char *path, const struct mb_ltt_layout *layout,
		      const uint32_t *ids, uint32_t id_count);
int mb_ltt_set_classes(struct mb_ltt_cursor *cursor, const struct mb_ltt_class *classes, uint32_t class_count,
		       const struct mb_ltt_op *ops, uint32_t op_count);
void mb_ltt_set_range(struct mb_ltt_cursor *cursor, uint64_t begin_ns, uint64_t end_ns);
void mb_ltt_rewind(struct mb_ltt_cursor *cursor);
int64_t mb_ltt_next(struct mb_ltt_cursor *cursor, uint32_t what, struct mb_ltt_event *events, uint32_t max_events,
		    int64_t *slots, uint32_t max_slots, uint8_t *bytes, uint64_t max_bytes);
int64_t mb_ltt_count(struct mb_ltt_cursor *cursor, uint64_t *counts, struct mb_ltt_totals *totals);
uint32_t mb_ltt_damages(struct mb_ltt_cursor *cursor, struct mb_ltt_damage *damages, uint32_t max);
int mb_ltt_pending(struct mb_ltt_cursor *cursor);
int mb_ltt_totals(struct mb_ltt_cursor *cursor, uint32_t stream, struct mb_ltt_totals *totals);
uint64_t mb_ltt_time(const struct mb_ltt_layout *layout, uint64_t tsc);

/* A file being written: blocks of one size or closed at the next page, headers patched into a template. */
struct mb_ltt_writer;

struct mb_ltt_route {
	struct mb_ltt_writer **writers;
	uint32_t writer_count;
	uint32_t stream_count;
	uint32_t class_count;
	const uint32_t *files;		/* by stream and class */
	const uint32_t *classes;	/* by class */
	const uint32_t *ids;
};

struct mb_ltt_writer *mb_ltt_create(const char *path, const struct mb_ltt_layout *layout, const uint8_t *header,
				    uint32_t block_bytes, uint32_t page_bytes, uint64_t begin_tsc);
int mb_ltt_write_classes(struct mb_ltt_writer *writer, const struct mb_ltt_class *classes, uint32_t class_count,
			 const struct mb_ltt_op *ops, uint32_t op_count);
int mb_ltt_write(struct mb_ltt_writer *writer, uint32_t class_index, uint32_t id, uint64_t tsc,
		 const int64_t *slots, uint32_t slot_count, const uint8_t *bytes, uint64_t byte_count);
int64_t mb_ltt_write_batch(const struct mb_ltt_route *route, const struct mb_ltt_event *events, uint32_t event_count,
			   const int64_t *slots, uint32_t slot_count, const uint8_t *bytes, uint64_t byte_count);
void mb_ltt_write_lost(struct mb_ltt_writer *writer, uint32_t lost);
int mb_ltt_switch(struct mb_ltt_writer *writer, uint64_t tsc);
int mb_ltt_flush(struct mb_ltt_writer *writer, uint64_t tsc);
int mb_ltt_finish(struct mb_ltt_writer *writer, uint64_t end_tsc);
