/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Debug information (DWARF 2 to 5, little-endian) of one file and of the file that `dwz` moved common parts to.
 *
 * Entries are named by a `ref`: the offset in its section, with MB_DEBUG_TYPES added in .debug_types and MB_DEBUG_OTHER in the
 * second file. The sections' bytes are the caller's and stay where they are. Lengths are checked before anything is read; what is
 * damaged gives -EINVAL and a reason, never more.
 */
#ifndef MB_DEBUG_H
#define MB_DEBUG_H

#include <stddef.h>
#include <stdint.h>

#include "debug.cdef.h"

#endif
