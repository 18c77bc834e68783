"""Programs of bpftrace as scripts: each of its words, and what becomes of the rest."""

from __future__ import annotations

import pytest

from bridge.imports.bpftrace import translate
from bridge.imports.tokens import ImportFailure

FIELDS = {
    ("syscalls", "sys_enter_openat"): {"filename": "long", "dfd": "long"},
    ("sched", "sched_switch"): {"prev_comm": "string", "next_pid": "long"},
    ("", "sched_switch"): {"#1": "prev", "#2": "next", "prev": "long", "next": "long"},
}


def _fields(group: str, name: str) -> dict[str, str] | None:
    return FIELDS.get((group, name))


def _script(program: str) -> str:
    return translate(program, "x.bt", _fields).text


def _body(statement: str, point: str = "tracepoint:sched:sched_switch") -> str:
    """What becomes of one statement."""
    text = _script(f"{point} {{ {statement} }}")
    begin = text.index("{\n", text.index("probe kernel.trace")) + 2
    return text[begin : text.index("\n}\n", begin)].replace("\t", "").strip()


@pytest.mark.parametrize(
    ("point", "script"),
    [
        ("uprobe:/bin/bash:readline", 'process("/bin/bash").function("readline")'),
        ("uretprobe:/bin/bash:readline", 'process("/bin/bash").function("readline").return'),
        ("uprobe:/bin/bash:0x4000", 'process("/bin/bash").statement(0x4000)'),
        ("usdt:/bin/app:shop:order", 'process("/bin/app").provider("shop").mark("order")'),
        ("U:/bin/app:order", 'process("/bin/app").mark("order")'),
        ("t:sched:sched_switch", 'kernel.trace("sched:sched_switch")'),
        ("rawtracepoint:sched_switch", 'kernel.trace("sched_switch")'),
        ("kprobe:vfs_*", 'kernel.function("vfs_*")?'),
        ("kretprobe:vfs_read", 'kernel.function("vfs_read").return?'),
        ("kfunc:vfs_read", 'kernel.function("vfs_read")'),
        ("fexit:vmlinux:vfs_read", 'kernel.function("vfs_read").return'),
        ("fentry:xfs:xfs_read", 'module("xfs").function("xfs_read")'),
        ("profile:hz:99", "perf.type(1).config(0).hz(99)"),
        ("profile:ms:10", "perf.type(1).config(0).sample(10000000)"),
        ("interval:s:1", "timer.s(1)"),
        ("i:500ms", "timer.ms(500)"),
        ("software:page-faults:100", "perf.type(1).config(2).sample(100)"),
        ("h:cache-misses:1000", "perf.type(0).config(3).sample(1000)"),
        ("BEGIN", "begin"),
        ("END", "end"),
    ],
)
def test_probe_points(point: str, script: str) -> None:
    assert f"probe {script}\n{{\n\texit()\n}}" in _script(f"{point} {{ exit(); }}")


@pytest.mark.parametrize(
    ("statement", "script"),
    [
        ("@a = count();", "a++"),
        ("@a[comm, 1] = sum(args->next_pid);", "a[execname(), 1] += $next_pid"),
        ("@a[tid] = avg(5);", "a[tid()] <<< 5"),
        ("@a = hist(args.next_pid);", "a <<< $next_pid"),
        ('printf("%s %d %lld%%\\n", comm, pid, uid);',
         'printf("%s %d %d%%\\n", execname(), pid(), uid())'),
        ("$x = pid == 1 ? 2 : 3;", "x = (pid() == 1 ? 2 : 3)"),
        ("$s = pid == 1 ? comm : \"b\";", 's = (pid() == 1 ? execname() : "b")'),
        ("if (pid) { exit(); } else if (tid) { return; } else { $x++; }",
         "if (pid()) {\nexit()\n} else if (tid()) {\nnext\n} else {\nx++\n}"),
        ("unroll (3) { @++; }", "for (turn1 = 0; turn1 < 3; turn1++) {\nmap_++\n}"),
        ("while ($i < 5) { $i++; if ($i == 3) { break; } continue }",
         "while (i < 5) {\ni++\nif (i == 3) {\nbreak\n}\ncontinue\n}"),
        ("@a[1] = 2; delete(@a[1]); clear(@a);", "a[1] = 2\ndelete a[1]\ndelete a"),
        ("@a[1] = 2; zero(@a);", "a[1] = 2\nforeach (key1 in a) a[key1] = 0"),
        ("$x = (int8)pid;", "x = ((((pid()) & 0xff) ^ 0x80) - 0x80)"),
        ("$x = (uint64)pid / 1e6;", "x = pid() / 1000000"),
        ("$x = (struct task_struct *)curtask; print($x->pid);",
         'x = task_current()\nprintln(@cast(x, "task_struct", "kernel")->pid)'),
        ('time("%H:%M:%S ");',
         'printf("%s ", substr(tz_ctime(gettimeofday_s()), 11, 8))'),
        ('if (strncmp(comm, "bash", 4) == 0) { exit(); }',
         'if (substr(execname(), 0, 4) == substr("bash", 0, 4)) {\nexit()\n}'),
        ("$pid = 1; $next = $pid;", "pid = 1\nnext_ = pid"),
        ("@a[args->prev_comm] = count();", "a[$prev_comm]++"),
        ("print(str(args->prev_comm));", "println($prev_comm)"),
    ],
)  # fmt: skip
def test_statements(statement: str, script: str) -> None:
    assert _body(statement) == script


