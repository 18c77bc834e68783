// SPDX-License-Identifier: LGPL-2.1-or-later
/* Line tables: the files of a unit and the rows of its program. Source: DWARF 5, section 6.2; DWARF 4, section 6.2.4. */
#include <errno.h>
#include <stdlib.h>

#include "debug_state.h"

#define MOST_FILES 1000000u
#define MOST_ROWS 20000000u
#define MOST_FORMATS 16

enum { LNS_COPY = 1, LNS_ADVANCE_PC, LNS_ADVANCE_LINE, LNS_SET_FILE, LNS_SET_COLUMN, LNS_NEGATE_STMT, LNS_SET_BASIC_BLOCK,
       LNS_CONST_ADD_PC, LNS_FIXED_ADVANCE_PC, LNS_SET_PROLOGUE_END, LNS_SET_EPILOGUE_BEGIN, LNS_SET_ISA };
enum { LNE_END_SEQUENCE = 1, LNE_SET_ADDRESS = 2 };
enum { LNCT_PATH = 1, LNCT_DIRECTORY_INDEX = 2 };

struct program {
	struct mb_debug *debug;
	struct mb_debug_unit unit;	/* of the unit, with the size of offsets that this table has */
	struct mb_debug_lines *out;
	struct mb_debug_bytes *folder;
	uint64_t folders, folder_room, file_room, row_room;
	struct mb_bytes header, code;
	uint8_t version, minimum, operations, statement, opcode_base, range;
	int8_t line_base;
	uint8_t lengths[256];
};

/* --- arrays --- */

static int grow(void **array, uint64_t count, uint64_t *room, size_t size, uint64_t most)
{
	const uint64_t more = *room ? 2 * *room : 64;
	void *larger;

	if (count < *room)
		return 0;
	larger = count >= most ? NULL : realloc(*array, (size_t)more * size);
	if (!larger)
		return -ENOMEM;
	*array = larger;
	*room = more;
	return 0;
}

static int add_folder(struct program *program, struct mb_debug_bytes name)
{
	if (grow((void **)&program->folder, program->folders, &program->folder_room, sizeof(name), MOST_FILES))
		return -ENOMEM;
	program->folder[program->folders++] = name;
	return 0;
}

static int add_file(struct program *program, struct mb_debug_bytes name, uint64_t folder)
{
	struct mb_debug_lines *out = program->out;
	struct mb_debug_file file = { .name = name };

	if (grow((void **)&out->file, out->files, &program->file_room, sizeof(file), MOST_FILES))
		return -ENOMEM;
	/* before DWARF 5 the unit's own folder has the number 0, but stands in the unit alone */
	if (program->version < 5)
		file.from_unit = folder == 0 || folder > program->folders;
	else
		file.from_unit = folder >= program->folders;
	file.is_folder = program->version >= 5 && folder == 0;
	if (!file.from_unit)
		file.folder = program->folder[program->version < 5 ? folder - 1 : folder];
	out->file[out->files++] = file;
	return 0;
}

/* --- the header --- */

static struct mb_debug_bytes text(struct mb_bytes *in)
{
	const char *found = mb_cstring(in);

	return (struct mb_debug_bytes){ (const uint8_t *)found, strlen(found) };
}

static int read_old_names(struct program *program)
{
	struct mb_bytes *in = &program->header;
	struct mb_debug_bytes name;

	for (name = text(in); name.size && !in->bad; name = text(in))
		if (add_folder(program, name))
			return -ENOMEM;
	if (add_file(program, (struct mb_debug_bytes){ (const uint8_t *)"", 0 }, 0))
		return -ENOMEM;
	for (name = text(in); name.size && !in->bad; name = text(in)) {
		const uint64_t folder = mb_leb(in);

		mb_leb(in);	/* time of the last change */
		mb_leb(in);	/* size */
		if (add_file(program, name, folder))
			return -ENOMEM;
	}
	return in->bad ? -EINVAL : 0;
}

struct format {
	uint64_t content[MOST_FORMATS];
	struct mb_abbreviation_spec spec[MOST_FORMATS];
	unsigned count;
};

