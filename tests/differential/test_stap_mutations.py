"""Scripts with random mistakes: the verdict, the errors, their places and tokens of `stap -p1`.

MARKBRIDGE_MUTATIONS says how many (the standard run takes some, from seed 0 on). What may
differ is a kind of message, never a script: `DIFFERENT`, told in docs/differences.md.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from string import whitespace

import pytest

from bridge.diagnostics import LONGEST_LINE
from bridge.script.errors import ARRAY_SIZE
from bridge.script.syntax.parse import MAX_ERRORS
from bridge.source import Source
from tests.support.mutations import mutated
from tests.support.stap_front_end import (
    EXAMPLES,
    LIBRARY,
    OPTIONS,
    Crashed,
    Excerpt,
    Said,
    Stap,
    Verdict,
    macros_only,
    make_kernel,
    parse_here,
)

COUNT = int(os.environ.get("MARKBRIDGE_MUTATIONS", "150"))
CASES = Path(__file__).resolve().parents[1] / "cases"
LARGEST = 12_000
MACROS = replace(OPTIONS, own_tapset=False)
"""Only SystemTap's."""
DIFFERENT = {ARRAY_SIZE}
"""Messages that have a place here, and none in SystemTap."""


@dataclass(frozen=True)
class Mutation:
    """A script with mistakes in it, and how it is run."""

    origin: Path
    text: bytes
    guru: bool
    arguments: tuple[str, ...]


@pytest.fixture(scope="module")
def stap(tmp_path_factory: pytest.TempPathFactory) -> Stap:
    return Stap(
        make_kernel(tmp_path_factory.mktemp("kernel")),
        macros_only(tmp_path_factory.mktemp("macros")),
    )


@pytest.fixture(scope="module")
def origins() -> list[Path]:
    """The scripts that are mutated: SystemTap's examples and library, and our cases."""
    paths = [
        path for root in (EXAMPLES, LIBRARY, CASES) for path in sorted(root.rglob("*.stp"))
    ]
    return [path for path in paths if path.stat().st_size <= LARGEST]


def mutation(seed: int, origins: list[Path]) -> Mutation:
    random = Random(seed)
    origin = random.choice(origins)
    text = mutated(random, origin.read_bytes().decode("latin-1")).encode("latin-1")
    return Mutation(origin, text, random.random() < 0.5, random.choice(((), ("1", "a b"))))


def compared(verdict: Verdict) -> Verdict:
    """The verdict without what differs on purpose, and with as many errors as we tell."""

    def one(said: Said) -> Said:
        message = said.message.partition(": ")[0]
        return Said(message, None) if message in DIFFERENT else said

    return replace(verdict, errors=tuple(map(one, verdict.errors[:MAX_ERRORS])))


def shown(excerpts: list[Excerpt]) -> list[Excerpt]:
    """What SystemTap shows, as we show it: its carets count bytes, ours characters.

    It does not know what is behind a NUL byte, and the widths of all characters here are one.
    """
    found = []
    for line, pad in excerpts:
        if not line[: len(pad)].isascii():
            before = Source.decode(line[: len(pad)])
            pad = "".join(c if c in whitespace else " " for c in before)  # noqa: PLW2901
        found.append((Source.decode(line), pad))
    return found


@dataclass(frozen=True)
class Outcome:
    """What one of the two said."""

    verdict: Verdict
    excerpts: list[Excerpt]


def theirs(stap: Stap, case: Mutation, path: Path) -> Outcome | None:
    """None: stap ended early, as told in docs/differences.md."""
    path.write_bytes(case.text)
    try:
        verdict, excerpts = stap.parse_and_show(path, *case.arguments, guru=case.guru)
    except Crashed:
        return None
    finally:
        path.unlink()
    return Outcome(compared(verdict), shown(excerpts))


def ours(case: Mutation) -> Outcome:
    parsed = parse_here(case.text, *case.arguments, guru=case.guru, options=MACROS)
    excerpts = [(line.partition("\0")[0], pad) for line, pad in parsed.shown]
    return Outcome(compared(parsed.verdict), excerpts)


def comparable(outcome: Outcome) -> bool:
    """Whether all that is shown is shown in full here, too."""
    verdict, excerpts = outcome.verdict, outcome.excerpts
    return (
        len(verdict.errors) < MAX_ERRORS
        and all(said.message not in DIFFERENT for said in verdict.errors)
        and all(len(line) <= LONGEST_LINE for line, _ in excerpts)
    )


