/* What the programs share: calls without the C library's opinion, between two marks, on memory at fixed addresses. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PLACE 0x10000000L	/* a page; the next one is not there */
#define TIMES (PLACE + 1024)	/* five 64-bit numbers */
#define NOW (PLACE + 1152)	/* two struct timespec: now, and leave it */
#define BYTES (PLACE + 2048)	/* bytes of all kinds */

#define PICK(_1, _2, _3, _4, _5, _6, _7, name, ...) name
#define call(...) PICK(__VA_ARGS__, call6, call5, call4, call3, call2, call1, call0)(__VA_ARGS__)
#define L(x) ((long)(x))
#define call0(n) syscall(n, 0L, 0L, 0L, 0L, 0L, 0L)
#define call1(n, a) syscall(n, L(a), 0L, 0L, 0L, 0L, 0L)
#define call2(n, a, b) syscall(n, L(a), L(b), 0L, 0L, 0L, 0L)
#define call3(n, a, b, c) syscall(n, L(a), L(b), L(c), 0L, 0L, 0L)
#define call4(n, a, b, c, d) syscall(n, L(a), L(b), L(c), L(d), 0L, 0L)
#define call5(n, a, b, c, d, e) syscall(n, L(a), L(b), L(c), L(d), L(e), 0L)
#define call6(n, a, b, c, d, e, f) syscall(n, L(a), L(b), L(c), L(d), L(e), L(f))

static void begin(void)
{
	static const long times[] = { 1000000000, 123456, 1500000000, 7, 5 };
	static const long now[] = { 1, 0x3fffffff, 2, 0x3ffffffe };
	int i;

	mmap((void *)PLACE, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	munmap((void *)(PLACE + 4096), 4096);
	memcpy((void *)TIMES, times, sizeof(times));
	memcpy((void *)NOW, now, sizeof(now));
	for (i = 0; i < 256; i++)
		((unsigned char *)BYTES)[i] = (unsigned char)(i * 7);
	memset((void *)(PLACE + 4000), 'z', 96);
	syscall(SYS_umask, 022);
	syscall(SYS_chdir, "/");
	syscall(SYS_chdir, "/begin");
}

static void end(void)
{
	syscall(SYS_chdir, "/end");
}
