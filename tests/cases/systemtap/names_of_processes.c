#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
	int child = fork();
	if (!child) {
		for (int i = 0; i < 200; i++)
			usleep(10000);
		_exit(0);
	}
	for (int i = 0; i < 100; i++)
		usleep(10000);
	waitpid(child, 0, 0);
	return 0;
}
