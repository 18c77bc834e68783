// SPDX-License-Identifier: LGPL-2.1-or-later
/* Types for programs of several functions: see functions.h. Layout: Documentation/bpf/btf.rst. */
#include "functions.h"

#include "bpf_call.h"

#include <errno.h>
#include <linux/btf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST 64
#define LOAD_BYTES (offsetof(union bpf_attr, fd_array) + sizeof(uint64_t))

/* int; a function without declared parameters that gives one; the program and what it gives to others. */
struct types {
	struct btf_header header;
	struct btf_type number;
	uint32_t number_bits;
	struct btf_type prototype;
	struct btf_type program;
	struct btf_type step;
	char names[24];
};

enum { NUMBER = 1, PROTOTYPE, PROGRAM, STEP };

static const struct types TYPES = {
	.header = {
		.magic = BTF_MAGIC,
		.version = BTF_VERSION,
		.hdr_len = sizeof(struct btf_header),
		.type_len = offsetof(struct types, names) - sizeof(struct btf_header),
		.str_off = offsetof(struct types, names) - sizeof(struct btf_header),
		.str_len = sizeof("\0int\0program\0step"),
	},
	.number = { .name_off = 1, .info = BTF_KIND_INT << 24, .size = sizeof(int32_t) },
	.number_bits = BTF_INT_SIGNED << 24 | 32,
	.prototype = { .info = BTF_KIND_FUNC_PROTO << 24, .type = NUMBER },
	.program = { .name_off = 5, .info = BTF_KIND_FUNC << 24, .type = PROTOTYPE },
	.step = { .name_off = 13, .info = BTF_KIND_FUNC << 24, .type = PROTOTYPE },
	.names = "\0int\0program\0step",
};

static int load_types(void)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.btf = pointer(&TYPES);
	attr.btf_size = (uint32_t)(offsetof(struct types, names) + TYPES.header.str_len);
	return sys_bpf(BPF_BTF_LOAD, &attr, sizeof(attr.btf) + sizeof(attr.btf_log_buf) + 3 * sizeof(uint32_t));
}

/* Put a function where it belongs, if it is not there yet; they are wanted in their order. */
static uint32_t insert(struct bpf_func_info *functions, uint32_t count, uint32_t offset)
{
	uint32_t at = count;

	while (at && functions[at - 1].insn_off > offset)
		at--;
	if (at && functions[at - 1].insn_off == offset)
		return count;
	memmove(functions + at + 1, functions + at, (count - at) * sizeof(*functions));
	functions[at] = (struct bpf_func_info){ .insn_off = offset, .type_id = STEP };
	return count + 1;
}

/* The functions of the code, of which the program itself is the first; or a negative errno. */
static int find(const struct bpf_insn *code, uint32_t count, struct bpf_func_info functions[MOST])
{
	uint32_t found = 1;

	functions[0] = (struct bpf_func_info){ .type_id = PROGRAM };
	for (uint32_t i = 0; i < count; i++) {
		if (code[i].code != (BPF_LD | BPF_DW | BPF_IMM))
			continue;
		if (code[i].src_reg == BPF_PSEUDO_FUNC) {
			const int64_t target = (int64_t)i + code[i].imm + 1;

			if (target <= 0 || target >= count || found == MOST)
				return -EINVAL;
			found = insert(functions, found, (uint32_t)target);
		}
		i++;		/* it takes two */
	}
	return (int)found;
}

int mb_functions_load(union bpf_attr *attr)
{
	struct bpf_func_info functions[MOST + 1];
	const int count = find((const struct bpf_insn *)(uintptr_t)attr->insns, attr->insn_cnt, functions);
	int types, ret;

	if (count < 0)
		return count;
	if (count == 1)
		return sys_bpf(BPF_PROG_LOAD, attr, LOAD_BYTES);
	types = load_types();
	if (types < 0)
		return types;
	attr->prog_btf_fd = (uint32_t)types;
	attr->func_info = pointer(functions);
	attr->func_info_cnt = (uint32_t)count;
	attr->func_info_rec_size = sizeof(*functions);
	ret = sys_bpf(BPF_PROG_LOAD, attr, LOAD_BYTES);
	close(types);
	return ret;
}
