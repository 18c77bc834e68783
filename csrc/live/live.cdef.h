struct mb_semaphore {
	uint32_t file;
	uint32_t probes;
	uint64_t address;
};

struct mb_live {
	void *session;
	void *recorder;
	int32_t failure;
	int32_t only_record;
	uint64_t last_ns;
	void *moved;
	uint64_t moved_bytes;
	int32_t held_map;
	int64_t *beat;
	int32_t unheld;
	const struct mb_semaphore *semaphore;
	uint32_t semaphore_count;
	int32_t late;
	int32_t uncounted;
};

struct mb_kernel_map {
	int32_t map;
	uint32_t variable;
	uint32_t is_array;
	uint32_t is_statistic;
	uint32_t is_string;
	uint32_t key_count;
	uint32_t string_keys;
	uint32_t key_bytes;
	uint32_t value_bytes;
	uint32_t string_bytes;
	uint32_t entries;
	uint32_t handler;
	uint32_t site;
	const void *initial;
};

int mb_live_consume(void *context, const struct mb_record *record);
void mb_live_free(struct mb_live *live);
int64_t mb_kernel_map_drain(const struct mb_kernel_map *map, void *session, int resident);
int64_t mb_kernel_map_fill(const struct mb_kernel_map *map, void *session, int64_t first_sequence);
