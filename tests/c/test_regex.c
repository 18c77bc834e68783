// SPDX-License-Identifier: LGPL-2.1-or-later
/* The machine of regular expressions: what it refuses, and what it finds. */
#include "check.h"

int32_t mb_do_matched(struct mb_session *session, uint32_t site, void *result, const int64_t *argument);

#define OP(name, x, y) { MB_REGEX_##name, x, y }

static const uint8_t sets[3][MB_REGEX_SET_BYTES] = {
	{ [12] = 0x02 },		/* a */
	{ [0] = 0x01 },			/* the end */
	{ [0] = 0x01, [12] = 0x02 },	/* what a match begins with */
};

static int add(struct mb_session *session, const struct mb_regex_op *ops, uint32_t count, uint32_t groups)
{
	return mb_session_add_regex(session, ops, count, sets[0], 3, groups);
}

static void test_refusals(void)
{
	struct mb_session *session = new_session(64, 0);
	const struct mb_regex_op accept[] = { OP(ACCEPT, 0, 0) };
	const struct mb_regex_op bad[][2] = {
		{ OP(BYTE, 3, 0), OP(ACCEPT, 0, 0) },
		{ OP(SPLIT, 1, 2), OP(ACCEPT, 0, 0) },
		{ OP(SPLIT, 2, 1), OP(ACCEPT, 0, 0) },
		{ OP(JUMP, 2, 0), OP(ACCEPT, 0, 0) },
		{ OP(SAVE, 2, 0), OP(ACCEPT, 0, 0) },
		{ OP(START, 0, 0), OP(START, 0, 0) },
		{ { 6, 0, 0 }, OP(ACCEPT, 0, 0) },
	};

	CHECK(add(session, accept, 1, 1) == 0);
	CHECK(add(session, accept, 0, 1) < 0);
	CHECK(add(session, accept, 1, MB_MAX_GROUPS + 1) < 0);
	CHECK(mb_session_add_regex(session, accept, 1, sets[0], 0, 1) < 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(add(session, bad[i], 2, 1) < 0);
	CHECK(add(session, accept, 1, 0) == 1);
	mb_session_free(session);
}

static void held(struct mb_session *session, int64_t group, const char *expected)
{
	char text[64];

	CHECK(mb_do_matched(session, 0, text, &group) == MB_OK);
	CHECK(strcmp(text, expected) == 0);
}

/* (a*)$ and an endless loop over nothing */
static void test_groups(void)
{
	struct mb_session *session = new_session(64, 0);
	const struct mb_regex_op ops[] = {
		OP(SAVE, 0, 0), OP(SAVE, 2, 0), OP(SPLIT, 3, 5), OP(BYTE, 0, 0), OP(JUMP, 2, 0),
		OP(SAVE, 3, 0), OP(BYTE, 1, 0), OP(SAVE, 1, 0), OP(ACCEPT, 0, 0),
	};
	const struct mb_regex_op loop[] = { OP(SPLIT, 0, 1), OP(SPLIT, 0, 1) };
	int64_t none = 2;
	char text[64];

	CHECK(add(session, ops, 9, 2) == 0);
	CHECK(add(session, loop, 2, 0) == 1);
	CHECK(mb_match(session, "baa", 0) == 1);
	held(session, 0, "aa");
	held(session, 1, "aa");
	CHECK(mb_do_matched(session, 0, text, &none) == MB_RAISED);
	CHECK(mb_match(session, "", 0) == 1);
	held(session, 0, "");
	CHECK(mb_match(session, "baa", 1) == 0);
	mb_session_free(session);
}

int main(void)
{
	test_refusals();
	test_groups();
	return 0;
}
