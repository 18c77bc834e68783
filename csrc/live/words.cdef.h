int64_t mb_words(const char *command, char *out, uint64_t size);
