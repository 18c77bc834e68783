// SPDX-License-Identifier: LGPL-2.1-or-later
/* ELF files in back traces: see image.h. Source: elf(5); the choice of symbols is that of SystemTap's translator. */
#define _GNU_SOURCE
#include "image.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dwarf.h"
#include "runtime/system_calls.h"

#define PAGE UINT64_C(4096)
#define IDENTITY_MAX 64			/* bytes of a build id */

/* --- headers --- */

static const void *range(const struct mb_image *image, uint64_t offset, uint64_t bytes)
{
	return offset <= image->bytes && bytes <= image->bytes - offset ? image->data + offset : NULL;
}

static int copy(const struct mb_image *image, void *dest, uint64_t offset, uint64_t bytes)
{
	const void *source = range(image, offset, bytes);

	if (!source)
		return -ENOENT;
	memcpy(dest, source, bytes);
	return 0;
}

static int head(const struct mb_image *image, Elf64_Ehdr *elf)
{
	return copy(image, elf, 0, sizeof(*elf));
}

static int segment(const struct mb_image *image, unsigned number, Elf64_Phdr *found)
{
	Elf64_Ehdr elf;

	if (head(image, &elf) || number >= elf.e_phnum || elf.e_phentsize != sizeof(*found))
		return -ENOENT;
	return copy(image, found, elf.e_phoff + (uint64_t)number * sizeof(*found), sizeof(*found));
}

static int section(const struct mb_image *image, unsigned number, Elf64_Shdr *found)
{
	Elf64_Ehdr elf;

	if (head(image, &elf) || number >= elf.e_shnum || elf.e_shentsize != sizeof(*found))
		return -ENOENT;
	return copy(image, found, elf.e_shoff + (uint64_t)number * sizeof(*found), sizeof(*found));
}

static int is_elf(const struct mb_image *image)
{
	Elf64_Ehdr elf;

	return !head(image, &elf) && !memcmp(elf.e_ident, ELFMAG, SELFMAG) && elf.e_ident[EI_CLASS] == ELFCLASS64 &&
	       elf.e_ident[EI_DATA] == ELFDATA2LSB && (elf.e_type == ET_EXEC || elf.e_type == ET_DYN);
}

static void measure(struct mb_image *image)
{
	Elf64_Phdr one;
	Elf64_Ehdr elf;

	image->low = UINT64_MAX;
	image->is_fixed = !head(image, &elf) && elf.e_type == ET_EXEC;
	for (unsigned i = 0; !segment(image, i, &one); i++) {
		if (one.p_type != PT_LOAD || one.p_vaddr + one.p_memsz < one.p_vaddr)
			continue;
		if (one.p_vaddr < image->low)
			image->low = one.p_vaddr & ~(PAGE - 1);
		if (one.p_vaddr + one.p_memsz > image->high)
			image->high = (one.p_vaddr + one.p_memsz + PAGE - 1) & ~(PAGE - 1);
	}
	if (image->low > image->high)
		image->low = image->high = 0;
}

static struct mb_image *checked(struct mb_image *image)
{
	if (is_elf(image)) {
		measure(image);
		return image;
	}
	mb_image_free(image);
	return NULL;
}

struct mb_image *mb_image_of(uint8_t *data, size_t bytes)
{
	struct mb_image *image = calloc(1, sizeof(*image));

	if (!image) {
		free(data);
		return NULL;
	}
	image->data = data;
	image->bytes = bytes;
	return checked(image);
}

struct mb_image *mb_image_read(int file)
{
	struct mb_image *image = calloc(1, sizeof(*image));
	void *data = MAP_FAILED;
	struct stat status;

	if (image && file >= 0 && !mb_fstat(file, &status) && S_ISREG(status.st_mode) && status.st_size > 0)
		data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
	if (!image || data == MAP_FAILED) {
		free(image);
		return NULL;
	}
	image->data = data;
	image->bytes = (size_t)status.st_size;
	image->is_mapped = 1;
	return checked(image);
}

/* openat2(2) with RESOLVE_IN_ROOT; older C libraries and headers do not have it. */
int mb_open_below(const char *root, const char *path, int flags)
{
	const struct {
		uint64_t flags, mode, resolve;
	} how = { (uint64_t)flags | O_CLOEXEC, 0, 0x10 };
	const int folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	long file = -1;

	if (folder < 0)
		return -1;
	file = syscall(437, folder, path, &how, sizeof(how));
	close(folder);
	return (int)file;
}

void mb_image_free(struct mb_image *image)
{
	if (!image)
		return;
	mb_image_free(image->debug);
	for (unsigned i = 0; i < 2; i++)
		mb_frame_index_free(&image->frames[i]);
	free(image->symbol);
	if (image->is_mapped)
		munmap((void *)(uintptr_t)image->data, image->bytes);
	else
		free((void *)(uintptr_t)image->data);
	free(image);
}

