/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one question that starting a session asks the kernel's type information, answered without decoding all of it. */
#ifndef MB_BTF_H
#define MB_BTF_H

#include <stdint.h>

int64_t mb_btf_member(const void *data, uint64_t size, const char *structure, const char *member);

#endif
