/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tracepoints of four kinds, for traces to be read. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER shop
#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "./shop.h"
#if !defined(SHOP_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define SHOP_H
#include <lttng/tracepoint.h>
LTTNG_UST_TRACEPOINT_EVENT(shop, tick, LTTNG_UST_TP_ARGS(int, n, unsigned long, address),
	LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(int, n, n) lttng_ust_field_integer_hex(unsigned long, address, address)))
LTTNG_UST_TRACEPOINT_EVENT(shop, sell, LTTNG_UST_TP_ARGS(const char *, item, double, price),
	LTTNG_UST_TP_FIELDS(lttng_ust_field_string(item, item) lttng_ust_field_float(double, price, price)))
LTTNG_UST_TRACEPOINT_ENUM(shop, kind, LTTNG_UST_TP_ENUM_VALUES(lttng_ust_field_enum_value("small", 0)
	lttng_ust_field_enum_value("middle", 1) lttng_ust_field_enum_range("large", 2, 9)))
LTTNG_UST_TRACEPOINT_EVENT(shop, pack, LTTNG_UST_TP_ARGS(const int *, sizes, int, count, int, kind),
	LTTNG_UST_TP_FIELDS(lttng_ust_field_sequence(int, sizes, sizes, unsigned int, count)
			    lttng_ust_field_enum(shop, kind, int, kind, kind)))
LTTNG_UST_TRACEPOINT_EVENT(shop, bell, LTTNG_UST_TP_ARGS(unsigned char, level),
	LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(unsigned char, level, level)))
#endif
#include <lttng/tracepoint-event.h>
