// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * bpf(2) and perf_event_open(2). Every function returns a file descriptor or a count, or a negative errno.
 * The attribute of LINK_CREATE is our own, because headers older than the running kernel lack uprobe_multi.
 */
#include "bpf.h"

#include "bpf_call.h"
#include "functions.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ATTACH_UPROBE_MULTI 48
#define UPROBE_MULTI_RETURN 1u
#define KEY_BYTES_MAX 8192

struct link_uprobe_multi {
	uint32_t program;
	uint32_t target;
	uint32_t attach_type;
	uint32_t link_flags;
	uint64_t path;
	uint64_t offsets;
	uint64_t semaphores;
	uint64_t cookies;
	uint32_t count;
	uint32_t flags;
	int32_t pid;
	uint32_t padding;
};

int mb_bpf_map_create(const struct mb_bpf_map *map)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = map->type;
	attr.key_size = map->key_size;
	attr.value_size = map->value_size;
	attr.max_entries = map->entries;
	attr.map_flags = map->flags;
	attr.inner_map_fd = (uint32_t)map->inner;
	memcpy(attr.map_name, map->name, sizeof(attr.map_name) - 1);
	return sys_bpf(BPF_MAP_CREATE, &attr, offsetof(union bpf_attr, map_name) + sizeof(attr.map_name));
}

static int element(int command, int map, const void *key, const void *value, uint64_t flags)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)map;
	attr.key = pointer(key);
	attr.value = pointer(value);
	attr.flags = flags;
	return sys_bpf(command, &attr, offsetof(union bpf_attr, flags) + sizeof(attr.flags));
}

int mb_bpf_map_update(int map, const void *key, const void *value, uint64_t flags)
{
	return element(BPF_MAP_UPDATE_ELEM, map, key, value, flags);
}

int mb_bpf_map_lookup(int map, const void *key, void *value)
{
	return element(BPF_MAP_LOOKUP_ELEM, map, key, value, 0);
}

int mb_bpf_map_delete(int map, const void *key)
{
	return element(BPF_MAP_DELETE_ELEM, map, key, NULL, 0);
}

/* The key after `key`, or the first one (NULL, or one that is gone); -ENOENT behind the last one. */
int mb_bpf_map_next_key(int map, const void *key, void *next)
{
	return element(BPF_MAP_GET_NEXT_KEY, map, key, next, 0);
}

/* Read up to `capacity` entries of a quiet hash map; the number of entries, or -ENOSPC if there are more. */
int64_t mb_bpf_map_read(int map, uint32_t key_size, uint32_t value_size, void *keys,
			void *values, uint32_t capacity)
{
	uint8_t *key = keys, *value = values;
	const uint8_t *previous = NULL;
	uint32_t count = 0;

	for (;;) {
		uint8_t next[KEY_BYTES_MAX];
		int ret;

		if (key_size > sizeof(next))
			return -E2BIG;
		ret = element(BPF_MAP_GET_NEXT_KEY, map, previous, next, 0);
		if (ret == -ENOENT)
			return count;
		if (ret < 0)
			return ret;
		if (count == capacity)
			return -ENOSPC;
		memcpy(key, next, key_size);
		ret = element(BPF_MAP_LOOKUP_ELEM, map, key, value, 0);
		if (ret < 0)
			return ret;
		previous = key;
		key += key_size;
		value += value_size;
		count++;
	}
}

/*
 * Put file descriptors in the place of map numbers: code refers to maps by their index in `maps`. And distances in the
 * place of numbers of functions, which begin at `functions`, in bytes.
 */
int mb_bpf_relocate(void *code, uint32_t bytes, const int32_t *maps, uint32_t count, const uint32_t *functions,
		    uint32_t function_count)
{
	struct bpf_insn *insn = code;
	const struct bpf_insn *first = insn, *end = insn + bytes / sizeof(*insn);

	for (; insn < end; insn++) {
		if (insn->code != (BPF_LD | BPF_DW | BPF_IMM))
			continue;
		if (insn->src_reg == BPF_PSEUDO_MAP_FD || insn->src_reg == BPF_PSEUDO_MAP_VALUE) {
			if (insn->imm < 0 || (uint32_t)insn->imm >= count)
				return -EINVAL;
			insn->imm = maps[insn->imm];
		} else if (insn->src_reg == BPF_PSEUDO_FUNC) {
			if (insn->imm < 0 || (uint32_t)insn->imm >= function_count || functions[insn->imm] >= bytes)
				return -EINVAL;
			insn->imm = (int32_t)(functions[insn->imm] / sizeof(*insn)) - (int32_t)(insn - first) - 1;
		}
		insn++;		/* it takes two */
	}
	return 0;
}

