"""`check`, `explain` and `run` accept the same scripts; what cannot be attached has a place."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.cli import main
from bridge.codegen.bpf.generate import generate
from bridge.errors import CompileError
from bridge.markers import (
    Expansion,
    Kind,
    MarkerAttachment,
    RawArgument,
    TracepointField,
    ValueType,
    Variable,
)
from bridge.pipeline import compile_script
from bridge.source import SourceMap
from tests.support import scripts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.artifact import Placed

ROOT = Path(__file__).resolve().parents[3]
CASES = ROOT / "tests" / "cases"
SCRIPTS = [
    *(path for kind in ("functions", "ir", "run") for path in (CASES / kind).glob("*.stp")),
    *(ROOT / "examples").glob("*.stp"),
]
"""Those of system calls take seconds each; tests/e2e runs them."""
RING = 1 << 20


def up_to_attaching(_arguments: object, placed: Placed, _output: int) -> int:
    """What `run` does before it asks the kernel for anything.

    Handlers in user space are compiled by the tests of these scripts themselves.
    """
    if placed.hooks:
        generate(placed, RING)
    return 0


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("bridge.cli.run._run_live", up_to_attaching)
    monkeypatch.setattr("bridge.cli.cache.entry", lambda *_: None)
    monkeypatch.setattr("gc.disable", lambda: None)
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("script", sorted(SCRIPTS), ids=lambda p: f"{p.parent.name}/{p.name}")
def test_the_verdict_is_the_same(script: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options = ["-g"] if "%{" in script.read_text() else []

    said = {}
    for command in ("check", "explain", "run"):
        code = main([command, *options, str(script)])
        said[command] = code, [line for line in capfd.readouterr().err if "error[" in line]

    assert said["check"] == said["explain"] == said["run"]


# --- what was refused late, on a machine that is none ----------------------------------------


def refused(
    monkeypatch: pytest.MonkeyPatch, marker: Expansion, text: str, *, record: bool = False
) -> tuple[str, str]:
    """The code of the one diagnostic, and the text that it points at."""
    monkeypatch.setitem(scripts.MARKERS, "here", marker)
    sources = SourceMap()
    source = sources.add("a.stp", text)
    with pytest.raises(CompileError) as error:
        compile_script(source, sources, scripts.DemoTargets(), record=record)
    [told] = error.value.diagnostics
    start, end = told.span.start - source.base, told.span.end - source.base
    return told.code, text[start:end]


def changed(**values: object) -> Expansion:
    return Expansion(MarkerAttachment(replace(scripts.HIT, **values)), "here")


UNSAFE = changed(sites=(replace(scripts.HIT.sites[0], unsafe="of the red zone"),))
MIXED = Expansion(
    MarkerAttachment(
        replace(
            scripts.SWITCH,
            variables=(
                Variable("only", ValueType.LONG, (TracepointField(24, 4, signed=True),)),
                Variable("arg", ValueType.LONG, (RawArgument(0),), raw=RawArgument(0)),
            ),
        )
    ),
    "here",
)
BOTH = (
    'probe kernel.trace("here") { println($only) } probe kernel.trace("here") { println($arg) }'
)


def test_an_unsafe_site(monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'probe begin { } probe process("p").mark("here") { println(1) }'

    assert refused(monkeypatch, UNSAFE, text) == (
        "unsafe-site",
        'process("p").mark("here")',
    )


def test_an_unsafe_site_that_a_wildcard_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(scripts.MARKERS, "here", UNSAFE)

    compiled = scripts.compile_text('probe process("p").mark("here") ? { println(1) }')

    assert compiled.placed.hooks


def test_a_field_and_an_argument_of_one_recorded_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    code, where = refused(monkeypatch, MIXED, BOTH, record=True)

    assert (code, where) == ("field-and-argument", 'kernel.trace("here")')


def test_live_each_handler_has_a_program_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(scripts.MARKERS, "here", MIXED)

    assert generate(scripts.compile_text(BOTH).placed, RING).programs


@pytest.mark.parametrize("name", ["only", "arg"])
def test_each_alone_is_accepted(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(scripts.MARKERS, "here", MIXED)

    compiled = scripts.compile_text(f'probe kernel.trace("here") {{ println(${name}) }}')

    assert generate(compiled.placed, RING).programs


def test_kinds_that_have_both_are_left_alone() -> None:
    assert MIXED.attachment.marker.kind is Kind.TRACEPOINT
