#define MB_START_HOOK 0xffffffffu	/* of records that no script asked for: struct mb_start */

/* A semaphore in a file. */
struct mb_semaphore {
	uint32_t file;		/* which, by the number in mb_start */
	uint32_t probes;	/* how many uprobes of ours count it up */
	uint64_t address;	/* link-time */
};

/* A process begins to run a file; behind the header of a record. */
struct mb_start {
	int64_t pid;
	uint64_t bias;
	uint64_t file;
	int64_t stopped;	/* enum mb_hold */
};
