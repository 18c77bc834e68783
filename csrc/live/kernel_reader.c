// SPDX-License-Identifier: LGPL-2.1-or-later
/* Reads of the kernel's memory on demand: see kernel_reader.h. */
#include "kernel_reader.h"

#include <string.h>

#include "bpf.h"

/* At most MB_KERNEL_PART bytes. */
static int read_part(const struct mb_kernel_reader *reader, int64_t address, char *dest, uint64_t bytes)
{
	const uint64_t arguments[] = { (uint64_t)address, bytes };
	const int ret = mb_bpf_program_run(reader->program, arguments, sizeof(arguments));
	const int64_t result = *(const volatile int64_t *)&reader->shared->result;

	if (ret < 0 || result < 0)
		return ret < 0 ? ret : (int)result;
	memcpy(dest, reader->shared->bytes, bytes);
	return 0;
}

int mb_kernel_read(void *reader, int64_t address, char *dest, uint64_t bytes)
{
	int ret = 0;

	while (bytes && !ret) {
		const uint64_t part = bytes < MB_KERNEL_PART ? bytes : MB_KERNEL_PART;

		ret = read_part(reader, address, dest, part);
		address = (int64_t)((uint64_t)address + part);
		dest += part;
		bytes -= part;
	}
	return ret;
}
