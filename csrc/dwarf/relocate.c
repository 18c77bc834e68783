// SPDX-License-Identifier: LGPL-2.1-or-later
/* Relocations of debug information: words of four or eight bytes that are a symbol's address and an addend. */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "debug.h"

/* The bytes of the word that a kind of relocation writes; 0: nothing is written, -1: it is none of these. */
static int width_of(uint32_t machine, uint64_t kind)
{
	if (machine == EM_X86_64) {
		switch (kind) {
		case R_X86_64_NONE:
			return 0;
		case R_X86_64_64:
			return 8;
		case R_X86_64_32: case R_X86_64_32S:
			return 4;
		default:
			return -1;
		}
	}
	if (machine == EM_AARCH64) {
		switch (kind) {
		case R_AARCH64_NONE:
			return 0;
		case R_AARCH64_ABS64:
			return 8;
		case R_AARCH64_ABS32:
			return 4;
		default:
			return -1;
		}
	}
	return -1;
}

static uint64_t value_of(const Elf64_Sym *symbol, const uint64_t *addresses, uint32_t sections)
{
	if (symbol->st_shndx == SHN_ABS || symbol->st_shndx == SHN_UNDEF)
		return symbol->st_value;
	return symbol->st_value + (symbol->st_shndx < sections ? addresses[symbol->st_shndx] : 0);
}

static int relocate_one(uint8_t *data, uint64_t size, const Elf64_Rela *one, uint64_t value, uint32_t machine)
{
	const int width = width_of(machine, ELF64_R_TYPE(one->r_info));
	const uint64_t word = value + (uint64_t)one->r_addend;

	if (width < 0 || one->r_offset > size || size - one->r_offset < (uint64_t)width)
		return -EINVAL;
	memcpy(data + one->r_offset, &word, (size_t)width);	/* little-endian, as all that is read here */
	return 0;
}

int mb_debug_relocate(uint8_t *data, uint64_t size, const struct mb_debug_bytes *relocations, const struct mb_debug_bytes *symbols,
		      const uint64_t *addresses, uint32_t sections, uint32_t machine)
{
	const uint64_t known = symbols->size / sizeof(Elf64_Sym);

	for (uint64_t at = 0; relocations->size - at >= sizeof(Elf64_Rela); at += sizeof(Elf64_Rela)) {
		Elf64_Rela one;
		Elf64_Sym symbol;

		memcpy(&one, relocations->data + at, sizeof(one));
		if (ELF64_R_SYM(one.r_info) >= known)
			return -EINVAL;
		memcpy(&symbol, symbols->data + ELF64_R_SYM(one.r_info) * sizeof(symbol), sizeof(symbol));
		if (relocate_one(data, size, &one, value_of(&symbol, addresses, sections), machine))
			return -EINVAL;
	}
	return 0;
}
