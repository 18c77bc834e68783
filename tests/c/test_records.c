// SPDX-License-Identifier: LGPL-2.1-or-later
/* Records that a ring or a replay must not believe. */
#define _GNU_SOURCE
#include "check.h"

#include <sys/mman.h>

#include "trace/ctf.h"
#include "live/record.h"
#include "trace/replay.h"
#include "live/ring.h"

#define PAGE 4096u
#define RING_BYTES 4096u

/* --- a ring with one entry --- */

static int count_record(void *context, const struct mb_record *record)
{
	*(uint64_t *)context += record->size;
	return 0;
}

/* What comes of an entry whose header and record say these lengths. */
static struct mb_ring_turn consume(uint32_t entry_bytes, uint32_t record_bytes, uint64_t *seen)
{
	const int file = memfd_create("ring", MFD_CLOEXEC);
	const uint64_t produced = 64;
	const uint32_t entry[] = { entry_bytes, 0, record_bytes, 0 };
	struct mb_ring_turn turn = { .limit = 10 };
	struct mb_ring *ring;

	CHECK(file >= 0 && ftruncate(file, 2 * PAGE + 2 * RING_BYTES) == 0);
	CHECK(pwrite(file, &produced, sizeof(produced), PAGE) == sizeof(produced));
	CHECK(pwrite(file, entry, sizeof(entry), 2 * PAGE) == sizeof(entry));
	ring = mb_ring_open(file, RING_BYTES);
	CHECK(ring);
	*seen = 0;
	CHECK(mb_ring_consume(ring, count_record, seen, &turn) == 0);
	mb_ring_close(ring);
	close(file);
	return turn;
}

static void test_ring(void)
{
	static const uint32_t bad[][2] = { { 56, 64 }, { 56, 8 }, { 8, 8 }, { 56, 27 }, { 0x3ffffff8, 0x3ffffff8 }, { 4096, 4096 } };
	uint64_t seen;
	struct mb_ring_turn turn = consume(56, 56, &seen);

	CHECK(turn.records == 1 && turn.malformed == 0 && seen == 56);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		turn = consume(bad[i][0], bad[i][1], &seen);
		CHECK(turn.malformed == turn.records && turn.malformed > 0 && seen == 0);
	}
}

/* --- a replay of one event: its class has `u8 tag; variant <tag> { string a; u8 b; } v; u8 n` --- */

enum { TAG = 0, TEXT = 1, NUMBER = 3, VARIABLES = 8, SLOTS = 4 };

static const struct mb_ctf_op ops[] = {
	{ .kind = MB_CTF_INT, .bits = 8, .align = 8, .store = TAG },
	{ .kind = MB_CTF_VARIANT, .align = 1, .count = 2, .source = TAG, .body = 4, .store = -1 },
	{ .kind = MB_CTF_OPTION, .align = 1, .count = 1, .source = 0, .body = 1, .store = -1 },
	{ .kind = MB_CTF_TEXT, .align = 8, .store = TEXT },
	{ .kind = MB_CTF_OPTION, .align = 1, .count = 1, .source = 1, .body = 1, .store = -1 },
	{ .kind = MB_CTF_INT, .bits = 8, .align = 8, .store = -1 },
	{ .kind = MB_CTF_INT, .bits = 8, .align = 8, .store = NUMBER },
};

static struct mb_ctf_cursor *open_event(const void *bytes, size_t size)
{
	static const struct mb_ctf_range ranges[] = { { 0, 0 }, { 1, 1 } };
	static const struct mb_ctf_stream_class stream = { .clock = MB_CTF_NONE };
	static const struct mb_ctf_event_class event = { .payload = { 0, sizeof(ops) / sizeof(*ops) } };
	const struct mb_ctf_description description = {
		.ops = ops, .op_count = sizeof(ops) / sizeof(*ops), .ranges = ranges, .range_count = 2,
		.stream_classes = &stream, .stream_class_count = 1, .event_classes = &event, .event_class_count = 1,
		.variables = VARIABLES,
	};
	struct mb_ctf_cursor *cursor = mb_ctf_open(&description);
	const int file = memfd_create("stream", MFD_CLOEXEC);
	char path[32];

