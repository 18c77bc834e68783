// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * .eh_frame and .debug_frame. Source: DWARF 5, section 6.4; Linux Standard Base, "Exception Frames"; System V ABI for AMD64, section
 * 3.7 (register numbers). Entries are found by an index that is made once per file.
 */
#include "unwind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dwarf.h"

#define NO_CIE UINT64_MAX
#define DEEPEST 16			/* DW_CFA_remember_state */
#define STACK_WORDS 64			/* of an expression */
#define LONGEST 10000			/* operations of an expression */

enum { PE_OMIT = 0xff, PE_INDIRECT = 0x80, PE_FORMAT = 0x0f, PE_APPLICATION = 0x70, PE_PCREL = 0x10, PE_FUNCREL = 0x40 };

/* A common information entry. */
struct cie {
	struct mb_bytes code;
	uint64_t code_align;
	int64_t data_align;
	uint64_t return_column;
	uint8_t encoding;		/* of addresses in its description entries */
	int has_augmentation, is_signal;
};

/* --- pointers --- */

static uint64_t encoded(const struct mb_frame_section *section, struct mb_bytes *in, uint8_t encoding)
{
	const uint64_t here = section->address + (uint64_t)(in->at - section->data);
	uint64_t value;

	switch (encoding & PE_FORMAT) {
	case 0x00:
	case 0x04:
	case 0x0c:
		value = mb_fixed(in, 8);
		break;
	case 0x01:
		value = mb_leb(in);
		break;
	case 0x02:
		value = mb_fixed(in, 2);
		break;
	case 0x03:
		value = mb_fixed(in, 4);
		break;
	case 0x09:
		value = (uint64_t)mb_leb_signed(in);
		break;
	case 0x0a:
		value = (uint64_t)mb_fixed_signed(in, 2);
		break;
	case 0x0b:
		value = (uint64_t)mb_fixed_signed(in, 4);
		break;
	default:
		in->bad = 1;
		return 0;
	}
	switch (encoding & PE_APPLICATION) {
	case 0:
	case PE_FUNCREL:
		return value;
	case PE_PCREL:
		return value ? value + here : 0;
	default:
		in->bad = 1;	/* relative to sections: no compiler for x86-64 writes that here */
		return 0;
	}
}

/* --- entries --- */

static void read_augmentation(const struct mb_frame_section *section, struct mb_bytes *in, const char *letters, struct cie *cie)
{
	struct mb_bytes data;
	uint64_t length;

	if (letters[0] != 'z') {
		cie->is_signal = strchr(letters, 'S') != NULL;
		return;
	}
	cie->has_augmentation = 1;
	length = mb_leb(in);
	if (length > mb_left(in)) {
		in->bad = 1;
		return;
	}
	data = mb_bytes(in->at, length);
	mb_skip(in, length);
	for (letters++; *letters; letters++) {
		switch (*letters) {
		case 'R':
			cie->encoding = (uint8_t)mb_fixed(&data, 1);
			break;
		case 'P':
			encoded(section, &data, (uint8_t)mb_fixed(&data, 1) & PE_FORMAT);
			break;
		case 'L':
			mb_fixed(&data, 1);
			break;
		case 'S':
			cie->is_signal = 1;
			break;
		default:	/* the rest of the data has an unknown form, but not the instructions */
			return;
		}
	}
}

/* The contents of the entry at an offset; its CIE's offset, or NO_CIE if it is one itself or the end. */
static int read_entry(const struct mb_frame_section *section, uint64_t offset, struct mb_bytes *body, uint64_t *cie, uint64_t *next)
{
	struct mb_bytes in = mb_bytes(section->data, section->bytes);
	uint64_t length, id, id_at;
	int is_64;

	mb_skip(&in, offset);
	length = mb_unit_length(&in, &is_64);
	if (in.bad || !length || length > mb_left(&in))
		return -EINVAL;
	*next = (uint64_t)(in.at - section->data) + length;
	*body = mb_bytes(in.at, length);
	id_at = (uint64_t)(in.at - section->data);
	id = mb_fixed(body, is_64 && !section->is_eh ? 8 : 4);
	if (section->is_eh)
		*cie = id ? id_at - id : NO_CIE;
	else
		*cie = id == (is_64 ? UINT64_MAX : 0xffffffff) ? NO_CIE : id;
	return body->bad ? -EINVAL : 0;
}

