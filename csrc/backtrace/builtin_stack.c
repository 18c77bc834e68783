// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Back traces and names of addresses in the process that was hit. The process is held meanwhile (hold.h), so its memory is that of the
 * hit; its registers come with the record. The texts are SystemTap's: tapset::ucontext-unwind(3stap), tapset::ucontext-symbols(3stap).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/builtin.h"
#include "folded.h"
#include "process.h"

#define LINE_BYTES 8192		/* of one frame; a longer one is cut */
#define DEEPEST 4096		/* MAXBACKTRACE is less */

struct mb_stack {
	struct mb_process process;
	uint64_t hit;		/* of which hit the frames are */
	int64_t cut, gone;	/* back traces that the bytes of the stack were too few for; of processes that had ended */
	uint32_t count;
	uint64_t pc[DEEPEST];
	struct mb_folded folded;
};

/* How an address is written. */
struct style {
	int space;		/* in front */
	int hex;		/* the address, in front of its name */
	int offset, size;
	int module, base_name;
	char end;		/* behind it; 0: nothing */
};

static const struct style PLAIN = { .end = ' ' };
static const struct style SYMBOL = { 0 };
static const struct style BRIEF = { .offset = 1, .end = '\n' };
static const struct style SIMPLE = { .offset = 1, .module = 1, .base_name = 1, .end = '\n' };
static const struct style DATA = { .offset = 1, .size = 1, .module = 1 };
static const struct style FULL = { .space = 1, .hex = 1, .offset = 1, .size = 1, .module = 1, .end = '\n' };

/* --- the session's process --- */

static struct mb_stack *stack_of(struct mb_session *session)
{
	if (!session->stack)
		session->stack = calloc(1, sizeof(*session->stack));
	return session->stack;
}

int mb_session_know(struct mb_session *session, const char *path)
{
	struct mb_stack *stack = stack_of(session);

	return stack ? mb_process_know(&stack->process, path) : -ENOMEM;
}

void mb_session_stacks(const struct mb_session *session, int64_t *cut, int64_t *gone)
{
	*cut = session->stack ? session->stack->cut : 0;
	*gone = session->stack ? session->stack->gone : 0;
}

void mb_session_watch(struct mb_session *session)
{
	struct mb_stack *stack = stack_of(session);

	if (stack)
		mb_process_watch(&stack->process);
}

void mb_session_take_mapped(struct mb_session *session)
{
	if (session->stack)
		mb_process_take(&session->stack->process);
}

void mb_stack_free(struct mb_stack *stack)
{
	if (!stack)
		return;
	mb_process_free(&stack->process);
	mb_folded_free(&stack->folded);
	free(stack);
}

/* The process that was hit; in a handler that no hit started, we ourselves. NULL in a replay: its processes are gone. */
static struct mb_process *process_of(struct mb_session *session)
{
	struct mb_stack *stack = stack_of(session);
	const int goes_on = session->record && session->hook && !session->hook->stopped;

	if (!stack || session->limits.flags & MB_TRACE_TIME)
		return NULL;
	mb_process_read(&stack->process, mb_context_long(session, MB_PID), session->record ? session->hit : 0,
			goes_on ? session->record->time_ns : 0);
	return &stack->process;
}

/* --- texts --- */

static void put(struct mb_text *text, const char *words)
{
	while (*words)
		mb_text_char(text, *words++);
}

static void put_hex(struct mb_text *text, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "0x%" PRIx64, value);
	put(text, digits);
}

static void put_offset(struct mb_text *text, const struct style *style, uint64_t offset, uint64_t size)
{
	if (!style->offset)
		return;
	mb_text_char(text, '+');
	put_hex(text, offset);
	if (style->size) {
		mb_text_char(text, '/');
		put_hex(text, size);
	}
}

static const char *module_name(const struct style *style, const struct mb_place *place)
{
	const char *slash = style->base_name ? strrchr(place->module->path, '/') : NULL;

	return slash ? slash + 1 : place->module->path;
}

static void put_symbol(struct mb_text *text, const struct style *style, const char *name, uint64_t offset, uint64_t size)
{
	put(text, name[0] == '.' ? name + 1 : name);
	put_offset(text, style, offset, size);
}

