#include <string.h>
static char first[40000], second[40000], small[] = "short";
__attribute__((noinline)) void hit(const char *a, const char *b) { asm volatile("" : : "r"(a), "r"(b) : "memory"); }
int main(void)
{
	memset(first, 'a', sizeof(first) - 1);
	memset(second, 'b', sizeof(second) - 1);
	small[4] = 'T';
	hit(first, second);
	hit(small, second + 39000);
	return 0;
}
