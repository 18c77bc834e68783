/* System calls on memory, by fixed arguments; what fails, fails on every machine. */
#include "calls.h"

#define FAR 0x20000000L	/* where these calls map */

static void maps(void)
{
	call(SYS_brk, 0x10);
	call(SYS_mmap, FAR, 8192, 3, 0x32, -1, 0);
	call(SYS_mmap, FAR + 8192, 4096, 0, 0x4032, -1, 0);
	call(SYS_mmap, 0, 0, 0x7, 0x22, 77, 0);
	call(SYS_mmap, 0, 4096, 0x300000f, 0x77f931, 77, 4096);
	call(SYS_mmap, 0, 4096, -1, -1, 77, -1);
	call(SYS_mmap, 0, 0, 1, 0x54040022, -1, 0);
	call(SYS_mmap, 0, 0, 1, 0x78000000, -1, 0);
	call(SYS_mmap, 0, 0, 1, 0x0c000000, -1, 0);
	call(SYS_mmap, 0, 0, 1, 0xf8000001, -1, 0);
	call(SYS_mprotect, FAR, 4096, 1);
	call(SYS_mprotect, FAR + 1, -1, 0);
	call(SYS_mprotect, FAR + 1, 0, 0x1000010);
	call(SYS_mremap, FAR, 8192, 4096, 0, 0);
	call(SYS_mremap, FAR + 1, -1, 4096, 3, FAR);
	call(SYS_mremap, FAR + 1, 0, 0, -1, 0x10);
	call(SYS_msync, FAR, 4096, 4);
	call(SYS_msync, FAR, 4096, 5);
	call(SYS_msync, FAR + 1, 0, -1);
	call(SYS_msync, FAR, 0, 0);
	call(SYS_madvise, FAR, 4096, 4);
	call(SYS_madvise, FAR + 1, 4096, 14);
	call(SYS_madvise, FAR + 1, -1, 17);
	call(SYS_madvise, FAR + 1, 0, 100);
	call(SYS_madvise, FAR + 1, 0, 21);
	call(SYS_madvise, FAR + 1, 0, -1);
	call(SYS_mincore, FAR, 4096, PLACE);
	call(SYS_mincore, FAR + 1, -1, 0);
	call(SYS_mlock, FAR, 4096);
	call(SYS_mlock, 0x10, 4096);
	call(SYS_mlock2, FAR, 4096, 1);
	call(SYS_mlock2, FAR, -1, -2);
	call(SYS_mlock2, FAR, 4096, 0);
	call(SYS_munlock, FAR, 4096);
	call(SYS_munlock, 0x10, -1);
	call(SYS_mlockall, 0);
	call(SYS_mlockall, 0xf);
	call(SYS_mlockall, -1);
	call(SYS_munlockall);
	call(SYS_remap_file_pages, FAR, 4096, 0, 1, 0x10000);
	call(SYS_remap_file_pages, 0, -1, 3, -1, 0);
	call(SYS_munmap, FAR, 4096);
	call(SYS_munmap, 1, -1);
	call(SYS_munmap, FAR, 0);
}

static void policies(void)
{
	call(SYS_get_mempolicy, 0x10, 0, 0, 0, 0);
	call(SYS_get_mempolicy, 0, 0x10, 1, 0x10, 7);
	call(SYS_get_mempolicy, 0, 0, -1, FAR, -1);
	call(SYS_set_mempolicy, 0x4001, 0x10, -1);
	call(SYS_set_mempolicy, 0x8002, 0x10, -1);
	call(SYS_set_mempolicy, 0xc003, 0x10, -1);
	call(SYS_set_mempolicy, 4, 0x10, -1);
	call(SYS_set_mempolicy, -1, 0, 0);
	call(SYS_set_mempolicy, 77, 0, 0);
	call(SYS_mbind, FAR + 1, 4096, 2, 0x10, 64, 3);
	call(SYS_mbind, FAR + 1, -1, 0, 0, 0, 0);
	call(SYS_migrate_pages, -1, 64, 0x10, 0);
	call(SYS_move_pages, -1, 1, PLACE, 0, 0x10, 2);
	call(SYS_move_pages, -1, -1, 0, 0, 0, -1);
}

static void others(void)
{
	call(SYS_memfd_create, "name", 0xf003);
	call(SYS_memfd_create, 0, 0);
	call(SYS_memfd_create, "name", -1);
	call(SYS_memfd_secret, 3);
	call(SYS_pkey_alloc, 1, 3);
	call(SYS_pkey_alloc, -1, -1);
	call(SYS_pkey_free, 77);
	call(SYS_pkey_free, -1);
	call(SYS_pkey_mprotect, FAR + 1, 4096, 5, 77);
	call(SYS_process_vm_readv, -1, 0x10, 1, PLACE, 1, 1);
	call(SYS_process_vm_writev, -1, 0, 0, 0, 0, -1);
	call(SYS_userfaultfd, 0x1080801);
	call(SYS_userfaultfd, -1);
}

int main(void)
{
	begin();
	maps();
	policies();
	others();
	end();
	return 0;
}
