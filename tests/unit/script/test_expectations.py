"""What is said against a token: the table of places fits the grammar, and is complete."""

from __future__ import annotations

import pytest

from bridge import parsing
from bridge.diagnostics import Sink, render
from bridge.script.options import AnalyseOptions
from bridge.script.syntax.builder import TreeBuilder
from bridge.script.syntax.expectations import PLACES, sentence
from bridge.script.syntax.parse import parse
from bridge.source import SourceMap


@pytest.fixture(scope="module")
def grammar() -> parsing.Grammar:
    return parsing.load("systemtap", TreeBuilder())


def test_every_place_of_the_table_is_one_of_the_grammar(grammar: parsing.Grammar) -> None:
    places = {place for places in grammar.positions.values() for place in places}
    assert [place for place in PLACES if place not in places] == []


def test_every_state_says_something_or_returns(grammar: parsing.Grammar) -> None:
    for state, places in grammar.positions.items():
        if state == grammar.end:
            continue
        settles = state in grammar.settled
        said = sentence(places, settles=settles)
        assert settles or (said is not None and not said.only), places
        assert sum(place in PLACES for place in places) <= 1, places


def rendered(text: str) -> list[str]:
    sources, sink = SourceMap(), Sink()
    source = sources.add("x.stp", text.encode())
    assert parse(source, sources, sink, AnalyseOptions(conditions={"arch": "x86_64"})) is None
    return render(sink.errors[0], sources).splitlines()


@pytest.mark.parametrize(
    ("before", "pad"),
    [
        ("probe end { x = 1 ", " " * 18),
        ("\tprobe end {\tx = 1 ", "\t           \t      "),
        ('probe end { x = "äö" ', " " * 21),
        ('probe end { x = "日本" ', " " * 23),
        ('probe end { x = "e\u0301" ', " " * 20),
    ],
)
def test_the_caret_stands_under_the_token(before: str, pad: str) -> None:
    assert rendered(f"# ä\n{before}) }}\n")[3:] == [f"2 | {before}) }}", f"  | {pad}^"]


def test_macros_are_followed_to_the_script() -> None:
    assert rendered("@define n %( ) %) @define m %( @n %)\nprobe end { @m }")[5:] == [
        "  = in expansion of macro @n at x.stp:1:32",
        "  |",
        "1 | @define n %( ) %) @define m %( @n %)",
        "  |                                ^^",
        "  = in expansion of macro @m at x.stp:2:13",
        "  |",
        "2 | probe end { @m }",
        "  |             ^^",
    ]