static int read_formats(struct mb_bytes *in, struct format *format)
{
	format->count = (unsigned)mb_fixed(in, 1);
	if (format->count > MOST_FORMATS)
		return -EINVAL;
	for (unsigned i = 0; i < format->count; i++) {
		uint64_t form;

		format->content[i] = mb_leb(in);
		form = mb_leb(in);
		format->spec[i] = (struct mb_abbreviation_spec){ .form = form > UINT16_MAX ? 0 : (uint16_t)form };
	}
	return in->bad ? -EINVAL : 0;
}

static int read_new_names(struct program *program, int (*add)(struct program *, struct mb_debug_bytes, uint64_t))
{
	struct mb_bytes *in = &program->header;
	struct format format;
	uint64_t count;

	if (read_formats(in, &format))
		return -EINVAL;
	count = mb_leb(in);
	if (count > mb_left(in))	/* an entry without content would take no bytes */
		return -EINVAL;
	for (uint64_t i = 0; i < count && !in->bad; i++) {
		struct mb_debug_bytes name = { (const uint8_t *)"", 0 };
		uint64_t folder = 0;

		for (unsigned k = 0; k < format.count; k++) {
			struct mb_debug_value value;

			mb_debug_read(program->debug, &program->unit, &format.spec[k], in, &value);
			if (format.content[k] == LNCT_PATH && value.kind == MB_DEBUG_TEXT)
				name = (struct mb_debug_bytes){ value.data, value.size };
			if (format.content[k] == LNCT_DIRECTORY_INDEX)
				folder = value.number;
		}
		if (add(program, name, folder))
			return -ENOMEM;
	}
	return in->bad ? -EINVAL : 0;
}

static int add_new_folder(struct program *program, struct mb_debug_bytes name, uint64_t unused)
{
	(void)unused;
	return add_folder(program, name);
}

static int read_fields(struct program *program)
{
	struct mb_bytes *in = &program->header;

	program->minimum = (uint8_t)mb_fixed(in, 1);
	program->operations = program->version >= 4 ? (uint8_t)mb_fixed(in, 1) : 1;
	program->statement = mb_fixed(in, 1) != 0;
	program->line_base = (int8_t)mb_fixed(in, 1);
	program->range = (uint8_t)mb_fixed(in, 1);
	program->opcode_base = (uint8_t)mb_fixed(in, 1);
	for (unsigned i = 1; i < program->opcode_base; i++)
		program->lengths[i] = (uint8_t)mb_fixed(in, 1);
	return in->bad || !program->range || !program->opcode_base ? -EINVAL : 0;
}

static int read_header(struct program *program, struct mb_bytes all)
{
	uint64_t length, header;
	int is_64, ret;

	length = mb_unit_length(&all, &is_64);
	if (all.bad || length > mb_left(&all))
		return -EINVAL;
	all.end = all.at + length;
	program->unit.is_64 = (uint8_t)is_64;
	program->version = (uint8_t)mb_fixed(&all, 2);
	if (program->version < 2 || program->version > 5)
		return -EINVAL;
	if (program->version == 5)
		mb_fixed(&all, 2);	/* sizes of an address and of a segment selector: those of the unit */
	header = mb_debug_offset(&program->unit, &all);
	if (all.bad || header > mb_left(&all))
		return -EINVAL;
	program->header = mb_bytes(all.at, header);
	program->code = (struct mb_bytes){ all.at + header, all.end, 0 };
	if (mb_debug_spend(program->debug, header) || read_fields(program))
		return -EINVAL;
	if (program->version < 5)
		return read_old_names(program);
	ret = read_new_names(program, add_new_folder);
	return ret ? ret : read_new_names(program, add_file);
}

/* --- the program --- */

struct state {
	uint64_t address;
	uint64_t file, line;
	uint32_t flags;
};

static void reset(const struct program *program, struct state *state)
{
	*state = (struct state){ .file = 1, .line = 1, .flags = program->statement ? MB_DEBUG_STATEMENT : 0 };
}

static int emit(struct program *program, struct state *state, uint32_t more)
{
	struct mb_debug_lines *out = program->out;

	if (grow((void **)&out->row, out->rows, &program->row_room, sizeof(*out->row), MOST_ROWS))
		return -ENOMEM;
	out->row[out->rows] = (struct mb_debug_row){ .address = state->address, .file = (uint32_t)state->file,
						     .line = (uint32_t)state->line, .flags = state->flags | more, .order = out->rows };
	out->rows++;
	state->flags &= ~(uint32_t)MB_DEBUG_PROLOGUE_END;
	return 0;
}