/* A mapping starts at a segment, or, if somebody has changed the protection of a part, in the middle of one. */
int mb_image_bias(const struct mb_image *image, uint64_t start, uint64_t offset, uint64_t *bias)
{
	Elf64_Phdr one;
	int found = 0;

	for (unsigned i = 0; !segment(image, i, &one); i++) {
		const uint64_t first = one.p_offset & ~(PAGE - 1);

		if (one.p_type != PT_LOAD || offset < first || offset >= one.p_offset + one.p_filesz)
			continue;
		if (found && offset != first)
			continue;
		*bias = start - offset + one.p_offset - one.p_vaddr;
		found = 1;
	}
	return found ? 0 : -ENOENT;
}

/* --- sections by name --- */

static const char *section_name(const struct mb_image *image, const Elf64_Ehdr *elf, const Elf64_Shdr *one)
{
	Elf64_Shdr names;
	struct mb_bytes text;

	if (section(image, elf->e_shstrndx, &names) || !range(image, names.sh_offset, names.sh_size) || one->sh_name >= names.sh_size)
		return "";
	text = mb_bytes(image->data + names.sh_offset + one->sh_name, names.sh_size - one->sh_name);
	return mb_cstring(&text);
}

const uint8_t *mb_image_section(const struct mb_image *image, const char *name, uint64_t *bytes, uint64_t *address)
{
	Elf64_Shdr one;
	Elf64_Ehdr elf;

	*bytes = *address = 0;
	if (head(image, &elf))
		return NULL;
	for (unsigned i = 0; !section(image, i, &one); i++) {
		if (one.sh_type == SHT_NOBITS || one.sh_flags & SHF_COMPRESSED || strcmp(section_name(image, &elf, &one), name) != 0)
			continue;
		if (!range(image, one.sh_offset, one.sh_size))
			return NULL;
		*bytes = one.sh_size;
		*address = one.sh_addr;
		return image->data + one.sh_offset;
	}
	return NULL;
}

/* --- symbols --- */

