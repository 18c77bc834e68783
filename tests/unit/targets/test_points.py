"""Points without markers, and points that have no such shape: messages are SystemTap's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.markers import Begin, End, Error, Expansion, Never, NoMatch, Timer
from bridge.probes.live import LiveTargets
from bridge.probes.points import family_of
from tests.support.points import parts

if TYPE_CHECKING:
    from tests.unit.targets.conftest import Recorder


@pytest.fixture
def binder(recorded: Recorder) -> LiveTargets:
    return LiveTargets(recorded({}))


def one(binder: LiveTargets, point: str) -> Expansion:
    found = binder.expand(parts(point))
    assert not isinstance(found, NoMatch), found
    (expansion,) = found
    return expansion


@pytest.mark.parametrize(
    ("point", "attachment"),
    [
        ("begin", Begin(0)),
        ("begin(-5)", Begin(-5)),
        ("end", End(0)),
        ("end(7)", End(7)),
        ("error(2)", Error(2)),
        ("never", Never()),
        ("timer.s(1)", Timer(10**9)),
        ("timer.sec(86400)", Timer(86400 * 10**9)),
        ("timer.ms(20)", Timer(20 * 10**6)),
        ("timer.msec(1)", Timer(10**6)),
        ("timer.us(100)", Timer(100_000)),
        ("timer.usec(150)", Timer(150_000)),
        ("timer.ns(100000)", Timer(100_000)),
        ("timer.nsec(86400000000000)", Timer(86400 * 10**9)),
        ("timer.hz(10000)", Timer(100_000)),
        ("timer.hz(3)", Timer(333_333_333)),
        ("timer.jiffies(25)", Timer(250 * 10**6)),
        ("timer.s(3).randomize(3)", Timer(3 * 10**9, 3 * 10**9)),
        ("timer.ms(50).randomize(0)", Timer(50 * 10**6)),
        ("timer.jiffies(10).randomize(4)", Timer(100 * 10**6, 40 * 10**6)),
    ],
)
def test_points_without_marker(binder: LiveTargets, point: str, attachment: object) -> None:
    expansion = one(binder, point)

    assert expansion.attachment == attachment
    assert expansion.point == point
    assert expansion.variables == ()


@pytest.mark.parametrize(
    ("point", "part", "message"),
    [
        ("timer.s(0)", 0, "interval value out of range (1, 86400)"),
        ("timer.s(86401)", 0, "interval value out of range (1, 86400)"),
        ("timer.ms(0)", 0, "interval value out of range (1, 86400000)"),
        ("timer.us(99)", 0, "interval value out of range (100, 86400000000)"),
        ("timer.ns(99999)", 0, "interval value out of range (100000, 86400000000000)"),
        ("timer.hz(0)", 0, "frequency must be greater than 0"),
        ("timer.hz(10001)", 0, "interval value out of range (100000, 86400000000000)"),
        ("timer.jiffies(0)", 0, "invalid interval for jiffies timer"),
        ("timer.jiffies(1000001)", 0, "invalid interval for jiffies timer"),
        ("timer.jiffies(5).randomize(6)", 0, "invalid randomize for jiffies timer"),
        ("timer.s(1).randomize(2)", 0, "randomization value out of range"),
        ("timer.s(1).randomize(-1)", 0, "randomization value out of range"),
        ("timer.hz(5).randomize(1)", 2, "invalid suffix for probe"),
        ("begin.foo", 1, "invalid suffix for probe"),
        ("begin(1).foo", 1, "invalid suffix for probe"),
        ("timer.s(5).foo", 2, "invalid suffix for probe"),
        ('timer.s(3).randomize("x")', 2, "invalid suffix for probe"),
        ('process("a").mark("x").return', 2, "invalid suffix for probe"),
        (
            'process("a").provider("x")',
            1,
            "probe point truncated (follow:  mark(string))",
        ),
        (
            "kernel",
            0,
            "probe point truncated (follow:  data(number) data(string) function(number)"
            " function(string) mark(string) statement(number) statement(string) trace(string))",
        ),
        (
            'process("x").insn',
            1,
            "probe point `process.insn` is not supported by markbridge: programs are not"
            " single-stepped; perf.type(0).config(1) counts instructions",
        ),
    ],
)
def test_refused_points(binder: LiveTargets, point: str, part: int, message: str) -> None:
    found = binder.expand(parts(point))

    assert isinstance(found, NoMatch)
    assert (found.part, found.message) == (part, message)
    assert found.code != "no-match"  # the message says why


@pytest.mark.parametrize(
    ("point", "part", "near"),
    [
        ("timer.foo(1)", 1, ("s", "hz", "ms", "ns", "us")),
        ('timer.s("a")', 1, ("s", "ms", "ns", "us", "hz")),
        ("timer.s", 1, ("s", "ms", "ns", "us", "hz")),
        ('procss("x").mark("y")', 0, None),
        ('process("x").mark(4)', 1, None),
        ("kernel.trace(3)", 1, ("trace", "data", "mark", "function", "statement")),
    ],
)
def test_mismatches_suggest_what_is_near(
    point: str, part: int, near: tuple[str, ...] | None
) -> None:
    found = family_of(parts(point))

    assert isinstance(found, NoMatch)
    assert (found.part, found.message) == (part, "probe point mismatch")
    assert near is None or found.similar == near
    assert found.similar


def test_component_names_take_wildcards(recorded: Recorder) -> None:
    targets = LiveTargets(recorded({}))

    def found(point: str) -> list[str]:
        places = targets.expand(parts(point))
        return [] if isinstance(places, NoMatch) else [place.point for place in places]

    assert found("*") == ["begin", "end", "error", "never"]
    assert found("e*(2)") == ["end(2)", "error(2)"]
    # microseconds and nanoseconds are out of range
    units = ("hz", "jiffies", "ms", "msec", "s", "sec")
    assert found("timer.*(5)") == [f"timer.{unit}(5)" for unit in units]
    assert found("timer.x*(5)") == []


def test_a_wildcard_that_finds_nothing_says_why(recorded: Recorder) -> None:
    found = LiveTargets(recorded({"/bin/app": "no program"})).expand(
        parts('process("/bin/app").*("x")')
    )

    assert isinstance(found, NoMatch)
    assert {reason.code for reason in found.reasons} == {"not-elf"}
