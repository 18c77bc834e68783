#include <fcntl.h>
#include <unistd.h>
int main(void)
{
	char bytes[16];
	int zero = open("/dev/zero", O_RDWR);
	read(zero, bytes, 5);
	return 0;
}
