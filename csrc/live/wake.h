/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes that the kernel lets go on by itself when one of ours dies. A pipe has a reading end for each of them, which belongs to it by
 * F_SETOWN, with SIGCONT as its signal (fcntl(2), O_ASYNC). The kernel sends the signal when nobody has the writing end any more. Whoever
 * is to be watched has that end alone; a dead process gives its files back, whatever it died of.
 *
 * The session itself may hold both kinds of ends: a dying process closes its files from the highest number to the lowest, so the writing
 * end has a higher number than all others here; what is opened later, as the links of programs, is gone by then.
 *
 * A structure that was never open has -1 for the writing end.
 * mb_wake_open: 0 or a negative errno. A structure that was open before keeps its processes.
 * mb_wake_give: the writing end was inherited by whoever is watched; this process gives up its own.
 * mb_wake_add: a process that may be stopped; of more than 256 the last ones. 0 or a negative errno.
 * mb_wake_close: all is well, so no signal is sent.
 */
#ifndef MB_WAKE_H
#define MB_WAKE_H

#include <stdint.h>

#include "wake.cdef.h"

#endif
