"""Embedded C that reads the kernel's structures says what the language's own reads say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Runner

pytestmark = pytest.mark.bpf

FILE = '@cast(task_current(), "task_struct", "kernel")->files->fdt->fd[1]'
OF_FILE = {
    "file_inode(f)->i_ino": '@cast(f, "file", "kernel")->f_inode->i_ino',
    "d_inode(file_dentry(f))->i_ino": '@cast(f, "file", "kernel")->f_inode->i_ino',
    "file_dentry(f)->d_parent->d_inode->i_mode": (
        '@cast(f, "file", "kernel")->f_path->dentry->d_parent->d_inode->i_mode'
    ),
    "i_size_read(file_inode(f))": '@cast(f, "file", "kernel")->f_inode->i_size',
}


def test_a_file_of_this_process(run: Runner) -> None:
    functions = "".join(
        f"function c{i}:long(p:long) %{{ struct file *f = (struct file *)STAP_ARG_p;"
        f" STAP_RETURN({code}); %}}\n"
        for i, code in enumerate(OF_FILE)
    )
    prints = " ".join(
        f"println(c{i}(f), c{i}(f) == {own})" for i, own in enumerate(OF_FILE.values())
    )

    hit = 'kernel.trace("raw_syscalls:sys_enter")'
    body = f"if (pid() == target()) {{ f = {FILE} {prints} exit() }}"

    done = run("run", "-g", "-c", "sleep 0.01", "-e", f"{functions} probe {hit} {{ {body} }}")

    lines = done.out.splitlines()[: len(OF_FILE)]
    assert [line[-1] for line in lines] == ["1"] * len(OF_FILE), done.err
    inode, again, *_ = (line[:-1] for line in lines)
    assert int(inode) > 0
    assert inode == again
