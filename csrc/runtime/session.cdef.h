struct mb_session;

enum mb_session_state {
	MB_STARTING = 0,
	MB_RUNNING = 1,
	MB_STOPPING = 2,	/* exit(): no more handlers but end */
	MB_FAILED = 3,		/* more errors than MAXERRORS: error handlers instead of end */
	MB_STOPPED = 4,
};

enum mb_status { MB_OK = 0, MB_RAISED = 1, MB_NEXT_OVERLOAD = 2, MB_ABORTED = 3 };

enum mb_kind { MB_LONG = 0, MB_STRING = 1, MB_STATISTIC = 2, MB_ARRAY = 3 };

/* What an engine can tell of a hit, in the order of bridge.ir.program.CONTEXTS. */
enum mb_context {
	MB_PID, MB_TID, MB_PPID, MB_UID, MB_EUID, MB_GID, MB_EGID, MB_CPU, MB_EXECNAME,
	MB_REALTIME, MB_MONOTONIC, MB_PGRP, MB_SID, MB_TASK, MB_PEXECNAME, MB_COMMAND,
	MB_USER_MODE,
	MB_REGISTERS,		/* as struct mb_frame has them */
	MB_KERNEL_STACK = MB_REGISTERS + 17,
	MB_MEMORY,		/* of struct mb_memory_piece */
	MB_USER_STACK,		/* struct mb_user_stack */
	MB_CONTEXTS
};

#define MB_ARGUMENT_END 037	/* between the arguments of MB_COMMAND */

enum mb_extractor { MB_COUNT, MB_SUM, MB_MIN, MB_MAX, MB_AVG, MB_VARIANCE };
enum mb_order { MB_BY_COUNT, MB_BY_SUM, MB_BY_MIN, MB_BY_MAX, MB_BY_AVG, MB_BY_VARIANCE, MB_BY_KEY, MB_BY_VALUE };
enum mb_histogram { MB_NO_HISTOGRAM = 0, MB_LOG = 1, MB_LINEAR = 2 };

enum mb_session_flag {
	MB_QUIET = 1,			/* no warnings (-w) */
	MB_REPEAT_WARNINGS = 2,		/* also those already printed (-v) */
	MB_SUPPRESS_ERRORS = 4,		/* --suppress-handler-errors */
	MB_TRACE_TIME = 8,		/* a replay: time is what the records say */
	MB_FOLDED = 16,			/* back traces are counted, not printed */
};

struct mb_limits {
	uint32_t maxstringlen;
	uint32_t maxnesting;
	int64_t maxaction;
	int64_t maxaction_interruptible;
	int64_t maxerrors;
	int64_t maxskipped;
	int32_t hist_elision;
	uint32_t maxbacktrace;
	uint32_t flags;
};

struct mb_stat_shape {
	uint32_t histogram;	/* enum mb_histogram */
	uint32_t buckets;	/* set by the session */
	uint32_t variance;	/* whether @variance is used */
	uint32_t variance_bits;
	int64_t low, high, step;
};

/* What a handler is: interruptible, as MAXACTION_INTERRUPTIBLE counts; where a function or call is left. */
enum mb_handler_flag {
	MB_INTERRUPTIBLE = 1, MB_RETURNS = 2
};

struct mb_array_shape {
	uint32_t key_count;
	uint32_t string_keys;	/* bit n: key n is a string */
	uint32_t value;		/* MB_LONG, MB_STRING, MB_STATISTIC */
	uint32_t size;
	uint32_t wrap;
	uint32_t sized;		/* whether the size was given in the script */
};

/* A piece of a format: literal text (letter 0), or a conversion. */
struct mb_piece {
	char letter;
	char flag;		/* 0 for none */
	uint8_t star_width, star_precision;
	int32_t width, precision;	/* -1 for none */
	uint32_t length;
	const char *text;
};

/* Operations of a regular expression, see csrc/runtime/regex.c: consume a byte of set x; go on at x, else at y; at x; note position x; ... */
enum mb_regex_operation {
	MB_REGEX_BYTE, MB_REGEX_SPLIT, MB_REGEX_JUMP, MB_REGEX_SAVE, MB_REGEX_START, MB_REGEX_ACCEPT
};

#define MB_REGEX_SET_BYTES 32	/* one bit for each byte; that of 0 is the end of the text */

struct mb_regex_op {
	uint32_t op, x, y;
};

struct mb_summary {
	int64_t errors, skipped, lost;
	int32_t state;
	int32_t any_error;
	int32_t output_errno;
	int32_t reserved;
};

/* --- building; these return 0 or an index, or a negative errno --- */

struct mb_session *mb_session_new(const struct mb_limits *limits, uint32_t globals);
void mb_session_free(struct mb_session *session);
int mb_session_set_long(struct mb_session *session, uint32_t global, int64_t initial);
int mb_session_set_string(struct mb_session *session, uint32_t global, const char *initial);
int mb_session_set_stat(struct mb_session *session, uint32_t global, const struct mb_stat_shape *shape);
int mb_session_set_array(struct mb_session *session, uint32_t global, const struct mb_array_shape *shape,
			 const struct mb_stat_shape *stat);
int mb_session_add_site(struct mb_session *session, const char *text);
int mb_session_add_format(struct mb_session *session, const struct mb_piece *pieces, uint32_t count);
int mb_session_add_regex(struct mb_session *session, const struct mb_regex_op *ops, uint32_t count, const uint8_t *sets,
			 uint32_t set_count, uint32_t groups);