static int by_address(const void *a, const void *b)
{
	const struct mb_image_symbol *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

/* Functions and data that are in memory. */
static int is_wanted(const struct mb_image *image, const struct mb_image *file, const Elf64_Sym *symbol, const Elf64_Ehdr *elf)
{
	const unsigned type = ELF64_ST_TYPE(symbol->st_info);
	Elf64_Shdr home;

	if (type != STT_FUNC && type != STT_OBJECT)
		return 0;
	if (symbol->st_shndx == SHN_UNDEF || symbol->st_value < image->low || symbol->st_value >= image->high)
		return 0;
	return symbol->st_shndx >= elf->e_shnum || (!section(file, symbol->st_shndx, &home) && home.sh_flags & SHF_ALLOC);
}

static void take_symbols(struct mb_image *image, const struct mb_image *file, const Elf64_Shdr *table, const Elf64_Shdr *names)
{
	const uint64_t count = table->sh_size / sizeof(Elf64_Sym);
	Elf64_Ehdr elf;

	if (head(file, &elf))
		return;
	image->symbol = calloc(count ? count : 1, sizeof(*image->symbol));
	for (uint64_t i = 0; image->symbol && i < count; i++) {
		struct mb_bytes text;
		Elf64_Sym one;

		if (copy(file, &one, table->sh_offset + i * sizeof(one), sizeof(one)) || one.st_name >= names->sh_size)
			continue;
		text = mb_bytes(file->data + names->sh_offset + one.st_name, names->sh_size - one.st_name);
		if (is_wanted(image, file, &one, &elf))
			image->symbol[image->symbol_count++] =
				(struct mb_image_symbol){ one.st_value, (uint32_t)i, mb_cstring(&text) };
	}
}

static int find_table(const struct mb_image *file, uint32_t type, Elf64_Shdr *table, Elf64_Shdr *names)
{
	for (unsigned i = 0; !section(file, i, table); i++)
		if (table->sh_type == type && table->sh_entsize == sizeof(Elf64_Sym) && !section(file, table->sh_link, names) &&
		    range(file, names->sh_offset, names->sh_size) && range(file, table->sh_offset, table->sh_size))
			return 1;
	return 0;
}

/* A program below another root may have its debug file there, or here. */
static struct mb_image *read_debug(const struct mb_image *image, const char *path)
{
	struct mb_image *found;
	char root[64];
	int file = -1;

	snprintf(root, sizeof(root), "/proc/%" PRId64 "/root", image->pid);
	if (image->pid)
		file = mb_open_below(root, path, O_RDONLY | O_NONBLOCK);
	if (file < 0)
		file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	found = mb_image_read(file);
	if (file >= 0)
		close(file);
	return found;
}

static struct mb_image *open_debug(const struct mb_image *image)
{
	uint64_t bytes, address, name_bytes, length;
	const uint8_t *note = mb_image_section(image, ".note.gnu.build-id", &bytes, &address);
	char path[2 * IDENTITY_MAX + 64];
	struct mb_bytes in;
	int used;

	if (!note)
		return NULL;
	in = mb_bytes(note, bytes);
	name_bytes = mb_fixed(&in, 4);
	length = mb_fixed(&in, 4);
	mb_skip(&in, 4 + ((name_bytes + 3) & ~UINT64_C(3)));
	if (in.bad || length < 2 || length > IDENTITY_MAX || length > mb_left(&in))
		return NULL;
	used = snprintf(path, sizeof(path), "/usr/lib/debug/.build-id/%02x/", in.at[0]);
	for (uint64_t i = 1; i < length; i++)
		used += snprintf(path + used, sizeof(path) - (size_t)used, "%02x", in.at[i]);
	snprintf(path + used, sizeof(path) - (size_t)used, ".debug");
	return read_debug(image, path);
}

static void read_symbols(struct mb_image *image)
{
	Elf64_Shdr table, names;
	size_t kept = 0;

	image->has_symbols = 1;
	if (find_table(image, SHT_SYMTAB, &table, &names)) {
		take_symbols(image, image, &table, &names);
	} else {
		image->debug = open_debug(image);
		if (image->debug && find_table(image->debug, SHT_SYMTAB, &table, &names))
			take_symbols(image, image->debug, &table, &names);
		else if (find_table(image, SHT_DYNSYM, &table, &names))
			take_symbols(image, image, &table, &names);
	}
	if (!image->symbol_count)
		return;
	qsort(image->symbol, image->symbol_count, sizeof(*image->symbol), by_address);
	for (size_t i = 0; i < image->symbol_count; i++) {
		if (kept && image->symbol[kept - 1].address == image->symbol[i].address)
			kept--;
		image->symbol[kept++] = image->symbol[i];
	}
	image->symbol_count = kept;
}

const struct mb_image_symbol *mb_image_symbol(struct mb_image *image, uint64_t address, uint64_t *size)
{
	size_t low = 0, high;

	if (!image->has_symbols)
		read_symbols(image);
	high = image->symbol_count;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (image->symbol[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return NULL;
	*size = low < image->symbol_count ? image->symbol[low].address - image->symbol[low - 1].address : 0;
	return &image->symbol[low - 1];
}

/* --- call frame information --- */

/* Without section headers, the segment that points to it: version, three encodings, then the address, relative to itself. */
static void by_segment(const struct mb_image *image, struct mb_frame_section *found)
{
	Elf64_Phdr one, load;

	for (unsigned i = 0; !segment(image, i, &one); i++) {
		uint8_t start[8];
		int32_t relative;

		if (one.p_type != PT_GNU_EH_FRAME || copy(image, start, one.p_offset, sizeof(start)) || start[0] != 1 || start[1] != 0x1b)
			continue;
		memcpy(&relative, start + 4, sizeof(relative));
		found->address = one.p_vaddr + 4 + (uint64_t)(int64_t)relative;
		for (unsigned k = 0; !segment(image, k, &load); k++) {
			const uint64_t into = found->address - load.p_vaddr;

			if (load.p_type != PT_LOAD || found->address < load.p_vaddr || into >= load.p_filesz ||
			    !range(image, load.p_offset, load.p_filesz))
				continue;
			found->data = image->data + load.p_offset + into;
			found->bytes = load.p_filesz - into;
		}
	}
}

static void read_frames(struct mb_image *image)
{
	static const char *const names[2] = { ".debug_frame", ".eh_frame" };

	image->has_frames = 1;
	for (int i = 0; i < 2; i++) {
		struct mb_frame_section found = { .is_eh = i };

		found.data = mb_image_section(image, names[i], &found.bytes, &found.address);
		if (!found.data && i)
			by_segment(image, &found);
		if (found.data)
			mb_frame_index_make(&image->frames[i], &found);
	}
}

int mb_image_step(struct mb_image *image, uint64_t bias, struct mb_frame *frame, const struct mb_frame_memory *memory)
{
	int ret = -ENOENT;

	if (!image->has_frames)
		read_frames(image);
	for (unsigned i = 0; i < 2 && ret && ret != -ENODATA; i++)
		if (image->frames[i].count)
			ret = mb_frame_step(&image->frames[i], bias, frame, memory);
	return ret;
}
