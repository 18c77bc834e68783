/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events as text: what is written, and how single values are. */
#ifndef MB_PRINT_H
#define MB_PRINT_H

#include "ctf.h"
#include "print.cdef.h"

/* Text that grows. After a failure nothing more is put. */
struct mb_page {
	char *text;
	uint64_t used;
	uint64_t capacity;
	int failed;
};

/* Room for so many bytes more, or NULL. */
char *mb_page_room(struct mb_page *page, uint64_t bytes);

void mb_page_put(struct mb_page *page, const char *text, uint64_t length);
void mb_page_signed(struct mb_page *page, int64_t value);
void mb_page_unsigned(struct mb_page *page, uint64_t value);

/* `digits` at least, with leading zeros. */
void mb_page_padded(struct mb_page *page, uint64_t value, uint32_t digits);
void mb_page_hexadecimal(struct mb_page *page, uint64_t value);
void mb_page_octal(struct mb_page *page, uint64_t value);
void mb_page_binary(struct mb_page *page, uint64_t value, uint32_t bits);

/* As %g. */
void mb_page_real(struct mb_page *page, double value);

/* The shortest digits that read back as the same number. */
void mb_page_json_real(struct mb_page *page, double value);

/* Up to the first NUL, between quotes, with escapes of C. */
void mb_page_text(struct mb_page *page, const uint8_t *text, uint64_t length);

/* In ASCII; what is no UTF-8 as its bytes. */
void mb_page_json_text(struct mb_page *page, const uint8_t *text, uint64_t length);
void mb_page_bytes(struct mb_page *page, const uint8_t *bytes, uint64_t length);
void mb_page_json_bytes(struct mb_page *page, const uint8_t *bytes, uint64_t length);

#endif