/* An address with the names that it has, where `process` says what there is. */
static void put_address(struct mb_text *text, const struct style *style, struct mb_process *process, uint64_t address)
{
	const struct mb_image_symbol *symbol = NULL;
	struct mb_place place = { 0 };
	uint64_t size = 0;

	if (process && address)
		mb_process_place(process, address, &place);
	if (place.module && mb_process_knows(process, place.module) && place.module->image)
		symbol = mb_image_symbol(place.module->image, address - place.bias, &size);
	if (style->space)
		mb_text_char(text, ' ');
	if (style->hex || !symbol)
		put_hex(text, address);
	if (symbol) {
		put(text, style->hex ? " : " : "");
		put_symbol(text, style, symbol->name, address - place.bias - symbol->address, size);
	}
	if (place.module && style->module) {
		put(text, " [");
		put(text, module_name(style, &place));
		if (!symbol)
			put_offset(text, style, address - place.start, place.end - place.start);
		mb_text_char(text, ']');
	}
	if (style->end)
		mb_text_char(text, style->end);
}

/* --- frames --- */

static int has_registers(const struct mb_session *session)
{
	return session->record && session->hook && session->hook->context[MB_REGISTERS] >= 0;
}

static void missing(struct mb_session *session, const char *module)
{
	char text[LINE_BYTES];

	snprintf(text, sizeof(text), "Missing unwind data for a module, rerun with 'markbridge run -d %s'", module);
	mb_session_warn(session, text);
}

/* What the hit brings of the stack of a process that goes on; NULL if it does not. */
static const struct mb_user_stack *taken_of(const struct mb_session *session, uint32_t *bytes)
{
	const int32_t offset = session->hook->context[MB_USER_STACK];
	const char *record = (const char *)session->record;
	struct mb_string_slot slot;

	if (offset < 0)
		return NULL;
	memcpy(&slot, record + offset, sizeof(slot));
	if (slot.length < sizeof(struct mb_user_stack) || slot.length > session->record->size ||
	    slot.offset > session->record->size - slot.length)
		return NULL;
	*bytes = slot.length;
	return (const struct mb_user_stack *)(const void *)(record + slot.offset);
}

static void take(struct mb_session *session, struct mb_process *process)
{
	uint32_t bytes;
	const struct mb_user_stack *taken = taken_of(session, &bytes);

	if (!taken)
		return;
	process->taken.bytes = (const char *)taken + sizeof(*taken);
	process->taken.count = bytes - sizeof(*taken);
	process->taken.address = (uint64_t)mb_context_long(session, MB_REGISTERS + MB_FRAME_SP);
	process->taken.beyond = 0;
	memcpy(&process->taken.absent, &taken->absent, sizeof(taken->absent));
}

/* Where call frame information leads no further, frame pointers may: the callers of `pc` by them. How many addresses there are now. */
static uint32_t follow_pointers(const struct mb_session *session, uint64_t *pc, uint32_t count, uint32_t most)
{
	uint32_t bytes;
	const struct mb_user_stack *taken = taken_of(session, &bytes);
	int64_t frames, at = 0;
	uint64_t frame;

	memcpy(&frames, taken, sizeof(frames));
	frames = frames < 0 ? 0 : frames / (int64_t)sizeof(frame);
	if (frames > MB_USER_FRAMES)
		frames = MB_USER_FRAMES;
	for (int found = 0; at < frames && count < most; at++) {
		memcpy(&frame, (const char *)taken->frame + (size_t)at * sizeof(frame), sizeof(frame));
		if (found)
			pc[count++] = frame;
		found = found || frame == pc[count - 1];
	}
	return count;
}

/* The process goes on, and a step did not succeed; how many addresses there are now. */
static uint32_t give_up(struct mb_session *session, const struct mb_process *process, uint64_t *pc, uint32_t count, uint32_t most)
{
	const uint32_t all = follow_pointers(session, pc, count, most);

	if (all == count && process->taken.beyond)
		session->stack->cut++;
	return all;
}

