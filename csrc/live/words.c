/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words of a command line, as wordexp(3) expands them. */
#include <errno.h>
#include <string.h>
#include <wordexp.h>

#include "words.h"

static int64_t failure(int code)
{
	switch (code) {
	case WRDE_BADCHAR:
	case WRDE_CMDSUB:
		return -ENOEXEC;
	case WRDE_SYNTAX:
		return -EINVAL;
	default:
		return -ENOMEM;
	}
}

/* Each word with its NUL, one after the other. */
static int64_t gather(const wordexp_t *words, char *out, uint64_t size)
{
	uint64_t used = 0;

	for (size_t i = 0; i < words->we_wordc; i++) {
		size_t length = strlen(words->we_wordv[i]) + 1;

		if (length > size - used)
			return -E2BIG;
		memcpy(out + used, words->we_wordv[i], length);
		used += length;
	}
	return (int64_t)used;
}

/*
 * Returns the bytes written; -ENOEXEC where only a shell can run the command, -EINVAL for
 * unmatched quotes, -E2BIG where `size` bytes are too few.
 */
int64_t mb_words(const char *command, char *out, uint64_t size)
{
	wordexp_t words;
	int64_t ret;
	int code = wordexp(command, &words, WRDE_NOCMD);

	if (code != 0 && code != WRDE_NOSPACE)
		return failure(code);
	ret = code ? failure(code) : gather(&words, out, size);
	wordfree(&words);
	return ret;
}
