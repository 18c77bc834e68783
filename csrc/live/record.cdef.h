#define MB_FAULT 0xffffffffu

struct mb_record {
	uint32_t size;		/* whole record in bytes, a multiple of 8 */
	uint32_t hook;		/* which hook was hit */
	uint64_t time_ns;	/* CLOCK_MONOTONIC live, since 1970 in a recorded trace */
	int64_t slot[];		/* one per capture; string bytes follow the last slot */
};

struct mb_string_slot {
	uint32_t offset;	/* from the start of the record; 0 if the memory could not be read */
	uint32_t length;	/* without the NUL; MB_FAULT if the memory could not be read */
};

#define MB_MEMORY_BYTES 16384	/* the most memory that a hit brings of its handlers' reads, with what says where it was */

enum mb_memory_flag {
	MB_MEMORY_ABSENT = 1,	/* it could not be read */
	MB_MEMORY_TEXT = 2,	/* up to a NUL: what is behind it does not matter */
	MB_MEMORY_CUT = 4,	/* the last piece: there was no room for more */
};

#define MB_USER_FRAMES 127	/* what perf_event_max_stack mostly allows */

/*
 * The stack of a process that does not stand still, in MB_USER_STACK: return addresses as frame pointers tell them, if they do; behind
 * it the bytes from the stack pointer on.
 */
struct mb_user_stack {
	int64_t frame_bytes;	/* of `frame`; negative: there are none */
	uint64_t absent;	/* bit n: nothing is known of the page n after that of the stack pointer; its bytes are 0 */
	uint64_t frame[MB_USER_FRAMES];
};

/* Memory as it was at the hit: in MB_MEMORY, with `length` bytes behind it, padded to 8. */
struct mb_memory_piece {
	uint64_t address;
	uint32_t length;
	uint32_t flags;
};
