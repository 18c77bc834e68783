// SPDX-License-Identifier: LGPL-2.1-or-later
/* Runs a libFuzzer target once over each file that is named: findings and seeds, where there is no clang. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t size = 0;
	long end;

	if (!file || fseek(file, 0, SEEK_END) || (end = ftell(file)) < 0) {
		perror(path);
		return -1;
	}
	rewind(file);
	size = (size_t)end;
	data = malloc(size ? size : 1);	/* of exactly its size */
	if (!data || fread(data, 1, size, file) != size) {
		perror(path);
		return -1;
	}
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 0;
}

int main(int count, char **paths)
{
	for (int i = 1; i < count; i++)
		if (run(paths[i]))
			return 1;
	return 0;
}
