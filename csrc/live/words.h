/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words of a command line. */
#ifndef MB_WORDS_H
#define MB_WORDS_H

#include <stdint.h>

#include "words.cdef.h"

#endif
