"""Memory at addresses that a handler computes, where its process is not stopped for it.

What handlers follow there (lists of tasks, of names, of files) stands in /proc, too.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.victims import compile_c

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Finished, Runner

pytestmark = pytest.mark.bpf

ENGINES = pytest.mark.parametrize(
    "engine", [pytest.param("native", marks=pytest.mark.guest), "interpreter"]
)
CAST = """
    @define task(t) %( @cast(@t, "task_struct", "kernel") %)
    @define dentry(d) %( @cast(@d, "dentry", "kernel") %)
    @define file(f) %( @cast(@f, "file", "kernel") %)
    @define table(t) %( @cast(@t, "fdtable", "kernel") %)
"""
WALK = """
import os
os.getpgid(0)
process = os.getpid()
while process:
    fields = dict(line.split(":", 1) for line in open(f"/proc/{process}/status"))
    print(process, fields["Name"].strip())
    process = int(fields["PPid"])
"""
FILES = """
import os
opened = [os.open("/", 0) for _ in range(9)]
os.close(opened[4])
os.getpgid(0)
for number in range(64):
    try:
        print(number, os.fstat(number).st_ino)
    except OSError:
        pass
"""
PATHS = """
import os, socket
opened = [os.open(path, 0) for path in ("/", "/proc/self/status", "/usr/bin/env", "FOLDER")]
kept = socket.socket(), os.pipe()
os.getpgid(0)
for number in range(3, 64):
    try:
        print(number, os.readlink(f"/proc/self/fd/{number}"))
    except OSError:
        pass
