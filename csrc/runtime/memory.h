/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory as it was at the hit, which slices of the handlers read in the kernel.
 *
 * mb_memory_read: 0, or -EFAULT if the hit does not bring it.
 * mb_memory_has_failed: whether a read at the address has failed at the hit.
 * mb_memory_is_noted: whether a read at the address has failed at the hit, or the hit brings no memory at all.
 * mb_memory_is_cut: whether there was no room for all of it.
 * mb_raise_unread: mb_raise_fault, unless the slice has not tried to read at the address.
 */
#ifndef MB_MEMORY_H
#define MB_MEMORY_H

#include <stddef.h>
#include <stdint.h>

struct mb_session;

int mb_memory_read(const struct mb_session *session, int64_t address, char *dest, size_t bytes);
int mb_memory_has_failed(const struct mb_session *session, int64_t address);
int mb_memory_is_noted(const struct mb_session *session, int64_t address);
int mb_memory_is_cut(const struct mb_session *session);
int32_t mb_raise_unread(struct mb_session *session, uint32_t site, const char *what, int64_t address);

#endif
