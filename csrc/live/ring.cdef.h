struct mb_ring;

/* Takes one record; a result other than 0 stops the consumer after this record. */
typedef int (*mb_record_handler)(void *context, const struct mb_record *record);

struct mb_ring_turn {
	uint64_t limit;		/* at most so many records */
	uint64_t until_ns;	/* CLOCK_MONOTONIC: wait for records no longer than this */
	uint64_t poll_ns;	/* how often to look at an empty buffer; 0: every millisecond */
	uint64_t before_ns;	/* stop in front of the first record that is not older; 0 for none */
	uint64_t records;	/* out: how many were taken */
	uint64_t malformed;	/* out: how many were no records */
	int32_t stop;		/* out: what the handler returned last */
	int32_t reached;	/* out: whether it stopped because of before_ns */
	int32_t quiet;		/* no program runs any more: what is there is all */
	int32_t padding;
};

struct mb_ring *mb_ring_open(int map, uint64_t bytes);
struct mb_ring *mb_ring_open_cpus(int map, const int32_t *cpus, uint32_t count, uint64_t bytes);
void mb_ring_close(struct mb_ring *ring);
int mb_ring_consume(struct mb_ring *ring, mb_record_handler handler, void *context,
		    struct mb_ring_turn *turn);
