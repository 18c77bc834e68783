// SPDX-License-Identifier: LGPL-2.1-or-later
/* Formats, strings, statistics and histograms as text. */
#include "check.h"

static struct mb_piece conversion(char letter, char flag, int32_t width, int32_t precision)
{
	return (struct mb_piece){ .letter = letter, .flag = flag, .width = width, .precision = precision };
}

static const char *formatted(struct mb_session *session, struct mb_piece piece, const int64_t *arguments)
{
	static char text[512];
	int format = mb_session_add_format(session, &piece, 1);

	CHECK(format >= 0);
	mb_sprint(session, text, (uint32_t)format, arguments, 0);
	return text;
}

static void same(struct mb_session *session, struct mb_piece piece, int64_t argument, const char *expected)
{
	const char *text = formatted(session, piece, &argument);

	if (strcmp(text, expected))
		fprintf(stderr, "%%%c: \"%s\" instead of \"%s\"\n", piece.letter, text, expected);
	CHECK(strcmp(text, expected) == 0);
}

static void test_numbers(struct mb_session *session)
{
	same(session, conversion('d', 0, -1, -1), INT64_MIN, "-9223372036854775808");
	same(session, conversion('d', '+', -1, -1), 0, "+0");
	same(session, conversion('d', ' ', 5, -1), 7, "    7");
	same(session, conversion('d', '-', 5, -1), -7, "-7   ");
	same(session, conversion('d', '0', 8, 4), 42, "00000042");
	same(session, conversion('d', 0, 8, 4), -42, "   -0042");
	same(session, conversion('u', 0, -1, -1), -1, "18446744073709551615");
	same(session, conversion('x', '#', -1, -1), 0, "0x0");
	same(session, conversion('X', '#', 8, -1), 255, "    0XFF");
	same(session, conversion('o', '#', -1, -1), 0, "00");
	same(session, conversion('p', 0, -1, -1), 4096, "0x1000");
	same(session, conversion('i', 0, 40, -1), 1, "                                       1");
}

static void test_characters(struct mb_session *session)
{
	same(session, conversion('c', 0, -1, -1), 321, "A");
	same(session, conversion('c', '#', -1, -1), '\n', "\\n");
	same(session, conversion('c', '#', 6, -1), 200, "  \\310");
	same(session, conversion('c', '#', -1, -1), '"', "\"");
	same(session, conversion('s', 0, 5, 2), word("abc"), "   ab");
	same(session, conversion('s', '-', 5, -1), word("abc"), "abc  ");
	same(session, conversion('s', 0, -1, 0), word("abc"), "");
	same(session, conversion('s', '#', -1, -1), word("a\n"), "a\n");
	same(session, conversion('b', 0, 2, -1), 0x4142, "BA");
}

static void test_stars(struct mb_session *session)
{
	struct mb_piece star = { .letter = 'd', .star_width = 1, .star_precision = 1, .width = -1, .precision = -1 };
	const int64_t usual[] = { 6, 3, 42 }, negative[] = { -6, -3, 42 }, huge[] = { INT64_MAX, INT32_MAX, 42 };

	CHECK(strcmp(formatted(session, star, usual), "   042") == 0);
	CHECK(strcmp(formatted(session, star, negative), "42") == 0);
	CHECK(strlen(formatted(session, star, huge)) == session->limits.maxstringlen - 1);
}

/* What the format gives is cut where the string ends: one less, as much, one more. */
static void test_capacity(void)
{
	for (uint32_t length = 510; length <= 514; length++) {
		struct mb_session *session = new_session(512, 0);
		char text[512];
		int64_t argument = 7, parts[2];
		char half[600] = "";
		struct mb_piece piece = conversion('d', 0, (int32_t)length, -1);

		CHECK(mb_session_add_format(session, &piece, 1) == 0);
		mb_sprint(session, text, 0, &argument, 0);
		CHECK(strlen(text) == (length < 511 ? length : 511));
		memset(half, 'x', length - 1);
		parts[0] = word(half);
		parts[1] = word("yz");
		mb_string_concat(session, text, parts, 2);
		CHECK(strlen(text) == (length + 1 < 511 ? length + 1 : 511));
		mb_string_copy(session, text, half);
		CHECK(strlen(text) == (length - 1 < 511 ? length - 1 : 511));
		mb_session_free(session);
	}
}

static void test_aliases(struct mb_session *session)
{
	char text[64] = "ab";
	int64_t parts[3] = { word("x"), word(text), word(text) };

	mb_string_concat(session, text, parts, 3);
	CHECK(strcmp(text, "xabab") == 0);
}

/* --- statistics --- */

