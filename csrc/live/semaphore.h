/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Semaphores of markers that the kernel counts up in the wrong place. A uprobe with a semaphore makes the kernel count it up in the first
 * writable mapping of its page of the file. lld lets two segments share a page; while a process starts, both are writable, and the first
 * is not the one that the program reads. So where a process begins to run such a file, it is stopped, and we look.
 */
#ifndef MB_SEMAPHORE_H
#define MB_SEMAPHORE_H

#include <stdint.h>

#include "semaphore.cdef.h"

struct mb_live;
struct mb_record;

/* Count up what the kernel has not, and let the process go on. */
void mb_semaphore_start(struct mb_live *live, const struct mb_record *record);

#endif