	CHECK(cursor && file >= 0 && write(file, bytes, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	CHECK(mb_ctf_add_stream(cursor, path) == 0);
	close(file);
	return cursor;
}

static char seen_text[64];

static int32_t look(struct mb_session *session, const struct mb_record *record)
{
	char buffer[64];
	const char *text = mb_capture_string(session, record, sizeof(*record), buffer);

	snprintf(seen_text, sizeof(seen_text), "%s %d", text ? text : "none", (int)record->slot[1]);
	return MB_OK;
}

/* 0 if the steps are refused; else how many records came of the event. */
static uint64_t replay(const void *bytes, size_t size, const struct mb_replay_binding *binding, const struct mb_replay_step *steps,
		       uint32_t step_count)
{
	struct mb_ctf_cursor *cursor = open_event(bytes, size);
	struct mb_session *session = new_session(64, 0);
	int32_t context[MB_CONTEXTS];
	const uint32_t handler = (uint32_t)mb_session_add_handler(session, (uintptr_t)look, 0, 0, "point", "point");
	struct mb_replay *replay = mb_replay_new(cursor, session, binding, 1, steps, step_count);
	uint64_t records = 0;

	memset(context, 0xff, sizeof(context));
	CHECK(mb_session_add_hook(session, &handler, 1, context) == 0);
	mb_session_set_state(session, MB_RUNNING);
	if (replay) {
		CHECK(mb_replay_run(replay, 10) == 0);
		records = mb_replay_records(replay);
		mb_replay_free(replay);
	}
	mb_ctf_close(cursor);
	mb_session_free(session);
	return records;
}

static const struct mb_replay_step good[] = {
	{ .kind = MB_REPLAY_TEXT, .slot = 0, .a = TEXT, .value = 63, .fault = MB_REPLAY_NONE },
	{ .kind = MB_REPLAY_LONG, .slot = 1, .a = NUMBER, .fault = MB_REPLAY_NONE },
	{ .kind = MB_REPLAY_OP, .slot = 2, .a = 1, .b = 1, .value = MB_REPLAY_ADD, .fault = MB_REPLAY_NONE },
};
static const struct mb_replay_binding all = { .count = 3, .slots = 3, .scratch = SLOTS, .pid_variable = MB_REPLAY_NONE };

static void test_replay(void)
{
	CHECK(replay("\0tea\0\5", 6, &all, good, 3) == 1);
	CHECK(!strcmp(seen_text, "tea 5"));
	/* the option with the text was never selected, so nothing is known of it */
	CHECK(replay("\1\7\6", 3, &all, good, 3) == 1);
	CHECK(!strcmp(seen_text, " 6"));
}

static void test_refused_steps(void)
{
	static const struct mb_replay_step bad[] = {
		{ .kind = MB_REPLAY_LONG, .slot = SLOTS, .fault = MB_REPLAY_NONE },
		{ .kind = MB_REPLAY_LONG, .a = VARIABLES, .fault = MB_REPLAY_NONE },
		{ .kind = MB_REPLAY_TEXT, .a = NUMBER, .value = 9, .fault = MB_REPLAY_NONE },
		{ .kind = MB_REPLAY_TEXT, .a = TEXT + 1, .value = 9, .fault = MB_REPLAY_NONE },
		{ .kind = MB_REPLAY_TEXT, .a = VARIABLES, .value = 9, .fault = MB_REPLAY_NONE },
		{ .kind = MB_REPLAY_TEXT, .a = TEXT, .value = -1, .fault = MB_REPLAY_NONE },
		{ .kind = MB_REPLAY_STATUS, .fault = VARIABLES },
		{ .kind = MB_REPLAY_STATUS, .fault = TAG, .fault_bit = 64 },
		{ .kind = MB_REPLAY_OP, .a = SLOTS, .fault = MB_REPLAY_NONE },
		{ .kind = MB_REPLAY_OP, .b = SLOTS, .fault = MB_REPLAY_NONE },
		{ .kind = MB_REPLAY_OP + 1, .fault = MB_REPLAY_NONE },
		{ .kind = 0, .fault = MB_REPLAY_NONE },
	};
	struct mb_replay_binding one = { .count = 1, .slots = 2, .scratch = SLOTS, .pid_variable = MB_REPLAY_NONE };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK(replay("\1\7\6", 3, &one, bad + i, 1) == 0);
	CHECK(replay("\1\7\6", 3, &one, good, 1) == 1);
	one.pid_variable = VARIABLES;
	CHECK(replay("\1\7\6", 3, &one, good, 1) == 0);
}

int main(void)
{
	test_ring();
	test_replay();
	test_refused_steps();
	return 0;
}