"""
ARGUMENTS = """
#include <unistd.h>
#include <sys/syscall.h>
int main(int argc, char **argv) { return syscall(SYS_getpgid, argc < 0, argv, 0) == 5; }
"""


def _run(run: Runner, engine: str, script: str, *command: object) -> Finished:
    words = " ".join(map(str, command))
    return run("run", f"--engine={engine}", "-e", CAST + script, "-c", words)


def _python(folder: Path, code: str) -> tuple[str, Path]:
    (folder / "target.py").write_text(code)
    return f"{sys.executable} -IS", folder / "target.py"


@ENGINES
def test_the_parents_of_a_task(run: Runner, engine: str, tmp_path: Path) -> None:
    """Up to the first process; the target finds them as well."""
    script = """
        probe syscall.getpgid {
          if (pid() != target()) next
          for (t = task_current(); @task(t)->pid; t = @task(t)->real_parent)
            printf("%d %s\\n", @task(t)->tgid,
                     kernel_string(@task(t)->group_leader->comm))
        }
    """
    done = _run(run, engine, script, *_python(tmp_path, WALK))

    lines = sorted(done.out.splitlines())
    assert done.err == ""
    assert len(lines) >= 6
    assert lines[::2] == lines[1::2]


@ENGINES
def test_the_path_of_the_working_directory(run: Runner, engine: str, tmp_path: Path) -> None:
    script = """
        function path_of(d) {
          path = ""
          while (d != @dentry(d)->d_parent) {
            path = "/" . kernel_string(@dentry(d)->d_name->name) . path
            d = @dentry(d)->d_parent
          }
          return path
        }
        probe syscall.getpgid {
          if (pid() == target()) println(path_of(@task(task_current())->fs->pwd->dentry))
        }
    """
    folder = tmp_path / ("a" * 200) / "b c" / "d"
    folder.mkdir(parents=True)
    code = f"import os; os.chdir({str(folder)!r}); os.getpgid(0)"

    done = _run(run, engine, script, *_python(tmp_path, code))

    mount = next(path for path in (folder, *folder.parents) if path.is_mount())
    assert (done.err, done.out) == ("", f"/{folder.relative_to(mount)}\n")


@ENGINES
def test_the_open_files_of_a_process(run: Runner, engine: str, tmp_path: Path) -> None:
    script = """
        probe syscall.getpgid {
          if (pid() != target()) next
          t = @task(task_current())->files->fdt
          for (i = 0; i < @table(t)->max_fds; i++) {
            f = @table(t)->fd[i]
            if (f) printf("%d %d\\n", i, @file(f)->f_inode->i_ino)
          }
        }
    """
    done = _run(run, engine, script, *_python(tmp_path, FILES))

    lines = sorted(done.out.splitlines())
    assert done.err == ""
    assert len(lines) >= 2 * 11
    assert lines[::2] == lines[1::2]


@ENGINES
def test_the_paths_of_open_files(run: Runner, engine: str, tmp_path: Path) -> None:
    """Across mounts, and what is on no mount."""
    script = """
        probe syscall.getpgid {
          if (pid() != target()) next
          t = @task(task_current())->files->fdt
          for (i = 3; i < 12; i++) {
            f = @table(t)->fd[i]
            if (f) printf("%d %s\\n", i, fullpath_struct_file(task_current(), f))
          }
          println("#", reverse_path_walk(@file(@table(t)->fd[5])->f_path->dentry))
          println("#", inode_name(@file(@table(t)->fd[5])->f_inode))
        }
    """
    code = PATHS.replace("FOLDER", str(tmp_path))

    done = _run(run, engine, script, *_python(tmp_path, code), "-DMAXACTION=9000")

    names = [line for line in done.out.splitlines() if line.startswith("#")]
    lines = sorted(set(done.out.splitlines()) - set(names))
    assert done.err == ""
    assert len(lines) == 4 + 3
    assert sorted(done.out.splitlines())[len(names) :: 2] == lines
    assert all("/usr/bin/env".endswith(name[1:]) for name in names), names


@ENGINES
def test_a_list_in_the_process_at_a_system_call(
    run: Runner, engine: str, tmp_path: Path
) -> None:
    """Only a read shows where it ends."""
    script = """
        probe kernel.trace("sys_enter") {
          if (pid() != target() || $id != %d) next
          for (at = $regs->si; p = user_uint64(at); n++) {
            printf("%%s;", user_string(p))
            at += 8
          }
          printf("%%d\\n", n)
        }
    """
    number = 121  # getpgid
    program = compile_c(tmp_path, "program", ARGUMENTS)

    done = _run(run, engine, script % number, program, "one", "'two 2'", "3" * 300)

    assert done.err == ""
    assert done.out == f"{program};one;two 2;{'3' * 300};4\n"


@ENGINES
def test_a_packet_on_its_way_through_the_loopback_device(
    run: Runner, engine: str, tmp_path: Path
) -> None:
    """Fields of a struct sk_buff, and bytes behind an address in it."""
    script = """
        probe kernel.trace("net_dev_queue") {
          if (pid() != target() || $skb->len < 100) next
          data = @cast($skb, "sk_buff", "kernel")->head
            + @cast($skb, "sk_buff", "kernel")->network_header
          for (i = 0; i < 4; i++) s = sprintf("%s%d.", s, kernel_uint8(data + 16 + i))
          port = kernel_uint8(data + 22) << 8 | kernel_uint8(data + 23)
          if (port == 4711) println(s, " ", port, " ", @cast($skb, "sk_buff", "kernel")->len,
                  " ", kernel_string(@cast($skb, "sk_buff", "kernel")->dev->name))
        }
    """
    code = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
        " s.sendto(b'x' * 58, ('127.1.2.3', 4711))"
    )
    done = _run(run, engine, script, *_python(tmp_path, code))

    assert (done.err, done.out) == ("", f"127.1.2.3. 4711 {14 + 20 + 8 + 58} lo\n")


@ENGINES
def test_globals_decide_whether_not_where(run: Runner, engine: str) -> None:
    """Either way is read, with all that follows; a loop over an array, too."""
    script = """
        global wanted, names
        probe begin { wanted["true"] = 1; names[1] = 2; names[2] = 3; names[4] = 5 }
        probe kernel.trace("sched_process_exec") {
          if (pid() != target() || !(execname() in wanted)) next
          t = task_current()
          if (wanted["false"]) a = @task(t)->pid
          else { p = @task(t)->real_parent; a = @task(p)->tgid }
          foreach (n in names) if (names[n] != 3) s += @task(t)->tgid
          while (wanted["true"]++ < 4) z .= kernel_string(@task(t)->comm)
          println(a == ppid(), " ", s == 2 * pid(), " ", z, " ", @task(t)->pid == tid())
        }
    """
    done = _run(run, engine, script, "true")

    assert (done.err, done.out) == ("", "1 1 truetruetrue 1\n")


@ENGINES
def test_faults(run: Runner, engine: str) -> None:
    """In SystemTap's words, with the address, and handlers can catch them."""
    script = """
        probe kernel.trace("sched_process_exec") {
          if (pid() != target()) next
          for (i = 1; i < 3; i++) {
            try { println(kernel_long(i * 8)) } catch (m) { println(m) }
            try { println(kernel_string(i * 8)) } catch (m) { println(m) }
            try { println(user_int32(i * 8)) } catch (m) { println(m) }
          }
          at = task_current() - i + 3
          println(@task(at)->pid == tid())
          println(kernel_pointer(at - at + 24))
        }
    """
    done = _run(run, engine, script, "true")

    assert (
        done.out
        == "".join(
            f"kernel long copy fault at {at} [man error::fault]\n"
            f"kernel string copy fault at {at} [man error::fault]\n{user}"
            for at, user in (("0x8", "0\n"), ("0x10", "0\n"))
        )
        + "1\n"
    )
    assert "ERROR: kernel pointer copy fault at 0x18 [man error::fault]" in done.err
    assert done.code == 1


