/*
 * Events as lines of text or JSON: a program for each event class over the slots of its events (`ctf.cdef.h`). What is the same for all
 * events of a class is literal text of the program.
 */
struct mb_print_op {
	uint8_t kind;		/* MB_LINE_LITERAL .. */
	uint8_t bits;		/* HEXADECIMAL, OCTAL, BINARY: of the number */
	uint16_t flags;		/* MB_LINE_JSON .. */
	uint32_t count;		/* ARRAY: elements; ENUMERATION, FLAGS: labels; VARIANT: options */
	uint32_t first;		/* LITERAL: where its text starts; ENUMERATION, FLAGS: the first label */
	uint32_t length;	/* LITERAL: of its text */
	uint32_t body;		/* how many following ops belong to it */
};

/* ENUMERATION: values from `low` to `high`; FLAGS: bits from `low` to `high`. */
struct mb_print_label {
	int64_t low;
	int64_t high;
	uint32_t first;		/* its text, as it is printed */
	uint32_t length;
};

struct mb_print_program {
	const struct mb_print_op *ops;
	const struct mb_print_label *labels;
	const char *texts;
	uint32_t op_count;
	uint32_t label_count;
	uint32_t text_bytes;
	uint32_t packet;	/* so many ops at the start are for the packet's context */
	uint32_t timed;		/* its lines start with a time */
};

/* Some events of a trace, to be merged with those of others. */
struct mb_print_source {
	struct mb_printer *printer;
	const struct mb_ctf_event *events;
	const int64_t *slots;
	uint32_t slot_count;
	uint32_t count;
	uint32_t at;		/* the next one */
	uint32_t ended;		/* there are no more */
	uint32_t missing;	/* the class of the next one has no program */
};

enum mb_print_constants {
	MB_LINE_LITERAL = 1, MB_LINE_SIGNED = 2, MB_LINE_UNSIGNED = 3, MB_LINE_HEXADECIMAL = 4, MB_LINE_OCTAL = 5,
	MB_LINE_BINARY = 6, MB_LINE_TRUTH = 7, MB_LINE_FLAGS = 8, MB_LINE_ENUMERATION = 9, MB_LINE_REAL = 10,
	MB_LINE_TEXT = 11, MB_LINE_BYTES = 12, MB_LINE_ARRAY = 13, MB_LINE_VARIANT = 14, MB_LINE_OPTION = 15,
	MB_LINE_OPTIONAL = 16,
	MB_LINE_HIDE = 17,	/* the body takes its slots and prints nothing */
	MB_LINE_LATER = 18,	/* what the body prints comes where KEPT stands */
	MB_LINE_KEPT = 19,
	MB_LINE_PACKET = 20, MB_LINE_TIME = 21, MB_LINE_CLOCK = 22, MB_LINE_CPU = 23, MB_LINE_STREAM = 24,

	MB_LINE_JSON = 1,
	MB_LINE_COUNTED = 2,	/* ARRAY: the first slot is the number of elements */
	MB_LINE_BRACES = 4,	/* ENUMERATION: around several labels */
	MB_LINE_WHOLE = 8,	/* ENUMERATION: labels are chosen by numbers without a sign */

	MB_LINE_CYCLES = 1, MB_LINE_SECONDS = 2, MB_LINE_DATE = 4, MB_LINE_UTC = 8, MB_LINE_NO_DELTA = 16,

	MB_LINE_DONE = -1,	/* all sources ended */
	MB_LINE_ENOUGH = -2,	/* the text is to be taken */
	MB_LINE_MISSING = -3,	/* a source's next event is of a class without a program */
	MB_LINE_NO_MEMORY = -4
};

struct mb_printer;
struct mb_printing;

struct mb_printer *mb_printer_new(struct mb_ctf_cursor *cursor, uint32_t class_count, uint32_t stream_count);
void mb_printer_free(struct mb_printer *printer);
int mb_printer_add(struct mb_printer *printer, uint32_t event_class, const struct mb_print_program *program);
int mb_printer_name(struct mb_printer *printer, uint32_t stream, const char *name, uint32_t length);
struct mb_printing *mb_printing_new(uint32_t options, const int32_t *cpus, uint32_t cpu_count);
void mb_printing_free(struct mb_printing *printing);
int32_t mb_print_next(struct mb_printing *printing, struct mb_print_source *sources, uint32_t count);
int32_t mb_print_given(struct mb_printing *printing, struct mb_print_source *source, uint32_t timed, const char *text,
		       uint64_t length);
const char *mb_printing_text(const struct mb_printing *printing, uint64_t *length, uint64_t *lines);
void mb_printing_taken(struct mb_printing *printing);
