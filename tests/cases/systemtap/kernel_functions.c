#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(40962) };
	char bytes[100];
	int left = socket(AF_INET, SOCK_DGRAM, 0), right = socket(AF_INET, SOCK_DGRAM, 0);
	int file = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);
	int child = fork();
	if (!child)
		_exit(7);
	waitpid(child, NULL, 0);
	read(file, bytes, 55);
	write(null, bytes, 55);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bind(right, (void *)&at, sizeof(at));
	sendto(left, bytes, 7, 0, (void *)&at, sizeof(at));
	recv(right, bytes, 9, 0);
	int terminal = posix_openpt(O_RDWR); /* what is typed there is brought on by a worker of the kernel */
	grantpt(terminal);
	unlockpt(terminal);
	write(terminal, "x\n", 2);
	struct pollfd echo = { .fd = terminal, .events = POLLIN };
	poll(&echo, 1, -1); /* the worker has run */
	usleep(1000); /* sleeps, and is woken */
	return 0;
}
