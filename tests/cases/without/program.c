/* All kinds of hits that a program can have. */
#include <markbridge/marker.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
MARKBRIDGE_SEMAPHORE(demo, watched);
struct node {
	struct node *next;
	int value;
} last = {0, 3}, middle = {&last, 2}, first = {&middle, 1};
int known = 40;
__attribute__((noinline)) long work(long x, const char *text)
{
	MARKBRIDGE_MARK(demo, plain, x, text);
	MARKBRIDGE_MARK_SEMAPHORE(demo, watched, x);
	__asm__ volatile("" ::: "memory");
	return x + (long)strlen(text) + known;
}
__attribute__((noinline)) void walk(struct node *list)
{
	__asm__ volatile("" : : "r"(list) : "memory");
}
int main(void)
{
	char text[16];
	long sum = 0;
	for (int i = 0; i < 3; i++) {
		snprintf(text, sizeof(text), "text %d", i);
		sum += work(i, text);
	}
	walk(&first);
	getpgid(0);
	return sum != 3 + 3 * 46;
}