@ENGINES
def test_more_than_a_hit_can_bring(run: Runner, engine: str) -> None:
    """Said where the handler comes to it."""
    script = """
        probe kernel.trace("sched_process_exec") {
          if (pid() != target()) next
          at = task_current()
          try { while (1) { n++; s = s + 1 + kernel_uint8(at + n); } }
          catch (m) { printf("%d %d\\n", n > 600, n < 700); println(m, s ? "" : "?") }
        }
    """
    words = f"--engine={engine}", "-DMAXACTION=10000"
    done = run("run", *words, "-e", script, "-c", "true")

    said, _, rest = done.out.partition("\n")
    assert (done.err, said) == ("", "1 1")
    assert rest.startswith("the memory at 0xffff")
    assert rest.endswith(" was not read at the hit: there was no room for more\n")


@ENGINES
def test_texts_of_any_length(run: Runner, engine: str) -> None:
    """A text that was read in part is read again where more of it is wanted."""
    script = """
        probe kernel.trace("sched_process_exec") {
          if (pid() != target()) next
          for (i = 0; i < 9; i += 4) {
            at = &@task(task_current())->comm[0] + (i > 90)
            println(kernel_string_n(at, i), ";", kernel_string(at), ";", kernel_string_n(at, 3))
          }
        }
    """
    done = _run(run, engine, script, "/bin/sleep", "0")

    assert (done.err, done.out) == ("", ";sleep;sle\nslee;sleep;sle\nsleep;sleep;sle\n")


@ENGINES
def test_the_kernel_at_a_place_in_a_program(run: Runner, engine: str, tmp_path: Path) -> None:
    """The process is stopped for its own memory; the kernel's is that of the hit."""
    program = compile_c(
        tmp_path,
        "program",
        "int list[] = {3, 5, 7, 0};"
        ' __attribute__((noinline)) int work(int *at) { __asm__(""); return *at; }'
        " int main(void) { return work(list) != 3; }",
        "-O1",
    )
    script = f"""
        probe process("{program}").function("work") {{
          for (p = register("rdi"); user_int32(p); p += 4) s += user_int32(p)
          for (t = task_current(); @task(t)->pid != ppid(); t = @task(t)->real_parent) n++
          println(s, " ", n, " ", @task(t)->pid == ppid())
        }}
    """
    done = _run(run, engine, script, program)

    assert (done.err, done.out) == ("", "15 1 1\n")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("println(kernel_int(g))", "its address depends on the global `g`"),
        ("println(kernel_int(strtol(execname(), 16)))", "its address depends on strtol()"),
        ("p = tid(); if (g) p = pid(); println(kernel_int(p))", "depends on the global `g`"),
        ("foreach (k in a) println(kernel_int(k))", "depends on the keys of an array"),
        ("println(down(tid()))", "it is in a function that calls itself"),
    ],
)
def test_what_the_slice_does_not_know_is_read_later(
    run: Runner, body: str, reason: str
) -> None:
    script = f"""
        global g, a
        function down(p) {{ if (p < 9) return 0; return kernel_int(p) + down(p - 8) }}
        probe kernel.trace("sched_switch") {{ {body} g++ a[g]++ }}
    """
    done = run("check", "-e", script)

    assert done.code == 0
    assert "warning[read-later]: kernel_int() reads when the handler runs" in done.err
    assert reason in done.err


KEPT = """
global tasks, buffers
probe kernel.trace("sched_process_exec") { tasks[tid()] = task_current() }
probe kernel.trace("sys_enter") {
    if (pid() == target() && $id == 1) buffers[tid()] = @cast($regs, "pt_regs", "kernel")->si
}
probe kernel.trace("sys_exit") {
    if (tid() in buffers) printf("<%s> ", user_string_n(buffers[tid()], 5))
    delete buffers[tid()]
}
probe kernel.trace("sched_process_exit") {
    if (pid() != target()) next
    task = tasks[tid()]
    printf("%s %d %d\\n", kernel_string(&@cast(task, "task_struct", "kernel")->comm),
        @cast(task, "task_struct", "kernel")->pid == tid(),
        kernel_long(&@cast(task, "task_struct", "kernel")->start_time) > 0)
    exit()
}
"""


@pytest.mark.parametrize("engine", ["native", "interpreter"])
def test_addresses_out_of_globals_are_read_when_the_handler_runs(
    run: Runner, engine: str
) -> None:
    """The shell writes, and waits for its child, so that its memory is there a while."""
    command = "sh -c 'echo hello there; sleep 0.3; :'"
    done = run("run", f"--engine={engine}", "-e", KEPT, "-c", command)

    lines = [line for line in done.out.splitlines() if line.startswith("<")]
    assert lines == ["<hello> sh 1 1"]
    assert "warning[read-later]: user_string_n() reads when the handler runs" in done.err
    assert done.code == 0
