// SPDX-License-Identifier: LGPL-2.1-or-later
/* libFuzzer target: an ELF file with its symbols and call frame information, unwound from every entry that it has. */
#define _GNU_SOURCE
#include "fuzz_input.h"
#include "backtrace/image.h"

#define MOST_STEPS 24
#define MOST_ENTRIES 64

/* The memory of the process: any address has a value of its own, some cannot be read. */
static int read_memory(void *context, uint64_t address, void *dest, size_t bytes)
{
	const struct mb_image *image = context;
	uint64_t value = address * 0x9e3779b97f4a7c15u;

	if (address % 13 == 0)
		return -1;
	if (address % 5 == 0 && image->bytes)
		value = image->low + image->data[address % image->bytes];
	memcpy(dest, &value, bytes < sizeof(value) ? bytes : sizeof(value));
	return 0;
}

static void unwind(struct mb_image *image, uint64_t pc)
{
	const struct mb_frame_memory memory = { read_memory, image };
	struct mb_frame frame = { .after_call = 0 };

	for (uint64_t i = 0; i < MB_FRAME_REGISTERS; i++)
		frame.reg[i] = 0x7ffd00001000u + 0x18 * i;
	frame.reg[MB_FRAME_PC] = pc + 0x10000;
	for (int step = 0; step < MOST_STEPS; step++)
		if (mb_image_step(image, 0x10000, &frame, &memory))
			break;
}

static void unwind_all(struct mb_image *image)
{
	unwind(image, image->low);	/* reads the tables */
	for (int table = 0; table < 2; table++) {
		const struct mb_frame_index *index = &image->frames[table];
		const size_t stride = index->count / MOST_ENTRIES + 1;

		for (size_t i = 0; i < index->count; i += stride) {
			unwind(image, index->entry[i].start);
			unwind(image, index->entry[i].end - 1);
		}
	}
}

static void look_up(struct mb_image *image)
{
	const uint64_t span = image->high - image->low;
	uint64_t size, bias;

	for (uint64_t i = 0; i <= 16; i++) {
		const struct mb_image_symbol *symbol = mb_image_symbol(image, image->low + span / 16 * i, &size);

		if (symbol)
			CHECK(strlen(symbol->name) < image->bytes || image->debug);
		mb_image_bias(image, 0x10000, 0x1000 * i, &bias);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, data + size };
	struct mb_image *image = mb_image_of(take_rows(&input, 1, size), size);

	if (!image)
		return 0;
	look_up(image);
	unwind_all(image);
	mb_image_free(image);
	return 0;
}
