/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Texts, each once, by numbers: the number is the place of the text in `data`. Number 0 is the empty text. */
#ifndef MB_DEBUG_TEXTS_H
#define MB_DEBUG_TEXTS_H

#include <stdint.h>

struct mb_texts {
	char *data;
	uint32_t *slot;		/* 0, or the number of a text whose hash leads here */
	uint32_t size, room, slots, used;
	uint64_t most;		/* bytes that the texts may take together */
	int full;
};

int mb_texts_open(struct mb_texts *pool, uint64_t most);
void mb_texts_close(struct mb_texts *pool);

/* FNV-1a, of 32 bits. */
uint32_t mb_texts_hash(const uint8_t *text, uint64_t size);

/* The number of a text; 0, and `full` is set, where there is no more room. */
uint32_t mb_texts_number(struct mb_texts *pool, const uint8_t *text, uint64_t size);

#endif
