/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mb_declarations: a number made of all *.cdef.h that the library was built with (csrc/number.py). Python was built with such declarations,
 * too; it refuses a library with another number, because calls and structures would not fit.
 */
#ifndef MB_VERSION_H
#define MB_VERSION_H

#include <stdint.h>

#include "version.cdef.h"

#endif
