"""The whole text of `stap -v -p2`: globals, functions, probes, types and what is run."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.script.options import AnalyseOptions
from tests.support.stap_front_end import (
    EXAMPLES,
    OPTIONS,
    Stap,
    library_without,
    listed_here,
    make_kernel,
)

pytestmark = pytest.mark.tools

SLOW = r"sysc_|syscall|nd_|nfs|aux_sys|signal|scsi|rpc|tcpmib|ipmib"
_MADE = "begin /* <- begin */\n{ ; }\n"
"""SystemTap's own probe, which looks at the conditions of the others when a session begins."""

SCRIPTS = {
    "aliases": """
        global n
        probe begin, end { println(1) }
        probe a1 = begin, end { x = 1 }
        probe a1.b = a1 { y = 1 }
        probe a1.b if (n), timer.s(1) { println(x + y) }
        probe k1 = k2 = begin { println(1) }, { println("e") }
        probe k1, k2 { println(2) }
        probe k3 += begin { println(3) }
        probe k3 { println(n) }""",
    "suffixes": """
        probe begin(2)!, end(5)? { println(2) }
        probe q.w = begin ?, end { x = 1 }
        probe q.w = timer.s(4) { x = 1 }
        probe q.w!, q.w ? { println(x) }
        probe nosuch.point ?, begin { println(1) }""",
    "conditions": """
        global n, m private global p
        probe q = begin ?, timer.s(3) { x = 1 }
        probe q if (n > 1) { println(x) }
        probe z = q if (n) { n++ }
        probe z if (n > 3 || m < 1) { println(x) m++ }
        probe timer.s(1) if (p), z if (p) { p++ x = 2 println(x) }""",
    "timers": """
        probe timer.ms(1000).randomize(30), timer.ms(100), timer.hz(10) { println(1) }
        probe timer.us(500), timer.ns(1000000), timer.jiffies(5), error { println(1) }""",
    "display": """
        global a, b, c, d, e, f, g, h[100], i%[5], j = "s", k = 4
        probe begin { a = 1; b = "s"; c <<< 3; d[1] = 2; e["x", 2] <<< 3; f[1] = "s"
            g["y", "z"] = 3; h[1]++; i["x"] = 1; println(j, k) }""",
    "order of globals": """
        global n private global pp, q global z, y = 1
        probe begin { pp = 3; n = pp; z = y; q = 1 }""",
    "overloads": """
        probe begin { a(1); println(1); if (a(2)) foreach (k in x) println(k)
            else { next; println(2) } x[1]++; b("x"); println(c("s") . d(3)) }
        function a:long(y) { return y; z = 3 }
        function a(y) { return 4; z = 3 }
        function b(s:string) { println(s) }
        function b(s) { next; println(s) }
        function c(a:string):2 { return a } function c(a:string):1 { next }
        private function d(q) { return sprint(q) }
        global x""",
    "leaving": """
        probe begin { if (f()) { for (;;) { break; println(3) } try { g() next } catch (e) {
            println(e) } next } println(1) if (g()) next else { h(1) } }
        function f() { next; println(1) } function g() { return 1; println(2) }
        function h(a) { next; println(3) }""",
    "what has no effect": """
        global n, s
        probe begin { if (n) { println(n) } else if (n > 4) {} if (n) {} else println(3)
            while (n) { n-- } for (i = 0; ; i++) { break } n == 1 || (n++); n && f(1)
            n ? f(2) : f(3); sprint(n, f(4)); x = 1; x = 2; {{ println(5) }} ; ;
            1 + f(2) * n; for (; n;) ; foreach (k in s) {} try {} catch { println(3) }
            s[1] = 2 }
        function f(x) { println(x) return 1 }""",
    "expressions": """
        global n, a
        probe begin { println(-1, -9223372036854775807-1, 0x10, 3*4+2*n, -n, ~n, !n, -(-n))
            println(1 ? 2 : 3, n ? 4 : 5) println("x\\ty\\\\z\\"", sprint(n) . "s")
            print_char(65); printd(":", 1, "2"); printdln(",", n, 2)
            println([1,"x"] in a, [*, "2"] in a) a[n, "y"] = n += 2; n = n = 3; ++n
            x = ++n + n--; println(x, n << 2 >> 3 & 1 | n ^ 3, n <= 1 || n != 3 && 2 > n)
            if ("a" =~ "b" || "c" !~ "d[e]") println(1) printf("%s %5.3d %%\\n\\t\\"", "x", 3)
            println(sprintf("%p %08x", 1, n)) }""",
    "arrays and statistics": """
        global a, st, lin
        probe begin { delete a[1, "y"]; delete a; a[1, "2"] = 3; st <<< 3; lin <<< 4
            foreach (v = [x-, y] in a limit 5) println(x, y, v)
            foreach ([x, y] in a-) println(x, y) foreach ([z, w] in a[1, *]) println(z, w)
            foreach (k = [z-, w] in a[1, *] limit 2 + 3) println(z, w, k)
            print(@hist_linear(lin, 0, 10, 2)); print(@hist_log(st)) println(@hist_log(st)[3])
            println(@avg(st), @count(st), @variance(st), @variance(st, 3), @min(st), @max(st))
            foreach (b in @hist_log(st)) println(b) }""",
    "functions of the library": """
        probe begin { println(execname(), pid(), tid(), strlen("x") + uid())
            log(ctime(gettimeofday_s())) printf("%s\\n", thread_indent(1)) exit() }
        probe timer.s(1) { if (isinstr("a", "b")) error("x") ansi_set_color(31) }""",
}

