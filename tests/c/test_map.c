// SPDX-License-Identifier: LGPL-2.1-or-later
/* Arrays: order, limits, wrapping, slices, sorting, strings in entries. */
#include "check.h"

static struct mb_array *array_of(struct mb_session *session, uint32_t keys, uint32_t string_keys, uint32_t value, uint32_t size, uint32_t wrap)
{
	struct mb_array_shape shape = { keys, string_keys, value, size, wrap, 1 };
	int ret = mb_session_set_array(session, 0, &shape, NULL);

	CHECK(ret == 0);
	return (struct mb_array *)(uintptr_t)session->head.globals[0];
}

/* "key=value key=value " in order of the list. */
static const char *listed(struct mb_session *session)
{
	static char text[4096];
	int64_t keys[MB_MAX_KEYS], value;
	char *at = text;
	uint32_t entry = 0;

	*at = '\0';
	while ((entry = mb_session_walk(session, 0, entry, keys, &value)))
		at += sprintf(at, "%" PRId64 "=%" PRId64 " ", keys[0], value);
	return text;
}

static void fill(struct mb_session *session, struct mb_array *array, const int64_t *values, uint32_t count)
{
	for (int64_t key = 1; key <= count; key++)
		CHECK(mb_array_set_long(session, array, &key, values[key - 1], 0) == MB_OK);
}

static void test_order(void)
{
	struct mb_session *session = new_session(64, 1);
	struct mb_array *array = array_of(session, 1, 0, MB_LONG, 4, 0);
	const int64_t values[] = { 10, 20, 30 };
	int64_t key = 2, absent = 9;

	fill(session, array, values, 3);
	CHECK(mb_array_set_long(session, array, &key, 21, 0) == MB_OK);
	CHECK(strcmp(listed(session), "1=10 2=21 3=30 ") == 0);
	CHECK(mb_array_get_long(array, &absent) == 0 && !mb_array_has(array, &absent, 1));
	mb_array_delete(array, &key, 1);
	mb_array_delete(array, &absent, 1);
	CHECK(mb_array_set_long(session, array, &key, 22, 0) == MB_OK);
	CHECK(strcmp(listed(session), "1=10 3=30 2=22 ") == 0);
	mb_array_clear(array);
	CHECK(strcmp(listed(session), "") == 0 && array->count == 0);
	CHECK(mb_array_add(session, array, &key, INT64_MAX, 0) == MB_OK);
	CHECK(mb_array_add(session, array, &key, 1, 0) == MB_OK);
	CHECK(mb_array_get_long(array, &key) == INT64_MIN);
	mb_session_free(session);
}

static void test_limits(void)
{
	struct mb_session *session = new_session(64, 1);
	struct mb_array *array = array_of(session, 1, 0, MB_LONG, 3, 0);
	const int64_t values[] = { 1, 4, 9, 16, 25, 36 };
	int64_t key = 4;

	fill(session, array, values, 3);
	CHECK(mb_array_set_long(session, array, &key, 1, 7) == MB_RAISED);
	CHECK(strcmp(session->error.message, "Array overflow, check size limit (3)") == 0);
	CHECK(session->error.site == 7 && array->count == 3);
	mb_session_free(session);

	session = new_session(64, 1);
	array = array_of(session, 1, 0, MB_LONG, 3, 1);
	fill(session, array, values, 6);
	CHECK(strcmp(listed(session), "4=16 5=25 6=36 ") == 0);
	mb_array_sort(array, MB_BY_VALUE, 0, 1, 0, 0);
	key = 7;
	CHECK(mb_array_set_long(session, array, &key, 1, 0) == MB_OK);
	CHECK(strcmp(listed(session), "5=25 4=16 7=1 ") == 0);
	mb_session_free(session);
}

static void test_growth(void)
{
	struct mb_session *session = new_session(64, 1);
	struct mb_array *array = array_of(session, 2, 0, MB_LONG, 100000, 0);
	int64_t keys[2], sum = 0;

	for (int64_t i = 0; i < 100000; i++) {
		keys[0] = i;
		keys[1] = i * 2654435761;
		CHECK(mb_array_add(session, array, keys, i, 0) == MB_OK);
	}
	CHECK(mb_session_array_bytes(session, 0) / 100000 < 100);
	for (int64_t i = 0; i < 100000; i += 2) {
		keys[0] = i;
		keys[1] = i * 2654435761;
		sum += mb_array_get_long(array, keys);
		mb_array_delete(array, keys, 3);
	}
	CHECK(sum == 2499950000 && array->count == 50000);
	mb_array_sort(array, MB_BY_VALUE, 0, 1, 0, 0);
	CHECK(mb_array_entry(array, mb_array_entry(array, 0)->next)->slot[0] == 99999);
	mb_session_free(session);
}

