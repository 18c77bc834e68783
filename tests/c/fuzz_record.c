// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libFuzzer target: records. The first byte chooses where they come from: 0, a ring buffer as the kernel fills it, into a recorder and a
 * session; 1, a recorded trace that is replayed; 2, rows that were decoded elsewhere. Seeds: tests/c/seeds.py.
 */
#define _GNU_SOURCE
#include "fuzz_ctf_tables.h"

#include <dirent.h>
#include <fcntl.h>

#include "live/recorder.h"
#include "trace/replay.h"
#include "live/ring.h"

#define MOST_HOOKS 4
#define MOST_FIELDS 48
#define RING_BYTES 8192u
#define PAGE 4096u
#define STRING_BYTES 64

/* --- a session whose handlers look at all of a record --- */

static int32_t look(struct mb_session *session, const struct mb_record *record)
{
	const uint32_t slots = (record->size - (uint32_t)sizeof(*record)) / 8;
	char text[STRING_BYTES];

	for (uint32_t i = 0; i < slots; i++) {
		const char *found = mb_capture_string(session, record, (uint32_t)sizeof(*record) + 8 * i, text);

		CHECK(!found || strlen(found) < STRING_BYTES);
	}
	for (uint32_t which = 0; which < MB_CONTEXTS; which++)
		mb_context_long(session, which);
	mb_context_string(session, MB_EXECNAME, text);
	CHECK(strlen(text) < STRING_BYTES);
	return MB_OK;
}

static struct mb_session *watching_session(uint32_t hooks)
{
	struct mb_session *session = new_session(STRING_BYTES, 0);
	int32_t context[MB_CONTEXTS];
	const uint32_t handler = (uint32_t)mb_session_add_handler(session, (uintptr_t)look, 0, 0, "point", "point");

	for (uint32_t i = 0; i < MB_CONTEXTS; i++)
		context[i] = -1;
	for (uint32_t i = 0; i < hooks; i++)
		CHECK(mb_session_add_hook(session, &handler, 1, context) == (int)i);
	mb_session_outputs(session, -1, -1);
	mb_session_set_state(session, MB_RUNNING);
	return session;
}

/* --- out of a ring --- */

struct sinks {
	struct mb_recorder *recorder;
	struct mb_session *session;
	uint64_t records;
};

static int consume(void *context, const struct mb_record *record)
{
	struct sinks *sinks = context;

	sinks->records++;
	mb_recorder_write(sinks->recorder, record);
	return mb_session_consume(sinks->session, record);
}

/* The class of a hook's hits, and the one of its hits with faults after it. */
static void add_classes(struct mb_ctf_writer *writer, const struct mb_recorder_hook *hook, const struct mb_recorder_field *fields,
			uint32_t field_count)
{
	struct mb_ctf_op ops[MOST_FIELDS + MOST_FIELDS / 64 + 1] = { 0 };
	const uint32_t words = (hook->count + 63) / 64;
	uint32_t count = 0;

	for (uint32_t i = 0; i < hook->count && hook->first + i < field_count && i < MOST_FIELDS; i++) {
		const int is_text = fields[hook->first + i].kind == MB_RECORDER_TEXT;

		ops[count++] = (struct mb_ctf_op){
			.kind = is_text ? MB_CTF_TEXT : MB_CTF_INT, .bits = is_text ? 0 : 64, .align = 8, .store = -1 };
	}
	CHECK(mb_ctf_writer_add_class(writer, 1, ops, count, NULL, 0, 2) >= 0);
	for (uint32_t i = 0; i < words && count < sizeof(ops) / sizeof(*ops); i++)
		ops[count++] = (struct mb_ctf_op){ .kind = MB_CTF_INT, .bits = 64, .align = 8, .store = -1 };
	CHECK(mb_ctf_writer_add_class(writer, 2, ops, count, NULL, 0, 2) >= 0);
}

static void remove_all(const char *folder)
{
	DIR *open = opendir(folder);
	struct dirent *entry;

	while (open && (entry = readdir(open)))
		unlinkat(dirfd(open), entry->d_name, 0);
	if (open)
		closedir(open);
	rmdir(folder);
}

static struct mb_recorder *make_recorder(struct input *input, const char *folder, uint32_t *hook_count)
{
	const uint8_t uuid[16] = { 0 };
	const uint32_t hooks = 1 + (uint32_t)take(input, 1) % MOST_HOOKS, field_count = (uint32_t)take(input, 1) % MOST_FIELDS;
	struct mb_recorder_hook *hook = take_rows(input, hooks, sizeof(*hook));
	struct mb_recorder_field *field = take_rows(input, field_count, sizeof(*field));
	struct mb_ctf_writer *writer = mb_ctf_writer_create(folder, uuid, 4096);
	struct mb_recorder *recorder;

