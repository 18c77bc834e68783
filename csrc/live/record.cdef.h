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
