/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mb_signal_once: let the handler that is installed for a signal run once; the next signal of that number does what it does by default,
 * even while the program does not return from a long call. 0 or a negative errno.
 */
#ifndef MB_INTERRUPT_H
#define MB_INTERRUPT_H

#include "interrupt.cdef.h"

#endif
