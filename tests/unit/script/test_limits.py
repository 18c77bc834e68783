"""Scripts that are made to break a compiler: each ends with its diagnostic, in bounds.

Each runs in a process of its own with limits of memory and of processor time, once through the
library and once through the command. What is expected is the message, or that the script is
understood ("").
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import bridge
import bridge.api
import bridge.cli.check
import bridge.cli.terminal
import bridge.script.analysis.analyse
from bridge.cli import main
from bridge.diagnostics import Sink
from bridge.script.options import AnalyseOptions
from bridge.script.syntax import read
from bridge.script.syntax.lex import MAX_BYTES
from bridge.script.syntax.parse import MAX_ERRORS, parse
from bridge.source import SourceMap

MEMORY_BYTES = 2 << 30
PROCESSOR_SECONDS = 90
MOST_OUTPUT = 1 << 20
CRASHED = 99
NOBODY = 65534
N = 10_000
DEEP = "nesting too deep"
MACROS = "macro expansion too large"


@dataclass(frozen=True)
class Outcome:
    """What a process said, and how it ended."""

    code: int
    library: str
    messages: str


def _limit() -> None:
    # beside what the process has already, whose copy it is
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
    signal.alarm(20 * PROCESSOR_SECONDS)


def _run(arguments: list[str]) -> int:
    """The library on the first argument, then the command on all."""
    try:
        bridge.compile(Path(arguments[0]))
    except bridge.CompileError as error:
        print("library:", error.diagnostics[0].message)
    code = main(["check", *arguments])
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _in_child(arguments: list[str], output: Path, messages: Path, user: int) -> None:
    """Run in this process, which is a copy, and end it."""
    code = CRASHED
    try:
        for path, stream in ((output, 1), (messages, 2)):
            os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY), stream)
        sys.stdout = os.fdopen(1, "w", errors="surrogateescape")
        sys.stderr = os.fdopen(2, "w", errors="replace")
        _limit()
        if user:
            os.seteuid(user)
        code = _run(arguments)
    except BaseException:  # noqa: BLE001 - the parent sees it
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def checked(path: Path, *options: str, user: int = 0) -> Outcome:
    """The library and the command on a file, in a copy of this process that has bounds."""
    with TemporaryDirectory() as name:
        output, messages = Path(name) / "out", Path(name) / "err"
        child = os.fork()
        if child == 0:
            _in_child([str(path), *options], output, messages, user)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said = messages.read_text("utf-8", "replace")
        assert code in {0, 1}, (code, said[-2000:])
        assert len(said) < MOST_OUTPUT
        return Outcome(code, output.read_text("utf-8", "replace"), said)


def body(text: str) -> str:
    return "probe begin { " + text + " print(1) }"


def chain(define: str, last: str, count: int) -> str:
    """`define` with I and J as numbers of a chain: 0 1, 1 2, ..."""
    links = (define.replace("I", str(i)).replace("J", str(i + 1)) for i in range(count))
    return "".join(links) + last.replace("I", str(count))


NESTED = {
    "parentheses": body("x = " + "(" * N + "1" + ")" * N),
    "open parentheses": body("x = " + "(" * N),
    "blocks": body("{" * N + "}" * N),
    "open blocks": "probe begin " + "{" * N,
    "brackets": "global a " + body("x = " + "a[" * N + "1" + "]" * N),
    "unary operators": body("x = " + "!" * N + "1"),
    "signs": body("x = " + "- " * N + "1"),
    "ternaries to the right": body("x = " + "a ? b : " * N + "c"),
    "ternaries in the middle": body("x = " + "a ? " * N + "c" + " : d" * N),
    "else if": body("if (x) y " + "else if (x) y " * N),
    "if": body("if (x) " * N + "y"),
    "while": body("while (x) " * N + "y"),
    "for": body("for (;;) " * N + "y"),
    "foreach": "global a " + body("foreach (k in a) " * N + "y"),
    "try": body("try { " * N + "y" + " } catch { }" * N),
    "catch": body("try { } catch { " * N + "y" + " }" * N),
    "concatenations": body('x = "a"' + ' . "a"' * N),
    "sums": body("x = y" + " + y" * N),
    "conjunctions": body("x = y" + " && y" * N),
    "assignments": body("x = " * N + "1"),
    "calls": body("x = " + "f(" * N + "y" + ")" * N),
    "casts": body("x = " + "@cast(" * N + "y" + ', "t")' * N),
    "braces of points": "probe " + "{" * N + "begin" + "}" * N + " { }",
}

REFUSED = {
    "brackets without an array": (body("x = " + "[" * N + "1" + "]" * N), "expected"),
    "product of braces": (
        "probe " + ".".join(["{a,b}"] * 40) + " { }",
        "too many probe points",
    ),
    "wide product of braces": (
        "probe " + ".".join(["{a,b,c,d,e,f,g,h,i,j}"] * 6) + " { }",
        "too many probe points",
    ),
    "product of a product": (
        "probe " + "{" * 30 + "begin" + ",begin}.x" * 30 + " { }",
        "while resolving probe point",
    ),
    "alias of itself": ("probe a = a { } probe a { }", "while resolving probe point"),
    "aliases in a ring": (
        chain("probe aI = aJ { } ", "probe aI = a0 { } probe a0 { }", N // 10),
        "while resolving probe point",
    ),
    "long chain of aliases": (
        chain("probe aI = aJ { x = 1 } ", "probe aI = begin { } probe a0 { }", N),
        "while resolving probe point",
    ),
    "doubling aliases": (
        chain("probe aI = aJ, aJ { } ", "probe aI = begin { } probe a0 { }", 60),
        "while resolving probe point",
    ),
    "doubling optional aliases": (
        chain("probe aI = aJ?, aJ? { } ", "probe aI = nothing { } probe a0 { }", 60),
        "while resolving probe point",
    ),
    "alias with a growing suffix": ("probe a = a.a { } probe a { }", "while resolving"),
    "aliases of one name": (
        "probe a = begin { } " * 3000 + "probe a { }" * 300,
        "too many probes",
    ),
    "wildcard of many aliases": (
        chain("probe a.bI = begin { x = 1 } ", "probe a.* { }" * 100, 3000),
        "too many probes",
    ),
    "wildcards": ("probe " + "a*" * N + "b { } probe aaaa = begin { }", "while resolving"),
    "components of wildcards": ("probe " + ".".join("*" * N) + " { }", "while resolving"),
    "wildcards that could go back": (
        "probe " + "*a" * 30 + " { } probe " + "a" * 40 + "b = begin { }",
        "while resolving",
    ),
    "a large body at many points": (
        "probe " + ",".join(["begin"] * N) + " { " + "x++ " * N + "}",
        "too many probes",
    ),
    "open conditionals": ("%( 1 == 1 %? " * N, "incomplete conditional"),
    "macros that double": (
        chain("@define mI %( @mJ @mJ %)\n", "@define mI %( x++ %)\n" + body("@m0"), 60),
        MACROS,
    ),
    "macros that double nothing": (
        chain("@define mI %( @mJ @mJ %)\n", "@define mI %( %)\n" + body("@m0"), 60),
        MACROS,
    ),
    "macro of itself": ("@define m %( 1 + @m %)\n" + body("x = @m"), MACROS),
    "macros of each other": ("@define m %( @n %) @define n %( @m %) " + body("@m"), MACROS),
    "macro argument of itself": ("@define m(a) %( @m(@a @a) %)\n" + body("x = @m(1)"), MACROS),
    "arguments that double": (
        chain(
            "@define mI(a) %( @mJ(@a @a) %)\n",
            "@define mI(a) %( @a %)\n" + body("@m0(x++)"),
            60,
        ),
        MACROS,
    ),
    "nested arguments": (
        "@define m(a) %( @a %)\n" + body("x = " + "@m(" * N + "1" + ")" * N),
        MACROS,
    ),
    "macro with a conditional": ("@define m %( %( 1 == 1 %? @m %) %)\n" + body("@m"), MACROS),
    "skipped macro of itself": (
        "@define m %( @m %) %( 1 == 2 %? @m @m %)" + body(""),
        MACROS,
    ),
    "number": (body("x = " + "9" * 1_000_000), "number invalid or out of range"),
    "hexadecimal number": (body("x = 0x" + "f" * 1_000_000), "number invalid or out of range"),
    "octal number": (body("x = 0" + "7" * 1_000_000), "number invalid or out of range"),
    "number in a condition": (
        "%( " + "9" * 1_000_000 + " == 1 %? %)" + body(""),
        "number invalid",
    ),
    "size of an array": ("global a[" + "9" * 1_000_000 + "] " + body(""), "number invalid"),
    "number of an argument": (body("$" + "9" * 1_000_000), "command line argument out of"),
    "string of 10 MB": (body('x = "' + "a" * 10_000_000 + '"'), "text too large"),
    "file of 50 MB": ("#" * 50_000_000, "text too large"),
    "open string": (body('x = "' + "a" * 7_000_000), "Could not find matching closing quote"),
    "string of backslashes": (body('x = "' + "\\" * 7_000_000), "Could not find matching"),
    "open strings": ('"' + '\n"' * 300_000, "Could not find matching closing quote"),
    "open embedded code": ("%{ " + "x" * 7_000_000, "Could not find matching '%}'"),
    "open embedded expression": (body("x = %{ "), "Could not find matching '%}'"),
    "NUL bytes": ("\0" * 200_000, "is empty"),
    "a NUL byte": (body("x = \0"), "ends at a NUL byte"),
    "all bytes": ("".join(map(chr, range(1, 256))) * 1000, "expected 'probe'"),
    "high bytes": ("\x80" * 200_000, "expected 'probe'"),
    "per cent signs": ("%" * 200_000, "expected 'probe'"),
    "at signs": ("@" * 200_000, "expected 'probe'"),
    "closing braces": ("}" * 200_000, "expected 'probe'"),
    "the word probe": ("probe " * 200_000, "expected one of"),
    "errors": ("probe begin { = }\n" * 100_000, "expected literal string or number"),
    "commas": ("global " + "," * 200_000, "expected identifier"),
    "open macro": ("@define m %( " + "x " * 200_000, "incomplete macro definition"),
    "line feeds": ("\n" * 8_000_000, "is empty"),
    "comments": ("#\n//\n/**/" * 700_000, "is empty"),
}

UNDERSTOOD = {
    "adjacent strings": body("print(" + '"a" ' * 100_000 + ")"),
    "conditionals": "%( 1 == 1 %? " * N + body("") + " %)" * N,
    "skipped conditionals": body("") + "%( 1 == 2 %? " * N + " %)" * N,
    "a long condition": body("") + "%( " + "1 == 1 && " * N + "1 == 1 %? %)",
    "printing statements": body('printf("%d\\n", x)\n' * 100_000),
    "functions": chain("function fI(x) { return x + I }\n", body("f0(1)"), N // 5),
    "chain of functions": chain(
        "function fI(x) { return fJ(x) }\n",
        "function fI(x) { return x } " + body("print(f0(1))"),
        N // 200,
    ),
    "overloads": "function f(x) { return x }\n" * 300 + body("f(1) " * 300),
    "globals": "global " + ", ".join(f"g{i}" for i in range(100_000)) + "\n" + body(""),
    "globals to be shown": chain("global gI\n", body(chain("gI = 1\n", "", N)), N),
    "arguments of print": body("println(" + ",".join(["1"] * 10_000) + ")"),
    "points": "probe " + ", ".join(["begin"] * N) + " { x++ }",
    "probes": "probe begin { x++ }\n" * N,
    "macros": chain("@define mI %( x %)\n", body(""), 100_000),
    "a number of noughts": body("x = 0" + "0" * 1_000_000),
    "number in a version": '%( kernel_v == "' + "9" * 1_000_000 + '" %? %)' + body(""),
    "pattern in a condition": '%( arch == "' + "*x" * 1000 + 'y" %? %)' + body(""),
    "width of a format": body('printf("%' + "9" * 1_000_000 + 'd", 1)'),
    "precision of a format": body('printf("%.' + "9" * 1_000_000 + 'd", 1)'),
    "string of 7 MB": body('x = "' + "a" * 7_000_000 + '"'),
    "escapes": body('x = "' + "\\n" * 3_000_000 + '"'),
    "digits of an escape": body('x = "\\x' + "f" * 7_000_000 + '"'),
    "name": body("x = " + "a" * 7_000_000),
    "all bytes in a string": body(
        'x = "' + "".join(chr(i) for i in range(1, 256) if chr(i) not in '\n"\\') + '"'
    ),
    "classes of a regular expression": body('if (x =~ "[' + "a-z" * 100_000 + ']") print(1)'),
    "depth within the limit": body("x = " + "(" * 900 + "y" + " + 1)" * 900 + " print(x)"),
    "blocks within the limit": body("if (x) { " * 400 + "y = 1 print(y)" + " }" * 400),
}


def written(folder: Path, text: str) -> Path:
    path = folder / "bomb.stp"
    path.write_bytes(text.encode("latin-1"))
    return path


@pytest.mark.parametrize("name", NESTED)
def test_nesting_is_bounded(name: str, tmp_path: Path) -> None:
    found = checked(written(tmp_path, NESTED[name]))
    assert found.code == 1
    assert DEEP in found.messages
    assert DEEP in found.library


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_within_bounds(name: str, tmp_path: Path) -> None:
    text, message = REFUSED[name]
    found = checked(written(tmp_path, text))
    assert found.code == 1
    assert message in found.messages


@pytest.mark.parametrize("words", ["".join(map(chr, range(1, 256))), "\x80", "@", "` @no "])
def test_junk_is_passed_over_in_few_steps(words: str) -> None:
    text = words * (MAX_BYTES // 4 // len(words))
    sources, sink = SourceMap(), Sink()
    source = sources.add("junk.stp", text)
    options = AnalyseOptions(include=(), own_tapset=False)

    with _Calls() as calls:
        assert parse(source, sources, sink, options) is None

    assert 0 < len(sink.errors) <= MAX_ERRORS + 1
    # a token at a time there are several calls for each byte
    assert calls.count < len(text) / 2


class _Calls:
    """Counts the calls of Python functions, which is the same on every machine."""

    count = 0

    def _see(self, frame: object, event: str, argument: object) -> None:
        self.count += event == "call"

    def __enter__(self) -> _Calls:
        sys.setprofile(self._see)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_it_is_understood_within_bounds(name: str, tmp_path: Path) -> None:
    found = checked(written(tmp_path, UNDERSTOOD[name]))
    assert found.code == 0, found.messages[-2000:]
    assert found.library == ""


@pytest.mark.parametrize("stage", ["-p1", "-p2"])
def test_the_deepest_tree_prints(stage: str, tmp_path: Path) -> None:
    text = body("x = " + "-(" * 450 + "y" + ")" * 450 + " print(x)")
    found = checked(written(tmp_path, text), stage)
    assert found.code == 0
    assert stage == "-p2" or found.library.count("-(") >= 440


def test_types_that_come_from_behind_are_found(tmp_path: Path) -> None:
    found = checked(written(tmp_path, body(chain("xI = xJ\n", "xI = 1 print(x0)", 100))))
    assert found.code == 0


def test_a_long_chain_of_types_ends_in_time(tmp_path: Path) -> None:
    found = checked(written(tmp_path, body(chain("xI = xJ\n", "xI = 1 print(x0)", N))))
    assert found.code == 1
    assert "take too long to infer" in found.messages


def test_an_argument_that_is_used_everywhere_ends_in_time(tmp_path: Path) -> None:
    found = checked(written(tmp_path, body("x = $1 " * 1000)), '"' + "a" * 100_000 + '"')
    assert found.code == 1
    assert "text too large" in found.messages


def test_a_short_argument_may_be_used_everywhere(tmp_path: Path) -> None:
    found = checked(written(tmp_path, body("x = $1 " * 5_000)), "1")
    assert found.code == 0


def test_a_folder_is_no_script(tmp_path: Path) -> None:
    assert "Is a directory" in checked(tmp_path).messages


def test_a_pipe_that_nobody_writes_to_is_no_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "PATIENCE_S", 0.3)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert "timed out waiting for input" in checked(path).messages


def test_a_pipe_is_a_script(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, path])
    try:
        assert checked(path).code == 0
    finally:
        writer.kill()
        writer.wait()


WRITER = """
import sys
while True:  # the library and the command read one each; twice the text is a script, too
    with open(sys.argv[1], "w") as pipe:  # waits for a reader
        pipe.write("probe begin { print(1) }")
"""


def test_a_device_without_an_end_is_no_script() -> None:
    found = checked(Path("/dev/zero"))
    assert "text too large" in found.messages
    assert "text too large" in found.library


def test_a_missing_file_is_no_script(tmp_path: Path) -> None:
    found = checked(tmp_path / "missing.stp")
    assert "No such file" in found.messages
    assert "No such file" in found.library


@pytest.mark.root
def test_an_unreadable_file_is_no_script(tmp_path: Path) -> None:
    path = tmp_path / "secret.stp"
    path.write_text("probe begin { print(1) }")
    path.chmod(0)
    found = checked(path, user=NOBODY)
    assert "Permission denied" in found.messages or "missing" in found.messages
    assert "missing or unreadable" in found.library
