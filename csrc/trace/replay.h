/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events of a trace as records of hooks, delivered to a session in order of time, its timers in between. */
#ifndef MB_REPLAY_H
#define MB_REPLAY_H

#include <stdint.h>

struct mb_ctf_cursor;

#include "replay.cdef.h"

#endif
