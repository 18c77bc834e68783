struct mb_guard {
	int32_t map;
	int32_t alive;
	int32_t lease;
	int64_t *control;
	uint32_t armed;
	uint32_t beat;
	uint32_t leaving;
	uint32_t seats;
};

int mb_guard_start(const struct mb_guard *guard);
