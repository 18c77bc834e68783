struct mb_events;

enum mb_events_kind {
	MB_EVENTS_LONG = 1,	/* a slot */
	MB_EVENTS_CHECKED = 2,	/* a slot and its status */
	MB_EVENTS_TEXT = 3,	/* a string slot */
};

/* What to take out of the records of a hook: one value of each goes to `values`, `width` bytes apart. */
struct mb_column {
	uint32_t slot;
	uint32_t kind;		/* enum mb_events_kind */
	uint64_t width;		/* 8 of a number; of a text: bytes, filled up with NULs */
	void *values;
	uint8_t *unreadable;	/* or NULL: 1 where the memory could not be read */
};

struct mb_events *mb_events_new(uint64_t bytes, int wake);
void mb_events_free(struct mb_events *events);
int mb_events_add(void *events, const struct mb_record *record);
const void *mb_events_take(struct mb_events *events, uint64_t *bytes);
uint64_t mb_events_dropped(struct mb_events *events);

/* How many records of a hook there are in a taken piece; the width of a column of texts becomes that of the longest. */
uint64_t mb_events_count(const void *records, uint64_t bytes, uint32_t hook, struct mb_column *columns, uint32_t count);
uint64_t mb_events_fill(const void *records, uint64_t bytes, uint32_t hook, const struct mb_column *columns, uint32_t count);
