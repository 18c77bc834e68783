int64_t mb_btf_member(const void *data, uint64_t size, const char *structure, const char *member);
