/* System calls on signals, time and waiting, by fixed arguments. Times are 0: SystemTap reads others wrongly. */
#include "calls.h"

#define NOBODY 0x7fffffff

static void signals(void)
{
	static const long action[] = { 0x1234, 0x14000004, 0x5678, 0x4003 };
	static const long none[4];
	static const long set[] = { -1, 0 };
	static long info[16];

	call(SYS_kill, NOBODY, 9);
	call(SYS_kill, NOBODY, 77);
	call(SYS_tkill, NOBODY, 29);
	call(SYS_tgkill, NOBODY, -1, 0);
	call(SYS_rt_sigaction, 64, action, 0, 8);
	call(SYS_rt_sigaction, 9, none, 0x10, 8);
	call(SYS_rt_sigaction, 99, 0, 0, 8);
	call(SYS_rt_sigaction, 10, 0x10, 0, -1);
	call(SYS_rt_sigprocmask, 9, set, 0, 8);
	call(SYS_rt_sigprocmask, 2, 0, 0x10, 7);
	call(SYS_rt_sigprocmask, 0, 0x10, 0, 8);
	call(SYS_rt_sigpending, 0x10, 8);
	call(SYS_rt_sigsuspend, set, 7);
	call(SYS_rt_sigsuspend, 0x10, 8);
	call(SYS_rt_sigtimedwait, set + 1, 0, 0, 7);
	call(SYS_rt_sigtimedwait, 0, 0x10, 0x10, 8);
	info[0] = 10, info[1] = 0xffffffff, info[2] = 0x900000007;
	call(SYS_rt_sigqueueinfo, NOBODY, 10, info);
	info[0] = 11, info[1] = 1, info[2] = 0x1234;
	call(SYS_rt_sigqueueinfo, NOBODY, 11, info);
	info[0] = 17, info[1] = 2, info[2] = 0x900000007, info[3] = 9;
	call(SYS_rt_tgsigqueueinfo, NOBODY, NOBODY, 17, info);
	info[0] = 77, info[1] = 77, info[2] = 0;
	call(SYS_rt_tgsigqueueinfo, NOBODY, -1, 77, info);
	call(SYS_rt_sigqueueinfo, NOBODY, 0, 0);
	call(SYS_rt_sigqueueinfo, NOBODY, 0, 0x10);
	call(SYS_sigaltstack, action, 0x10);
	call(SYS_sigaltstack, 0, 0x10);
	call(SYS_signalfd4, -1, 0x10, 8, 0x80800);
	call(SYS_signalfd4, 77, 0x10, 8, 0);
}

static void clocks(void)
{
	static const long never[16];

	call(SYS_clock_gettime, 1, 0x10);
	call(SYS_clock_gettime, 77, 0);
	call(SYS_clock_getres, 11, 0x10);
	call(SYS_clock_settime, 77, never);
	call(SYS_clock_settime, 1, 0x10);
	call(SYS_clock_adjtime, 77, 0);
	call(SYS_clock_adjtime, 77, 0x10);
	call(SYS_clock_nanosleep, 77, 1, never, 0x10);
	call(SYS_clock_nanosleep, 0, 7, 0x10, 0);
	call(SYS_nanosleep, never, 0x10);
	call(SYS_nanosleep, 0, 0);
	call(SYS_nanosleep, 0x10, 0);
	call(SYS_adjtimex, 0);
	call(SYS_adjtimex, 0x10);
	call(SYS_gettimeofday, 0x10, 0x20);
	call(SYS_settimeofday, 0x10, 0x20);
	call(SYS_time, 0x10);
	call(SYS_alarm, 0);
	call(SYS_getitimer, 9, 0x10);
	call(SYS_setitimer, 9, never, 0x10);
	call(SYS_setitimer, 1, 0x10, 0);
	call(SYS_timer_create, 77, 0x10, 0x20);
	call(SYS_timer_settime, 77, 1, never, 0x10);
	call(SYS_timer_settime, -1, 9, 0, 0);
	call(SYS_timer_gettime, 77, 0x10);
	call(SYS_timer_getoverrun, 77);
	call(SYS_timer_delete, -1);
	call(SYS_timerfd_create, 77, 0x80800);
	call(SYS_timerfd_create, 1, -1);
	call(SYS_timerfd_settime, -1, 3, never, 0x10);
	call(SYS_timerfd_settime, 77, 0, 0, 0);
	call(SYS_timerfd_gettime, -1, 0x10);
}

static void waits(void)
{
	static const long never[2];

	call(SYS_poll, 0x10, 1, 0);
	call(SYS_ppoll, 0x10, 1, never, 0x20, 8);
	call(SYS_ppoll, 0, -1, 0x10, 0, 0);
	call(SYS_select, -1, 0, 0x10, 0x20, never);
	call(SYS_select, -1, 0, 0, 0, 0x10);
	call(SYS_pselect6, -1, 0, 0x10, 0x20, never, 0);
	call(SYS_pselect6, -1, 0, 0, 0, 0, 0x10);
	call(SYS_epoll_create1, 0x80000001);
	call(SYS_epoll_ctl, -1, 1, 77, 0x10);
	call(SYS_epoll_ctl, 77, 9, -1, 0);
	call(SYS_epoll_wait, -1, 0x10, 3, 0);
	call(SYS_epoll_pwait, -1, 0x10, 3, -1, 0x20, 8);
	call(SYS_eventfd2, 3, 0x80801 | 0x100);
	call(SYS_eventfd2, -1, -1);
}

int main(void)
{
	begin();
	signals();
	clocks();
	waits();
	end();
	return 0;
}
