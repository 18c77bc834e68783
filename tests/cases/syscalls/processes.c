/* System calls on processes, by fixed arguments; what fails, fails on every machine. */
#include "calls.h"

#define NOBODY 0x7fffffff

static void identities(void)
{
	call(SYS_getpgid, -1);
	call(SYS_getsid, -1);
	call(SYS_setpgid, -1, -1);
	call(SYS_getgroups, -1, 0x10);
	call(SYS_setgroups, -1, 0x10);
	call(SYS_getresuid, 0x10, 0, -1);
	call(SYS_getresgid, 0x10, 0, -1);
	call(SYS_setregid, -1, -1);
	call(SYS_setreuid, -1, -1);
	call(SYS_setresuid, -1, -1, -1);
	call(SYS_setresgid, -1, -1, -1);
	call(SYS_setuid, -1);
	call(SYS_setgid, -1);
	call(SYS_capget, 0x10, 0);
	call(SYS_capset, 0x10, -1);
	call(SYS_getuid);
	call(SYS_personality, 0xffffffff);
}

static void starts(void)
{
	static char *const arguments[] = { "a", "b c", "\n", 0 };
	static char *const environment[] = { "X=1", 0 };

	call(SYS_execve, "/none", arguments, environment);
	call(SYS_execve, "/none", 0, 0);
	call(SYS_execve, 0x10, 0x10, PLACE + 4088);
	call(SYS_execveat, -100, "none", arguments, 0, 0x1100);
	call(SYS_execveat, -1, 0, 0, environment, -1);
	call(SYS_clone, 0x80010100L, 0x10, 0x20, 0x30);
	call(SYS_clone, 0x7e030011L, 0x10, 0, 0);
	call(SYS_unshare, -1);
	call(SYS_unshare, 0x100);
	call(SYS_setns, -1, 0x40000000);
	call(SYS_setns, 77, 0);
	call(SYS_wait4, NOBODY, 0x10, 0x40000003, 0x20);
	call(SYS_wait4, NOBODY, 0, -1, 0);
	call(SYS_waitid, 1, NOBODY, 0x10, 0x1000004, 0x20);
	call(SYS_waitid, 9, -1, 0, 0, 0);
	call(SYS_set_robust_list, 0x10, 7);
	call(SYS_get_robust_list, NOBODY, 0x10, 0x20);
	call(SYS_set_tid_address, 0x10);
	call(SYS_arch_prctl, 0x1003, 1);
	call(SYS_arch_prctl, 7, -1);
	call(SYS_kcmp, NOBODY, -1, 1, 2, -1);
	call(SYS_kcmp, NOBODY, -1, 99, 0, 0);
	call(SYS_seccomp, 9, 1, 0x10);
	call(SYS_seccomp, 1, 2, 0);
}

static void schedules(void)
{
	long attributes[6] = { 0x600000030, 5, 0x900000007, 11, 12, 13 };

	call(SYS_getpriority, 9, -1);
	call(SYS_setpriority, 1, NOBODY, -20);
	call(SYS_sched_get_priority_max, 1);
	call(SYS_sched_get_priority_min, 77);
	call(SYS_sched_setscheduler, NOBODY, 0x40000002, 0x10);
	call(SYS_sched_setscheduler, -1, -1, 0);
	call(SYS_sched_getscheduler, NOBODY);
	call(SYS_sched_setparam, NOBODY, 0x10);
	call(SYS_sched_getparam, NOBODY, 0x10);
	call(SYS_sched_rr_get_interval, NOBODY, 0x10);
	call(SYS_sched_setaffinity, NOBODY, 8, 0x10);
	call(SYS_sched_getaffinity, NOBODY, 8, 0x10);
	call(SYS_sched_setattr, NOBODY, 0, 3);
	call(SYS_sched_setattr, NOBODY, 0x10, 3);
	call(SYS_sched_getattr, NOBODY, 0, 48, -1);
	call(SYS_sched_yield);
	call(SYS_ioprio_get, 1, NOBODY);
	call(SYS_ioprio_set, 77, NOBODY, 0x4003);
	call(SYS_getcpu, 0x10, 0, 0);
}

static void limits(void)
{
	static const long small[] = { 5, -1 };

	call(SYS_getrlimit, 7, 0x10);
	call(SYS_getrlimit, 77, 0);
	call(SYS_setrlimit, 77, small);
	call(SYS_setrlimit, 3, 0x10);
	call(SYS_prlimit64, NOBODY, 2, small, 0x10);
	call(SYS_prlimit64, -1, -1, 0, 0);
	call(SYS_getrusage, -1, 0x10);
	call(SYS_getrusage, 77, 0);
	call(SYS_times, 0x10);
	call(SYS_sysinfo, 0x10);
	call(SYS_prctl, 77, 1, 2, 3, 4);
	call(SYS_prctl, 15, 0x10);
	call(SYS_prctl, 38, 2);
	call(SYS_prctl, 23, 99);
	call(SYS_prctl, 22, 9, 0x10);
	call(SYS_ptrace, 0x4200, NOBODY, 0, 0x100025);
	call(SYS_ptrace, 7, NOBODY, 1, 9);
	call(SYS_ptrace, 12, NOBODY, 1, 0x10);
	call(SYS_ptrace, 3, -1, 0x10, 0x20);
	call(SYS_ptrace, 0x4204, NOBODY, 1, 0x10);
	call(SYS_ptrace, 77, NOBODY, 1, 0x10);
	call(SYS_futex, PLACE, 0, 1, 0x10);
	call(SYS_futex, PLACE, 1, 0);
	call(SYS_futex, PLACE, 0x81, 0);
	call(SYS_futex, PLACE, 4, 1, 2, PLACE + 8, 7);
	call(SYS_futex, PLACE, 5, 1, 2, 0x10, 0x81002003);
	call(SYS_futex, PLACE, 10, 1, 0, 0, 0);
	call(SYS_futex, PLACE, 77, -1, 0, 0, 0);
	call(SYS_restart_syscall);
}

int main(void)
{
	begin();
	identities();
	starts();
	schedules();
	limits();
	end();
	return 0;
}
