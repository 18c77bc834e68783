#define MB_KERNEL_PART 2048	/* the most that is read at once */

/* What the program and user space share. */
struct mb_kernel_read {
	int64_t result;		/* 0 or a negative errno */
	int64_t task;		/* the task_struct of who asked */
	char bytes[4096];	/* of which MB_KERNEL_PART are used; the verifier wants a power of 2 */
};

struct mb_kernel_reader {
	int32_t program;
	const struct mb_kernel_read *shared;
};

int mb_kernel_read(void *reader, int64_t address, char *dest, uint64_t bytes);
