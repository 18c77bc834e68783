/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program with markers: a shop that takes orders. Every order fires the marker shop:order with
 * its number, the article and the price in cents; a refused one fires shop:refused as well.
 *
 * usage: shop [NUMBER OF ORDERS]
 */
#include <stdio.h>
#include <stdlib.h>

#include <markbridge/marker.h>

static const char *const articles[] = { "tea", "coffee", "bread", "honey", "cheese" };

static unsigned int next_random(unsigned int *state)
{
	*state = *state * 1103515245u + 12345u;
	return *state >> 16;
}

static int take_order(long number, const char *article, long cents)
{
	MARKBRIDGE_MARK(shop, order, number, article, cents);
	if (cents > 900) {
		MARKBRIDGE_MARK(shop, refused, number, cents);
		return 0;
	}
	return 1;
}

int main(int argc, char **argv)
{
	long orders = argc > 1 ? atol(argv[1]) : 20;
	unsigned int state = 2006;
	long taken = 0;

	for (long number = 1; number <= orders; number++) {
		const char *article = articles[next_random(&state) % 5];
		long cents = 50 + next_random(&state) % 1000;

		taken += take_order(number, article, cents);
	}
	printf("%ld of %ld orders taken\n", taken, orders);
	return 0;
}