@pytest.mark.tools
def test_mistakes_are_told_as_stap_tells_them(
    stap: Stap, origins: list[Path], tmp_path: Path
) -> None:
    cases = (mutation(seed, origins) for seed in range(COUNT))
    wrong, survived, errors, lines = [], 0, 0, 0
    # stap runs beside us
    with ThreadPoolExecutor(2) as pool:
        asked = pool.map(
            lambda seed: theirs(stap, mutation(seed, origins), tmp_path / f"{seed}.stp"),
            range(COUNT),
        )
        for seed, (case, expected) in enumerate(zip(cases, asked, strict=True)):
            if expected is None:
                continue
            own = ours(case)
            survived += 1
            errors += len(own.verdict.errors)
            if own.verdict != expected.verdict:
                wrong.append((seed, str(case.origin), expected.verdict, own.verdict))
            elif comparable(expected):
                lines += len(expected.excerpts)
                if own.excerpts != expected.excerpts:
                    wrong.append((seed, str(case.origin), expected.excerpts, own.excerpts))
    print(f"{survived} of {COUNT} scripts compared, {errors} errors, {lines} lines shown")
    assert survived > 0.98 * COUNT
    assert errors > COUNT / 2
    assert lines > COUNT / 4
    assert wrong == []


ODD = [
    'probe end { printd(",", a) b) c }',
    'probe end { printd(",") a) b) }',
    'probe end { printd(",", a) }',
    "probe end { print(@count(x y z 5) @avg(x, 3)) }",
    "probe end { print(@variance(x, 3, 4)) }",
    "probe end { print(@variance(x - 1 2 3, 3 4) @variance(x, -)) }",
    "probe end { foreach (k in @avg) next; if (x in @foo) next }",
    "probe end { foreach (k in a @foo) next }",
    "probe end { foreach (k in a @sum) next }",
    "probe end { foreach (v+ = [k, l-] in a) next }",
    "probe end { foreach ([k+ l] in a) next }",
    "probe end { x = ++-5 + &-5; y = ++-x }",
    "probe end { print(@hist_log(x)[1] + 2) }",
    "probe end { print_char(@hist_log(x)) }",
    "probe end { print(@hist_log(x)[1], @hist_log(x)) }",
    "probe end { x = @hist_linear(x, 1, 2, 3) }",
    "probe end { x = [a, b] }",
    "probe end { x = $a$ $; y = x$ $; z = $a->$->b }",
    'probe kernel.function("x") { return }',
    "global a, b private a probe a.b = c += d { } , { } probe end { }",
    "global a[5] = 3, b[-1], c%[2",
    "global a = 5 6 global a",
    "private probe end { } private function global private global 5",
    "function f(a, b, a) { } function g(a:string b) { } function h(a,) { } function 5",
    'function f():5 { } function g():"x" { } function h():0 { } function i(x):long:string { }',
    "probe {a, b}? ? { } probe {a?, b}! { } probe {a if (x), b} if (y) { }",
    "probe {a, b} = c { } probe a? = c { } probe a.{b, c = d { }",
    "probe a, b = c { } probe a b { } probe a if x { } probe a(b) { } probe a(1 { }",
    'probe end { printf("%z") } probe end { printf("%5") } probe end { printf(x) }',
    'probe end { x = @cast(y, "") } probe end { x = @cast(y, z) } probe end { x = @cast(y) }',
    'probe end { x = @const("") } probe end { x = @perf("") } probe end { x = @enum("A") }',
    "probe end { x = y =~ 5 } probe end { x =~ y } probe end { x = a ? b } probe end { a->5 }",
    "probe end { for (;;) } probe end { for (5 6;;) } probe end { for (;x y;) }",
    "probe end { if x } probe end { while () } probe end { try { } } probe end { try x",
    "probe end { try { } catch (5) { } } probe end { delete } probe end { else }",
    "%{ a %} probe end { %{ b %} } function f() %{ c %} global x = %{ d %}",
    "@define a(b) %( @b %) @define a %( %) @define define %( %) @define (",
    "@define a(b, %( %) probe end { @a }",
    "@define a(b) %( @b %) probe end { x = @a",
    "%( 1 == 1 %? probe end { %: } %( 2 %) %) %: %)",
    '%( arch %) %( arch == %? %( arch == 5 %? %) %( "a" == 1 %? %) %( x == 1 %? %)',
    "probe end { x = 08 } probe end { x = 18446744073709551616 } probe end { x = (y 08) }",
    'probe end {\n\t\tx = "\xc3\xa4\xe2\x82\xac"\t)\n}\nprobe \xc3\xa4\n',
    "probe end { \f\v\r ) }",
    '%( 1 == 2 %? x %) "y',
    "$1 @2 $# @# $99 @0",
]


@pytest.mark.tools
@pytest.mark.parametrize("guru", [False, True])
def test_odd_scripts_are_told_as_stap_tells_them(
    stap: Stap, tmp_path: Path, guru: bool
) -> None:
    path, wrong = tmp_path / "odd.stp", []
    for text in ODD:
        # and each end of it
        for end in (len(text), len(text) // 2, len(text) - 2, len(text) - 4):
            case = Mutation(path, text[:end].encode("latin-1"), guru, ("1", "a b"))
            expected = theirs(stap, case, path)
            if expected is not None and expected != (own := ours(case)):
                wrong.append((case.text, expected, own))
    assert wrong == []
