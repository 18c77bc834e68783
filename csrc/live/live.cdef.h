/* Where records go. */
struct mb_live {
	void *session;
	void *recorder;		/* or NULL */
	void *events;		/* or NULL: struct mb_events, for who reads hits as they come */
	int32_t failure;	/* out: the first -errno of the recorder */
	int32_t only_record;	/* whether handlers are done, and records only go into the trace */
	uint64_t last_ns;	/* the time of the last record, once in order */
	struct mb_record *moved;	/* a copy of one record, to change its time */
	uint64_t moved_bytes;
	int32_t held_map;	/* of mb_hold; -1: no hook holds */
	int64_t *beat;		/* where programs see that somebody takes care */
	const int64_t *seats;	/* or NULL: the two guards' process ids; without any the consumer comes back */
	struct mb_wake *wake[2];	/* or NULL: who is told when we die, and when the guards do */
	int32_t unheld;	/* out: hits whose process did not stand still */
	const struct mb_semaphore *semaphore;	/* that are counted up by us */
	uint32_t semaphore_count;
	int32_t late;		/* out: processes that ran on while theirs were counted up */
	int32_t uncounted;	/* out: processes whose semaphores could not be written */
};

/* A global in a kernel map: see bridge/codegen/bpf/globals.py for its entries. */
struct mb_kernel_map {
	int32_t map;
	uint32_t variable;
	uint32_t is_array;
	uint32_t is_statistic;
	uint32_t is_string;	/* whether values are strings */
	uint32_t key_count;
	uint32_t string_keys;	/* bit n: key n is a string */
	uint32_t key_bytes;
	uint32_t value_bytes;
	uint32_t string_bytes;	/* how much a string takes */
	uint32_t entries;
	uint32_t handler;	/* whom an error is charged to, and where */
	uint32_t site;
	const void *initial;	/* what an emptied scalar becomes */
};

/* Wait until a process that a hit has stopped stands still, as mb_hold_wait; if we die meanwhile, it goes on. */
int mb_live_wait(struct mb_live *live, int64_t pid);
int mb_live_consume(void *context, const struct mb_record *record);

/* Release what the consumer allocated; `live` itself is the caller's. */
void mb_live_free(struct mb_live *live);

/* Whether values of a global are added to the session's, or replace them, or do that and stay in the kernel, too. */
enum mb_residence { MB_ACCUMULATED = 0, MB_RESIDENT = 1, MB_KEEP = 2 };
int64_t mb_kernel_map_drain(const struct mb_kernel_map *map, void *session, int resident);
int64_t mb_kernel_map_fill(const struct mb_kernel_map *map, void *session, int64_t first_sequence);