def test_a_filter_comes_first() -> None:
    text = _script("tracepoint:sched:sched_switch / pid > 4 / 2 / { exit(); }")

    assert "{\n\tif (!(pid() > 4 / 2)) next\n\texit()\n}" in text


def test_arguments_of_raw_tracepoints_have_names() -> None:
    assert "println($next)" in _script("rawtracepoint:sched_switch { print(arg2); }")


def test_texts_are_read_where_their_pointers_are_kept() -> None:
    text = _script(
        "tracepoint:syscalls:sys_enter_openat { @f[tid] = args->filename; }"
        " tracepoint:syscalls:sys_exit_openat /@f[tid]/"
        " { print(str(@f[tid])); delete(@f[tid]); }"
    )

    assert '\tf[tid()] = user_string2($filename, "")\n' in text
    assert "\tif (!([tid()] in f)) next\n\tprintln(f[tid()])\n\tdelete f[tid()]\n" in text


def test_probe_is_the_point_that_was_hit() -> None:
    text = _script("tracepoint:sched:a, tracepoint:sched:b { @[probe] = count(); }")

    assert 'map_["tracepoint:sched:a"]++' in text
    assert 'map_["tracepoint:sched:b"]++' in text


def test_maps_are_printed_as_bpftrace_prints_them() -> None:
    text = _script("BEGIN { @a[comm, pid] = count(); @s = stats(3); @l = lhist(3, 0, 10, 2); }")

    assert (
        '(key1a, key1b] in a+) printdln("", "@a[", key1a, ", ", key1b, "]: "'
        in text.replace("foreach ([", "(")
    )
    assert '"count ", @count(s), ", average ", @avg(s), ", total ", @sum(s))' in text
    assert 'println("@l: "); print(@hist_linear(l, 0, 8, 2))' in text


def test_macros_and_constants() -> None:
    text = _script(
        "#define LIMIT 10\nmacro twice($x) { $x * 2 }\n"
        'BEGIN { if (twice(4) < LIMIT) { printf("%d\\n", AF_INET6); } }'
    )

    assert "@define twice(x) %( (@x) * 2 %)" in text
    assert "if (@twice(4) < (10)) {" in text
    assert 'printf("%d\\n", 10)' in text


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("BEGIN {\n $x = cgroup; exit(); }", "the number of a cgroup has no counterpart"),
        ('BEGIN {\n cat("/etc/*/"); exit(); }', "cat() of a file has no counterpart"),
        ('BEGIN {\n $x = reg("ip"); exit(); }', "a register by its name"),
        ('BEGIN {\n printf("%r\\n", pid); exit(); }', "the format %r"),
        ("BEGIN {\n $x = NO_SUCH; exit(); }", "NO_SUCH is not known"),
        ("BEGIN {\n @x = 1; @x[2] = 3; exit(); }", "@x has different numbers of keys"),
    ],
)
def test_what_has_no_counterpart_is_a_comment_at_its_place(program: str, why: str) -> None:
    made = translate(program, "x.bt", _fields)

    assert why in made.text or why in made.left_out[0][1]
    assert any(why in reason for _, reason in made.left_out)
    statement = program.split("\n ")[1].split(";", maxsplit=1)[0].replace("*/", "* /")
    assert f"\t# {statement}\n" in made.text
    assert "\texit()\n" in made.text


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("BEGIN {\n$x = ; }", "x.bt:2: unexpected ';'"),
        ("BEGIN {\n", "x.bt:2: unexpected 'the end of the text'"),
        ("BEGIN { exit() }\n)", "x.bt:2: a probe cannot begin with ')'"),
        ("struct x {", "x.bt:1: this declaration has no end"),
    ],
)
def test_what_is_no_program_is_an_error_with_its_line(program: str, message: str) -> None:
    with pytest.raises(ImportFailure, match=r".*") as failure:
        _script(program)

    assert str(failure.value) == message
