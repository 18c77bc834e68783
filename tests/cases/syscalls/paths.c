/* System calls that take paths, by fixed arguments; what fails, fails on every machine. */
#include "calls.h"

#define PATH_AT(n) "/tmp/markbridge-paths/" n
#define NONE "/tmp/markbridge-paths/none"

static void names(void)
{
	int fd;

	call(SYS_mkdir, "/tmp/markbridge-paths", 0777);
	call(SYS_chdir, NONE);
	call(SYS_chdir, PLACE + 4096);
	call(SYS_open, PATH_AT("file"), 0x88241, 0640);
	call(SYS_close, 3);
	call(SYS_open, NONE, 0x41c03, 0777);
	call(SYS_open, "/", 0x10000);
	call(SYS_close, 3);
	call(SYS_open, "a \"quoted\"\n\377\\ name", -1, -1);
	call(SYS_open, 0, 0x101000, 0);
	call(SYS_openat, -100, NONE, 0x1001, 0);
	call(SYS_openat, -1, "relative", 0x200042, 01777);
	call(SYS_openat, -100, NONE, 0x403fac0, 0);
	call(SYS_creat, PATH_AT("new"), 0600);
	call(SYS_close, 3);
	call(SYS_creat, NONE "/none", -1);
	call(SYS_access, PATH_AT("new"), 0);
	call(SYS_access, PATH_AT("new"), 7);
	call(SYS_access, NONE, 0xffff);
	call(SYS_faccessat, -100, PATH_AT("new"), 4);
	call(SYS_faccessat, 77, "relative", 1);
	call(SYS_faccessat2, -100, NONE, 6, 0x1300);
	call(SYS_faccessat2, -100, NONE, 0, 0);
	call(SYS_chmod, PATH_AT("new"), 04711);
	call(SYS_chmod, NONE, -1);
	call(SYS_fchmodat, -100, PATH_AT("new"), 0);
	call(SYS_fchmodat, -2, "relative", 0x12345);
	call(SYS_chown, PATH_AT("new"), 1, 2);
	call(SYS_chown, NONE, -1, -1);
	call(SYS_lchown, PATH_AT("new"), -1, 0x7fffffff);
	call(SYS_fchownat, -100, NONE, 3, 4, 0x1100);
	call(SYS_fchownat, 77, "relative", -1, -1, 0x40000);
	call(SYS_link, PATH_AT("new"), PATH_AT("hard"));
	call(SYS_link, NONE, 0);
	call(SYS_linkat, -100, PATH_AT("new"), -100, PATH_AT("hard"), 0x400);
	call(SYS_linkat, 77, "a", 78, "b", -1);
	call(SYS_symlink, "target", PATH_AT("soft"));
	call(SYS_symlink, "", "");
	call(SYS_symlinkat, "target", -100, PATH_AT("soft"));
	call(SYS_symlinkat, 0, 77, "soft");
	call(SYS_readlink, PATH_AT("soft"), PLACE, 100);
	call(SYS_readlink, NONE, PLACE, -1);
	call(SYS_readlinkat, -100, PATH_AT("soft"), PLACE, 3);
	call(SYS_readlinkat, 77, "soft", 0x10, 0);
	call(SYS_rename, PATH_AT("hard"), PATH_AT("moved"));
	call(SYS_rename, NONE, NONE);
	call(SYS_renameat, -100, PATH_AT("moved"), -100, PATH_AT("hard"));
	call(SYS_renameat, 77, "a", -1, "b");
	call(SYS_renameat2, -100, PATH_AT("hard"), -100, PATH_AT("new"), 3);
	call(SYS_renameat2, 77, "a", -100, "b", 0xff);
	call(SYS_unlink, PATH_AT("hard"));
	call(SYS_unlink, NONE);
	call(SYS_unlinkat, -100, PATH_AT("soft"), 0);
	call(SYS_unlinkat, 77, "relative", 0x200);
	call(SYS_unlinkat, 77, "relative", -1);
	call(SYS_mkdir, PATH_AT("folder"), 0x41ff);
	call(SYS_mkdirat, -100, PATH_AT("folder"), 0755);
	call(SYS_mkdirat, 77, "folder", -1);
	call(SYS_rmdir, PATH_AT("folder"));
	call(SYS_rmdir, NONE);
	call(SYS_mknod, PATH_AT("fifo"), 010644, 0);
	call(SYS_mknod, NONE "/none", 0100600, 0x103);
	call(SYS_mknod, NONE "/none", 020600, 0x105);
	call(SYS_mknod, NONE "/none", 060600, -1);
	call(SYS_mknod, NONE "/none", 0140600, 0);
	call(SYS_mknod, NONE "/none", 040600, 0);
	call(SYS_mknod, NONE "/none", 0600, 0);
	call(SYS_mknodat, -100, PATH_AT("fifo"), 010600, 0);
	call(SYS_mknodat, 77, "fifo", -1, 5);
	call(SYS_truncate, PATH_AT("new"), 1000);
	call(SYS_truncate, NONE, -1);
	fd = syscall(SYS_open, PATH_AT("new"), 2);
	(void)fd;
}

