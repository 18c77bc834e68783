/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one question that starting a session asks the kernel's type information, answered without decoding all of it. */
#ifndef MB_BTF_H
#define MB_BTF_H

#include <stdint.h>

#include "btf.cdef.h"

#endif