static int read_cie(const struct mb_frame_section *section, uint64_t offset, struct cie *cie)
{
	struct mb_bytes in;
	uint64_t parent, next;
	const char *letters;
	uint8_t version;

	memset(cie, 0, sizeof(*cie));
	if (offset >= section->bytes || read_entry(section, offset, &in, &parent, &next) || parent != NO_CIE)
		return -EINVAL;
	version = (uint8_t)mb_fixed(&in, 1);
	if (version != 1 && version != 3 && version != 4)
		return -EINVAL;
	letters = mb_cstring(&in);
	if (version == 4) {
		if (mb_fixed(&in, 1) != 8 || mb_fixed(&in, 1))	/* size of an address; of a segment selector */
			return -EINVAL;
	}
	cie->code_align = mb_leb(&in);
	cie->data_align = mb_leb_signed(&in);
	cie->return_column = version == 1 ? mb_fixed(&in, 1) : mb_leb(&in);
	read_augmentation(section, &in, letters, cie);
	cie->code = in;
	return in.bad ? -EINVAL : 0;
}

/* --- the index --- */

static int by_start(const void *a, const void *b)
{
	const struct mb_frame_entry *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static int add_entry(struct mb_frame_index *index, size_t *room, const struct mb_frame_entry *entry)
{
	if (index->count == *room) {
		size_t more = *room ? 2 * *room : 64;
		struct mb_frame_entry *larger = realloc(index->entry, more * sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		index->entry = larger;
		*room = more;
	}
	index->entry[index->count++] = *entry;
	return 0;
}

int mb_frame_index_make(struct mb_frame_index *index, const struct mb_frame_section *section)
{
	uint64_t offset = 0, next = 0, parent, known = NO_CIE;
	struct mb_bytes in;
	struct cie cie;
	size_t room = 0;
	int usable = 0;

	memset(index, 0, sizeof(*index));
	index->section = *section;
	for (; offset < section->bytes && !read_entry(section, offset, &in, &parent, &next); offset = next) {
		struct mb_frame_entry entry = { .offset = offset };

		if (parent == NO_CIE)
			continue;
		if (parent != known) {
			usable = !read_cie(section, parent, &cie);
			known = parent;
		}
		if (!usable || cie.encoding & PE_INDIRECT)
			continue;
		entry.start = encoded(section, &in, cie.encoding);
		entry.end = entry.start + encoded(section, &in, cie.encoding & PE_FORMAT);
		if (!in.bad && entry.end > entry.start && entry.start && add_entry(index, &room, &entry)) {
			mb_frame_index_free(index);
			return -ENOMEM;
		}
	}
	if (index->count)
		qsort(index->entry, index->count, sizeof(*index->entry), by_start);
	return 0;
}

void mb_frame_index_free(struct mb_frame_index *index)
{
	free(index->entry);
	index->entry = NULL;
	index->count = 0;
}

static const struct mb_frame_entry *find_entry(const struct mb_frame_index *index, uint64_t pc)
{
	size_t low = 0, high = index->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (index->entry[middle].start <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	return low && pc < index->entry[low - 1].end ? &index->entry[low - 1] : NULL;
}

/* --- expressions --- */

struct machine {
	const struct mb_frame *frame;
	const struct mb_frame_memory *memory;
	uint64_t stack[STACK_WORDS];
	unsigned depth;
	int bad;
};

static void push(struct machine *machine, uint64_t value)
{
	if (machine->depth == STACK_WORDS)
		machine->bad = 1;
	else
		machine->stack[machine->depth++] = value;
}

static uint64_t pop(struct machine *machine)
{
	if (machine->depth)
		return machine->stack[--machine->depth];
	machine->bad = 1;
	return 0;
}

static uint64_t peek(struct machine *machine, uint64_t below)
{
	if (below < machine->depth)
		return machine->stack[machine->depth - 1 - below];
	machine->bad = 1;
	return 0;
}

static uint64_t frame_register(struct machine *machine, uint64_t number)
{
	if (number < MB_FRAME_REGISTERS)
		return machine->frame->reg[number];
	machine->bad = 1;
	return 0;
}

static uint64_t load(struct machine *machine, uint64_t address, uint64_t size)
{
	uint64_t value = 0;

	if (!size || size > 8 || machine->memory->read(machine->memory->context, address, &value, size))
		machine->bad = 1;
	return value;
}

static void two_operands(struct machine *machine, uint8_t op)
{
	const uint64_t right = pop(machine), left = pop(machine);
	const int64_t a = (int64_t)left, b = (int64_t)right;

	switch (op) {
	case 0x1a: push(machine, left & right); break;
	case 0x1b:
		if (!right || (b == -1 && a == INT64_MIN))
			machine->bad = 1;
		else
			push(machine, (uint64_t)(a / b));
		break;
	case 0x1c: push(machine, left - right); break;
	case 0x1d:
		if (right)
			push(machine, left % right);
		else
			machine->bad = 1;
		break;
	case 0x1e: push(machine, left * right); break;
	case 0x21: push(machine, left | right); break;
	case 0x22: push(machine, left + right); break;
	case 0x24: push(machine, right < 64 ? left << right : 0); break;
	case 0x25: push(machine, right < 64 ? left >> right : 0); break;
	case 0x26: push(machine, (uint64_t)(a >> (right < 64 ? right : 63))); break;
	case 0x27: push(machine, left ^ right); break;
	case 0x29: push(machine, a == b); break;
	case 0x2a: push(machine, a >= b); break;
	case 0x2b: push(machine, a > b); break;
	case 0x2c: push(machine, a <= b); break;
	case 0x2d: push(machine, a < b); break;
	case 0x2e: push(machine, a != b); break;
	default: machine->bad = 1;
	}
}

static void constant(struct machine *machine, struct mb_bytes *in, uint8_t op)
{
	switch (op) {
	case 0x03: push(machine, mb_fixed(in, 8)); break;	/* addr */
	case 0x10: push(machine, mb_leb(in)); break;		/* constu */
	case 0x11: push(machine, (uint64_t)mb_leb_signed(in)); break;
	default: {						/* const1u, const1s ... const8s */
		const unsigned size = 1u << (op - 0x08) / 2;

		push(machine, op & 1 ? (uint64_t)mb_fixed_signed(in, size) : mb_fixed(in, size));
	}
	}
}

static void move(struct mb_bytes *in, struct mb_bytes *all, int64_t by)
{
	const int64_t to = in->at - all->at + by;

	if (to < 0 || to > (int64_t)mb_left(all))
		in->bad = 1;
	else
		in->at = all->at + to;
}

static void on_stack(struct machine *machine, struct mb_bytes *in, uint8_t op)
{
	uint64_t a, b, c;

	switch (op) {
	case 0x12: push(machine, peek(machine, 0)); break;	/* dup */
	case 0x13: pop(machine); break;				/* drop */
	case 0x14: push(machine, peek(machine, 1)); break;	/* over */
	case 0x15: push(machine, peek(machine, mb_fixed(in, 1))); break;	/* pick */
	case 0x16:						/* swap */
		a = pop(machine);
		b = pop(machine);
		push(machine, a);
		push(machine, b);
		break;
	case 0x17:						/* rot */
		a = pop(machine);
		b = pop(machine);
		c = pop(machine);
		push(machine, a);
		push(machine, c);
		push(machine, b);
		break;
	default: machine->bad = 1;
	}
}

static void operation(struct machine *machine, struct mb_bytes *in, struct mb_bytes *all, uint8_t op)
{
	uint64_t value;

	if (op >= 0x30 && op < 0x50)				/* lit */
		push(machine, op - 0x30u);
	else if (op >= 0x70 && op < 0x90)			/* breg */
		push(machine, frame_register(machine, op - 0x70u) + (uint64_t)mb_leb_signed(in));
	else if (op == 0x03 || (op >= 0x08 && op <= 0x11))
		constant(machine, in, op);
	else if (op >= 0x12 && op <= 0x17)
		on_stack(machine, in, op);
	else switch (op) {
	case 0x06: push(machine, load(machine, pop(machine), 8)); break;	/* deref */
	case 0x94:						/* deref_size */
		value = mb_fixed(in, 1);
		push(machine, load(machine, pop(machine), value));
		break;
	case 0x92:						/* bregx */
		value = frame_register(machine, mb_leb(in));
		push(machine, value + (uint64_t)mb_leb_signed(in));
		break;
	case 0x19:						/* abs */
		value = pop(machine);
		push(machine, (int64_t)value < 0 ? 0 - value : value);
		break;
	case 0x1f: push(machine, 0 - pop(machine)); break;	/* neg */
	case 0x20: push(machine, ~pop(machine)); break;		/* not */
	case 0x23: push(machine, pop(machine) + mb_leb(in)); break;	/* plus_uconst */
	case 0x2f: move(in, all, mb_fixed_signed(in, 2)); break;	/* skip */
	case 0x28:						/* bra */
		value = mb_fixed(in, 2);
		if (pop(machine))
			move(in, all, (int16_t)value);
		break;
	case 0x96: break;					/* nop */
	default: two_operands(machine, op);
	}
}

static int evaluate(struct mb_bytes code, const struct mb_frame *frame, const struct mb_frame_memory *memory, const uint64_t *first,
		    uint64_t *result)
{
	struct machine machine = { .frame = frame, .memory = memory };
	struct mb_bytes in = code;
	int count = 0;

	if (first)
		push(&machine, *first);
	while (mb_left(&in) && !in.bad && !machine.bad && count++ < LONGEST)
		operation(&machine, &in, &code, (uint8_t)mb_fixed(&in, 1));
	*result = pop(&machine);
	return in.bad || machine.bad || count > LONGEST ? -EINVAL : 0;
}

/* --- the rules of a frame --- */

enum how { SAME, UNDEFINED, AT_OFFSET, IS_OFFSET, IN_REGISTER, AT_EXPRESSION, IS_EXPRESSION };

struct rule {
	enum how how;
	int64_t offset;
	uint64_t number;
	struct mb_bytes code;
};

struct rules {
	struct rule reg[MB_FRAME_REGISTERS];
	struct rule cfa;	/* IS_OFFSET from register `number`, or IS_EXPRESSION */
};

struct program {
	const struct cie *cie;
	const struct mb_frame_section *section;
	struct rules now, first, kept[DEEPEST];
	unsigned depth;
	uint64_t at, pc;
	int bad;
};

/* A factored offset; one that is too large wraps, as the addresses that it is added to do. */
static int64_t factored(uint64_t offset, int64_t align)
{
	return (int64_t)(offset * (uint64_t)align);
}

static void set(struct program *program, uint64_t number, enum how how, int64_t offset)
{
	if (number < MB_FRAME_REGISTERS)	/* of vector registers nothing is asked */
		program->now.reg[number] = (struct rule){ .how = how, .offset = offset };
}

static struct mb_bytes block(struct mb_bytes *in)
{
	const uint64_t length = mb_leb(in);
	struct mb_bytes code = mb_bytes(in->at, length > mb_left(in) ? 0 : length);

	mb_skip(in, length);
	return code;
}

static void set_expression(struct program *program, struct mb_bytes *in, enum how how)
{
	const uint64_t number = mb_leb(in);
	const struct mb_bytes code = block(in);

	if (number < MB_FRAME_REGISTERS)
		program->now.reg[number] = (struct rule){ .how = how, .code = code };
}

static void restore(struct program *program, uint64_t number)
{
	if (number < MB_FRAME_REGISTERS)
		program->now.reg[number] = program->first.reg[number];
}

static void keep_or_take_back(struct program *program, int take)
{
	if (take ? !program->depth : program->depth == DEEPEST) {
		program->bad = 1;
	} else if (take) {
		/* the CFA as well: it is part of the row */
		program->now = program->kept[--program->depth];
	} else {
		program->kept[program->depth++] = program->now;
	}
}

static void define_cfa(struct program *program, struct mb_bytes *in, uint8_t op)
{
	struct rule *cfa = &program->now.cfa;
	const int64_t align = program->cie->data_align;

	switch (op) {
	case 0x0c:	/* def_cfa */
		*cfa = (struct rule){ .how = IS_OFFSET, .number = mb_leb(in) };
		cfa->offset = (int64_t)mb_leb(in);
		break;
	case 0x12:	/* def_cfa_sf */
		*cfa = (struct rule){ .how = IS_OFFSET, .number = mb_leb(in) };
		cfa->offset = factored((uint64_t)mb_leb_signed(in), align);
		break;
	case 0x0d:	/* def_cfa_register */
		cfa->number = mb_leb(in);
		break;
	case 0x0e:	/* def_cfa_offset */
		cfa->offset = (int64_t)mb_leb(in);
		break;
	case 0x13:	/* def_cfa_offset_sf */
		cfa->offset = factored((uint64_t)mb_leb_signed(in), align);
		break;
	default:	/* def_cfa_expression */
		*cfa = (struct rule){ .how = IS_EXPRESSION, .code = block(in) };
	}
}

static void extended(struct program *program, struct mb_bytes *in, uint8_t op)
{
	const int64_t align = program->cie->data_align;
	uint64_t number;

	switch (op) {
	case 0x00:	/* nop */
	case 0x2d:	/* GNU_window_save */
		break;
	case 0x01:	/* set_loc */
		program->at = encoded(program->section, in, program->cie->encoding);
		break;
	case 0x02:
	case 0x03:
	case 0x04:	/* advance_loc1, 2, 4 */
		program->at += mb_fixed(in, 1u << (op - 0x02)) * program->cie->code_align;
		break;
	case 0x05:	/* offset_extended */
		number = mb_leb(in);
		set(program, number, AT_OFFSET, factored(mb_leb(in), align));
		break;
	case 0x06: restore(program, mb_leb(in)); break;
	case 0x07: set(program, mb_leb(in), UNDEFINED, 0); break;
	case 0x08: set(program, mb_leb(in), SAME, 0); break;
	case 0x09:	/* register */
		number = mb_leb(in);
		set(program, number, IN_REGISTER, 0);
		program->now.reg[number < MB_FRAME_REGISTERS ? number : 0].number = mb_leb(in);
		break;
	case 0x0a: keep_or_take_back(program, 0); break;
	case 0x0b: keep_or_take_back(program, 1); break;
	case 0x10: set_expression(program, in, AT_EXPRESSION); break;
	case 0x16: set_expression(program, in, IS_EXPRESSION); break;
	case 0x11:	/* offset_extended_sf */
		number = mb_leb(in);
		set(program, number, AT_OFFSET, factored((uint64_t)mb_leb_signed(in), align));
		break;
	case 0x14:	/* val_offset */
		number = mb_leb(in);
		set(program, number, IS_OFFSET, factored(mb_leb(in), align));
		break;
	case 0x15:	/* val_offset_sf */
		number = mb_leb(in);
		set(program, number, IS_OFFSET, factored((uint64_t)mb_leb_signed(in), align));
		break;
	case 0x2e:	/* GNU_args_size */
		mb_leb(in);
		break;
	case 0x2f:	/* GNU_negative_offset_extended */
		number = mb_leb(in);
		set(program, number, AT_OFFSET, factored(0 - mb_leb(in), align));
		break;
	case 0x0c: case 0x0d: case 0x0e: case 0x0f: case 0x12: case 0x13:
		define_cfa(program, in, op);
		break;
	default:
		program->bad = 1;
	}
}

/* Run instructions up to the row that holds at the pc. */
static int run(struct program *program, struct mb_bytes in)
{
	while (mb_left(&in) && !in.bad && !program->bad && program->at <= program->pc) {
		const uint8_t byte = (uint8_t)mb_fixed(&in, 1), low = byte & 0x3f;

		switch (byte >> 6) {
		case 1:	/* advance_loc */
			program->at += low * program->cie->code_align;
			break;
		case 2:	/* offset */
			set(program, low, AT_OFFSET, factored(mb_leb(&in), program->cie->data_align));
			break;
		case 3:
			restore(program, low);
			break;
		default:
			extended(program, &in, byte);
		}
	}
	return in.bad || program->bad ? -EINVAL : 0;
}

/* --- a step --- */

static int caller_value(const struct rule *rule, uint64_t number, uint64_t cfa, const struct mb_frame *frame,
			const struct mb_frame_memory *memory, uint64_t *value)
{
	uint64_t address = cfa + (uint64_t)rule->offset;

	switch (rule->how) {
	case SAME:
		*value = number == MB_FRAME_SP ? cfa : frame->reg[number];
		return 0;
	case UNDEFINED:
		*value = 0;
		return 0;
	case IS_OFFSET:
		*value = address;
		return 0;
	case IN_REGISTER:
		*value = rule->number < MB_FRAME_REGISTERS ? frame->reg[rule->number] : 0;
		return 0;
	case IS_EXPRESSION:
		return evaluate(rule->code, frame, memory, &cfa, value);
	case AT_EXPRESSION:
		if (evaluate(rule->code, frame, memory, &cfa, &address))
			return -EINVAL;
		break;
	case AT_OFFSET:
		break;
	}
	return memory->read(memory->context, address, value, sizeof(*value)) ? -EFAULT : 0;
}

static int apply(const struct rules *rules, const struct cie *cie, struct mb_frame *frame, const struct mb_frame_memory *memory)
{
	struct mb_frame caller = { .after_call = !cie->is_signal };
	uint64_t cfa;

	if (cie->return_column != MB_FRAME_PC)
		return -EINVAL;
	if (rules->reg[MB_FRAME_PC].how == UNDEFINED)
		return -ENODATA;
	if (rules->cfa.how == IS_EXPRESSION) {
		if (evaluate(rules->cfa.code, frame, memory, NULL, &cfa))
			return -EINVAL;
	} else if (rules->cfa.how == IS_OFFSET && rules->cfa.number < MB_FRAME_REGISTERS) {
		cfa = frame->reg[rules->cfa.number] + (uint64_t)rules->cfa.offset;
	} else {
		return -EINVAL;
	}
	for (uint64_t i = 0; i < MB_FRAME_REGISTERS; i++) {
		int ret = caller_value(&rules->reg[i], i, cfa, frame, memory, &caller.reg[i]);

		if (ret)
			return ret;
	}
	*frame = caller;
	return 0;
}

/* The rules that hold at a pc: 0; -ENOENT if no entry covers it. */
static int rules_at(const struct mb_frame_index *index, uint64_t pc, struct cie *cie, struct rules *rules)
{
	const struct mb_frame_section *section = &index->section;
	const struct mb_frame_entry *entry = find_entry(index, pc);
	struct program program = { .section = section, .pc = pc };
	struct mb_bytes in;
	uint64_t parent, next;

	if (!entry)
		return -ENOENT;
	if (read_entry(section, entry->offset, &in, &parent, &next) || read_cie(section, parent, cie))
		return -EINVAL;
	encoded(section, &in, cie->encoding);
	encoded(section, &in, cie->encoding & PE_FORMAT);
	if (cie->has_augmentation)
		mb_skip(&in, mb_leb(&in));
	program.cie = cie;
	program.at = 0;	/* all of the CIE's instructions count */
	if (run(&program, cie->code))
		return -EINVAL;
	program.first = program.now;
	program.at = entry->start;
	if (in.bad || run(&program, in))
		return -EINVAL;
	*rules = program.now;
	return 0;
}

int mb_frame_step(const struct mb_frame_index *index, uint64_t bias, struct mb_frame *frame, const struct mb_frame_memory *memory)
{
	const uint64_t pc = frame->reg[MB_FRAME_PC] - bias - (uint64_t)(frame->after_call != 0);
	struct rules rules;
	struct cie cie;
	int ret = rules_at(index, pc, &cie, &rules);

	return ret ? ret : apply(&rules, &cie, frame, memory);
}

int mb_frame_address(const struct mb_frame_index *index, uint64_t pc, uint32_t *number, int64_t *offset)
{
	struct rules rules;
	struct cie cie;
	int ret = rules_at(index, pc, &cie, &rules);

	if (ret)
		return ret;
	if (rules.cfa.how != IS_OFFSET || rules.cfa.number > UINT32_MAX)
		return -ENOENT;
	*number = (uint32_t)rules.cfa.number;
	*offset = rules.cfa.offset;
	return 0;
}