KNOWN = {
    "guest_m01_ctx": "pp() and pn() are known",
    "pr_pp": "pp() and pn() are known",
    "sem_break_outside": "refused",
    "sem_recursive_untyped": "refused",
    "sem_stat_misuse": "refused",
}
"""Reference scripts whose listing differs (docs/differences.md).

What SystemTap finds when it writes C, we find when the script is analysed.
"""
EVERY = int(os.environ.get("MARKBRIDGE_EVERY", "3"))
"""Each so-manieth reference script is compared."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SystemTap's library without system calls, which take their time, and without `stable`.

    What a function marked that way gives is kept for a whole probe, which shows in the listing.
    """
    return library_without(SLOW, tmp_path_factory.mktemp("library"), stable=False)


@pytest.fixture(scope="module")
def stap(tmp_path_factory: pytest.TempPathFactory, library: Path) -> Stap:
    return Stap(make_kernel(tmp_path_factory.mktemp("kernel")), library)


@pytest.fixture(scope="module")
def options(library: Path) -> AnalyseOptions:
    return replace(OPTIONS, include=(library,), own_tapset=False, assume_types=True, guru=True)


def _expected(stap: Stap, path: Path, *words: str) -> str | None:
    """What stap prints; None if it refuses the script here."""
    ran = stap.run("-g", "-p2", *words, str(path))
    conditional = re.search(r"^[^\n]* if \(.*/\*", ran.stdout, re.MULTILINE)
    return (ran.stdout.replace(_MADE, "") if conditional else ran.stdout) or None


def _own(path: Path, options: AnalyseOptions) -> str | None:
    return listed_here(path, options, verbose=True)


@pytest.mark.parametrize("name", SCRIPTS)
def test_listing(name: str, stap: Stap, options: AnalyseOptions, tmp_path: Path) -> None:
    path = tmp_path / "a.stp"
    path.write_text(SCRIPTS[name])

    expected = _expected(stap, path)

    assert expected is not None
    assert _own(path, options) == expected


@pytest.mark.shared
def test_listings_of_reference_scripts(
    stap: Stap, options: AnalyseOptions, reference: Path
) -> None:
    paths = sorted((reference / "stap" / "run").glob("*.stp"))
    paths = [p for p in paths if "process" not in p.read_text()]
    _compare(paths[::EVERY], stap, options, 150 // EVERY)


def test_listings_of_the_examples(stap: Stap, options: AnalyseOptions) -> None:
    plain = re.compile(r"^\s*probe\s+(begin|end|timer|oneshot)\b", re.MULTILINE)
    other = re.compile(r"^\s*probe\s+(?!begin|end|timer|oneshot|never|error)", re.MULTILINE)
    texts = {p: p.read_text("latin-1") for p in sorted(EXAMPLES.rglob("*.stp"))}
    paths = [p for p, text in texts.items() if plain.search(text) and not other.search(text)]
    _compare(paths, stap, options, 5)


def _compare(paths: list[Path], stap: Stap, options: AnalyseOptions, least: int) -> None:
    with ThreadPoolExecutor(2) as pool:
        expected = pool.map(lambda path: _expected(stap, path), paths)
        own = [_own(path, options) for path in paths]
        rows = list(zip(paths, expected, own, strict=True))
    accepted = [row for row in rows if row[1] is not None]
    print(f"{len(paths)} scripts, {len(accepted)} of them accepted here")
    differing = {path.stem for path, text, here in accepted if text != here}

    assert len(accepted) >= least
    assert differing == KNOWN.keys() & {path.stem for path in paths}