static void test_strings(void)
{
	struct mb_session *session = new_session(16, 1);
	struct mb_array *array = array_of(session, 2, 2, MB_STRING, 8, 0);
	int64_t keys[2] = { 1, word("a key that is longer than it may be") };
	int64_t same[2] = { 1, word("a key that is l") };

	CHECK(mb_array_set_string(session, array, keys, "0123456789abcdefghij", 0) == MB_OK);
	CHECK(strcmp(mb_array_get_string(array, same), "0123456789abcde") == 0);
	CHECK(mb_array_set_string(session, array, same, mb_array_get_string(array, same), 0) == MB_OK);
	CHECK(mb_array_set_string(session, array, same, "", 0) == MB_OK && array->count == 1);
	CHECK(strcmp(mb_array_get_string(array, keys), "") == 0);
	keys[1] = word("other");
	CHECK(strcmp(mb_array_get_string(array, keys), "") == 0);
	for (int i = 0; i < 1000; i++) {
		char name[16];

		sprintf(name, "%d", i);
		keys[1] = word(name);
		CHECK(mb_array_set_string(session, array, keys, name, 0) == MB_OK);
		mb_array_delete(array, keys, 3);
	}
	CHECK(array->count == 1);
	mb_session_free(session);
}

static void test_slices(void)
{
	struct mb_session *session = new_session(64, 1);
	struct mb_array *array = array_of(session, 2, 0, MB_LONG, 8, 0);
	int64_t keys[2], wanted[2] = { 1, 0 };
	struct mb_iterator iterator = { 0 };

	for (int64_t i = 0; i < 6; i++) {
		keys[0] = i % 2;
		keys[1] = i;
		CHECK(mb_array_set_long(session, array, keys, i, 0) == MB_OK);
	}
	CHECK(mb_array_has(array, wanted, 1) && mb_array_has(array, wanted, 0));
	iterator.slices[0] = 1;
	mb_iterate(&iterator, array, 1, 3, 1);	/* the limit counts those left out */
	CHECK(mb_iterate_next(&iterator)->slot[1] == 1 && !mb_iterate_next(&iterator));
	mb_array_delete(array, wanted, 1);
	CHECK(array->count == 3 && !mb_array_has(array, wanted, 1));
	mb_iterate(&iterator, array, 1, -1, 0);
	CHECK(!mb_iterate_next(&iterator));
	mb_session_free(session);
}

static void test_sorting(void)
{
	struct mb_session *session = new_session(64, 1);
	struct mb_array *array = array_of(session, 1, 0, MB_LONG, 64, 0);
	const int64_t values[] = { 5, 9, 1, 7, 3, 8 };

	fill(session, array, values, 6);
	mb_array_sort(array, MB_BY_VALUE, 0, 1, 1, 2);
	CHECK(strcmp(listed(session), "2=9 6=8 4=7 1=5 3=1 5=3 ") == 0);
	mb_array_sort(array, MB_BY_KEY, 0, 0, 0, 0);
	CHECK(strcmp(listed(session), "1=5 2=9 3=1 4=7 5=3 6=8 ") == 0);
	mb_array_sort(array, MB_BY_VALUE, 0, 0, 1, 31);
	CHECK(strcmp(listed(session), "3=1 5=3 1=5 4=7 6=8 2=9 ") == 0);
	mb_session_free(session);
}

/* Every way to order 7 entries with equal values among them, against a plain stable sort. */
static void test_stability(void)
{
	struct mb_session *session = new_session(64, 1);
	struct mb_array *array = array_of(session, 1, 0, MB_LONG, 64, 0);

	for (int64_t pattern = 0; pattern < 2187; pattern++) {
		int64_t values[7], rest = pattern;
		char expected[256], *at = expected;

		for (int i = 0; i < 7; i++, rest /= 3)
			values[i] = rest % 3;
		mb_array_clear(array);
		fill(session, array, values, 7);
		for (int64_t value = 0; value < 3; value++) {
			for (int i = 0; i < 7; i++) {
				if (values[i] == value)
					at += sprintf(at, "%d=%d ", i + 1, (int)value);
			}
		}
		mb_array_sort(array, MB_BY_VALUE, 0, 0, pattern % 2, 30);
		CHECK(strcmp(listed(session), expected) == 0);
	}
	mb_session_free(session);
}

int main(void)
{
	test_order();
	test_limits();
	test_growth();
	test_strings();
	test_slices();
	test_sorting();
	test_stability();
	return 0;
}
