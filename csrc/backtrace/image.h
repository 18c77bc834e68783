/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An ELF file (64-bit, little-endian) as back traces need it: how large it is in memory, its symbols, its call frame information.
 * Addresses are link-time ones. What is wrong in a file makes it know less, never fail.
 */
#ifndef MB_IMAGE_H
#define MB_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "unwind.h"

struct mb_image_symbol {
	uint64_t address;
	uint32_t order;		/* of several at one address the last one counts */
	const char *name;
};

struct mb_image {
	const uint8_t *data;
	size_t bytes;
	int is_mapped;		/* or allocated */
	int is_fixed;		/* runs at its link-time addresses */
	uint64_t low, high;	/* what it takes in memory, in whole pages */
	struct mb_image_symbol *symbol;
	size_t symbol_count;
	int64_t pid;		/* a process in whose root its debug file may be; 0: none */
	struct mb_image *debug;	/* the separate file that has the symbols, if there is one */
	struct mb_frame_index frames[2];	/* .debug_frame, .eh_frame */
	int has_symbols, has_frames;		/* read already */
};

/* An open file, or NULL if it is none; the file itself may be closed. */
struct mb_image *mb_image_read(int file);

/* The same for bytes in memory, which it takes over (free()). */
struct mb_image *mb_image_of(uint8_t *data, size_t bytes);

void mb_image_free(struct mb_image *image);

/* Of a mapping of the file that starts at `start` with the byte `offset` of the file: what to add to link-time addresses. */
int mb_image_bias(const struct mb_image *image, uint64_t start, uint64_t offset, uint64_t *bias);

/* The symbol at or before an address and how far it reaches (0: unknown), or NULL. */
const struct mb_image_symbol *mb_image_symbol(struct mb_image *image, uint64_t address, uint64_t *size);

/* As mb_frame_step, with all that the file has. */
int mb_image_step(struct mb_image *image, uint64_t bias, struct mb_frame *frame, const struct mb_frame_memory *memory);

/* Open an absolute path as a process sees it whose root is the folder `root`, links and all; -1 if that cannot be done. */
int mb_open_below(const char *root, const char *path, int flags);

/* The contents of a section; 0 bytes if it is not there (or compressed). */
const uint8_t *mb_image_section(const struct mb_image *image, const char *name, uint64_t *bytes, uint64_t *address);

#endif
