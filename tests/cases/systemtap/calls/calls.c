// What the scripts of this folder look at: one call of each kind, with sizes that tell them apart.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char bytes[8192];

static void files(void)
{
	int file = open("one", O_CREAT | O_RDWR | O_TRUNC, 0600);
	long left = 0;

	left += write(file, bytes, 55) + pwrite(file, bytes, 21, 100);
	left += pread(file, bytes, 34, 3) + lseek(file, 7, SEEK_SET) + read(file, bytes, 1000);
	left += fsync(file) + ftruncate(file, 4321) + fchmod(file, 0640);
	close(dup2(file, 77));
	close(file);
	left += rename("one", "two") + link("two", "three") + symlink("two", "four");
	left += unlink("three") + unlink("four") + mkdir("folder", 0751) + rmdir("folder") + unlink("two");
	left += unlink("absent");
	if (left == 12345)
		exit(9);
}

static void sockets(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int pair[2], one = socket(AF_INET, SOCK_DGRAM, 0), server = socket(AF_INET, SOCK_STREAM, 0), client, served;
	long left = 0;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	left += write(pair[0], bytes, 33) + read(pair[1], bytes, 200);
	bind(one, (struct sockaddr *)&address, length);
	getsockname(one, (struct sockaddr *)&address, &length);
	left += sendto(one, bytes, 44, 0, (struct sockaddr *)&address, length) + recv(one, bytes, 300, 0);
	address.sin_port = 0;
	bind(server, (struct sockaddr *)&address, length);
	listen(server, 5);
	getsockname(server, (struct sockaddr *)&address, &length);
	client = socket(AF_INET, SOCK_STREAM, 0);
	connect(client, (struct sockaddr *)&address, length);
	served = accept(server, 0, 0);
	left += send(client, bytes, 66, 0) + recv(served, bytes, 400, 0);
	if (left == 12345)
		exit(9);
}

int main(void)
{
	char folder[] = "/tmp/callsXXXXXX";
	int ends[2], status;
	struct timespec shortly = { 0, 2000000 };
	void *memory;

	if (!mkdtemp(folder) || chdir(folder))
		return 1;
	files();
	sockets();
	if (pipe(ends) || write(ends[1], bytes, 88) != 88 || read(ends[0], bytes, 500) != 88)
		return 2;
	memory = mmap(0, 5 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(memory, 1, 3 * 4096);
	munmap(memory, 5 * 4096);
	signal(SIGUSR1, SIG_IGN);
	kill(getpid(), SIGUSR1);
	nanosleep(&shortly, 0);
	setpriority(PRIO_PROCESS, 0, 3);
	if (!fork())
		_exit(3);
	wait(&status);
	chdir("/");
	return rmdir(folder);
}
