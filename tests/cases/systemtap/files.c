#include <fcntl.h>
#include <unistd.h>
int main(void)
{
	char bytes[4096];
	int file = open("/etc/os-release", O_RDONLY), null = open("/dev/null", O_WRONLY);
	read(file, bytes, 7);
	pread(file, bytes, 11, 3);
	read(file, bytes, 0);
	write(null, bytes, 123);
	pwrite(null, bytes, 45, 67);
	read(file, (void *)8, 89);
	read(-1, bytes, 90);
	return 0;
}