int mb_bpf_program_load(uint32_t type, uint32_t attach_type, uint32_t flags, const char *name,
			const void *code, uint32_t bytes, char *log, uint32_t log_size)
{
	union bpf_attr attr;

	if (bytes % sizeof(struct bpf_insn))
		return -EINVAL;
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = type;
	attr.expected_attach_type = attach_type;
	attr.prog_flags = flags;
	attr.insns = pointer(code);
	attr.insn_cnt = bytes / (uint32_t)sizeof(struct bpf_insn);
	attr.license = pointer("GPL");
	attr.log_level = log_size ? 1 : 0;
	attr.log_size = log_size;
	attr.log_buf = log_size ? pointer(log) : 0;
	memcpy(attr.prog_name, name, strnlen(name, sizeof(attr.prog_name) - 1));
	return mb_functions_load(&attr);
}

/* Run a raw tracepoint's program here and now; `context` are the arguments of the tracepoint. */
int mb_bpf_program_run(int program, const void *context, uint32_t bytes)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = (uint32_t)program;
	attr.test.ctx_in = pointer(context);
	attr.test.ctx_size_in = bytes;
	return sys_bpf(BPF_PROG_TEST_RUN, &attr, sizeof(attr.test));
}

/* One link for all sites of a file. */
int mb_bpf_attach_uprobes(int program, const struct mb_uprobes *probes)
{
	struct link_uprobe_multi attr;

	memset(&attr, 0, sizeof(attr));
	attr.program = (uint32_t)program;
	attr.attach_type = ATTACH_UPROBE_MULTI;
	attr.path = pointer(probes->path);
	attr.offsets = pointer(probes->offsets);
	attr.semaphores = pointer(probes->semaphores);
	attr.cookies = pointer(probes->cookies);
	attr.count = probes->count;
	attr.flags = probes->at_return ? UPROBE_MULTI_RETURN : 0;
	attr.pid = probes->pid;
	return sys_bpf(BPF_LINK_CREATE, &attr, sizeof(attr));
}

/* Run a program at an event of one process, or of one CPU; a tracepoint of one CPU is one of all. */
static int attach_event(int program, struct perf_event_attr *attr, int pid, int cpu)
{
	long event;
	int ret;

	attr->size = sizeof(*attr);
	event = syscall(SYS_perf_event_open, attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (event < 0)
		return -errno;
	if (ioctl((int)event, PERF_EVENT_IOC_SET_BPF, program) < 0 ||
	    ioctl((int)event, PERF_EVENT_IOC_ENABLE, 0) < 0) {
		ret = -errno;
		close((int)event);
		return ret;
	}
	return (int)event;
}

int mb_bpf_attach_tracepoint(int program, uint64_t id, int pid, int cpu)
{
	struct perf_event_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.type = PERF_TYPE_TRACEPOINT;
	attr.config = id;	/* and no sample_period: some events may be counted, but not sampled */
	return attach_event(program, &attr, pid, cpu);
}

int mb_bpf_attach_uprobe(int program, const struct mb_uprobe *probe)
{
	struct perf_event_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.type = probe->type;
	attr.config = probe->config;
	attr.config1 = pointer(probe->path);	/* uprobe_path */
	attr.config2 = probe->offset;		/* probe_offset */
	attr.sample_period = 1;
	attr.wakeup_events = 1;
	return attach_event(program, &attr, probe->pid, probe->cpu);
}

int mb_bpf_attach_sample(int program, const struct mb_sampling *sampling, int cpu)
{
	struct perf_event_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.type = sampling->type;
	attr.config = sampling->config;
	attr.freq = sampling->hertz != 0;
	attr.sample_period = sampling->rate;
	if (sampling->address) {
		attr.bp_type = sampling->only_writes ? HW_BREAKPOINT_W : HW_BREAKPOINT_RW;
		attr.bp_addr = sampling->address;
		attr.bp_len = sampling->length;
	}
	attr.disabled = 1;
	return attach_event(program, &attr, -1, cpu);
}

int mb_bpf_attach_raw(int program, const char *tracepoint)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.raw_tracepoint.name = pointer(tracepoint);
	attr.raw_tracepoint.prog_fd = (uint32_t)program;
	return sys_bpf(BPF_RAW_TRACEPOINT_OPEN, &attr, sizeof(attr.raw_tracepoint));
}

/* The values of an array map made with BPF_F_MMAPABLE; NULL with errno set. */
void *mb_bpf_map_memory(int map, uint64_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void mb_bpf_unmap_memory(void *memory, uint64_t bytes)
{
	if (memory)
		munmap(memory, bytes);
}
