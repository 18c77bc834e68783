/* System calls on sockets, System V IPC, message queues, keys and the system, by fixed arguments that fail. */
#include "calls.h"

static void sockets(void)
{
	static const unsigned char inet[16] = { 2, 0, 0x12, 0x34, 127, 0, 0, 1 };
	static const unsigned char inet6[28] = { 10, 0, 0x12, 0x34, 5, 0, 0, 0, 0x20, 1, 0xd, 0xb8 };
	static const unsigned char named[110] = "\1\0/tmp/none";
	static const unsigned char abstract[110] = "\1\0\0none";
	static const unsigned int netlink[3] = { 16, 7, 9 };
	static const unsigned char packet[20] = { 17, 0, 0, 3, 7, 0, 0, 0, 1, 0, 2, 6, 1, 2, 3, 4, 5, 6 };
	static const unsigned char other[16] = { 99 };

	call(SYS_socket, 77, 9, 5);
	call(SYS_socket, 2, 0x80801, 132);
	call(SYS_socket, -1, -1, -1);
	call(SYS_socketpair, 10, 0x80002, 17, 0x10);
	call(SYS_bind, -1, inet, 16);
	call(SYS_bind, -1, inet6, 28);
	call(SYS_bind, -1, named, 110);
	call(SYS_bind, -1, abstract, 7);
	call(SYS_bind, -1, netlink, 12);
	call(SYS_bind, -1, packet, 20);
	call(SYS_bind, -1, other, 16);
	call(SYS_bind, -1, inet, 15);
	call(SYS_bind, -1, inet, 0);
	call(SYS_connect, -1, 0, 16);
	call(SYS_connect, -1, 0x10, 16);
	call(SYS_connect, -1, inet, 16);
	call(SYS_connect, -1, named, -1);
	call(SYS_listen, -1, 5);
	call(SYS_accept, -1, 0x10, 0x20);
	call(SYS_accept4, -1, 0x10, 0x20, 0x80800);
	call(SYS_accept4, -1, 0, 0, 1);
	call(SYS_getsockname, -1, 0x10, 0x20);
	call(SYS_getpeername, -1, 0x10, 0x20);
	call(SYS_setsockopt, -1, 1, 2, 0x10, 4);
	call(SYS_getsockopt, -1, 6, 77, 0x10, 0x20);
	call(SYS_shutdown, -1, 2);
	call(SYS_shutdown, -1, 9);
	call(SYS_sendto, -1, "hello\n", 6, 0x4040, inet, 16);
	call(SYS_sendto, -1, 0x10, 3, -1, 0, 0);
	call(SYS_recvfrom, -1, 0x10, 3, 0x122, 0x20, 0x30);
	call(SYS_sendmsg, -1, 0x10, 0);
	call(SYS_recvmsg, -1, 0x10, 0x40000001);
	call(SYS_sendmmsg, -1, 0x10, 3, 0x8000);
	call(SYS_recvmmsg, -1, 0x10, 3, 0x10000, 0);
	call(SYS_recvmmsg, -1, 0x10, 3, 0, 0x10);
}

static void queues(void)
{
	call(SYS_semget, 0, -1, 0666 | 01000);
	call(SYS_semget, 77, -1, 03000);
	call(SYS_semop, -1, 0x10, 3);
	call(SYS_semtimedop, -1, 0x10, 3, 0x20);
	call(SYS_semctl, -1, 1, 12, 0x10);
	call(SYS_semctl, -1, 1, 0x10d, 0x10);
	call(SYS_semctl, -1, 1, 99, 0);
	call(SYS_msgget, 0x12345, 0);
	call(SYS_msgsnd, -1, 0x10, 3, 04000);
	call(SYS_msgrcv, -1, 0x10, 3, -7, 034000);
	call(SYS_msgctl, -1, 2, 0x10);
	call(SYS_msgctl, -1, 99, 0);
	call(SYS_shmget, 0x12345, 1, 0600);
	call(SYS_shmget, 0x12345, 1, -1);
	call(SYS_shmat, -1, 0x10, 030000);
	call(SYS_shmat, -1, 0, -1);
	call(SYS_shmdt, 0x10);
	call(SYS_shmctl, -1, 0x102, 0x10);
	call(SYS_mq_open, "none", 2, 0, 0);
	call(SYS_mq_open, "/x/y", 0xc2, 0600, 0x10);
	call(SYS_mq_open, 0x10, -1, 0, 0);
	call(SYS_mq_unlink, "none");
	call(SYS_mq_timedsend, -1, 0x10, 3, -1, 0x20);
	call(SYS_mq_timedreceive, -1, 0x10, 3, 0x20, 0x30);
	call(SYS_mq_notify, -1, 0x10);
	call(SYS_mq_getsetattr, -1, 0x10, 0x20);
}

static void keys(void)
{
	int option;

	call(SYS_add_key, "none", "what", "payload", 7, -3);
	call(SYS_add_key, 0x10, 0, 0, -1, 0);
	call(SYS_request_key, "none", "what", 0x10, -1);
	for (option = 2; option < 23; option++)
		if (option != 11 && option != 6 && option != 14 && option != 16 && option != 18 && option != 22)
			call(SYS_keyctl, option, -77, 0x3f000001, 0x10, -2);
	call(SYS_keyctl, 0, -77, 0);
	call(SYS_keyctl, 14, 77);
	call(SYS_keyctl, 77, 1, 2, 3, 4);
}

static void systems(void)
{
	call(SYS_reboot, 0xfee1dead, 77, 0x1234567, 0x10);
	call(SYS_reboot, 0, 0x28121969, -1, 0);
	call(SYS_syslog, 77, 0x10, 3);
	call(SYS_sethostname, "none", -1);
	call(SYS_setdomainname, 0x10, -1);
	call(SYS_uname, 0x10);
	call(SYS_bpf, 1, 0x10, 3);
	call(SYS_bpf, -1, 0, -1);
	call(SYS_perf_event_open, 0x10, -1, -1, -1, 0xb);
	call(SYS_perf_event_open, 0, 1, 2, 3, -1);
	call(SYS_membarrier, -1, 0);
	call(SYS_membarrier, 1, 7);
	call(SYS_getrandom, 0x10, 3, 3);
	call(SYS_getrandom, 0, -1, 7);
}

int main(void)
{
	begin();
	sockets();
	queues();
	keys();
	systems();
	end();
	return 0;
}
