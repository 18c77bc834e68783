struct mb_wake {
	int32_t writer;
	uint32_t count;
	uint32_t next;
	int32_t ends[256];
	int64_t pids[256];
};

int mb_wake_open(struct mb_wake *wake);
int mb_wake_give(struct mb_wake *wake);
int mb_wake_add(struct mb_wake *wake, int64_t pid);
void mb_wake_close(struct mb_wake *wake);
