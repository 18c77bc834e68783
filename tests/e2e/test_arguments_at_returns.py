"""`@entry` of plain arguments: what they point to is read where the function returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Compiler, Runner

pytestmark = [pytest.mark.root, pytest.mark.bpf]

PROGRAM = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
    char bytes[3];
    int file = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
    syscall(SYS_read, file, bytes, 3L);
    syscall(SYS_openat, AT_FDCWD, "/no/such", O_PATH);
    syscall(SYS_renameat2, 7L, "a", 8L, "b", 0xfff0L);
    return 0;
}
"""
CALLS = r"""
probe nd_syscall.openat.return {
  if (pid() != target()) next
  name = user_string(@entry(pointer_arg(2)), "-")
  if (name =~ "hostname|such")
    printf("%d %s %x %d\n", int_arg(1), name, @entry(int_arg(3)), $return >= 0)
}
probe syscall.read.return {
  if (pid() == target() && @entry($count) == 3) println("read ", $return)
}
probe syscall.renameat2.return {
  if (pid() == target())
    printf("%d %s %d %s %x\n", @entry($olddfd), user_string(@entry($oldname)), int_arg(3),
           user_string(pointer_arg(4)), @entry($flags))
}
"""


def test_of_system_calls(run: Runner, compile_c: Compiler) -> None:
    done = run("run", "-e", CALLS, "-c", compile_c("calls", PROGRAM))

    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        "-100 /etc/hostname 80000 1",
        "read 3",
        "-100 /no/such 200000 0",
        "7 a 8 b fff0",
    ]


FUNCTIONS = r"""
probe kernel.function("vfs_read").return {
  if (pid() != target() || @entry($count) != 3) next
  printf("%s %d\n", kernel_string(@entry($file)->f_path->dentry->d_name->name), $return)
}
probe kernel.function("do_renameat2").return, kernel.function("filename_renameat2").return? {
  if (pid() == target()) printf("%d %d %x\n", @entry($olddfd), @entry($newdfd), @entry($flags))
}
"""


@pytest.mark.guest
@pytest.mark.needs("fentry")
def test_of_functions_of_the_kernel(run: Runner, compile_c: Compiler) -> None:
    done = run("run", "-e", FUNCTIONS, "-c", compile_c("calls", PROGRAM))

    assert done.code == 0, done.err
    assert done.out.splitlines() == ["hostname 3", "7 8 fff0"]
