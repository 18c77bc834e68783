/* Does a little of all that tracers look at, always the same. */
#define _GNU_SOURCE
#include <markbridge/marker.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

__attribute__((noinline)) char *readline(const char *prompt)
{
	static int turn;
	static char *const lines[] = { "ls -l", "make test", "ls -l" };
	__asm__ volatile("" : : "r"(prompt));
	return lines[turn++ % 3];
}
__attribute__((noinline)) int allocate(unsigned bytes, int kind)
{
	__asm__ volatile("" : : "r"(bytes), "r"(kind));
	return bytes % 7 ? 0 : -12;
}
static void *thread(void *arg) { return arg; }
static void run(volatile const char *text)
{
	const char *path = (const char *)text;
	if (!fork()) {
		while (*text)	/* its page is there in the child, too */
			text++;
		execl(path, path, "x", (char *)0);
		_exit(7);
	}
	wait(0);
}
static void connects(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(to);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	bind(listener, (void *)&to, sizeof(to));
	listen(listener, 8);
	getsockname(listener, (void *)&to, &length);
	for (int i = 0; i < 4; i++) {
		int one = socket(AF_INET, SOCK_STREAM, 0);
		connect(one, (void *)&to, sizeof(to));
		int other = accept(listener, 0, 0);
		write(one, "hello", 5);
		close(one);
		close(other);
	}
	close(listener);
}
/* Says that it is there, and waits to be let go. */
static void wait_at(const char *gate)
{
	char path[4096], part[4096];
	FILE *begun;

	snprintf(part, sizeof(part), "%s.part", gate);
	begun = fopen(part, "w");
	fprintf(begun, "%d\n", getpid());
	fclose(begun);
	snprintf(path, sizeof(path), "%s.begun", gate);
	rename(part, path);
	snprintf(path, sizeof(path), "%s.over", gate);
	while (access(path, F_OK))
		usleep(20000);
}
int main(int argc, char **argv)
{
	struct stat st;
	struct addrinfo *found;
	char text[100];

	/* what a tracer reads where a system call begins is in memory then */
	if (access("/nonexistent/file", F_OK) == 0 || access("/nonexistent/program", F_OK) == 0)
		return 1;
	if (argc > 1)
		wait_at(argv[1]);
	for (int i = 0; i < 6; i++) {
		int fd = open(i % 3 ? "/etc/hostname" : "/nonexistent/file", O_RDONLY);
		if (fd >= 0) {
			for (int n = 0; n <= i; n++)
				pread(fd, text, 10 * n, 0);
			close(fd);
		}
	}
	for (int i = 0; i < 9; i++)
		stat(i % 2 ? "/etc/passwd" : "/nonexistent", &st);
	for (int i = 0; i < 5; i++)
		readline("$ ");
	for (int i = 0; i < 40; i++)
		allocate(i * 100, i % 4);
	for (int i = 0; i < 3; i++)
		kill(getpid(), 0);
	kill(getpid(), 99);
	for (int i = 0; i < 3; i++)
		run(i ? "/bin/true" : "/nonexistent/program");
	int fd = open("/tmp/load.out", O_CREAT | O_WRONLY | O_TRUNC, 0600);
	for (int i = 0; i < 10; i++)
		write(fd, text, 1 << i > 100 ? 100 : 1 << i);
	fsync(fd);
	fdatasync(fd);
	close(fd);
	unlink("/tmp/load.out");
	for (int i = 0; i < 4; i++) {
		pthread_t t;
		pthread_create(&t, 0, thread, 0);
		pthread_join(t, 0);
	}
	for (int i = 0; i < 3; i++)
		nanosleep(&(struct timespec){ 0, (i + 1) * 1000000 }, 0);
	for (int i = 0; i < 2; i++)
		syscall(SYS_nanosleep, &(struct timespec){ 0, (i + 1) * 1000000 }, 0);
	for (int i = 0; i < 3; i++)
		syscall(SYS_stat, i ? "/etc/passwd" : "/nonexistent", &st);
	if (setuid(getuid()) || setgid(getgid()))
		return 1;
	connects();
	if (!getaddrinfo("127.0.0.1", "80", 0, &found))
		freeaddrinfo(found);
	for (long i = 0; i < 20; i++)
		MARKBRIDGE_MARK(shop, order, i, i % 3 ? "pear" : "plum", (int)(i * 5 - 40));
	return 0;
}
