/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bpf(2) and perf_event_open(2), as far as the kernel engine needs them. */
#ifndef MB_BPF_H
#define MB_BPF_H

#include <stdint.h>

#include "bpf.cdef.h"

#endif
