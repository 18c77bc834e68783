/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Call frame information of one ELF file: from the registers of a frame to those of its caller. x86-64 only.
 * Everything is in link-time addresses but the registers, which are the process's own.
 */
#ifndef MB_UNWIND_H
#define MB_UNWIND_H

#include <stddef.h>
#include <stdint.h>

#define MB_FRAME_REGISTERS 17	/* by DWARF's numbers: rax rdx rcx rbx rsi rdi rbp rsp r8 ... r15, and the return address */
#define MB_FRAME_BP 6
#define MB_FRAME_SP 7
#define MB_FRAME_PC 16

struct mb_frame {
	uint64_t reg[MB_FRAME_REGISTERS];
	int after_call;		/* whether the pc is behind a call, so that the instruction before it is meant */
};

struct mb_frame_section {
	const uint8_t *data;
	uint64_t bytes, address;
	int is_eh;		/* .eh_frame, or .debug_frame */
};

/* One frame description entry: what it covers, and where it is. */
struct mb_frame_entry {
	uint64_t start, end;
	uint64_t offset;	/* in the section */
};

struct mb_frame_index {
	struct mb_frame_section section;
	struct mb_frame_entry *entry;
	size_t count;
};

/* Reads memory of the process: 0, or anything else if it cannot be read. */
struct mb_frame_memory {
	int (*read)(void *context, uint64_t address, void *dest, size_t bytes);
	void *context;
};

/* Where the canonical frame address is at a link-time pc: at an offset from a register. -ENOENT if it is not told so. */
int mb_frame_address(const struct mb_frame_index *index, uint64_t pc, uint32_t *number, int64_t *offset);

int mb_frame_index_make(struct mb_frame_index *index, const struct mb_frame_section *section);
void mb_frame_index_free(struct mb_frame_index *index);

/*
 * Go to the caller. `bias` is what to add to link-time addresses. 0; -ENOENT if the pc is not covered; -ENODATA if the entry
 * says that there is no caller; another negative errno if the information or the stack cannot be read.
 */
int mb_frame_step(const struct mb_frame_index *index, uint64_t bias, struct mb_frame *frame, const struct mb_frame_memory *memory);

#endif
