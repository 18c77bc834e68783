struct mb_array;

#define MB_MAX_KEYS 9
#define MB_MAX_BUCKETS 128
#define MB_MAX_GROUPS 128
#define MB_REGEX_OPS 4096
#define MB_NO_SITE 0xffffffffu	/* of an error that belongs to no place in the script */

/* What compiled handlers look at themselves: the head of a session. */
struct mb_session_head {
	int64_t actions;		/* statements that the handler may still execute */
	int64_t *globals;		/* a value, or a pointer */
	int32_t raised;			/* MB_RAISED, MB_ABORTED */
	uint32_t nesting;
};

struct mb_entry {
	uint32_t next, previous;	/* the list in order; entry 0 is its head */
	uint32_t chain;			/* next with the same bucket; also the list of free entries */
	uint32_t hash;
	int64_t slot[];			/* keys, then the value */
};

struct mb_iterator {
	struct mb_array *array;
	int64_t remaining;	/* of `limit` */
	uint32_t at;		/* the entry that was given last, 0 before the first */
	uint32_t mask;		/* which slices are given */
	int64_t slices[MB_MAX_KEYS];
};

int32_t mb_raise(struct mb_session *session, uint32_t site, const char *message);
void mb_error_called(struct mb_session *session, uint32_t site);
int32_t mb_raise_actions(struct mb_session *session, uint32_t site);
void mb_caught(struct mb_session *session, char *dest);
char *mb_enter(struct mb_session *session, uint64_t bytes, uint32_t site);
char *mb_enter_handler(struct mb_session *session, uint64_t bytes);
void mb_leave(struct mb_session *session, char *frame);
const char *mb_capture_string(struct mb_session *session, const struct mb_record *record, uint32_t offset, char *buffer);
int32_t mb_raise_fault(struct mb_session *session, uint32_t site, const char *what, int64_t address);
void mb_clear_global(struct mb_session *session, uint32_t global);
int64_t mb_match(struct mb_session *session, const char *text, uint32_t regex);
int64_t mb_context_long(struct mb_session *session, uint32_t which);
void mb_context_string(struct mb_session *session, uint32_t which, char *dest);
int64_t mb_record_realtime(const struct mb_session *session, const struct mb_record *record);
void mb_string_copy(const struct mb_session *session, char *dest, const char *source);
void mb_string_concat(struct mb_session *session, char *dest, const int64_t *parts, uint32_t count);
int64_t mb_array_get_long(const struct mb_array *array, const int64_t *keys);
const char *mb_array_get_string(const struct mb_array *array, const int64_t *keys);
int32_t mb_array_set_long(struct mb_session *session, struct mb_array *array, const int64_t *keys, int64_t value, uint32_t site);
int32_t mb_array_set_string(struct mb_session *session, struct mb_array *array, const int64_t *keys, const char *value, uint32_t site);
int32_t mb_array_add(struct mb_session *session, struct mb_array *array, const int64_t *keys, int64_t amount, uint32_t site);
int64_t mb_array_has(const struct mb_array *array, const int64_t *keys, uint32_t mask);
void mb_array_delete(struct mb_array *array, const int64_t *keys, uint32_t mask);
void mb_array_sort(struct mb_array *array, uint32_t by, uint32_t key, int descending, int has_limit, int64_t limit);
void mb_iterate(struct mb_iterator *iterator, struct mb_array *array, int has_limit, int64_t limit, uint32_t mask);
struct mb_entry *mb_iterate_next(struct mb_iterator *iterator);
int32_t mb_stat_add_entry(struct mb_session *session, struct mb_array *array, const int64_t *keys, int64_t value, uint32_t site);
int32_t mb_stat_add_global(struct mb_session *session, uint32_t global, int64_t value);
int32_t mb_stat_get(struct mb_session *session, uint32_t global, const int64_t *keys, uint32_t op, int64_t *result, uint32_t site);
int32_t mb_histogram_get(struct mb_session *session, uint32_t global, const int64_t *keys, int64_t bucket, int64_t *result, uint32_t site);
int32_t mb_histogram_print(struct mb_session *session, uint32_t global, const int64_t *keys, uint32_t site);
int32_t mb_histogram_string(struct mb_session *session, uint32_t global, const int64_t *keys, char *dest, uint32_t site);
int32_t mb_print(struct mb_session *session, uint32_t format, const int64_t *arguments, uint32_t site);
int32_t mb_sprint(struct mb_session *session, char *dest, uint32_t format, const int64_t *arguments, uint32_t site);
