// SPDX-License-Identifier: LGPL-2.1-or-later
/* libFuzzer target: any operations that are taken, on any text. Build: tests/c/fuzz.sh */
#include "check.h"

int32_t mb_do_matched(struct mb_session *session, uint32_t site, void *result, const int64_t *argument);

#define CAPACITY 128
#define OPS 24
#define SETS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void match(struct mb_session *session, const char *text, uint32_t groups)
{
	char held[CAPACITY];

	if (!mb_match(session, text, 0) || !groups)
		return;
	for (int64_t group = 0; group < groups; group++) {
		CHECK(mb_do_matched(session, 0, held, &group) == MB_OK);
		CHECK(strstr(text, held));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t sets[SETS][MB_REGEX_SET_BYTES] = { { 0 } };
	struct mb_regex_op ops[OPS];
	char text[CAPACITY] = "";
	struct mb_session *session;
	uint32_t count, groups;

	if (size < 2 + SETS)
		return 0;
	count = data[0] % OPS + 1;
	groups = data[1] % 4;
	for (int i = 0; i < SETS; i++)
		memset(sets[i], data[2 + i], sizeof(sets[i]));
	data += 2 + SETS;
	size -= 2 + SETS;
	if (size < 3 * count)
		return 0;
	for (uint32_t i = 0; i < count; i++)
		ops[i] = (struct mb_regex_op){ data[3 * i] % 7, data[3 * i + 1] % (count + 1), data[3 * i + 2] % (count + 1) };
	data += 3 * count;
	size -= 3 * count;
	memcpy(text, data, size < CAPACITY - 1 ? size : CAPACITY - 1);
	session = new_session(CAPACITY, 0);
	if (mb_session_add_regex(session, ops, count, sets[0], SETS, groups) == 0)
		match(session, text, groups);
	mb_session_free(session);
	return 0;
}
