/* System calls on descriptors, by fixed arguments; what fails, fails on every machine. */
#include "calls.h"

#define FILE_NAME "/tmp/markbridge-descriptors"

static void data(void)
{
	call(SYS_write, 3, "text", 4);
	call(SYS_write, 3, "text\n\0\a\b\t\v\f\r\"\\\177\200", 17);
	call(SYS_write, 3, "0123456789012345678901234567890123456789012345678", 47);
	call(SYS_write, 3, "0123456789012345678901234567890123456789012345678", 48);
	call(SYS_write, 3, "0123456789012345678901234567890123456789012345678", 49);
	call(SYS_write, 3, BYTES, 256);
	call(SYS_write, 3, "\303\251t\303\251 \342\202\254 \360\237\230\200 \303", 15);
	call(SYS_write, 3, "01234567890123456789012345678901234567890123\303\251", 46);
	call(SYS_write, 3, "0123456789012345678901234567890123456789\303\251 rest", 50);
	call(SYS_write, 3, "01234567890123456789012345678901234567890123\0", 45);
	call(SYS_write, 3, "01234567890123456789012345678901234567890123\0 rest", 50);
	call(SYS_write, 3, "012345678901234567890123456789012345678901234\n rest", 50);
	call(SYS_write, 3, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	call(SYS_write, 3, "0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0xyz", 23);
	call(SYS_write, 3, BYTES + 5, 256);
	call(SYS_write, 3, PLACE + 4091, 5);
	call(SYS_write, 3, PLACE + 4091, 6);
	call(SYS_write, 3, PLACE + 4096 - 48, 100);
	call(SYS_write, 3, PLACE + 4096 - 49, 100);
	call(SYS_write, 3, BYTES + 200, 0);
	call(SYS_write, -1, BYTES + 100, -1);
	call(SYS_write, 77, 0, 10);
	call(SYS_write, 77, 0x10, 0);
	call(SYS_pwrite64, 3, "there", 5, 100);
	call(SYS_pwrite64, 77, BYTES, 30, -1);
	call(SYS_read, 3, PLACE, 100);
	call(SYS_read, -1, 0, -1);
	call(SYS_pread64, 3, PLACE, 10, 0);
	call(SYS_pread64, 77, 0x10, 10, -1);
	call(SYS_readv, 3, 0x10, 1);
	call(SYS_readv, 77, PLACE, -1);
	call(SYS_writev, 3, 0x10, 1);
	call(SYS_writev, 77, 0, 0x100000002);
	call(SYS_preadv, 77, PLACE, 1, 0x12345678, 1);
	call(SYS_pwritev, 77, PLACE, 1, -1, 0);
	call(SYS_preadv2, 77, PLACE, 1, -1, -1, 1);
	call(SYS_pwritev2, 77, PLACE, 1, 8, 0, 0x2f);
	call(SYS_preadv2, 77, 0, 0, 0, 0, 0);
	call(SYS_lseek, 3, 10, 0);
	call(SYS_lseek, 3, -5, 1);
	call(SYS_lseek, 3, 0, 2);
	call(SYS_lseek, 77, -1, 3);
	call(SYS_lseek, 77, 0, 4);
	call(SYS_lseek, 3, 0, -1);
	call(SYS_sendfile, 77, 3, 0, 100);
	call(SYS_sendfile, -1, -1, PLACE, -1);
	call(SYS_copy_file_range, 77, PLACE, 78, 0, 100, 0);
	call(SYS_copy_file_range, -1, 0, -1, 0x10, -1, -1);
	call(SYS_splice, 77, 0, 78, 0x10, 10, 0xf);
	call(SYS_splice, 77, 0, 78, 0, -1, 0);
	call(SYS_tee, 77, 78, 10, 3);
	call(SYS_vmsplice, 77, 0x10, 1, 8);
	call(SYS_vmsplice, 77, 0, -1, -1);
	call(SYS_readahead, 77, 10, 100);
	call(SYS_readahead, -1, -1, -1);
}

static void states(void)
{
	call(SYS_dup, 77);
	call(SYS_dup, 3);
	call(SYS_dup2, 3, 4);
	call(SYS_dup2, 77, -1);
	call(SYS_dup3, 3, 4, 0x80000);
	call(SYS_dup3, 3, 4, -1);
	call(SYS_dup3, 3, 3, 0);
	call(SYS_close, 4);
	call(SYS_close, -1);
	call(SYS_fcntl, 3, 1, 0);
	call(SYS_fcntl, 3, 4, 0x800);
	call(SYS_fcntl, 77, 1030, 10);
	call(SYS_fcntl, 77, 12, 0x10);
	call(SYS_fcntl, 77, 17, 0x10);
	call(SYS_fcntl, 77, 1026, -1);
	call(SYS_fcntl, 77, 1033, 0);
	call(SYS_fcntl, 77, -1, 0);
	call(SYS_flock, 3, 5);
	call(SYS_flock, 3, 8);
	call(SYS_flock, 77, 0);
	call(SYS_flock, 77, 0xd3);
	call(SYS_ioctl, 3, 0x5401, PLACE);
	call(SYS_ioctl, 77, 0xc0045401, -1);
	call(SYS_fstat, 3, PLACE);
	call(SYS_fstat, -1, 0);
	call(SYS_fstatfs, 77, PLACE);
	call(SYS_fchmod, 3, 0600);
	call(SYS_fchmod, 77, -1);
	call(SYS_fchown, 3, 1, -1);
	call(SYS_fchown, 77, -1, 0x80000000);
	call(SYS_fchdir, 77);
	call(SYS_fsync, 77);
	call(SYS_fdatasync, -1);
	call(SYS_syncfs, 77);
	call(SYS_sync_file_range, 77, 0, 100, 7);
	call(SYS_sync_file_range, -1, -1, -1, -1);
	call(SYS_ftruncate, 3, 100);
	call(SYS_ftruncate, 77, -1);
	call(SYS_fallocate, 77, 0x3f, 0x100, 100);
	call(SYS_fallocate, -1, -1, -1, -1);
	call(SYS_fallocate, 77, 0, 0, 0);
	call(SYS_fadvise64, 3, 0, 0, 3);
	call(SYS_fadvise64, 77, -1, -1, -1);
	call(SYS_getdents64, 77, PLACE, 100);
	call(SYS_getdents, -1, 0, -1);
	call(SYS_getcwd, PLACE, 100);
	call(SYS_getcwd, 0, 0);
	call(SYS_umask, 0777);
	call(SYS_umask, -1);
	call(SYS_umask, 022);
	call(SYS_sync);
	call(SYS_open_by_handle_at, 77, 0x10, 0x80001);
	call(SYS_open_by_handle_at, -100, 0, 0);
}

static void made(void)
{
	call(SYS_pipe, 0x10);
	call(SYS_pipe, 0);
	call(SYS_pipe2, 0, 0);
	call(SYS_pipe2, TIMES, -1);
	call(SYS_pipe2, 0x10, 0x80800);
	call(SYS_inotify_init);
	call(SYS_close, 4);
	call(SYS_inotify_init1, 0x80800);
	call(SYS_inotify_init1, -1);
	call(SYS_inotify_rm_watch, 77, 5);
	call(SYS_inotify_rm_watch, 4, -1);
	call(SYS_close, 4);
	call(SYS_fanotify_init, 0x43, 0x8003);
	call(SYS_fanotify_init, 0x34, 3);
	call(SYS_fanotify_init, -1, -1);
	call(SYS_fanotify_init, 0xf000000c, 3);
	call(SYS_io_setup, 0, PLACE);
	call(SYS_io_setup, -1, 0x10);
	call(SYS_io_destroy, 0x1234);
	call(SYS_io_submit, 0x1234, 1, PLACE);
	call(SYS_io_submit, -1, -1, 0);
	call(SYS_io_cancel, 0x1234, 0x10, PLACE);
	call(SYS_io_getevents, 0x1234, 1, 2, PLACE, TIMES);
	call(SYS_io_getevents, -1, -1, -1, 0, 0);
	call(SYS_io_getevents, 0, 0, 0, 0, 0x10);
}

int main(void)
{
	int fd;

	begin();
	fd = call(SYS_open, FILE_NAME, 0x242, 0600);
	data();
	states();
	made();
	end();
	syscall(SYS_unlink, FILE_NAME);
	return fd != 3;
}
