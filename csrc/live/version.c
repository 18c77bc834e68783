/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "native.h"

/* The layout of records that this library was built with; Python refuses another. */
int mb_record_layout(void)
{
	return 1;
}