/* Follow the calls from a frame up; how many addresses were found, the frame's own first. */
static uint32_t follow(struct mb_session *session, struct mb_process *process, struct mb_frame *frame, uint64_t *pc)
{
	const uint32_t most = session->limits.maxbacktrace < DEEPEST ? session->limits.maxbacktrace : DEEPEST;
	uint32_t count = 0;

	while (count < most && frame->reg[MB_FRAME_PC]) {
		struct mb_place place;
		int ret;

		pc[count++] = frame->reg[MB_FRAME_PC];
		if (count == most)
			break;
		ret = mb_process_step(process, frame);
		if (ret && ret != -ENODATA && process->taken.bytes)
			return give_up(session, process, pc, count, most);
		if (ret == -ENXIO) {
			mb_process_place(process, pc[count - 1] - (uint64_t)(frame->after_call != 0), &place);
			missing(session, place.module ? place.module->path : "(unknown)");
		}
		if (ret)
			break;
	}
	return count;
}

/* The process whose stack the hit is about; NULL if it has no user registers, as threads of the kernel, or has ended. */
static struct mb_process *stack_process(struct mb_session *session)
{
	struct mb_process *process = has_registers(session) ? process_of(session) : NULL;

	if (!process)
		return NULL;
	take(session, process);
	if (!process->taken.bytes || mb_process_is_there(process))
		return process;
	if (process->taken.count && session->stack->hit != session->hit)
		session->stack->gone++;
	session->stack->hit = session->hit;
	session->stack->count = 0;
	return NULL;
}

/* The frames of the hit, or NULL if there are none. */
static struct mb_stack *frames(struct mb_session *session)
{
	struct mb_process *process = stack_process(session);
	struct mb_stack *stack = session->stack;
	struct mb_frame frame = { 0 };

	if (!process)
		return NULL;
	if (stack->hit != session->hit) {
		for (uint32_t i = 0; i < MB_FRAME_REGISTERS; i++)
			frame.reg[i] = (uint64_t)mb_context_long(session, MB_REGISTERS + i);
		stack->hit = session->hit;
		stack->count = follow(session, process, &frame, stack->pc);
	}
	return stack;
}

static void print_frames(struct mb_session *session, const struct style *style, struct mb_process *process, const uint64_t *pc,
			 uint32_t count)
{
	char line[LINE_BYTES];

	for (uint32_t i = 0; i < count; i++) {
		struct mb_text text = { line, line + sizeof(line) };

		put_address(&text, style, process, pc[i]);
		mb_write(session, line, (size_t)(text.at - line));
	}
}

struct mb_folded *mb_stack_folded(struct mb_session *session, int of_kernel)
{
	const uint64_t run = session->hit << 16 | ((session->handler ? session->handler->id : 0) + 1);
	struct mb_stack *stack = session->limits.flags & MB_FOLDED && session->record ? stack_of(session) : NULL;
	char *name;

	if (!stack)
		return NULL;
	name = calloc(1, session->limits.maxstringlen + 1);
	if (!name)
		return NULL;
	mb_context_string(session, MB_EXECNAME, name);
	mb_folded_begin(&stack->folded, run, name, of_kernel);
	free(name);
	return &stack->folded;
}

static void put_line(void *session, const char *line, size_t length)
{
	mb_write(session, line, length);
}

void mb_session_print_folded(struct mb_session *session)
{
	if (session->stack)
		mb_folded_lines(&session->stack->folded, put_line, session);
}

/* The name of a function, or the file where none is known, or what it is. */
static void fold(struct mb_folded *folded, struct mb_process *process, const uint64_t *pc, uint32_t count)
{
	char line[LINE_BYTES];

	for (uint32_t i = 0; i < count; i++) {
		struct mb_text text = { line, line + sizeof(line) - 1 };
		struct mb_place place = { 0 };

		put_address(&text, &SYMBOL, process, pc[i]);
		*text.at = '\0';
		mb_process_place(process, pc[i], &place);
		if (strncmp(line, "0x", 2) == 0)
			snprintf(line, sizeof(line), "[%s]", place.module ? module_name(&SIMPLE, &place) : "unknown");
		mb_folded_frame(folded, 0, line);
	}
}

static void print_none(struct mb_session *session)
{
	char line[LINE_BYTES];
	const int length = snprintf(line, sizeof(line), "<no user backtrace at %s>\n", session->handler ? session->handler->point : "");

	mb_write(session, line, length < LINE_BYTES ? (size_t)length : sizeof(line) - 1);
}

