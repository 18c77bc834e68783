/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MB_INTERRUPT_H
#define MB_INTERRUPT_H

/*
 * Let the handler that is installed for a signal run once; the next signal of that number does
 * what it does by default, even while the program does not return from a long call.
 * Returns 0 or a negative errno.
 */
int mb_signal_once(int number);

#endif
