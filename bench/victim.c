/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a hit costs the traced program: fires the marker bench:hit in rounds and writes the CPU time per hit of the second fastest round,
 * in nanoseconds, to a file.
 *
 * usage: victim RESULT ROUNDS HITS
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <markbridge/marker.h>

static double thread_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double fire(long hits)
{
	double start = thread_ns();

	for (long i = 0; i < hits; i++)
		MARKBRIDGE_MARK(bench, hit, i & 7, i);
	return (thread_ns() - start) / (double)hits;
}

int main(int argc, char **argv)
{
	double best = 1e18, second = 1e18;
	FILE *result;

	if (argc != 4)
		return 2;
	for (long round = atol(argv[2]); round > 0; round--) {
		double cost = fire(atol(argv[3]));

		if (cost < best) {
			second = best;
			best = cost;
		} else if (cost < second) {
			second = cost;
		}
	}
	result = fopen(argv[1], "w");
	if (!result)
		return 1;
	fprintf(result, "%.1f\n", second);
	return fclose(result) != 0;
}
