/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes of a libFuzzer input, taken from the front as numbers, tables of structures, and files. What is missing reads as 0. */
#ifndef MB_FUZZ_INPUT_H
#define MB_FUZZ_INPUT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

struct input {
	const uint8_t *at, *end;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline size_t left(const struct input *input)
{
	return (size_t)(input->end - input->at);
}

static inline uint64_t take(struct input *input, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes && input->at < input->end; i++)
		value |= (uint64_t)*input->at++ << (8 * i);
	return value;
}

/* Memory of exactly this size, so that whoever goes beyond it is caught; free it. */
static inline void *take_rows(struct input *input, size_t count, size_t size)
{
	const size_t bytes = count * size, there = bytes < left(input) ? bytes : left(input);
	uint8_t *rows = calloc(1, bytes ? bytes : 1);

	CHECK(rows);
	if (there)
		memcpy(rows, input->at, there);
	input->at += there;
	return rows;
}

/* A file of the next bytes; its path, good until the descriptor is closed. */
static inline int take_file(struct input *input, size_t bytes, char path[32])
{
	const size_t there = bytes < left(input) ? bytes : left(input);
	const int file = memfd_create("fuzz", MFD_CLOEXEC);

	CHECK(file >= 0 && write(file, input->at, there) == (ssize_t)there);
	input->at += there;
	snprintf(path, 32, "/proc/self/fd/%d", file);
	return file;
}

#endif
