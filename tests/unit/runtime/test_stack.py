"""Back traces and symbols of a living process, from its registers and call frame information.

The process tells its registers and what glibc's own unwinder says of the same place.
"""

from __future__ import annotations

import re
import struct
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elftools.elf.elffile import ELFFile

from bridge.engine.base import SessionOptions, SessionState
from bridge.engine.session.host import LiveHost, OutputBuffer, identities
from bridge.engine.session.native import NativeSession
from bridge.engine.session.record_decode import hits_of, read_record
from bridge.interpreter import session as reference
from bridge.ir.program import REGISTERS, Context
from bridge.script.builtins import CONTEXTS as BUILTINS
from tests.support.scripts import compile_text
from tests.support.victims import compile_c

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.artifact import Placed

pytestmark = pytest.mark.tools

SOURCE = r"""
#define _GNU_SOURCE
#include <alloca.h>
#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#define REGISTER(name) (unsigned long)here.uc_mcontext.gregs[REG_##name]
#define ALONE __attribute__((noipa))
static volatile int depth;
ALONE void tell(void)
{
	void *known[256];
	ucontext_t here;
	int count = backtrace(known, 256);
	getcontext(&here);
	unsigned long registers[] = {
		REGISTER(RAX), REGISTER(RDX), REGISTER(RCX), REGISTER(RBX), REGISTER(RSI),
		REGISTER(RDI), REGISTER(RBP), REGISTER(RSP), REGISTER(R8), REGISTER(R9),
		REGISTER(R10), REGISTER(R11), REGISTER(R12), REGISTER(R13), REGISTER(R14),
		REGISTER(R15), REGISTER(RIP),
	};
	for (int i = 0; i < 17; i++) printf("%lx ", registers[i]);
	for (int i = 1; i < count; i++) printf("%p ", known[i]);
	puts("");
	fflush(stdout);
	pause();
	depth++;
}
ALONE static void on_signal(int number) { tell(); depth += number; }
ALONE static int compare(const void *a, const void *b) { tell(); return a < b; }
ALONE static int deep(int n)
{
	if (!n) tell(); else deep(n - 1);
	return depth += n;
}
ALONE static int fill(char *room, int n)
{
	memset(room, n, (size_t)n);
	tell();
	return room[n / 2];
}
ALONE static int with_alloca(int n) { return fill(alloca((size_t)n), n) + depth; }
int main(int count, char **words)
{
	int pair[] = { 2, 1 };
	switch (count > 1 ? words[1][0] : 'a') {
	case 's': signal(SIGUSR1, on_signal); raise(SIGUSR1); break;
	case 'q': qsort(pair, 2, sizeof(*pair), compare); break;
	case 'd': deep(50); break;
	default: with_alloca(300 + count);
	}
	return depth;
}
"""
WAYS = {
    "s": ["tell", "on_signal", None, None, "main"],
    "q": ["tell", "compare", None, None, "main"],
    "a": ["tell", "fill", "with_alloca", "main"],
    "d": ["tell", *["deep"] * 19],
}
"""What calls what; None is somewhere in the C library."""


@dataclass(frozen=True)
class Stopped:
    """A process in tell(): its registers, and the callers that glibc knows."""

    pid: int
    program: Path
    registers: list[int]
    callers: list[int]


