/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two threads that fire the marker bench:hit at a rate for some seconds, each hit at its time, and what that takes.
 *
 * usage: load RESULT SECONDS HITS_PER_SECOND (of both together); writes hits, seconds, CPU nanoseconds per hit
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <markbridge/marker.h>

#define THREADS 2
#define BATCH 50

struct load {
	double seconds, rate;
	long hits;
	double cpu, wall;
};

static double now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* A few hits, then a wait until the next ones are due; one that comes late does not wait. */
static void *fire(void *argument)
{
	struct load *load = argument;
	double start = now(CLOCK_MONOTONIC), cpu = 0;

	while (now(CLOCK_MONOTONIC) - start < load->seconds) {
		double before = now(CLOCK_THREAD_CPUTIME_ID);

		for (int i = 0; i < BATCH; i++, load->hits++)
			MARKBRIDGE_MARK(bench, hit, load->hits & 7, load->hits);
		cpu += now(CLOCK_THREAD_CPUTIME_ID) - before;
		double left = (double)load->hits / load->rate - (now(CLOCK_MONOTONIC) - start);

		if (left > 0)
			nanosleep(&(struct timespec){ 0, (long)(left * 1e9) }, NULL);
	}
	load->cpu = cpu;
	load->wall = now(CLOCK_MONOTONIC) - start;
	return NULL;
}

int main(int argc, char **argv)
{
	struct load loads[THREADS] = { { 0 } };
	pthread_t threads[THREADS];
	double cpu = 0, wall = 0;
	long hits = 0;
	FILE *result;

	if (argc != 4)
		return 2;
	for (int i = 0; i < THREADS; i++) {
		loads[i].seconds = atof(argv[2]);
		loads[i].rate = atof(argv[3]) / THREADS;
		if (pthread_create(&threads[i], NULL, fire, &loads[i]))
			return 1;
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		hits += loads[i].hits;
		cpu += loads[i].cpu;
		wall = loads[i].wall > wall ? loads[i].wall : wall;
	}
	result = fopen(argv[1], "w");
	if (!result)
		return 1;
	fprintf(result, "%ld %.2f %.1f\n", hits, wall, cpu * 1e9 / (double)hits);
	return fclose(result) != 0;
}
