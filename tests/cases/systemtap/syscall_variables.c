#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
	char bytes[16];
	int zero = open("/dev/zero", O_RDWR);
	read(zero, bytes, 5);
	lseek(zero, 12, SEEK_CUR);
	write(zero, bytes, 9);
	read(-7, bytes, 11);
	write(-7, bytes, 13);
	lseek(-7, 12, SEEK_CUR);
	dup(-7);
	return 0;
}
