"""Instructions that a marker costs the code around it: ours, <sys/sdt.h>, libbpf's usdt.h.

The same functions are compiled with each header; all instructions are counted but the
no-operations that the tracer's breakpoint is for. Where a pointer is handed over, ours has the
compiler write what it leads to; the others get a barrier for the same (`LEADS`). usdt.h is
no package of Debian's: it is taken from the folder MARKBRIDGE_USDT, and left out without one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
COMPILERS = ("gcc", "clang")
_BARRIER = """#define LEADS(...) \\
	do { __asm__ volatile("" ::: "memory"); MARK(__VA_ARGS__); } while (0)
"""
_MARKER = """#include <markbridge/marker.h>
#define MARK(n, ...) MARKBRIDGE_MARK(demo, __VA_ARGS__)
#define LEADS MARK
"""
_SDT = (
    """#include <sys/sdt.h>
#define MARK(n, ...) DTRACE_PROBE##n(demo, __VA_ARGS__)
"""
    + _BARRIER
)
_USDT = (
    """#include "usdt.h"
#define MARK(n, ...) USDT(demo, __VA_ARGS__)
"""
    + _BARRIER
)
FUNCTIONS = r"""
struct node { struct node *next; int value; short kind; double weight; };
extern long counter;
extern volatile int state;
extern char *names[];
void use(void *);
int work(int);

int registers(int a, unsigned char b, short c, const char *d)
{
	LEADS(4, registers, a, b, c, d);
	return a;
}
void many(signed char a, unsigned char b, short c, unsigned short d, int e, unsigned f, long g,
		unsigned long h, const char *i, void *j, _Bool k, long long l)
{
	LEADS(12, many, a, b, c, d, e, f, g, h, i, j, k, l);
}
void constants(void)
{
	MARK(4, constants, 1, -1L, 'x', 18446744073709551615ULL);
}
void globals(void)
{
	MARK(2, globals, counter, state);
}
void pointers(void)
{
	LEADS(2, pointers, names[0], counter);
}
long members(struct node *n)
{
	LEADS(4, members, n->value, n->kind, n->next, n);
	return n->value + counter;
}
double floats(float a, double b, struct node *n)
{
	MARK(3, floats, a, b, n->weight);
	return a * b;
}
void buffer(int count)
{
	char text[32];

	for (int i = 0; i < 32; i++)
		text[i] = (char)(count + i);
	use(text);
	LEADS(2, buffer, text, count);
	use(text);
}
int loop(int n)
{
	int sum = 0;

	for (int i = 0; i < n; i++) {
		sum += work(i);
		MARK(3, loop, i, n, sum);
	}
	return sum;
}
int computed(int a, int b)
{
	MARK(3, computed, a + b, a * b, a > b);
	return a - b;
}
int twice(int a, struct node *n)
{
	MARK(2, first, a, n->value);
	if (a > 3)
		LEADS(2, second, a + 1, n->next);
	return n->value;
}
"""
_LABEL = re.compile(r"^[0-9a-f]+ <(\w+)>:$")
_INSTRUCTION = re.compile(r"^\s+[0-9a-f]+:\t(.*)$")
_NOP = re.compile(r"(data16 |cs )*nop\w*( .*)?$|xchg +%ax,%ax$")


def usdt_folder() -> Path | None:
    """Where libbpf's usdt.h is, if anywhere."""
    folder = Path(os.environ.get("MARKBRIDGE_USDT", "/usr/include"))
    return folder if (folder / "usdt.h").is_file() else None


def headers() -> dict[str, tuple[str, Path | None]]:
    """Each header that is there: how it is used, and the folder that it needs."""
    found: dict[str, tuple[str, Path | None]] = {
        "markbridge": (_MARKER, ROOT / "csrc" / "include")
    }
    if any(Path("/usr/include").glob("**/sys/sdt.h")):
        found["sys/sdt.h"] = (_SDT, None)
    if (folder := usdt_folder()) is not None:
        found["usdt.h"] = (_USDT, folder)
    return found


def counts(compiler: str, start: str, folder: Path | None) -> dict[str, int]:
    """Instructions of each function but no-operations, at -O2."""
    with tempfile.TemporaryDirectory() as name:
        source, out = Path(name) / "x.c", Path(name) / "x.o"
        source.write_text(start + FUNCTIONS)
        include = [f"-I{folder}"] if folder else []
        command = [compiler, "-O2", "-w", *include, "-c", str(source), "-o", str(out)]
        subprocess.run(command, check=True)
        listing = subprocess.run(
            ["objdump", "-d", "--no-show-raw-insn", str(out)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    found: dict[str, int] = {}
    function = ""
    for line in listing.splitlines():
        if label := _LABEL.match(line):
            function = label[1]
            found[function] = 0
        elif (one := _INSTRUCTION.match(line)) and not _NOP.match(one[1]):
            found[function] += 1
    return found


def run() -> Iterator[Row]:
    """A row for each compiler and peer."""
    ours, *peers = headers().items()
    if "usdt.h" not in dict(peers):
        print("usdt.h is left out: MARKBRIDGE_USDT names no folder with it", file=sys.stderr)
    for compiler in filter(shutil.which, COMPILERS):
        own = counts(compiler, *ours[1])
        for peer, how in peers:
            theirs = counts(compiler, *how)
            more = [name for name, count in own.items() if count > theirs[name]]
            yield Row(
                f"{len(own)} functions with markers",
                f"{compiler} -O2",
                [float(sum(own.values()))],
                [float(sum(theirs.values()))],
                peer,
                1.0,
                note=f"more in {', '.join(more)}" if more else "instructions; in none more",
            )


__all__ = ["counts", "headers", "run"]