static void states(void)
{
	call(SYS_stat, PATH_AT("new"), PLACE);
	call(SYS_stat, NONE, 0x10);
	call(SYS_lstat, PATH_AT("new"), PLACE);
	call(SYS_lstat, 0, PLACE);
	call(SYS_newfstatat, -100, PATH_AT("new"), PLACE, 0x900);
	call(SYS_newfstatat, 77, "relative", 0, 0);
	call(SYS_statx, -100, PATH_AT("new"), 0x2000, 0x2000, PLACE);
	call(SYS_statx, -100, NONE, 0x100, 0x7ff, PLACE);
	call(SYS_statx, 77, "relative", 0, 0, 0);
	call(SYS_statx, 77, "relative", -1, -1, 0);
	call(SYS_statfs, "/tmp/markbridge-paths", PLACE);
	call(SYS_statfs, NONE, 0x10);
	call(SYS_ustat, 0x7fff0001, PLACE);
	call(SYS_utime, NONE, 0);
	call(SYS_utime, PATH_AT("new"), TIMES);
	call(SYS_utime, NONE, 0x10);
	call(SYS_utimes, PATH_AT("new"), TIMES);
	call(SYS_utimes, NONE, 0);
	call(SYS_utimes, NONE, 0x10);
	call(SYS_futimesat, -100, PATH_AT("new"), TIMES);
	call(SYS_futimesat, 77, "relative", PLACE + 4096);
	call(SYS_utimensat, -100, PATH_AT("new"), TIMES, 0);
	call(SYS_utimensat, -100, PATH_AT("new"), NOW, 0x100);
	call(SYS_utimensat, 77, 0, 0, 0);
	call(SYS_utimensat, 77, "relative", 0x10, -1);
}

static void attributes(void)
{
	call(SYS_setxattr, NONE, "user.a", "value", 5, 1);
	call(SYS_setxattr, NONE, "user.a", "value", 6, 2);
	call(SYS_setxattr, NONE, "user.a", "\0\1\377", 4, 3);
	call(SYS_setxattr, NONE, "user.a", BYTES + 3, 1000, 0);
	call(SYS_setxattr, NONE, "user.a", BYTES, 50, 0);
	call(SYS_setxattr, NONE, "user.a", PLACE + 4096 - 3, 3, 0);
	call(SYS_setxattr, PATH_AT("new"), "user.a", PLACE + 4096 - 3, 4, 0);
	call(SYS_setxattr, PATH_AT("new"), "user.a", 0x10, 0, -1);
	call(SYS_setxattr, PATH_AT("new"), 0, 0, 10, 0);
	call(SYS_lsetxattr, NONE, "user.a", "value", 5, 0);
	call(SYS_fsetxattr, 77, "user.a", "value", 5, 0);
	call(SYS_getxattr, NONE, "user.a", PLACE, 100);
	call(SYS_lgetxattr, NONE, "user.a", 0x10, -1);
	call(SYS_fgetxattr, -1, "user.a", PLACE, 0);
	call(SYS_listxattr, NONE, PLACE, 100);
	call(SYS_llistxattr, NONE, 0, 0);
	call(SYS_flistxattr, 77, PLACE, 100);
	call(SYS_removexattr, NONE, "user.a");
	call(SYS_lremovexattr, PATH_AT("new"), 0);
	call(SYS_fremovexattr, 77, "user.a");
}

static void systems(void)
{
	call(SYS_mount, "source", NONE, "tmpfs", 0, "mode=0700");
	call(SYS_mount, 0, NONE, 0, 0x1ffffffL, 0);
	call(SYS_mount, "a", NONE, "b", 0x40001000, "0123456789012345678901234567890123456789012345678901234567890");
	call(SYS_umount2, NONE, 0);
	call(SYS_umount2, NONE, 0xf);
	call(SYS_umount2, NONE, -1);
	call(SYS_chroot, NONE);
	call(SYS_pivot_root, NONE, NONE);
	call(SYS_pivot_root, 0, "old");
	call(SYS_acct, NONE "/none");
	call(SYS_swapon, NONE, 0);
	call(SYS_swapon, NONE, 0x78005);
	call(SYS_swapoff, NONE);
	call(SYS_name_to_handle_at, -100, NONE, PLACE, PLACE + 128, 0x1400);
	call(SYS_name_to_handle_at, 77, "relative", 0, 0, 0);
	call(SYS_inotify_add_watch, 77, NONE, 0xfff);
	call(SYS_inotify_add_watch, -1, 0, 0xe7000000);
	call(SYS_inotify_add_watch, -1, 0, 0);
	call(SYS_fanotify_mark, 77, 1, 0x4801003bL, -100, NONE);
	call(SYS_fanotify_mark, -1, -1, -1, 5, 0);
	call(SYS_quotactl, 0x80000200, "/dev/none", 2, "/quota");
	call(SYS_quotactl, 0x80000201, "/dev/none", 7, 0);
	call(SYS_quotactl, 0x80000700, "/dev/none", 5, PLACE + 4096 - 72);
	call(SYS_quotactl, 0x80000801, "/dev/none", 5, TIMES);
	call(SYS_quotactl, 0x80000800, "/dev/none", 5, 0x10);
	call(SYS_quotactl, 0x80000500, "/dev/none", -1, 0);
	call(SYS_quotactl, 0x80000602, "/dev/none", 0, TIMES);
	call(SYS_quotactl, 0x80000400, "/dev/none", 0, 0x10);
	call(SYS_quotactl, 0x80000100, "/dev/none", 0, 0);
	call(SYS_quotactl, 0x80000300, "/dev/none", 0, 0x10);
	call(SYS_quotactl, 0x580100, 0x10, 0, 0x10);
	call(SYS_quotactl, -1, 0, 1, 0);
	call(SYS_sysfs, 1, "no such");
	call(SYS_sysfs, 2, 10000, 0);
	call(SYS_sysfs, -1, 1, 2);
}

int main(void)
{
	begin();
	names();
	states();
	attributes();
	systems();
	end();
	syscall(SYS_unlink, PATH_AT("file"));
	syscall(SYS_unlink, PATH_AT("new"));
	syscall(SYS_unlink, PATH_AT("fifo"));
	return syscall(SYS_rmdir, "/tmp/markbridge-paths") != 0;
}
