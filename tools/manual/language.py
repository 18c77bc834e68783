"""The manual page of the language, made from tables: `docs/language.md`.

Rule: every construct has an example, and the tests check that each is accepted or refused as
the table says. Write the page with `python -m tools.manual.language > docs/language.md`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.probes.points import probe_types
from bridge.script.c import calls, kernel
from bridge.script.c.parse import ITERATORS
from bridge.script.c.statements import TEXT_FUNCTIONS
from bridge.script.c.types import TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Construct:
    """A construct, an example of it, and what is missing (nothing: it runs)."""

    name: str
    example: str
    missing: str = ""
    guru: bool = False
    """Whether it needs -g."""


_NO_TYPES = "at places with debug information; `@cast` of types of the kernel anywhere"
_STATICS = (
    'at places with debug information; with a file\'s path (`@var("x", "/file")`) anywhere,'
    " also in functions: it is read where the process that was hit has the file. At tracepoints"
    " the file has to be always at the same address"
)
_NO_C = "parsed only (with -g); running C code is refused"

CONSTRUCTS = (
    Construct("comments", "# a\n// b\n/* c */ probe begin { exit() }"),
    Construct("numbers", "probe begin { println(1, 0x1f, 017, -5) }"),
    Construct("adjacent strings", 'probe begin { println("a" "b\\n") }'),
    Construct("script arguments", "probe begin { println($#, @#) }"),
    Construct("macros", "@define twice(x) %( (@x) * 2 %) probe begin { println(@twice(3)) }"),
    Construct("conditionals", '%( arch == "*" %? probe begin { exit() } %: global x %)'),
    Construct(
        "globals with start values", 'global n = 1, s = "x" probe begin { println(n, s) }'
    ),
    Construct("arrays", 'global a probe begin { a[1, "x"] = 2; println([1, "x"] in a) }'),
    Construct("array sizes and wrapping", "global a%[10] probe begin { a[1] = 2 }"),
    Construct("private globals and functions", "private global x probe begin { x = 1 }"),
    Construct(
        "statistics", "global s probe begin { s <<< 1; println(@count(s), @variance(s, 2)) }"
    ),
    Construct(
        "histograms", "global s probe begin { s <<< 1; print(@hist_linear(s, 0, 9, 1)) }"
    ),
    Construct(
        "histogram buckets", "global s probe begin { s <<< 1; println(@hist_log(s)[64]) }"
    ),
    Construct(
        "functions", "function f:long(x:long) { return x } probe begin { println(f(1)) }"
    ),
    Construct(
        "overloads and priorities",
        "function f(x):1 { if (x) return 1; next } function f(x):2 { return 2 }"
        " probe begin { println(f(0)) }",
    ),
    Construct("if, while, for", "probe begin { for (i = 0; i < 3; i++) if (i) println(i) }"),
    Construct(
        "foreach, sorted, limited, sliced",
        "global a probe begin { a[1, 2] = 3; foreach ([x, y-] in a[1, *] limit 2)"
        " println(x, y) }",
    ),
    Construct(
        "foreach with value",
        "global a probe begin { a[1] = 2; foreach (v = k in a) println(v, k) }",
    ),
    Construct("delete", "global a probe begin { a[1] = 2; delete a[1]; delete a }"),
    Construct("try and catch", 'probe begin { try { error("x") } catch (e) { println(e) } }'),
    Construct("regular expressions", 'probe begin { if ("ab" =~ "a(b)") println(matched(1)) }'),
    Construct(
        "printf family",
        'probe begin { printf("%5d|%-3s|%x\\n", 1, "a", 255) printd(",", 1, 2) }',
    ),
    Construct(
        "priorities of begin, end, error", "probe begin(-1), end(2), error { println(1) }"
    ),
    Construct("timers", "probe timer.s(1).randomize(0), timer.hz(10) { exit() }"),
    Construct(
        "files that the session serves",
        'probe procfs("x").umask(0).read.maxsize(9000) { $value = "1"; $value .= "2" }'
        ' probe procfs("y").write { println($value) }',
    ),
    Construct("profiles", "probe timer.profile, perf.type(1).config(0).hz(97) { exit() }"),
    Construct(
        "aliases with prologue and epilogue",
        "probe a = begin { x = 1 }, { exit() } probe a { println(x) }",
    ),
    Construct("alias suffixes and braces", "probe {begin, end} { println(1) }"),
    Construct("optional and sufficient points", "probe nosuch?, begin!, end { println(1) }"),
    Construct("probe conditions", "global on = 1 probe begin if (on) { on = 0 }"),
    Construct(
        "target variables", 'probe process("app").mark("hit") { println($arg1, $$name) }'
    ),
    Construct(
        "@defined and @choose_defined",
        'probe process("app").mark("hit") { println(@defined($nosuch) ? 1 : 0) }',
    ),
    Construct(
        "processes and their system calls",
        'probe process("sh").begin, process.thread.end { println(pid()) }'
        " probe process(1).syscall { println($syscall, $arg1, $$parms) }",
    ),
    Construct("$$parms and $$vars", 'probe process("app").mark("hit") { println($$parms) }'),
    Construct("display of unread globals", "global n probe begin { n++ }"),
    Construct("@cast", 'probe begin { p = 1; println(@cast(p, "t")->x) }', _NO_TYPES),
    Construct("@var", 'probe begin { println(@var("x")) }', _STATICS),
    Construct("autocast", "probe begin { p = 1; println(p->x) }", _NO_TYPES),
    Construct(
        "@entry",
        'probe process("app").mark("hit") { println(@entry($arg1)) }',
        "in the probe of a function's return",
    ),
    Construct("@enum, @enumname", 'probe begin { println(@enum("E")) }', _NO_TYPES),
    Construct("@perf", 'probe begin { println(@perf("c")) }', "parsed only"),
    Construct(
        "embedded C that is understood",
        "function f:long(x:long) %{ STAP_RETVALUE = STAP_ARG_x + 1; %}"
        ' probe begin { println(f(@const("HZ")), %{ current->pid %}) }',
        guru=True,
    ),
    Construct("other embedded C", "function f() %{ g(); %} probe begin { f() }", _NO_C),
    Construct("other @const", 'probe begin { println(@const("X")) }', _NO_C),
    Construct(
        "assignment to variables in registers",
        'probe process("app").mark("hit") { $arg1 = 2 }',
        "no BPF program changes registers",
    ),
)
"""Constructs by spec section, what does not run last."""


def _constructs() -> Iterator[str]:
    yield "| construct | example | |"
    yield "|---|---|---|"
    for construct in CONSTRUCTS:
        example = construct.example.replace("\n", " ").replace("|", "\\|")
        state = construct.missing or ("runs with -g" if construct.guru else "runs")
        yield f"| {construct.name} | `{example}` | {state} |"


def _words(words: Iterable[str]) -> str:
    escaped = (word.replace("|", "\\|") for word in words)
    return ", ".join(f"`{word}`" for word in escaped)


_C_INTERFACE = (
    "STAP_ARG_x",
    "THIS->x",
    "STAP_RETVALUE",
    "STAP_RETURN(value)",
    "STAP_PRINTF(...)",
    "_stp_printf(...)",
    "STAP_ERROR(...)",
    "STAP_GLOBAL_GET_x()",
    "STAP_GLOBAL_SET_x(value)",
    "MAXSTRINGLEN",
)


def language_manual() -> str:
    """The whole page."""
    return "\n".join(
        (
            "# The language",
            "",
            "markbridge reads SystemTap scripts. Generated from the tables of the front end by",
            "`python -m tools.manual.language`; the tests hold the examples to what is said"
            " here.",
            "",
            "## Constructs",
            "",
            *_constructs(),
            "",
            "## Files that the session serves",
            "",
            "`procfs` probes have their files in `$XDG_RUNTIME_DIR/markbridge/SCRIPT/`",
            "(without it `/run/user/UID/markbridge/`, of root `/run/markbridge/`); SCRIPT is",
            "the script's name without `.stp`, `script` for -e, and `SCRIPT-2` where one of",
            "the name runs already. They are FIFOs: `cat FILE` and `echo 1 > FILE` work, and",
            "are served within a tenth of a second. Where one name has both `.read` and",
            "`.write`, `NAME.write` takes what is written. `markbridge procfs list` prints",
            "what there is, `markbridge procfs cat NAME` and `markbridge procfs write NAME",
            "TEXT` find the session, and do not wait where there is none. `probe prometheus`",
            "is the file `__prometheus`, `json_data` `data.json`; `input.char` and",
            "`input.line` are what is typed.",
            "",
            "## Writes",
            "",
            'With -g, `$p->x = v`, `$local += v`, `@cast(p, "t", "program")->x++`,',
            '`@var("g") = v` and `set_user_char`, `_short`, `_int`, `_long`, `_pointer`,',
            "`_string` and `_string_n` write to the memory of the process at the markers and",
            "functions of its program: it is stopped until the handler is done, and finds",
            "what was written, under lockdown, too. Refused with the reason are what is in a",
            "register (so `$return`), bit-fields, the kernel's memory, and places where the",
            "process cannot be stopped (tracepoints, system calls, functions of the kernel).",
            "Where a process could not be stopped nothing is written, and the handler has an",
            "error.",
            "",
            "## Embedded C",
            "",
            "With -g, functions in C run: there is no compiler, the code is translated. It may",
            "compute with integers and texts, declare local variables, use `if`, `switch` and",
            "loops, call helper functions of a `%{ %}` at the level of the file, and read the",
            "kernel's memory by its own types (`kread(&p->member)`, `p->member`,",
            "`container_of`, `list_for_each_entry`) where a script may read it. Macros, `#if`",
            "over LINUX_VERSION_CODE and the kernel's headers are understood. Refused at their",
            "place are calls of the kernel's functions that are not below, writes to memory,",
            "`goto`, floating point, arrays of more than characters as local variables, and",
            "variables of the file's C code. Locks and references are not taken: every read is",
            "checked by itself, and what it reads may change meanwhile.",
            "",
            "| what | names |",
            "|---|---|",
            f"| arguments and result | {_words(_C_INTERFACE)} |",
            f"| functions of the kernel | {_words(sorted({*kernel.CALLS, *kernel.SWAPPED}))} |",
            f"| those that are their argument | {_words(sorted(kernel.SAME))} |",
            f"| clocks, into a local structure | {_words(sorted(kernel.CLOCKS))} |",
            f"| without effect here | {_words(sorted(kernel.IGNORED))} |",
            f"| texts | {_words(sorted({*TEXT_FUNCTIONS, *calls.TEXT_FUNCTIONS}))} |",
            f"| types | {_words(sorted(TYPES))} |",
            f"| constants and variables | {_words(sorted({*kernel.NUMBERS, 'current'}))} |",
            f"| variables of the kernel | {_words(sorted(kernel.GLOBALS))} |",
            f"| loops | {_words(sorted(ITERATORS))} |",
            "| messages, to standard error | `printk`, `pr_info` and the like |",
            "",
            "## Probe points",
            "",
            *(f"- `{point}`" for point in probe_types()),
            "",
            "## Functions",
            "",
            "`functions.md` lists the built-in functions and those of the library.",
            "",
        )
    )


if __name__ == "__main__":
    sys.stdout.write(language_manual())
