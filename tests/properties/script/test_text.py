"""What holds for any text: it is refused or understood, and what is understood prints back."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import prints_back

from bridge.diagnostics import Sink
from bridge.script import ast
from bridge.script.lex import Lexer
from bridge.script.library import Library
from bridge.script.options import AnalyseOptions
from bridge.script.parse import parse
from bridge.script.walk import children, walk
from bridge.source import SourceMap

OPTIONS = AnalyseOptions(guru=True, arguments=("1", "2", "3"))
_TEXT = """
probe global private function if else for foreach in limit return delete while break next
continue string long try catch begin x y a f printf print println printd @count @hist_log
@cast @define @defined @m $x $1 @1 $$ % ( ) [ ] { } , ; . + - * / = == <<< ++ -- -> => ? ! :
& && | || << >>> =~ "s" "%d" 0 1 0x9 %( %? %: %) %{ %} # /* */ //
"""
WORDS = _TEXT.split()


def parsed(text: str | bytes, options: AnalyseOptions = OPTIONS) -> ast.Script | None:
    sources, sink = SourceMap(), Sink()
    library = Library(sources, sink, options)
    script = parse(sources.add("t.stp", text), sources, sink, options, macros=library.macros)
    assert (script is None) == sink.failed
    return script


def assert_prints_back(script: ast.Script) -> None:
    assert prints_back(script, OPTIONS)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_any_words_are_refused_or_print_back(words: list[str]) -> None:
    script = parsed(" ".join(words))
    if script is not None:
        assert_prints_back(script)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=25), st.booleans())
def test_any_statements_are_refused_or_print_back(words: list[str], condition: bool) -> None:
    inner = " ".join(words)
    text = f"probe begin {{ if (x {inner}) y }}" if condition else f"probe begin {{ {inner} }}"
    script = parsed(text)
    if script is not None:
        assert_prints_back(script)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_lexed_to_the_end(data: bytes) -> None:
    source = SourceMap().add("t.stp", data)
    lexer = Lexer(source, ("one", "two"))
    at = source.base
    for token in iter(lexer.next, None):
        assert token.span.start >= at or "argument" in token.problem or "1" in source.text
        at = max(at, token.span.start)
    assert at <= source.base + len(data)


def own_library() -> list[Path]:
    folder = Path(str(resources.files("bridge.tapset")))
    return sorted(folder.glob("*.stp"))


@pytest.mark.parametrize("path", own_library(), ids=lambda p: p.name)
def test_the_library_prints_back(path: Path) -> None:
    script = parsed(path.read_bytes())
    assert script is not None
    assert_prints_back(script)


@pytest.mark.shared
def test_all_cases_print_back_and_their_spans_nest(reference: Path) -> None:
    count = 0
    for path in sorted((reference / "stap" / "run").glob("*.stp")):
        script = parsed(path.read_bytes())
        if script is None:
            continue
        count += 1
        assert_prints_back(script)
        # tokens of macros stand where the macro was defined
        if not any(word in path.read_bytes() for word in (b"@define", b"@prints")):
            assert_nested(script)
    assert count > 200


def assert_nested(script: ast.Script) -> None:
    """Every node lies within its parent."""
    for definition in script.definitions:
        for node in walk(definition):
            for child in children(node):
                assert node.span.start <= child.span.start
                assert child.span.end <= node.span.end
