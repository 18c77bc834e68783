/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hits its tracepoints in turn, as often as the argument says. */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "shop.h"

#include <stdlib.h>

int main(int count, char **arguments)
{
	static const char *const items[] = { "apple", "pear tree", "the \"quoted\" one", "plum", "x" };
	static const int sizes[] = { 3, -1, 4, 1, -5, 9 };
	const long events = count > 1 ? atol(arguments[1]) : 1000;

	for (long i = 0; i < events; i++)
		switch (i & 3) {
		case 0:
			lttng_ust_tracepoint(shop, tick, (int)(i * 7), 0x7f0000001000ul + (unsigned long)i);
			break;
		case 1:
			lttng_ust_tracepoint(shop, sell, items[i % 5], (double)i * 0.25);
			break;
		case 2:
			lttng_ust_tracepoint(shop, pack, sizes, (int)(i % 7), (int)(i % 11));
			break;
		default:
			lttng_ust_tracepoint(shop, bell, (unsigned char)i);
		}
	return 0;
}
