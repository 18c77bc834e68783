/* SPDX-License-Identifier: 0BSD */
/* There is one way only, which is the fast one. */
#ifndef _LTT_USERTRACE_FAST_H
#define _LTT_USERTRACE_FAST_H

#include <ltt/ltt-usertrace.h>

#endif
