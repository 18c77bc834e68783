/* How a slot of a record is made from a recorded event. */
struct mb_replay_step {
	uint32_t kind;		/* MB_REPLAY_LONG .. */
	uint32_t slot;
	uint32_t a;		/* LONG, TEXT: variable; OP: slot of the left side */
	uint32_t b;		/* OP: slot of the right side */
	int64_t value;		/* CONSTANT; OP: which; TEXT: longest length */
	uint32_t fault;		/* variable with the bits of what could not be read, MB_REPLAY_NONE */
	uint32_t fault_bit;
};

/* A hook at an event class. Records have `slots` slots; steps may use more for what is in between. */
struct mb_replay_binding {
	uint32_t event_class;
	uint32_t hook;
	uint32_t first;
	uint32_t count;
	uint32_t slots;
	uint32_t scratch;	/* slots of all steps together */
	uint32_t pid_variable;	/* only hits of this process count; MB_REPLAY_NONE: all */
	int64_t pid;
};

/* An event that was decoded elsewhere. Its variables are `count` words from `first` on; of a text the first word is where it is
 * in the batch's bytes, the second its length. */
struct mb_replay_row {
	int64_t time_ns;
	int64_t clock;
	uint32_t event_class;
	uint32_t first;
	uint32_t count;
	int32_t cpu;
};

/* The variables and texts of some rows. */
struct mb_replay_batch {
	const struct mb_replay_row *rows;
	const int64_t *variables;
	const uint8_t *texts;
	uint64_t variable_count;
	uint64_t text_bytes;
	uint32_t count;
};

enum mb_replay_constants {
	MB_REPLAY_LONG = 1, MB_REPLAY_CONSTANT = 2, MB_REPLAY_TEXT = 3, MB_REPLAY_STATUS = 4, MB_REPLAY_REALTIME = 5,
	MB_REPLAY_MONOTONIC = 6, MB_REPLAY_CPU = 7, MB_REPLAY_OP = 8,

	MB_REPLAY_ADD = 1, MB_REPLAY_SUBTRACT = 2, MB_REPLAY_MULTIPLY = 3, MB_REPLAY_AND = 4, MB_REPLAY_OR = 5,
	MB_REPLAY_XOR = 6, MB_REPLAY_LEFT = 7, MB_REPLAY_RIGHT = 8, MB_REPLAY_UNSIGNED_RIGHT = 9,

	MB_REPLAY_NONE = 0x7fffffff
};

struct mb_replay;

struct mb_replay *mb_replay_new(struct mb_ctf_cursor *cursor, void *session,
				const struct mb_replay_binding *bindings, uint32_t binding_count,
				const struct mb_replay_step *steps, uint32_t step_count);
void mb_replay_free(struct mb_replay *replay);
int mb_replay_first(struct mb_replay *replay, int64_t *time_ns);
int mb_replay_run(struct mb_replay *replay, uint64_t limit);
int mb_replay_rows(struct mb_replay *replay, const struct mb_replay_batch *batch);
int64_t mb_replay_now(const struct mb_replay *replay);
uint64_t mb_replay_records(const struct mb_replay *replay);
