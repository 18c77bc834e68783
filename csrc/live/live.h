/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A live session's side of the ring buffer and of the kernel's maps. */
#ifndef MB_LIVE_H
#define MB_LIVE_H

#include <stdint.h>

#include "record.h"
#include "semaphore.h"

#include "live.cdef.h"

#endif
