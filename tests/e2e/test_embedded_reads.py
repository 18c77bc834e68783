"""Embedded C that reads the kernel's structures says what the language's own reads say."""

from __future__ import annotations

import os
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
PATH = """function path:string(f:long) %{
  struct file *f = (struct file *)STAP_ARG_f; char *page, *path = NULL;
  if ((page = (char *)__get_free_page(GFP_ATOMIC))) {
    path = d_path(&f->f_path, page, PAGE_SIZE);
    if (path && !IS_ERR(path)) snprintf(STAP_RETVALUE, MAXSTRINGLEN, "%s", path);
  }
  if (page) free_page((unsigned long)page);
%}
"""


def test_paths(run: Runner) -> None:
    body = (
        f'println(path({FILE}) == fullpath_struct_path(&@cast({FILE}, "file")->f_path)) exit()'
    )
    script = f'{PATH} probe kernel.trace("raw_syscalls:sys_enter") {{'
    script += f" if (pid() == target()) {{ {body} }} }}"
    done = run("run", "-g", "-c", "sleep 0.01", "-e", script)
    assert done.out == "1\n", done.err


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


WALKS = r"""
%{
#include <linux/sched.h>
%}
function found:long(nr:long) %{
  struct task_struct *p = pid_task(find_vpid(STAP_ARG_nr), PIDTYPE_PID);
  struct file *f;
  if (!p) STAP_RETURN(-1);
  get_task_struct(p);
  spin_lock(&p->alloc_lock);
  f = fcheck_files(p->files, 1);
  spin_unlock(&p->alloc_lock);
  put_task_struct(p);
  STAP_RETVALUE = f ? file_inode(f)->i_ino : 0;
%}
function none:long(nr:long) %{ STAP_RETVALUE = (long)find_vpid(STAP_ARG_nr); %}
function threads:long() %{
  struct task_struct *p = current, *t; int n = 0;
  for_each_thread(p, t) { n++; }
  printk(KERN_INFO "threads %d\n", n);
  STAP_RETVALUE = max(n, 0);
%}
"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            f'f = {FILE} println(found(pid()) == @cast(f, "file", "kernel")->f_inode->i_ino)',
            "1",
        ),
        ("println(none(4000000))", "0"),
        ("println(none(pid()) != 0)", "1"),
        ("println(threads())", "1"),
    ],
    ids=["file", "none", "own", "threads"],
)
def test_tasks_by_number_and_their_files(run: Runner, body: str, expected: str) -> None:
    script = f'{WALKS} probe kernel.trace("raw_syscalls:sys_enter") {{'
    script += f" if (pid() == target()) {{ {body} exit() }} }}"

    done = run("run", "-g", "-c", "sleep 0.01", "-e", script)

    assert done.out.splitlines()[:1] == [expected], done.err
    if "threads" in body:
        assert "WARNING: threads 1" in done.err


def test_macros_of_headers(run: Runner) -> None:
    code = 'pr_info("at " NIPQUAD_FMT "\\n", NIPQUAD(0x0100007f));'
    code += " STAP_RETURN(BIT(3) + min(4, 2));"
    script = f"function f:long() %{{ {code} %}} probe begin {{ println(f()) exit() }}"
    done = run("run", "-g", "-e", script)
    assert (done.out, done.err) == ("10\n", "WARNING: at 127.0.0.1\n")


PROCESSORS = r"""
function online:long() %{ STAP_RETVALUE = num_online_cpus(); %}
function sum:long() %{
  int cpu, n = 0;
  for_each_online_cpu(cpu) { if (cpu == 0) continue; n += cpu; }
  STAP_RETVALUE = n;
%}
function first:long() %{
  struct task_struct *p;
  for_each_process(p) { if (p->pid == 1) STAP_RETURN(p->tgid); }
  STAP_RETURN(-1);
%}
probe begin { println(online(), " ", sum(), " ", first(), " ", pid2task(1) != 0) exit() }
"""


@pytest.mark.guest
@pytest.mark.skipif("MARKBRIDGE_GUEST" not in os.environ, reason="this kernel hides its data")
def test_processors_and_processes(run: Runner) -> None:
    """The guest has two processors; the first process has the number 1."""
    done = run("run", "-g", "-e", PROCESSORS)
    assert done.out == "2 1 1 1\n", done.err
