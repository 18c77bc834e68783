/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two processes that let all held processes go on (hold.h) if the session dies or is stopped itself, or if somebody is held for too long.
 * Each starts the other one again, and if all three die, the kernel lets them go (wake.h). `map` is that of hold.h; `alive` a pipe's
 * reading end, of which the session has the other; `lease` the writing end of a `struct mb_wake` that all guards have, and they alone;
 * `control` the words that programs look at, and the rest are indices into it: `armed` says whether programs run; `beat` when the session
 * last took care; `leaving` that the session ends as it should; `seats` the first of two words with the guards' process ids, which
 * programs never stop.
 *
 * mb_guard_start: the first guard's process id, which the caller has to wait for, or a negative errno.
 */
#ifndef MB_GUARD_H
#define MB_GUARD_H

#include <stdint.h>

#include "guard.cdef.h"

#endif
