/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <signal.h>
#include <stddef.h>

#include "interrupt.h"

int mb_signal_once(int number)
{
	struct sigaction action;

	if (sigaction(number, NULL, &action))
		return -errno;
	action.sa_flags |= (int)SA_RESETHAND;
	return sigaction(number, &action, NULL) ? -errno : 0;
}