static void test_extractors(void)
{
	struct mb_session *session = new_session(512, 1);
	struct mb_stat_shape shape = { .variance = 1, .step = 1 };
	int64_t result, values[] = { 10, 20, 35 };

	CHECK(mb_session_set_stat(session, 0, &shape) == 0);
	CHECK(mb_stat_get(session, 0, NULL, MB_SUM, &result, 0) == MB_OK && result == 0);
	CHECK(mb_stat_get(session, 0, NULL, MB_VARIANCE, &result, 3) == MB_RAISED);
	CHECK(strcmp(session->error.message, "empty aggregate") == 0 && session->error.site == 3);
	for (int i = 0; i < 3; i++)
		mb_stat_add_global(session, 0, values[i]);
	CHECK(mb_stat_get(session, 0, NULL, MB_VARIANCE, &result, 0) == MB_OK && result == 165);
	CHECK(mb_stat_get(session, 0, NULL, MB_AVG, &result, 0) == MB_OK && result == 21);
	mb_clear_global(session, 0);
	for (const char *digit = "24445579"; *digit; digit++)
		mb_stat_add_global(session, 0, *digit - '0');
	CHECK(mb_stat_get(session, 0, NULL, MB_VARIANCE, &result, 0) == MB_OK && result == 13);
	mb_clear_global(session, 0);
	mb_stat_add_global(session, 0, INT64_MIN);
	mb_stat_add_global(session, 0, INT64_MIN);
	CHECK(mb_stat_get(session, 0, NULL, MB_SUM, &result, 0) == MB_OK && result == 0);
	CHECK(mb_stat_get(session, 0, NULL, MB_MAX, &result, 0) == MB_OK && result == INT64_MIN);
	mb_session_free(session);
}

static void test_log_histogram(void)
{
	struct mb_session *session = new_session(8192, 1);
	struct mb_stat_shape shape = { .histogram = MB_LOG, .step = 1 };
	const int64_t values[] = { INT64_MIN, -1, 0, 1, 2, 3, INT64_MAX };
	char text[8192];
	int64_t count;

	CHECK(mb_session_set_stat(session, 0, &shape) == 0);
	CHECK(mb_histogram_string(session, 0, NULL, text, 0) == MB_RAISED);
	for (int i = 0; i < 7; i++)
		mb_stat_add_global(session, 0, values[i]);
	CHECK(mb_histogram_string(session, 0, NULL, text, 0) == MB_OK);
	CHECK(strstr(text, "-9223372036854775808 |@"));
	CHECK(strstr(text, "                   2 |@@                                                 2\n"));
	CHECK(strcmp(text + strlen(text) - 4, " 1\n\n") == 0);
	CHECK(mb_histogram_get(session, 0, NULL, 64, &count, 0) == MB_OK && count == 1);
	CHECK(mb_histogram_get(session, 0, NULL, 128, &count, 0) == MB_RAISED);
	CHECK(mb_histogram_get(session, 0, NULL, -1, &count, 0) == MB_RAISED);
	mb_session_free(session);
}

static const char linear_text[] =
	"value |-------------------------------------------------- count\n"
	"<-100 |@@@@@@@@@@@                                        11\n"
	" -100 |@@@@@@@@@@@@@@@@@@@@@@@@@                          25\n"
	"  -75 |@@@@@@@@@@@@@@@@@@@@@@@@@                          25\n"
	"  -50 |@@@@@@@@@@@@@@@@@@@@@@@@@                          25\n"
	"  -25 |@@@@@@@@@@@@@@@@@@@@@@@@@                          25\n"
	"    0 |                                                    0\n"
	"   >0 |@                                                   1\n"
	"\n";

static void test_linear_histogram(void)
{
	struct mb_session *session = new_session(8192, 1);
	struct mb_stat_shape shape = { .histogram = MB_LINEAR, .low = -100, .high = 0, .step = 25 };
	struct mb_stat_shape wide = { .histogram = MB_LINEAR, .low = INT64_MIN, .high = INT64_MAX, .step = 1 };
	char text[8192];

	CHECK(mb_session_set_stat(session, 0, &wide) < 0);
	CHECK(mb_session_set_stat(session, 0, &shape) == 0);
	for (int64_t value = -110; value < 0; value++)
		mb_stat_add_global(session, 0, value);
	mb_stat_add_global(session, 0, INT64_MIN);
	mb_stat_add_global(session, 0, 1000);
	CHECK(mb_histogram_string(session, 0, NULL, text, 0) == MB_OK);
	CHECK(strcmp(text, linear_text) == 0);
	mb_session_free(session);
}

int main(void)
{
	struct mb_session *session = new_session(64, 0);

	test_numbers(session);
	test_characters(session);
	test_stars(session);
	test_aliases(session);
	test_capacity();
	test_extractors();
	test_log_histogram();
	test_linear_histogram();
	mb_session_free(session);
	return 0;
}
