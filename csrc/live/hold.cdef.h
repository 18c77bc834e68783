int mb_hold_wait(int map, int64_t pid);
int mb_hold_release(int map, int64_t pid);
int mb_hold_release_all(int map, uint64_t before_ns);