@contextmanager
def stopped(program: Path, way: str) -> Iterator[Stopped]:
    with subprocess.Popen([program, way], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            numbers = [int(word, 16) for word in process.stdout.readline().split()]
            yield Stopped(process.pid, program, numbers[:17], numbers[17:])
        finally:
            process.kill()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _compiled(tmp_path_factory.mktemp("stack"))


def _compiled(folder: Path, *flags: str) -> Path:
    return compile_c(folder, "telling", SOURCE, "-O2", "-fomit-frame-pointer", "-w", *flags)


def run_at(
    hit: Stopped,
    script: str,
    tmp_path: Path,
    *modules: str,
    interpreted: bool = True,
    **defines: str,
) -> str:
    """What a handler prints whose hit was there, in both engines; warnings come first."""
    probe = f'probe process("demo").mark("hit") {{ {script} }}'
    placed = compile_text(probe, defines=defines).placed
    (hook,) = placed.hooks
    values = {Context("pid"): hit.pid}
    values |= {Context(n): v for n, v in zip(REGISTERS, hit.registers, strict=True)}
    slots = [0] * hook.layout.slot_count
    for capture in hook.layout.captures:
        slots[hook.layout.slot(capture)] = values.get(capture, 0)
    size = 16 + 8 * len(slots)
    record = struct.pack(f"<IIQ{len(slots)}Q", size, hook.id, 1, *slots)
    known = modules or (str(hit.program), _libc(hit))
    with (tmp_path / "out").open("wb+") as out:
        number = out.fileno()
        ask = SessionOptions(output=number, messages=number, modules=known)
        with NativeSession.open(placed, ask) as session:
            session.state = SessionState.RUNNING
            session.deliver(record)
            session.flush()
        out.seek(0)
        text = out.read().decode()
    assert not interpreted or _interpreted(placed, record, known) == text
    return text


def _interpreted(placed: Placed, record: bytes, known: tuple[str, ...]) -> str:
    printed, messages = bytearray(), list[str]()
    host = LiveHost(OutputBuffer(1), identities(known))
    session = reference.InterpreterSession(
        placed.program,
        BUILTINS,
        printed.extend,
        lambda text: messages.append(f"{text}\n"),
        0,
        host,
    )
    (hook,) = placed.hooks
    for hit in hits_of(placed, hook, read_record(record, hook.layout)):
        session.hit = dict(hit.contexts)
        session.run_handler(placed.program.handlers[hit.handler], hit.captures)
    return "".join(messages) + printed.decode()


def _libc(hit: Stopped) -> str:
    maps = Path(f"/proc/{hit.pid}/maps").read_text().splitlines()
    return next(line.split()[-1] for line in maps if "libc.so" in line or "libc-" in line)


def _trace(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def _symbols(text: str) -> list[str]:
    return re.findall(r": (\w+)[^ ]* \[(?=.*telling\])", text)


@pytest.mark.parametrize("way", WAYS)
def test_the_calls_are_those_that_glibc_knows(program: Path, way: str, tmp_path: Path) -> None:
    with stopped(program, way) as hit:
        text = run_at(
            hit, "println(ubacktrace())", tmp_path, MAXBACKTRACE="100", MAXSTRINGLEN="4096"
        )
        named = run_at(hit, "print_ubacktrace()", tmp_path)

    found = _trace(text)
    assert found[0] == hit.registers[16]
    assert found[1:] == hit.callers
    assert len(hit.callers) >= len([name for name in WAYS[way] if name])
    own = [name for name in WAYS[way] if name]
    assert _symbols(named)[: len(own)] == own
    assert len(named.splitlines()) == min(20, len(found))


@pytest.mark.parametrize(
    "flags",
    [
        ["-no-pie"],
        ["-s"],
        ["-Wl,-z,noseparate-code"],
        ["-fno-omit-frame-pointer", "-O0"],
        ["-fcf-protection=full", "-O3", "-flto"],
        ["-static"],
    ],
    ids=" ".join,
)
def test_however_a_program_is_made(flags: list[str], tmp_path: Path) -> None:
    with stopped(_compiled(tmp_path, *flags), "a") as hit:
        modules = () if "-static" not in flags else (str(hit.program),)
        text = run_at(hit, "println(ubacktrace())", tmp_path, *modules)

    assert len(hit.callers) > 3
    assert _trace(text)[1:] == hit.callers


def test_frames_that_only_debug_information_knows(tmp_path: Path) -> None:
    flags = ("-g", "-fno-asynchronous-unwind-tables", "-fno-exceptions")
    with stopped(_compiled(tmp_path, *flags), "a") as hit:
        text = run_at(hit, "print_ubacktrace()", tmp_path)

    assert hit.callers == []
    assert _symbols(text)[:4] == WAYS["a"]


def test_without_section_headers(program: Path, tmp_path: Path) -> None:
    content = bytearray(program.read_bytes())
    content[0x28:0x30] = bytes(8)
    content[0x3C:0x40] = bytes(4)
    (tmp_path / "telling").write_bytes(content)
    (tmp_path / "telling").chmod(0o755)
    with stopped(tmp_path / "telling", "a") as hit:
        script = "println(ubacktrace()) println(usymname(uaddr()))"
        text = run_at(hit, script, tmp_path, interpreted=False)  # pyelftools needs them

    trace, name = text.splitlines()
    assert _trace(trace)[1:] == hit.callers
    assert name == f"{hit.registers[16]:#x}"


def test_what_is_not_known_ends_the_trace_and_is_told(program: Path, tmp_path: Path) -> None:
    with stopped(program, "a") as hit:
        text = run_at(hit, "print_ubacktrace()", tmp_path, str(program))
        libc = _libc(hit)

    warning, *lines, last = text.splitlines()
    assert _symbols("\n".join(lines)) == WAYS["a"]
    assert re.fullmatch(rf" 0x[0-9a-f]+ \[{libc}\+0x[0-9a-f]+/0x[0-9a-f]+\]", last)
    assert warning == (
        f"WARNING: Missing unwind data for a module, rerun with 'markbridge run -d {libc}'"
    )


def test_the_forms_of_a_name(program: Path, tmp_path: Path) -> None:
    script = """
        println(usymname(uaddr())) println(usymdata(uaddr())) println(umodname(uaddr()))
        println(usymname(0), usymname(1), usymdata(-1))
        print_ubacktrace_brief()
        print(sprint_ubacktrace())
        print_usyms(ubacktrace())
        print(sprint_usyms(ubacktrace()))
        printf("%x %x\\n", ustack(0), ustack(1))
        println(ucallers(1))
        println(ubacktrace() == ucallers(-1) . " ")
        try { ustack(99) } catch (e) { println(e) }
        try { ucallers(99) } catch (e) { println(e) }
        try { print(umodname(1)) } catch (e) { println(e) }
    """
    with stopped(program, "a") as hit:
        lines = run_at(hit, script, tmp_path).splitlines()

    count = len(hit.callers) + 1
    pc, path = hit.registers[16], hit.program
    offset, size = (int(n, 16) for n in re.findall(r"0x([0-9a-f]+)", lines[1]))
    assert lines[:4] == [
        "tell",
        f"tell+{offset:#x}/{size:#x} [{path}]",
        str(path),
        "0x00x1" + f"{2**64 - 1:#x}",
    ]
    del lines[:4]
    assert lines[:2] == [f"tell+{offset:#x}", lines[1]]
    assert lines[1].startswith("fill+0x")
    assert lines[count] == f"tell+{offset:#x} [telling]"
    assert lines[2 * count] == f" {pc:#x} : tell+{offset:#x}/{size:#x} [{path}]"
    whole = len(lines) - 6 - 3 * count
    assert 1 < whole <= count
    assert lines[2 * count : 2 * count + whole] == lines[3 * count : -6]
    assert lines[-6:] == [
        f"{pc:x} {hit.callers[0]:x}",
        f"{pc:#x} {hit.callers[0]:#x}",
        "1",
        "reached end of stack before unwinding to level 99",
        "reached end of stack before unwinding to level 99",
        "module cannot be found",
    ]


def test_a_text_of_a_trace_has_whole_lines(program: Path, tmp_path: Path) -> None:
    with stopped(program, "d") as hit:
        lines = run_at(hit, "print(sprint_usyms(ubacktrace()))", tmp_path).splitlines()

    assert 1 <= len(lines) < 20
    assert all(line.endswith("/telling]") for line in lines)


def test_a_limit(program: Path, tmp_path: Path) -> None:
    with stopped(program, "d") as hit:
        text = run_at(hit, "print_ubacktrace()", tmp_path, MAXBACKTRACE="7")

    assert len(text.splitlines()) == 7


def test_the_vdso_and_other_registers(program: Path, tmp_path: Path) -> None:
    with stopped(program, "a") as hit:
        maps = Path(f"/proc/{hit.pid}/maps").read_text().splitlines()
        (line,) = (line for line in maps if line.endswith("[vdso]"))
        start, end = (int(word, 16) for word in line.split()[0].split("-"))
        with Path(f"/proc/{hit.pid}/mem").open("rb") as memory:
            memory.seek(start)
            (tmp_path / "vdso").write_bytes(memory.read(end - start))
        with (tmp_path / "vdso").open("rb") as file:
            table = ELFFile(file).get_section_by_name(".dynsym")
            (entry,) = (s["st_value"] for s in table.iter_symbols() if s.name == "__vdso_time")
        # as if tell() had called it: its return address is where fill() goes on
        with Path(f"/proc/{hit.pid}/mem").open("rb") as memory:
            low = hit.registers[7]
            memory.seek(low)
            words = struct.unpack("<512Q", memory.read(4096))
        at = low + 8 * words.index(hit.callers[0])
        text = run_at(hit, f"print_ubacktrace({start + entry}, {at}, 0)", tmp_path)

    assert re.search(r" 0x\w+ : (__vdso_)?time\+0x0/0x\w+ \[vdso\]\n 0x\w+ : fill\+", text)


def test_without_a_hit_there_is_no_trace(tmp_path: Path) -> None:
    from tests.support.functions import run

    script = "print_ubacktrace() print(ubacktrace()) print(sprint_ubacktrace()) "
    script += "print_ubacktrace_brief() "
    script += "print_ubacktrace(1, 2, 3) println(uaddr()) println(usymname(1)) exit()"
    done = run("native", f"probe begin {{ {script} }}", tmp_path)

    none = b"<no user backtrace at begin>\n"
    assert done.output == none + b"\n\n" + none + none + b"0\n0x1\n"
