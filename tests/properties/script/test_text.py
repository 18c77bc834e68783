"""What holds for any text: it is refused or understood, and what is understood prints back."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bridge.diagnostics import Sink
from bridge.script.library import Library
from bridge.script.options import AnalyseOptions
from bridge.script.syntax import ast
from bridge.script.syntax.lex import Lexer
from bridge.script.syntax.parse import parse
from bridge.script.syntax.walk import children, walk
from bridge.source import SourceMap
from tests.support.trees import prints_back

OPTIONS = AnalyseOptions(guru=True, arguments=("1", "2", "3"))
_TEXT = """
probe global private function if else for foreach in limit return delete while break next
continue string long try catch begin x y a f printf print println printd @count @hist_log
@cast @define @defined @m $x $1 @1 $$ % ( ) [ ] { } , ; . + - * / = == <<< ++ -- -> => ? ! :
& && | || << >>> =~ "s" "%d" 0 1 0x9 %( %? %: %) %{ %} # /* */ //
"""
WORDS = _TEXT.split()


def _joined(words: list[str]) -> bytes:
    return " ".join(words).encode()


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


_BETWEEN = re.compile(r"(?s)(?:\s|\x00.*|#[^\n]*|//[^\n]*|/\*(?:.*?\*/|.*))*")
"""What may lie between two tokens: white space, comments, all behind a NUL."""


_PASTED = re.compile(rb"[$@]#[A-Za-z0-9_$]")
"""The number of arguments and text behind it: one token, which has the place of `$#` alone."""


def assert_tiled(data: bytes) -> None:
    """Tokens, white space and comments are the text, without a gap and without an overlap."""
    source = SourceMap().add("t.stp", data)
    at = 0
    for token in iter(Lexer(source).next, None):
        start, end = token.span.start - source.base, token.span.end - source.base
        assert _BETWEEN.fullmatch(source.text[at:start]), source.text[at : start + 20]
        assert start < end or token.problem
        at = end
    assert _BETWEEN.fullmatch(source.text[at:])


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.lists(st.sampled_from(WORDS)).map(_joined)))
def test_tokens_cover_every_byte(data: bytes) -> None:
    assume(not _PASTED.search(data))
    assert_tiled(data)


@pytest.mark.tools
def test_tokens_cover_every_byte_of_systemtaps_scripts() -> None:
    paths = systemtaps()
    assert len(paths) > 700
    for path in paths:
        assert_tiled(path.read_bytes())


def systemtaps() -> list[Path]:
    """All scripts that Debian's packages bring."""
    folder = Path("/usr/share/systemtap")
    return [*sorted(folder.rglob("*.stp")), *sorted(folder.rglob("*.stpm"))]


def uses_macros(data: bytes) -> bool:
    """Whether any `@name` is no operator of the language."""
    tokens = iter(Lexer(SourceMap().add("t.stp", data)).next, None)
    names = {token.text for token in tokens if token.text.startswith("@") and token.text[1:]}
    return not names <= AT_WORDS


AT_WORDS = {
    f"@{word}"
    for word in [
        "avg",
        "cast",
        "const",
        "count",
        "defined",
        "entry",
        "enum",
        "enumname",
        "hist_linear",
        "hist_log",
        "kderef",
        "kregister",
        "max",
        "min",
        "perf",
        "probewrite",
        "sum",
        "uderef",
        "uregister",
        "var",
        "variance",
    ]
}


@pytest.mark.tools
def test_nodes_nest_in_systemtaps_scripts() -> None:
    """Where no macro is used: the tokens of one stand where it was defined."""
    options = replace(OPTIONS, compatible="4.8")
    count = 0
    for path in systemtaps():
        if not uses_macros(path.read_bytes()):
            script = parsed(path.read_bytes(), options)
            if script is not None:
                count += 1
                assert_nested(script)
    assert count > 200


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
