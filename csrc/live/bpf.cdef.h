struct mb_bpf_map {
	uint32_t type;
	uint32_t key_size;
	uint32_t value_size;
	uint32_t entries;
	uint32_t flags;
	int32_t inner;		/* template of a map of maps, else 0 */
	char name[16];
};

struct mb_uprobes {
	const char *path;
	const uint64_t *offsets;	/* file offsets */
	const uint64_t *semaphores;	/* file offsets, 0 where there is none; or NULL */
	const uint64_t *cookies;	/* or NULL */
	uint32_t count;
	uint32_t at_return;
	int32_t pid;			/* thread group, 0 for all */
};

/* One site as an event of the PMU `uprobe` (/sys/bus/event_source/devices/uprobe), where links for many are missing. */
struct mb_uprobe {
	const char *path;
	uint64_t offset;		/* file offset */
	uint64_t config;		/* bits that ask for a return, and the semaphore's file offset */
	uint32_t type;			/* the PMU's number */
	int32_t pid;			/* process, -1 for all */
	int32_t cpu;			/* one that is there if pid is -1, else -1 */
};

struct mb_sampling {
	uint32_t type;			/* perf_event_open(2) */
	uint32_t hertz;			/* whether `rate` is a frequency */
	uint64_t config;
	uint64_t rate;			/* counts to a hit */
	uint64_t address;		/* of a breakpoint, else 0: what is watched */
	uint32_t length, only_writes;
};

int mb_bpf_map_create(const struct mb_bpf_map *map);
int mb_bpf_map_update(int map, const void *key, const void *value, uint64_t flags);
int mb_bpf_map_lookup(int map, const void *key, void *value);
int mb_bpf_map_delete(int map, const void *key);
int mb_bpf_map_next_key(int map, const void *key, void *next);
int64_t mb_bpf_map_read(int map, uint32_t key_size, uint32_t value_size, void *keys,
			void *values, uint32_t capacity);
int mb_bpf_program_load(uint32_t type, uint32_t attach_type, uint32_t flags, const char *name,
			const void *code, uint32_t bytes, char *log, uint32_t log_size);
int mb_bpf_program_run(int program, const void *context, uint32_t bytes);
int mb_bpf_attach_uprobes(int program, const struct mb_uprobes *probes);
int mb_bpf_relocate(void *code, uint32_t bytes, const int32_t *maps, uint32_t count, const uint32_t *functions,
		    uint32_t function_count);
int mb_bpf_attach_sample(int program, const struct mb_sampling *sampling, int cpu);
int mb_bpf_attach_raw(int program, const char *tracepoint);
int mb_bpf_attach_tracepoint(int program, uint64_t id, int pid, int cpu);
int mb_bpf_attach_uprobe(int program, const struct mb_uprobe *probe);
void *mb_bpf_map_memory(int map, uint64_t bytes);
void mb_bpf_unmap_memory(void *memory, uint64_t bytes);
