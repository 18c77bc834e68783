#include <unistd.h>
int main(void)
{
	for (int i = 0; i < 300; i++)
		usleep(10000);
	return 0;
}
