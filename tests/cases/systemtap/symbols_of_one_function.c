#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static char text[] = "what is written";
int main(void)
{
	int null = open("/dev/null", O_WRONLY);
	char *block = malloc(12345);
	memset(block, 1, 12345);
	block = realloc(block, 54321);
	free(block);
	block = calloc(77, 1001);
	write(null, block, 3);
	free(block);
	write(null, text, sizeof(text) - 1);
	lseek(null, 4096, SEEK_SET);
	close(null);
	return 0;
}
