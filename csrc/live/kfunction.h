/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs on functions of the kernel: trampolines and kprobes. */
#ifndef MB_KFUNCTION_H
#define MB_KFUNCTION_H

#include <stdint.h>

#include "kfunction.cdef.h"

#endif
