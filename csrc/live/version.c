/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "version.h"

#ifndef MB_DECLARATIONS
#error "compile with -DMB_DECLARATIONS=$(python3 csrc/number.py)"
#endif

uint32_t mb_declarations(void)
{
	return MB_DECLARATIONS;
}