	CHECK(writer && mb_ctf_writer_add_stream(writer, "a", 0, 0, 0) == 0 && mb_ctf_writer_add_stream(writer, "b", 0, 1, 1) == 1);
	for (uint32_t i = 0; i < hooks; i++) {
		if (hook[i].event_class != MB_RECORDER_NONE)
			hook[i].event_class = 2 * i;	/* the writer takes slots as its classes say */
		if (hook[i].next % 4)	/* a chain of rows goes on to later ones; others are refused */
			hook[i].next = hook[i].next % 4 == 1 && i + 1 < hooks ? i + 1 : MB_RECORDER_NONE;
		add_classes(writer, &hook[i], field, field_count);
	}
	recorder = mb_recorder_create(writer, hook, hooks, field, field_count, 2);
	if (!recorder)
		mb_ctf_writer_close(writer, 0);
	free(hook);
	free(field);
	*hook_count = hooks;
	return recorder;
}

/* The memory of a ring with these bytes in it, twice, as the kernel maps it. */
static int make_ring(struct input *input)
{
	const int file = memfd_create("ring", MFD_CLOEXEC);
	uint8_t data[RING_BYTES] = { 0 };
	uint64_t produced = left(input) < RING_BYTES ? left(input) & ~(size_t)7 : RING_BYTES;

	memcpy(data, input->at, produced);
	CHECK(file >= 0 && ftruncate(file, 2 * PAGE + 2 * RING_BYTES) == 0);
	CHECK(pwrite(file, &produced, sizeof(produced), PAGE) == sizeof(produced));
	CHECK(pwrite(file, data, RING_BYTES, 2 * PAGE) == RING_BYTES);
	CHECK(pwrite(file, data, RING_BYTES, 2 * PAGE + RING_BYTES) == RING_BYTES);
	return file;
}

static void record(struct input *input)
{
	char folder[] = "/dev/shm/markbridge-fuzz.XXXXXX";
	struct mb_ring_turn turn = { .limit = 4096 };
	struct sinks sinks = { 0 };
	uint32_t hooks;

	CHECK(mkdtemp(folder));
	sinks.recorder = make_recorder(input, folder, &hooks);
	if (sinks.recorder) {
		const int file = make_ring(input);
		struct mb_ring *ring = mb_ring_open(file, RING_BYTES);

		CHECK(ring);
		sinks.session = watching_session(hooks);
		mb_ring_consume(ring, consume, &sinks, &turn);
		mb_recorder_lost(sinks.recorder, 1, turn.malformed);
		mb_recorder_flush(sinks.recorder);
		CHECK(mb_recorder_written(sinks.recorder) + mb_recorder_dropped(sinks.recorder) <= sinks.records);
		mb_recorder_close(sinks.recorder, 0);
		mb_session_free(sinks.session);
		mb_ring_close(ring);
		close(file);
	}
	remove_all(folder);
}

/* --- out of a trace --- */

static void replay(struct input *input)
{
	const uint32_t bindings = (uint32_t)take(input, 1) % 32, steps = (uint32_t)take(input, 1);
	struct mb_replay_binding *binding = take_rows(input, bindings, sizeof(*binding));
	struct mb_replay_step *step = take_rows(input, steps, sizeof(*step));
	struct tables t = take_tables(input);
	struct mb_ctf_cursor *cursor = mb_ctf_open(&t.d);

	if (cursor) {
		struct mb_session *session = watching_session(MOST_HOOKS);
		struct mb_replay *replay;
		int64_t first;

		open_streams(cursor, &t, input);
		replay = mb_replay_new(cursor, session, binding, bindings, step, steps);
		if (replay) {
			mb_replay_first(replay, &first);
			for (int i = 0; i < 64 && mb_replay_run(replay, 64) > 0; i++)
				;
			mb_replay_free(replay);
		}
		mb_ctf_close(cursor);
		mb_session_free(session);
	}
	free_tables(&t);
	free(binding);
	free(step);
}

/* --- out of rows --- */

static void deliver_rows(struct input *input)
{
	const uint32_t bindings = (uint32_t)take(input, 1) % 32, steps = (uint32_t)take(input, 1);
	struct mb_replay_binding *binding = take_rows(input, bindings, sizeof(*binding));
	struct mb_replay_step *step = take_rows(input, steps, sizeof(*step));
	const uint32_t rows = (uint32_t)take(input, 1), variables = (uint32_t)take(input, 1);
	struct mb_replay_row *row = take_rows(input, rows, sizeof(*row));
	int64_t *variable = take_rows(input, variables, sizeof(*variable));
	uint8_t *texts = malloc(left(input) + 1);
	const struct mb_replay_batch batch = { row, variable, texts, variables, left(input), rows };
	struct mb_session *session = watching_session(MOST_HOOKS);
	struct mb_replay *replay = mb_replay_new(NULL, session, binding, bindings, step, steps);

	memcpy(texts, input->at, left(input));
	if (replay) {
		mb_replay_rows(replay, &batch);
		CHECK(mb_replay_records(replay) <= (uint64_t)rows * bindings);
		mb_replay_free(replay);
	}
	mb_session_free(session);
	free(texts);
	free(variable);
	free(row);
	free(binding);
	free(step);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, data + size };

	switch (take(&input, 1) % 3) {
	case 0:
		record(&input);
		break;
	case 1:
		replay(&input);
		break;
	default:
		deliver_rows(&input);
	}
	return 0;
}
