enum mb_debug_section {
	MB_DEBUG_INFO, MB_DEBUG_TYPE_UNITS, MB_DEBUG_ABBREV, MB_DEBUG_STR, MB_DEBUG_LINE_STR, MB_DEBUG_STR_OFFSETS, MB_DEBUG_ADDR,
	MB_DEBUG_RANGES, MB_DEBUG_RNGLISTS, MB_DEBUG_LOC, MB_DEBUG_LOCLISTS, MB_DEBUG_LINE, MB_DEBUG_SECTIONS
};

/* What the value of an attribute is. */
enum mb_debug_kind {
	MB_DEBUG_NONE, MB_DEBUG_ADDRESS, MB_DEBUG_NUMBER, MB_DEBUG_FLAG, MB_DEBUG_TEXT, MB_DEBUG_ENTRY, MB_DEBUG_SIGNATURE,
	MB_DEBUG_BLOCK, MB_DEBUG_LIST, MB_DEBUG_NUMBERED_LIST
};

struct mb_debug_bytes {
	const uint8_t *data;
	uint64_t size;
};

struct mb_debug_value {
	uint64_t number;	/* an address, a constant, a ref, the offset of a list in its section, or its number */
	const uint8_t *data;	/* of a text (without its NUL) or a block */
	uint64_t size;
	uint16_t name;		/* DW_AT_* */
	uint16_t kind;
	uint32_t form;
};

struct mb_debug_entry {
	uint64_t ref, next;	/* `next` is behind the attributes: the first child, or what follows */
	uint32_t tag, count;	/* tag 0: the end of a list of children */
	int32_t has_children;
	uint32_t unit;
	struct mb_debug_value value[96];
};

struct mb_debug_unit {
	uint64_t start, end;	/* refs of its header, and of what follows it */
	uint64_t first;		/* the ref of its top entry */
	uint64_t abbreviations;	/* an offset in .debug_abbrev */
	uint64_t signature, type;	/* of a type unit: its signature, the ref of its type */
	uint64_t low_pc, lines;	/* `lines` is UINT64_MAX without a line table */
	uint64_t strings, addresses, range_lists, location_lists;	/* where its parts of these sections begin */
	uint8_t version, address_size, is_64, kind;
	uint8_t second;		/* in the second file */
	uint8_t ready;		/* its top entry was read; 2: it cannot be read */
	uint8_t spare[2];
	int32_t table;		/* of its abbreviations; -1: not read yet */
};

struct mb_debug_range {
	uint64_t low, high;
};

struct mb_debug_row {
	uint64_t address;
	uint32_t file, line;
	uint32_t flags;		/* MB_DEBUG_STATEMENT, ... */
	uint32_t order;
};

enum { MB_DEBUG_STATEMENT = 1, MB_DEBUG_PROLOGUE_END = 2, MB_DEBUG_END = 4 };

struct mb_debug_file {
	struct mb_debug_bytes folder, name;	/* as they are written; the folder may be relative to the unit's */
	uint32_t from_unit;	/* whether the folder is the unit's own, which is not given here */
	uint32_t is_folder;	/* whether it is the unit's own, and given */
};

struct mb_debug_lines {
	struct mb_debug_row *row;
	struct mb_debug_file *file;	/* by the numbers that rows and DW_AT_decl_file have */
	uint32_t rows, files;
};

/* Opens the entries of one or two files (MB_DEBUG_SECTIONS sections each); `second` may be NULL. */
struct mb_debug *mb_debug_open(const struct mb_debug_bytes *first, const struct mb_debug_bytes *second);

/* Gives a section that was not there when the file was opened, because it takes time to decompress. */
void mb_debug_add_section(struct mb_debug *debug, int second, int section, const struct mb_debug_bytes *bytes);
void mb_debug_close(struct mb_debug *debug);

/* Why something could not be read; "" if all is well. */
const char *mb_debug_reason(const struct mb_debug *debug);

uint32_t mb_debug_units(const struct mb_debug *debug);
const struct mb_debug_unit *mb_debug_unit(struct mb_debug *debug, uint32_t number);

/* The number of the unit that holds a ref, or -ENOENT. */
int64_t mb_debug_unit_at(const struct mb_debug *debug, uint64_t ref);

/* The ref of the type that a type unit of that signature describes, or 0. */
uint64_t mb_debug_type_of(struct mb_debug *debug, uint64_t signature);

/* The entry at a ref; -EINVAL if there is none. */
int mb_debug_entry(struct mb_debug *debug, uint64_t ref, struct mb_debug_entry *entry);

/* The ref of what follows an entry and all below it; 0 if that is damaged. */
uint64_t mb_debug_after(struct mb_debug *debug, uint64_t ref);

/* The refs of the entries around one, outermost first: how many there are (at most `room` are written), or -EINVAL. */
int mb_debug_around(struct mb_debug *debug, uint64_t ref, uint64_t *around, uint32_t room);

/* The ranges of a list, by its offset or (`kind`) number: how many there are (at most `room` are written), or -EINVAL. */
int64_t mb_debug_ranges(struct mb_debug *debug, uint32_t unit, int kind, uint64_t list, struct mb_debug_range *ranges, uint32_t room);

enum { MB_DEBUG_NOT_THERE = -2 };	/* -ENOENT */

/* The expression of a location list that holds at an address: 0; MB_DEBUG_NOT_THERE if none does, -EINVAL. */
int mb_debug_location(struct mb_debug *debug, uint32_t unit, int kind, uint64_t list, uint64_t address,
		      struct mb_debug_bytes *expression);

/* The address of a number in the unit's part of .debug_addr. */
int mb_debug_address(struct mb_debug *debug, uint32_t unit, uint64_t index, uint64_t *address);

/* A unit's line table, to be freed with mb_debug_lines_free. Rows are in the order of addresses, ends first. */
int mb_debug_lines(struct mb_debug *debug, uint32_t unit, int with_rows, struct mb_debug_lines *lines);
void mb_debug_lines_free(struct mb_debug_lines *lines);

/*
 * The index of all functions and names (see formats/debug_index.py for its form): its bytes, to be freed with mb_debug_index_free;
 * NULL with a reason if the debug information is damaged.
 */
uint8_t *mb_debug_index(struct mb_debug *debug, uint64_t *size);
void mb_debug_index_free(uint8_t *index);

/* Whether bytes are an index of this form whose numbers all lie inside of it. */
int mb_debug_index_is_good(const uint8_t *index, uint64_t size);

/*
 * Do the relocations (Elf64_Rela) of a section of a relocatable file. `addresses` are those of its sections, by their numbers.
 * -EINVAL if they are damaged or of a kind that debug information does not have.
 */
int mb_debug_relocate(uint8_t *data, uint64_t size, const struct mb_debug_bytes *relocations, const struct mb_debug_bytes *symbols,
		      const uint64_t *addresses, uint32_t sections, uint32_t machine);

/* Where the canonical frame address is at an instruction, by .debug_frame and .eh_frame. */
struct mb_debug_frames *mb_debug_frames_open(const struct mb_debug_bytes *debug_frame, const struct mb_debug_bytes *eh_frame,
					     uint64_t eh_frame_address);
void mb_debug_frames_close(struct mb_debug_frames *frames);
int mb_debug_frame_at(const struct mb_debug_frames *frames, uint64_t address, uint32_t *reg, int64_t *offset);
