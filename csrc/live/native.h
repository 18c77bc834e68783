/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything that Python sees of the C side. */
#ifndef MB_NATIVE_H
#define MB_NATIVE_H

#include "bpf.h"
#include "btf.h"
#include "live.h"
#include "interrupt.h"
#include "record.h"
#include "ring.h"

int mb_record_layout(void);

#endif
