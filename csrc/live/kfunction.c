// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Programs on functions of the kernel: behind trampolines (fentry, fexit) and on kprobes.
 * Every function returns a file descriptor or a negative errno. Sources: bpf(2), perf_event_open(2),
 * Documentation/trace/kprobetrace.rst.
 */
#include "kfunction.h"

#include "bpf_call.h"
#include "functions.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME_BYTES 64
#define ATTACH_KPROBE_MULTI 42
#define KPROBE_MULTI_RETURN 1u

/* The attribute of LINK_CREATE, because headers older than the running kernel lack kprobe_multi. */
struct link_kprobe_multi {
	uint32_t program;
	uint32_t target;
	uint32_t attach_type;
	uint32_t link_flags;
	uint32_t flags;
	uint32_t count;
	uint64_t symbols;
	uint64_t addresses;
	uint64_t cookies;
};

int mb_bpf_trampoline_load(const struct mb_trampoline *place, const char *name, const void *code,
			   uint32_t bytes, char *log, uint32_t log_size)
{
	union bpf_attr attr;

	if (bytes % sizeof(struct bpf_insn))
		return -EINVAL;
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_TRACING;
	attr.expected_attach_type = place->at_return ? BPF_TRACE_FEXIT : BPF_TRACE_FENTRY;
	attr.attach_btf_id = place->function;
	attr.attach_btf_obj_fd = (uint32_t)place->types;
	attr.insns = pointer(code);
	attr.insn_cnt = bytes / (uint32_t)sizeof(struct bpf_insn);
	attr.license = pointer("GPL");
	attr.log_level = log_size ? 1 : 0;
	attr.log_size = log_size;
	attr.log_buf = log_size ? pointer(log) : 0;
	memcpy(attr.prog_name, name, strnlen(name, sizeof(attr.prog_name) - 1));
	return mb_functions_load(&attr);
}

int mb_bpf_attach_trampoline(int program)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.raw_tracepoint.prog_fd = (uint32_t)program;
	return sys_bpf(BPF_RAW_TRACEPOINT_OPEN, &attr, sizeof(attr.raw_tracepoint));
}

/* The kernel's object of the types of a module; -ENOENT if it has none. */
int mb_bpf_module_types(const char *module)
{
	union bpf_attr attr;
	uint32_t id = 0;

	for (;;) {
		char name[NAME_BYTES] = "";
		struct bpf_btf_info info;
		int types, ret;

		memset(&attr, 0, sizeof(attr));
		attr.start_id = id;
		ret = sys_bpf(BPF_BTF_GET_NEXT_ID, &attr, offsetof(union bpf_attr, open_flags));
		if (ret < 0)
			return ret;
		id = attr.next_id;
		memset(&attr, 0, sizeof(attr));
		attr.btf_id = id;
		types = sys_bpf(BPF_BTF_GET_FD_BY_ID, &attr, offsetof(union bpf_attr, open_flags));
		if (types == -ENOENT)	/* gone meanwhile */
			continue;
		if (types < 0)
			return types;
		memset(&info, 0, sizeof(info));
		info.name = pointer(name);
		info.name_len = sizeof(name);
		memset(&attr, 0, sizeof(attr));
		attr.info.bpf_fd = (uint32_t)types;
		attr.info.info_len = sizeof(info);
		attr.info.info = pointer(&info);
		ret = sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr.info));
		if (ret >= 0 && info.kernel_btf && !strncmp(name, module, sizeof(name)))
			return types;
		close(types);
	}
}

/* A kprobe, or one on the return, as a perf event that runs the program. */
int mb_bpf_attach_kprobe(int program, const struct mb_kprobe *probe)
{
	struct perf_event_attr attr;
	long event;
	int ret;

	if (probe->return_bit > 63)
		return -EINVAL;
	memset(&attr, 0, sizeof(attr));
	attr.size = sizeof(attr);
	attr.type = probe->type;
	attr.config = probe->at_return ? 1ull << probe->return_bit : 0;
	attr.config1 = probe->address ? 0 : pointer(probe->symbol);
	attr.config2 = probe->address ? probe->address + probe->offset : probe->offset;
	attr.sample_period = 1;
	attr.wakeup_events = 1;
	event = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
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

/* One link for all functions: ftrace calls the program. */
int mb_bpf_attach_kprobes(int program, const struct mb_kprobes *probes)
{
	struct link_kprobe_multi attr;

	memset(&attr, 0, sizeof(attr));
	attr.program = (uint32_t)program;
	attr.attach_type = ATTACH_KPROBE_MULTI;
	attr.flags = probes->at_return ? KPROBE_MULTI_RETURN : 0;
	attr.count = probes->count;
	attr.addresses = pointer(probes->addresses);
	attr.symbols = pointer(probes->names);
	attr.cookies = pointer(probes->cookies);
	return sys_bpf(BPF_LINK_CREATE, &attr, sizeof(attr));
}

/* How often a program was not run because another one (or itself) ran on the CPU; needs Linux 5.12. */
int64_t mb_bpf_program_missed(int program)
{
	struct bpf_prog_info info;
	union bpf_attr attr;
	int ret;

	memset(&info, 0, sizeof(info));
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)program;
	attr.info.info_len = sizeof(info);
	attr.info.info = pointer(&info);
	ret = sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr.info));
	return ret < 0 ? ret : (int64_t)info.recursion_misses;
}
