/* A recorded field: where it is in a record of its hook. */
struct mb_recorder_field {
	uint32_t slot;
	uint32_t kind;		/* MB_RECORDER_.. */
};

/* An event that a hit is recorded as. The first rows are those of the hooks by their numbers. */
struct mb_recorder_hook {
	uint32_t first;		/* fields: those of the event context, then those of the payload */
	uint32_t count;
	uint32_t cpu_slot;	/* MB_RECORDER_NONE: everything goes into the stream of CPU 0 */
	uint32_t event_class;	/* CTF: of hits without faults; the next class is for hits with some */
	uint32_t next;		/* the row of another event of the same hit, a later one; MB_RECORDER_NONE */
};

enum mb_recorder_constants {
	MB_RECORDER_LONG = 1,		/* a slot */
	MB_RECORDER_CHECKED = 2,	/* a slot and its status */
	MB_RECORDER_TEXT = 3,		/* a string slot */
	MB_RECORDER_FIELDS = 1024,	/* of a hook, at most */
	MB_RECORDER_NONE = 0x7fffffff
};

struct mb_recorder;
struct mb_ctf_writer;
struct mb_ltt_route;

struct mb_recorder *mb_recorder_create(struct mb_ctf_writer *writer, const struct mb_recorder_hook *hooks,
				       uint32_t hook_count, const struct mb_recorder_field *fields,
				       uint32_t field_count, uint32_t cpus);
struct mb_recorder *mb_recorder_create_ltt(const struct mb_ltt_route *route, const struct mb_recorder_hook *hooks,
					   uint32_t hook_count, const struct mb_recorder_field *fields,
					   uint32_t field_count);
int mb_recorder_write(void *recorder, const struct mb_record *record);
void mb_recorder_lost(struct mb_recorder *recorder, int32_t cpu, uint64_t total);
int mb_recorder_flush(struct mb_recorder *recorder);
int mb_recorder_close(struct mb_recorder *recorder, uint64_t now_ns);
uint64_t mb_recorder_written(const struct mb_recorder *recorder);
uint64_t mb_recorder_dropped(const struct mb_recorder *recorder);
uint64_t mb_recorder_unreadable(const struct mb_recorder *recorder);
uint64_t mb_recorder_last(const struct mb_recorder *recorder);
