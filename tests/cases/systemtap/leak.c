#include <stdio.h>
#include <stdlib.h>
char *volatile kept;
static void *__attribute__((noinline)) leaky(size_t n)
{
	char *block = malloc(n);
	block[0] = 'x';
	return block;
}
static void *__attribute__((noinline)) tidy(size_t n)
{
	char *block = malloc(n);
	kept = block;
	free(block);
	return NULL;
}
int main(void)
{
	for (int i = 0; i < 6; i++)
		if (i % 2)
			tidy(2000 + i);
		else
			kept = leaky(1000 + i);
	return 0;
}
