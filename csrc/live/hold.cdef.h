#define MB_MOST_HELD 4096	/* processes at once */
#define MB_LONGEST_HELD_NS 10000000000	/* nobody is held for longer */

/* The value of the map; its key is the process id in 64 bits. */
struct mb_held {
	uint64_t hits;
	uint64_t since_ns;	/* CLOCK_MONOTONIC, of the last hit */
};

/* What a record says of its process; 0: no handler wants it to stand still. */
enum mb_hold { MB_STOPPED_IT = 1, MB_MISSED_IT = 2 };

int mb_hold_wait(int map, int64_t pid);
int mb_hold_release(int map, int64_t pid);
int mb_hold_release_all(int map, uint64_t before_ns);
