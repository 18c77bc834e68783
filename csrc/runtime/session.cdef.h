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
	uint32_t histogram;
	uint32_t buckets;
	uint32_t variance;
	uint32_t variance_bits;
	int64_t low, high, step;
};
struct mb_array_shape {
	uint32_t key_count;
	uint32_t string_keys;
	uint32_t value;
	uint32_t size;
	uint32_t wrap;
	uint32_t sized;
};
struct mb_piece {
	char letter;
	char flag;
	uint8_t star_width, star_precision;
	int32_t width, precision;
	uint32_t length;
	const char *text;
};
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
void *mb_session_new(const struct mb_limits *limits, uint32_t globals);
void mb_session_free(void *session);
int mb_session_set_long(void *session, uint32_t global, int64_t initial);
int mb_session_set_string(void *session, uint32_t global, const char *initial);
int mb_session_set_stat(void *session, uint32_t global, const struct mb_stat_shape *shape);
int mb_session_set_array(void *session, uint32_t global, const struct mb_array_shape *shape,
			 const struct mb_stat_shape *stat);
int mb_session_add_site(void *session, const char *text);
int mb_session_add_format(void *session, const struct mb_piece *pieces, uint32_t count);
int mb_session_add_regex(void *session, const struct mb_regex_op *ops, uint32_t count, const uint8_t *sets,
			 uint32_t set_count, uint32_t groups);
int mb_session_add_handler(void *session, uintptr_t run, uintptr_t condition, int interruptible,
			   const char *point, const char *script_point);
int mb_session_add_hook(void *session, const uint32_t *handlers, uint32_t count, const int32_t *context);
void mb_session_hold(struct mb_session *session, uint32_t hook, uint32_t stopped);
int mb_session_know(struct mb_session *session, const char *path);
int mb_session_add_timer(void *session, uint32_t handler, uint64_t period_ns, uint64_t randomize_ns);
void mb_session_outputs(void *session, int out, int messages);
void mb_session_watch_line(void *session, int32_t *columns);
int mb_session_set_output_path(void *session, const char *path);
void mb_session_set_target(void *session, int64_t pid);
void mb_session_set_offset(void *session, int64_t realtime_offset);
int mb_session_dispatch(void *session, const void *record);
int mb_session_consume(void *context, const void *record);
int mb_session_run(void *session, uint32_t handler);
int mb_session_condition(void *session, uint32_t handler);
void mb_session_start(void *session, uint64_t now_ns);
int mb_session_timers(void *session, uint64_t now_ns);
uint64_t mb_session_next_timer(const void *session);
void mb_session_set_clock(void *session, uint64_t now_ns);
void mb_session_stop(void *session);
int mb_session_state(const void *session);
void mb_session_set_state(void *session, int state);
void mb_session_flush(void *session);
void mb_session_print(void *session, const char *bytes, uint64_t length);
void mb_session_warn(void *session, const char *message);
void mb_session_note_lost(void *session, int64_t records);
void mb_session_summary(const void *session, struct mb_summary *summary);
uint64_t mb_session_array_bytes(const void *session, uint32_t global);
uint32_t mb_session_array_count(const void *session, uint32_t global);
int mb_session_add(void *session, uint32_t global, const int64_t *keys, int64_t amount,
		   uint32_t handler, uint32_t site);
int mb_session_merge_stat(void *session, uint32_t global, const int64_t *keys,
			  const int64_t *values, const int64_t *buckets, uint32_t handler, uint32_t site);
uint32_t mb_session_buckets(const void *session, uint32_t global);
void mb_session_error(void *session, uint32_t handler, uint32_t site, const char *message);
int mb_session_store(void *session, uint32_t global, const int64_t *keys, int64_t value);
int mb_session_store_string(void *session, uint32_t global, const int64_t *keys, const char *value);
uint32_t mb_session_walk(void *session, uint32_t global, uint32_t entry, int64_t *keys, int64_t *value);
int mb_session_clear(void *session, uint32_t global);
