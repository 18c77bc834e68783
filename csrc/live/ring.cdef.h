struct mb_ring;

typedef int (*mb_record_handler)(void *context, const struct mb_record *record);

struct mb_ring_turn {
	uint64_t limit;
	uint64_t until_ns;
	uint64_t poll_ns;
	uint64_t before_ns;
	uint64_t records;
	uint64_t malformed;
	int32_t stop;
	int32_t reached;
	int32_t quiet;
	int32_t padding;
};

struct mb_ring *mb_ring_open(int map, uint64_t bytes);
struct mb_ring *mb_ring_open_cpus(int map, const int32_t *cpus, uint32_t count, uint64_t bytes);
void mb_ring_close(struct mb_ring *ring);
int mb_ring_consume(struct mb_ring *ring, mb_record_handler handler, void *context,
		    struct mb_ring_turn *turn);