int mb_session_add_handler(struct mb_session *session, uintptr_t run, uintptr_t condition, uint32_t flags,
			   const char *point, const char *script_point);
int mb_session_add_hook(struct mb_session *session, const uint32_t *handlers, uint32_t count, const int32_t *context);
void mb_session_hold(struct mb_session *session, uint32_t hook, uint32_t stopped);	/* `stopped`: the record's offset that says whether it was, see hold.h */
int mb_session_know(struct mb_session *session, const char *path);	/* a file whose symbols and frames back traces use */
/* Keep what processes map from now on, so that the files are known of those that have ended; take what was told of it since. */
void mb_session_watch(struct mb_session *session);
void mb_session_take_mapped(struct mb_session *session);
/* Print the back traces that were counted. */
void mb_session_print_folded(struct mb_session *session);
/* Back traces that end where the bytes do that hits bring, and those of processes that had ended. */
void mb_session_stacks(const struct mb_session *session, int64_t *cut, int64_t *gone);
int mb_session_add_timer(struct mb_session *session, uint32_t handler, uint64_t period_ns, uint64_t randomize_ns);
void mb_session_outputs(struct mb_session *session, int out, int messages);
void mb_session_watch_line(struct mb_session *session, int32_t *columns);
int mb_session_set_output_path(struct mb_session *session, const char *path);	/* for switch_file() */
void mb_session_set_target(struct mb_session *session, int64_t pid);
void mb_session_set_offset(struct mb_session *session, int64_t realtime_offset);

/* --- running --- */

/* Deliver one record to the user-placed handlers of its hook, in script order. Returns the state. */
int mb_session_dispatch(struct mb_session *session, const struct mb_record *record);

/* The same as a consumer of a ring buffer: `context` is the session; not 0 once it should stop. */
int mb_session_consume(void *context, const struct mb_record *record);

/* Run one handler (begin, end, error, timer) if its condition holds. Returns the state. */
int mb_session_run(struct mb_session *session, uint32_t handler);

/*
 * Run the handler of a file that the session serves: `text` is what was written to it, empty for a reader. What a reader gets, at most
 * `most` bytes, is mb_session_served() then, until the next call. Returns the state.
 */
int mb_session_serve(struct mb_session *session, uint32_t handler, const char *text, uint64_t length, uint64_t most);
const char *mb_session_served(const struct mb_session *session, uint64_t *length);

/* Timers count from now_ns on. The clock is CLOCK_MONOTONIC live, and the trace's time in a replay. */
void mb_session_start(struct mb_session *session, uint64_t now_ns);

/* Fire the timers that are due at or before now, in order of time. Returns the state. */
int mb_session_timers(struct mb_session *session, uint64_t now_ns);

/* When the next timer is due; UINT64_MAX if there is none. */
uint64_t mb_session_next_timer(const struct mb_session *session);

/* In a replay: the time now (nanoseconds since 1970), for handlers that run without a record. */
void mb_session_set_clock(struct mb_session *session, uint64_t now_ns);

/* All the bytes at an address, or a negative errno. */
typedef int (*mb_memory_reader)(void *context, int64_t address, char *dest, uint64_t bytes);

/* What handlers that run without a hit read the kernel's memory by; without it there is none. */
void mb_session_read_kernel_by(struct mb_session *session, mb_memory_reader reader, void *context, int64_t task);

void mb_session_stop(struct mb_session *session);
int mb_session_state(const struct mb_session *session);
void mb_session_set_state(struct mb_session *session, int state);
void mb_session_flush(struct mb_session *session);
void mb_session_warn(struct mb_session *session, const char *message);
void mb_session_note_lost(struct mb_session *session, int64_t records);
void mb_session_summary(const struct mb_session *session, struct mb_summary *summary);
uint64_t mb_session_array_bytes(const struct mb_session *session, uint32_t global);
uint32_t mb_session_array_count(const struct mb_session *session, uint32_t global);

/*
 * Additions that the kernel collected, merged into a global before a native handler touches it. `keys` are the array's keys in order, each
 * an int64_t or a pointer to a NUL-terminated string (cast to int64_t); NULL for a scalar. Entries come in order of first insertion.
 * `values` are MB_STAT_VALUES numbers; `buckets` has as many as mb_session_buckets says, or is NULL.
 * Return 0, or -1 if the array is full, which counts as an error of handler `handler` at `site`.
 */
int mb_session_add(struct mb_session *session, uint32_t global, const int64_t *keys, int64_t amount,
		   uint32_t handler, uint32_t site);
int mb_session_merge_stat(struct mb_session *session, uint32_t global, const int64_t *keys,
			  const int64_t *values, const int64_t *buckets, uint32_t handler, uint32_t site);
uint32_t mb_session_buckets(const struct mb_session *session, uint32_t global);

/* An error that a handler had in the kernel: reported and counted as if it had run here. */
void mb_session_error(struct mb_session *session, uint32_t handler, uint32_t site, const char *message);

enum mb_stat_values { MB_STAT_COUNT, MB_STAT_SUM, MB_STAT_MIN, MB_STAT_MAX, MB_STAT_VALUES };

/* --- resident globals: what user space set before arming, and what the kernel holds after disarming --- */

int mb_session_store(struct mb_session *session, uint32_t global, const int64_t *keys, int64_t value);
int mb_session_store_string(struct mb_session *session, uint32_t global, const int64_t *keys, const char *value);
uint32_t mb_session_walk(struct mb_session *session, uint32_t global, uint32_t entry, int64_t *keys, int64_t *value);
int mb_session_clear(struct mb_session *session, uint32_t global);
