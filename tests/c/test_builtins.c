// SPDX-License-Identifier: LGPL-2.1-or-later
/* Built-in functions at the bounds of their buffers: every text of every length, at small and large MAXSTRINGLEN. */
#include "check.h"

#include "runtime/builtin.h"

#include <stdlib.h>

typedef int32_t (*builtin_fn)(struct mb_session *, uint32_t, void *, const int64_t *);

#define DECLARE(name) int32_t mb_do_##name(struct mb_session *, uint32_t, void *, const int64_t *)
DECLARE(substr);
DECLARE(text_strn);
DECLARE(string_quoted);
DECLARE(str_replace);
DECLARE(tokenize_2);
DECLARE(fp_to_string);
DECLARE(user_string_n_2);
DECLARE(user_string_utf16_1);
DECLARE(user_string_utf32_1);
DECLARE(user_buffer_quoted);

static const int64_t edges[] = { 0, 1, -1, 4, 5, 6, 7, 8, 510, 511, 512, 513, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN };
#define EDGES (sizeof(edges) / sizeof(*edges))

/* Call it, and the result must end within a string that has exactly its room. */
static void call(struct mb_session *session, builtin_fn function, const int64_t *arguments)
{
	char *result = malloc(session->limits.maxstringlen);

	memset(result, 'x', session->limits.maxstringlen);
	CHECK(result);
	if (function(session, MB_NO_SITE, result, arguments) == MB_OK)
		CHECK(memchr(result, '\0', session->limits.maxstringlen));
	free(result);
}

static void with_text(struct mb_session *session, const char *text)
{
	for (size_t i = 0; i < EDGES; i++) {
		for (size_t j = 0; j < EDGES; j++) {
			int64_t three[] = { word(text), edges[i], edges[j] };

			call(session, mb_do_substr, three);
			call(session, mb_do_text_strn, three);
			call(session, mb_do_user_buffer_quoted, three);
		}
		call(session, mb_do_user_string_n_2, (int64_t[]){ word(text), edges[i] });
		call(session, mb_do_fp_to_string, (int64_t[]){ INT64_C(0x4005bf0a8b145769), edges[i] });
	}
	call(session, mb_do_string_quoted, (int64_t[]){ word(text) });
	call(session, mb_do_str_replace, (int64_t[]){ word(text), word("a"), word(text) });
	call(session, mb_do_tokenize_2, (int64_t[]){ word(text), word("b") });
}

/* Texts that lie at the end of their memory, with a pattern of bytes over and over. */
static void with_pattern(struct mb_session *session, const char *pattern)
{
	for (uint32_t length = 0; length < session->limits.maxstringlen; length += length < 16 ? 1 : 37) {
		char *text = malloc(length + 1);

		CHECK(text);
		for (uint32_t i = 0; i < length; i++)
			text[i] = pattern[i % strlen(pattern)];
		text[length] = '\0';
		with_text(session, text);
		free(text);
	}
}

static void test_texts(uint32_t maxstringlen)
{
	static const char *const patterns[] = { "a", "ab\n", "\001", "\303\244", "\342\202\254x", "\360\237\230\200", "\360\237\230", "\377" };
	struct mb_session *session = new_session(maxstringlen, 0);

	for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
		with_pattern(session, patterns[i]);
	mb_session_free(session);
}

static void test_wide(void)
{
	static const uint16_t utf16[] = { 'a', 0xe4, 0x20ac, 0xd83d, 0xde00, 0 }, broken[] = { 'a', 0xd83d, 'b', 0 };
	static const uint32_t utf32[] = { 'a', 0xe4, 0x20ac, 0x1f600, 0 }, beyond[] = { 0x110000, 0 };
	struct mb_session *session = new_session(512, 0);
	const char *expected = "a\303\244\342\202\254\360\237\230\200";
	char text[512];

	CHECK(mb_do_user_string_utf16_1(session, MB_NO_SITE, text, (int64_t[]){ (int64_t)(uintptr_t)utf16 }) == MB_OK);
	CHECK(strcmp(text, expected) == 0);
	CHECK(mb_do_user_string_utf32_1(session, MB_NO_SITE, text, (int64_t[]){ (int64_t)(uintptr_t)utf32 }) == MB_OK);
	CHECK(strcmp(text, expected) == 0);
	CHECK(mb_do_user_string_utf16_1(session, MB_NO_SITE, text, (int64_t[]){ (int64_t)(uintptr_t)broken }) == MB_RAISED);
	CHECK(strncmp(session->error.message, "invalid UTF-16 character U+D83D at 0x", 37) == 0);
	CHECK(mb_do_user_string_utf32_1(session, MB_NO_SITE, text, (int64_t[]){ (int64_t)(uintptr_t)beyond }) == MB_RAISED);
	CHECK(strncmp(session->error.message, "invalid UTF-32 character U+110000 at 0x", 39) == 0);
	CHECK(mb_do_user_buffer_quoted(session, MB_NO_SITE, text, (int64_t[]){ word("a\0b\n"), 4, 100 }) == MB_OK);
	CHECK(strcmp(text, "\"a\\0b\\n\"") == 0);
	mb_session_free(session);
}

int main(void)
{
	test_texts(8);
	test_texts(64);
	test_texts(512);
	test_wide();
	return 0;
}
