struct mb_trampoline {
	uint32_t function;
	int32_t types;
	uint32_t at_return;
};

struct mb_kprobe {
	const char *symbol;
	uint64_t address;
	uint64_t offset;
	uint32_t type;
	uint32_t return_bit;
	uint32_t at_return;
};

/* Many functions, whose link gives the program a word for each. */
struct mb_kprobes {
	const uint64_t *addresses;	/* of functions, or NULL */
	const uint64_t *names;		/* addresses of their names, or NULL */
	const uint64_t *cookies;	/* or NULL */
	uint32_t count;
	uint32_t at_return;
};

int mb_bpf_trampoline_load(const struct mb_trampoline *place, const char *name, const void *code,
			   uint32_t bytes, char *log, uint32_t log_size);
int mb_bpf_attach_trampoline(int program);
int mb_bpf_module_types(const char *module);
int mb_bpf_attach_kprobe(int program, const struct mb_kprobe *probe);
int mb_bpf_attach_kprobes(int program, const struct mb_kprobes *probes);
int64_t mb_bpf_program_missed(int program);
