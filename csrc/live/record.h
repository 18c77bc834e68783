/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A hit as it travels from where it happened to where its handlers run: the C view of bridge/artifact.py.
 */
#ifndef MB_RECORD_H
#define MB_RECORD_H

#include <stdint.h>

#include "record.cdef.h"

#endif
