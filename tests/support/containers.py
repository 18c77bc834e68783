"""Programs in containers: other mount and PID namespaces, other roots; see namespaces(7).

`enter` is a static C program, so that it still runs when nothing of the host is left.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ENTER = r"""
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static void must(long result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(99);
	}
}
/*
 * enter HOW ROOT PROGRAM ARGUMENT...: m mount namespace, p PID namespace, c chroot,
 * v pivot_root, t /proc in ROOT, b ROOT is a file that is mounted over PROGRAM
 */
int main(int argc, char **argv)
{
	const char *how = argv[1], *root = argv[2];
	const int mounts = strchr(how, 'm') ? CLONE_NEWNS : 0;
	const int flags = mounts | (strchr(how, 'p') ? CLONE_NEWPID : 0);
	pid_t child;
	int status;

	must(unshare(flags), "unshare");
	child = fork();
	must(child, "fork");
	if (child) {
		waitpid(child, &status, 0);
		return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (strchr(how, 'm'))
		must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
	if (strchr(how, 'v'))
		must(mount(root, root, NULL, MS_BIND | MS_REC, NULL), "bind");
	if (strchr(how, 'b'))
		must(mount(root, argv[3], NULL, MS_BIND, NULL), "bind");
	else
		must(chdir(root), "chdir");
	if (strchr(how, 't'))
		must(mount("proc", "proc", "proc", 0, NULL), "proc");
	if (strchr(how, 'v')) {
		must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
		must(umount2(".", MNT_DETACH), "umount");
	} else if (strchr(how, 'c')) {
		must(chroot("."), "chroot");
	}
	must(chdir("/"), "chdir");
	execv(argv[3], argv + 3);
	perror(argv[3]);
	return 98;
}
"""


def enter(folder: Path) -> Path:
    """Makes the program that runs another one in namespaces of its own."""
    code, program = folder / "enter.c", folder / "enter"
    code.write_text(ENTER)
    subprocess.run(["gcc", "-static", "-o", program, code], check=True)
    return program


def fill(root: Path, program: Path, at: str, *libraries: Path) -> None:
    """Put a program into a root as `at`, with all that it needs to run there."""
    for name in ("proc", "lib", "old"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / at).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, root / at)
    shown = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    own = {library.name for library in libraries}
    for path in re.findall(r"(/\S+) \(0x", shown):
        if path.rpartition("/")[2] not in own:
            (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / path[1:])
    for library in libraries:
        shutil.copy(library, root / "lib" / library.name)