static int special(struct program *program, struct state *state, uint8_t code)
{
	const uint8_t adjusted = (uint8_t)(code - program->opcode_base);

	state->address += (uint64_t)(adjusted / program->range) * program->minimum;
	state->line += (uint64_t)(int64_t)(program->line_base + adjusted % program->range);
	return emit(program, state, 0);
}

static int extended(struct program *program, struct state *state)
{
	struct mb_bytes *in = &program->code;
	const uint64_t length = mb_leb(in);
	struct mb_bytes body;
	int ret = 0;

	if (length > mb_left(in)) {
		in->bad = 1;
		return 0;
	}
	body = mb_bytes(in->at, length);
	mb_skip(in, length);
	switch (length ? mb_fixed(&body, 1) : 0) {
	case LNE_END_SEQUENCE:
		ret = emit(program, state, MB_DEBUG_END);
		reset(program, state);
		break;
	case LNE_SET_ADDRESS:
		state->address = mb_fixed(&body, mb_left(&body) >= 8 ? 8 : 4);
		break;
	default:
		break;
	}
	return ret;
}

static int standard(struct program *program, struct state *state, uint8_t code)
{
	struct mb_bytes *in = &program->code;

	switch (code) {
	case LNS_COPY:
		return emit(program, state, 0);
	case LNS_ADVANCE_PC:
		state->address += mb_leb(in) * program->minimum;
		break;
	case LNS_ADVANCE_LINE:
		state->line += (uint64_t)mb_leb_signed(in);
		break;
	case LNS_SET_FILE:
		state->file = mb_leb(in);
		break;
	case LNS_NEGATE_STMT:
		state->flags ^= MB_DEBUG_STATEMENT;
		break;
	case LNS_CONST_ADD_PC:
		state->address += (uint64_t)((255 - program->opcode_base) / program->range) * program->minimum;
		break;
	case LNS_FIXED_ADVANCE_PC:
		state->address += mb_fixed(in, 2);
		break;
	case LNS_SET_PROLOGUE_END:
		state->flags |= MB_DEBUG_PROLOGUE_END;
		break;
	default:
		for (unsigned i = 0; i < program->lengths[code]; i++)
			mb_leb(in);
	}
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct mb_debug_row *x = a, *y = b;
	const int x_end = (x->flags & MB_DEBUG_END) != 0, y_end = (y->flags & MB_DEBUG_END) != 0;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	if (x_end != y_end)
		return y_end - x_end;
	return (x->order > y->order) - (x->order < y->order);
}

static int run(struct program *program)
{
	struct state state;

	reset(program, &state);
	while (mb_left(&program->code) && !program->code.bad) {
		const uint8_t code = (uint8_t)mb_fixed(&program->code, 1);
		int ret;

		if (code >= program->opcode_base)
			ret = special(program, &state, code);
		else if (code)
			ret = standard(program, &state, code);
		else
			ret = extended(program, &state);
		if (ret)
			return ret;
	}
	if (program->out->rows)
		qsort(program->out->row, program->out->rows, sizeof(*program->out->row), by_address);
	return program->code.bad ? -EINVAL : 0;
}

int mb_debug_lines(struct mb_debug *debug, uint32_t number, int with_rows, struct mb_debug_lines *lines)
{
	const struct mb_debug_unit *unit = mb_debug_ready(debug, number);
	struct program program = { .debug = debug, .out = lines };
	struct mb_bytes in;
	int ret;

	memset(lines, 0, sizeof(*lines));
	if (!unit)
		return -EINVAL;
	if (unit->lines == UINT64_MAX)
		return 0;
	program.unit = *unit;
	in = mb_debug_from(debug, unit, MB_DEBUG_LINE, unit->lines);
	ret = in.bad ? -EINVAL : read_header(&program, in);
	if (!ret && with_rows)
		ret = run(&program);
	free(program.folder);
	if (!ret)
		return 0;
	mb_debug_lines_free(lines);
	return mb_debug_fault(debug, "the line table cannot be read of the unit", unit->start);
}

void mb_debug_lines_free(struct mb_debug_lines *lines)
{
	free(lines->row);
	free(lines->file);
	memset(lines, 0, sizeof(*lines));
}
