// SPDX-License-Identifier: LGPL-2.1-or-later
/* libFuzzer target: formats, strings and histograms from arbitrary bytes. Build: tests/c/fuzz.sh */
#include "check.h"

#define CAPACITY 256

struct input {
	const uint8_t *at, *end;
};

static uint64_t take(struct input *input, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes && input->at < input->end; i++)
		value |= (uint64_t)*input->at++ << (8 * i);
	return value;
}

static struct mb_piece take_piece(struct input *input)
{
	static const char letters[] = "diuxXopcsbmM", flags[] = "\0000+- #";
	struct mb_piece piece = { 0 };

	piece.letter = letters[take(input, 1) % (sizeof(letters) - 1)];
	piece.flag = flags[take(input, 1) % 6];
	piece.star_width = take(input, 1) & 1;
	piece.star_precision = take(input, 1) & 1;
	piece.width = (int32_t)take(input, 2) - 1;
	piece.precision = (int32_t)take(input, 2) - 1;
	return piece;
}

static void fuzz_format(struct mb_session *session, struct input *input)
{
	struct mb_piece pieces[3];
	int64_t arguments[9];
	char text[CAPACITY], string[CAPACITY];
	int format;

	for (size_t i = 0; i < sizeof(string) - 1; i++)
		string[i] = (char)(take(input, 1) | 1);
	string[sizeof(string) - 1] = '\0';
	for (int i = 0, next = 0; i < 3; i++) {
		pieces[i] = take_piece(input);
		if (pieces[i].star_width)
			arguments[next++] = (int64_t)take(input, 8);
		if (pieces[i].star_precision)
			arguments[next++] = (int64_t)take(input, 8);
		arguments[next++] = pieces[i].letter == 's' ? word(string) : (int64_t)take(input, 8);
	}
	format = mb_session_add_format(session, pieces, 3);
	mb_sprint(session, text, (uint32_t)format, arguments, 0);
	CHECK(strlen(text) < CAPACITY);
	mb_print(session, (uint32_t)format, arguments, 0);
	CHECK(session->out.used <= MB_OUTPUT_BYTES);
	session->out.used = 0;
}

static void fuzz_histogram(struct mb_session *session, struct input *input)
{
	struct mb_stat_shape shape = { .histogram = 1 + (uint32_t)take(input, 1) % 2, .variance = 1 };
	char text[CAPACITY];

	shape.variance_bits = (uint32_t)take(input, 1) % 63;
	shape.low = (int64_t)take(input, 8);
	shape.step = (int64_t)take(input, 8);
	shape.high = (int64_t)((uint64_t)shape.low + take(input, 1) % 130 * (uint64_t)shape.step);
	if (mb_session_set_stat(session, 0, &shape))
		return;
	while (input->at < input->end)
		mb_stat_add_global(session, 0, (int64_t)take(input, 8));
	if (mb_histogram_string(session, 0, NULL, text, 0) == MB_OK)
		CHECK(strlen(text) < CAPACITY);
	mb_histogram_print(session, 0, NULL, 0);
	CHECK(session->out.used <= MB_OUTPUT_BYTES);
	session->out.used = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, data + size };
	struct mb_session *session = new_session(CAPACITY, 1);

	if (take(&input, 1) & 1)
		fuzz_format(session, &input);
	else
		fuzz_histogram(session, &input);
	mb_session_free(session);
	return 0;
}
