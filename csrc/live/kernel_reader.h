/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's memory, for handlers that run without a hit: a program that is attached nowhere reads it on demand
 * (bridge/codegen/bpf/memory.py).
 *
 * mb_kernel_read: 0, or a negative errno if not all of it is there. A `mb_memory_reader` (runtime/session.cdef.h).
 */
#ifndef MB_KERNEL_READER_H
#define MB_KERNEL_READER_H

#include <stdint.h>

#include "kernel_reader.cdef.h"

#endif