static int32_t print_stack(struct mb_session *session, const struct style *style)
{
	const struct mb_stack *stack = frames(session);
	struct mb_folded *folded = stack ? mb_stack_folded(session, 0) : NULL;

	if (folded)
		fold(folded, &session->stack->process, stack->pc, stack->count);
	else if (stack)
		print_frames(session, style, &session->stack->process, stack->pc, stack->count);
	else if (!(session->limits.flags & MB_FOLDED))
		print_none(session);
	return MB_OK;
}

MB_BUILTIN(print_ubacktrace_0)
{
	return print_stack(session, &FULL);
}

MB_BUILTIN(print_ubacktrace_brief)
{
	return print_stack(session, &BRIEF);
}

/* From other registers than those of the hit: pc, sp, bp. */
MB_BUILTIN(print_ubacktrace_3)
{
	struct mb_process *process = stack_process(session);
	struct mb_frame frame = { 0 };
	uint64_t *pc;

	if (!process) {
		print_none(session);
		return MB_OK;
	}
	pc = calloc(DEEPEST, sizeof(*pc));
	if (!pc)
		return mb_raise(session, site, "out of memory");
	for (uint32_t i = 0; i < MB_FRAME_REGISTERS; i++)
		frame.reg[i] = (uint64_t)mb_context_long(session, MB_REGISTERS + i);
	frame.reg[MB_FRAME_PC] = (uint64_t)argument[0];
	frame.reg[MB_FRAME_SP] = (uint64_t)argument[1];
	frame.reg[MB_FRAME_BP] = (uint64_t)argument[2];
	print_frames(session, &FULL, process, pc, follow(session, process, &frame, pc));
	free(pc);
	return MB_OK;
}

static int32_t give_stack(struct mb_session *session, const struct style *style, void *result)
{
	struct mb_text text = { result, (char *)result + session->limits.maxstringlen - 1 };
	struct mb_stack *stack = frames(session);

	for (uint32_t i = 0; stack && i < stack->count; i++)
		put_address(&text, style, style == &PLAIN ? NULL : &stack->process, stack->pc[i]);
	if (!stack)
		put(&text, "\n");
	*text.at = '\0';
	return MB_OK;
}

MB_BUILTIN(ubacktrace)
{
	return give_stack(session, &PLAIN, result);
}

MB_BUILTIN(sprint_ubacktrace)
{
	return give_stack(session, &SIMPLE, result);
}

/* One address of the back trace; 0 if it has fewer. */
MB_BUILTIN(_ustack)
{
	const struct mb_stack *stack = frames(session);
	const uint64_t depth = (uint64_t)argument[0];

	return mb_give(result, stack && depth < stack->count ? (int64_t)stack->pc[depth] : 0);
}

/* --- names of addresses --- */

static int32_t give_address(struct mb_session *session, const struct style *style, void *result, int64_t address)
{
	struct mb_text text = { result, (char *)result + session->limits.maxstringlen - 1 };

	put_address(&text, style, process_of(session), (uint64_t)address);
	*text.at = '\0';
	return MB_OK;
}

MB_BUILTIN(usymname)
{
	return give_address(session, &SYMBOL, result, argument[0]);
}

MB_BUILTIN(usymdata)
{
	return give_address(session, &DATA, result, argument[0]);
}

MB_BUILTIN(umodname)
{
	struct mb_process *process = process_of(session);
	struct mb_place place = { 0 };

	*(char *)result = '\0';
	if (process)
		mb_process_place(process, (uint64_t)argument[0], &place);
	if (!place.module)
		return mb_raise(session, site, "module cannot be found");
	mb_string_copy(session, result, place.module->path);
	return MB_OK;
}

/* Where an address of a file is in the process that was hit; 0 if the file is not there, or if no process was hit. */
MB_BUILTIN(_loaded_at)
{
	struct mb_process *process = session->record ? process_of(session) : NULL;
	uint64_t bias;

	if (process && argument[2])
		return mb_give(result, argument[1]);
	if (!process || mb_process_bias(process, mb_text_argument(argument[0]), &bias))
		return mb_give(result, 0);
	return mb_give(result, argument[1] + (int64_t)bias);
}
