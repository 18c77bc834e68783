"""Source -> ast.Script: lexer, preprocessor and grammar together, with error recovery.

Rule: after an error the parser goes on at the next definition, so one run reports several. The
parser's state decides what a word is (a keyword may be part of a probe point or a member name).
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

from bridge import parsing
from bridge.diagnostics import Diagnostic
from bridge.script import ast, errors
from bridge.script.builder import Builder, number
from bridge.script.expectations import VALUE, expectation
from bridge.script.lex import MAX_BYTES, Lexer
from bridge.script.options import AnalyseOptions
from bridge.script.preprocess import Preprocessor
from bridge.script.tokens import (
    EMBEDDED,
    IDENTIFIER,
    KEYWORD,
    NUMBER,
    OPERATOR,
    STRING,
    Token,
)
from bridge.script.walk import too_deep
from bridge.source import NOWHERE, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.diagnostics import Sink
    from bridge.script.preprocess import Macro
    from bridge.source import Source, SourceMap

STARTERS = frozenset({"probe", "private", "global", "function"})
_ASSIGNMENTS = frozenset(
    {"<<<", "+=", "-=", "*=", "/=", "%=", "<<=", ">>=", "&=", "^=", "|=", ".="}
)
_PRINTERS = {
    name: kind
    for kind, names in {
        "PRINT": "print sprint print_char",
        "PRINTLN": "println sprintln",
        "PRINTF": "printf sprintf",
        "PRINTD": "printd sprintd printdln sprintdln",
    }.items()
    for name in names.split()
}
_AT = {
    **dict.fromkeys(("@avg", "@count", "@sum", "@min", "@max"), "STAT"),
    **dict.fromkeys(("@perf", "@const", "@enum"), "AT_LITERAL"),
    "@probewrite": "AT_NAME",
    **dict.fromkeys(("@kregister", "@uregister"), "AT_REGISTER"),
    **dict.fromkeys(("@kderef", "@uderef"), "AT_DEREF"),
}
_GURU = frozenset({"@const", "@kregister", "@kderef"})
MAX_ERRORS = 200
MAX_NESTING = 1000
_STEPS_PER_LEVEL = 20

# trees are walked by recursion, a few Python frames per level
sys.setrecursionlimit(max(sys.getrecursionlimit(), MAX_NESTING * _STEPS_PER_LEVEL))


@cache
def _grammar() -> parsing.Grammar:
    return parsing.load("systemtap", Builder())


class _Stream:
    """Preprocessed tokens with one token of look-ahead."""

    def __init__(self, tokens: Preprocessor) -> None:
        self._tokens = tokens
        self._ahead: list[Token | None] = []

    def next(self) -> Token | None:
        return self._ahead.pop() if self._ahead else self._tokens.next()

    def peek(self) -> Token | None:
        if not self._ahead:
            self._ahead.append(self._tokens.next())
        return self._ahead[-1]


class _Parser:
    """One run over one text."""

    def __init__(self, stream: _Stream, end: Span, sink: Sink, options: AnalyseOptions) -> None:
        self._stream = stream
        self._end = end
        self._sink = sink
        self._options = options
        self._grammar = _grammar()
        self._feeder = self._grammar.feeder()
        self._in_function = False
        self._brackets: list[tuple[Token, Token | None]] = []
        self._last: Token | None = None
        self._names: dict[str, str] = {}
        self.errors = 0
        self.saw_tokens = False
        self._declaring = ""

    def run(self) -> list[ast.Definition] | None:
        """All definitions; None after an error."""
        while self.errors < MAX_ERRORS:
            try:
                token = self._stream.next()
                if token is None:
                    return self._finish()
                self.saw_tokens = True
                self._take(token)
            except errors.Refused as refused:
                self._fail(refused.diagnostic)
        return None

    def _finish(self) -> list[ast.Definition] | None:
        end = Token("end", "", self._end, type="$END")
        done, result = self._feeder.finish(end)
        if not done:
            self._fail(
                errors.parse(expectation(self._feeder.expected(), None, self._brackets), end)
            )
            return None
        assert isinstance(result, list)
        return None if self.errors else result

    def _fail(self, diagnostic: Diagnostic) -> None:
        self.errors += 1
        self._sink.report(diagnostic)
        self._feeder = self._grammar.feeder()
        self._brackets.clear()
        self._last = None
        self._declaring = ""
        self._recover()

    def _recover(self) -> None:
        while self.errors < MAX_ERRORS:
            try:
                token = self._stream.peek()
                if token is None or token.kind == EMBEDDED:
                    return
                if token.kind == KEYWORD and token.text in STARTERS:
                    return
                self._stream.next()
            except errors.Refused as refused:
                self.errors += 1
                self._sink.report(refused.diagnostic)

    # --- one token

    def _take(self, token: Token) -> None:
        token.type = self._terminal(token)
        self._check(token)
        if token.type == "NUMBER" and self._feeder.accepts("NUMBER"):
            number(token)
        if self._declaring and token.type == "IDENT" and not self._brackets:
            self._declare(token)
        if not self._feeder.feed(token):
            raise errors.Refused(self._unexpected(token))
        if token.kind == OPERATOR:
            self._bracket(token)
        self._last = token

    def _declare(self, token: Token) -> None:
        """A name in a declaration of globals is new in its file."""
        if self._last is None or self._last.text not in {"global", "private", ","}:
            return
        known = self._names.get(token.text)
        if known is not None:
            same = known == self._declaring
            message = errors.DUPLICATE_GLOBAL if same else errors.GLOBAL_CONFLICT
            raise errors.Refused(errors.parse(message, token))
        self._names[token.text] = self._declaring

    def _bracket(self, token: Token) -> None:
        if token.text in {"(", "[", "{"}:
            if len(self._brackets) >= MAX_NESTING:
                raise errors.Refused(errors.parse(errors.TOO_DEEP, token))
            self._brackets.append((token, self._last))
        elif token.text in {")", "]", "}"} and self._brackets:
            self._brackets.pop()

    def _check(self, token: Token) -> None:
        """What depends on more than the grammar."""
        if token.kind == KEYWORD:
            self._check_keyword(token)
        elif token.kind == OPERATOR and token.text in {"->", "["} and self._pretty():
            raise errors.Refused(errors.parse(errors.PRETTY_PATH, token))
        elif not self._options.guru and self._feeder.accepts(token.type):
            self._check_guru(token)

    def _check_guru(self, token: Token) -> None:
        message = ""
        if token.type == "EMBEDDED":
            inside = bool(self._brackets)
            message = errors.EMBEDDED_EXPR_GURU if inside else errors.EMBEDDED_GURU
        elif token.kind == OPERATOR and token.text in _GURU:
            message = errors.OPERATOR_GURU.format(token.text)
        if message:
            raise errors.Refused(errors.parse(message, token))

    def _check_keyword(self, token: Token) -> None:
        if not self._brackets and token.text in STARTERS:
            self._in_function = token.text == "function"
            self._declaring = self._declaration(token)
        returns = token.type in {"RETURN", "RETURN_VOID"} and not self._in_function
        if returns and self._feeder.accepts(token.type):
            raise errors.Refused(errors.parse(errors.NOT_IN_FUNCTION, token))

    def _declaration(self, token: Token) -> str:
        """What kind of globals a keyword of the top level begins to declare."""
        last = self._last
        private = self._declaring == "private" and last is not None and last.text == "private"
        if token.text == "private" or (token.text == "global" and private):
            return "private"
        return "global" if token.text == "global" else ""

    def _pretty(self) -> bool:
        """Whether the last token ended a pretty-printed target."""
        last = self._last
        if last is None or not last.text.endswith("$"):
            return False
        return last.type == "DOLLARS" or (
            last.type in {"TARGET", "MEMBER"} and last.text.strip("$") != ""
        )

    def _terminal(self, token: Token) -> str:
        kind, accepts = token.kind, self._feeder.accepts
        if accepts("WILDNAME") and (kind in {IDENTIFIER, KEYWORD} or token.is_operator("*")):
            self._join_wildcards(token)
            return "WILDNAME"
        if accepts("MEMBER") and kind in {IDENTIFIER, KEYWORD}:
            return "MEMBER"
        if kind == IDENTIFIER:
            return self._identifier(token)
        if kind == OPERATOR:
            return self._operator(token)
        if kind == KEYWORD:
            return self._keyword(token)
        if kind == STRING:
            self._join_strings(token)
            return "TEXT"
        return {NUMBER: "NUMBER", EMBEDDED: "EMBEDDED"}.get(kind, "JUNK")

    def _identifier(self, token: Token) -> str:
        text, accepts = token.text, self._feeder.accepts
        if text[0] == "$":
            if not text.strip("$") and accepts("DOLLARS"):
                return "DOLLARS"
            return "TARGET" if accepts("TARGET") else "IDENT"
        kind = _PRINTERS.get(text)
        return kind if kind is not None and accepts(kind) else "IDENT"

    def _operator(self, token: Token) -> str:
        text = token.text
        if text[0] == "@" and text in _AT:
            return _AT[text]
        if text in _ASSIGNMENTS and self._feeder.accepts("ASSIGN"):
            return "ASSIGN"
        return self._grammar.terminals.get(text, "UNKNOWN")

    def _keyword(self, token: Token) -> str:
        if token.text == "return":
            after = self._stream.peek()
            if after is not None and (after.is_operator(";") or after.is_operator("}")):
                return "RETURN_VOID"
        return self._grammar.terminals.get(token.text, "UNKNOWN")

    def _join_wildcards(self, token: Token) -> None:
        pieces = [token.text]
        while (after := self._stream.peek()) is not None and after.glued:
            if after.kind not in {IDENTIFIER, KEYWORD} and not after.is_operator("*"):
                break
            pieces.append(after.text)
            self._stream.next()
        if len(pieces) > 1:
            token.text = "".join(pieces)
            token.kind = IDENTIFIER if token.kind == KEYWORD else token.kind

    def _join_strings(self, token: Token) -> None:
        pieces = [token.text]
        while (after := self._stream.peek()) is not None and after.kind == STRING:
            pieces.append(after.text)
            self._stream.next()
        token.text = "".join(pieces)

    def _unexpected(self, token: Token) -> Diagnostic:
        if token.problem:
            return errors.parse(token.problem, token)
        opener = self._brackets[-1][1] if self._brackets else None
        if token.is_operator(")") and opener is not None and opener.type == "PRINTD":
            # SystemTap takes the bracket for a comma and stumbles over what follows
            return errors.parse(VALUE, self._stream.peek() or token)
        return errors.parse(expectation(self._feeder.expected(), token, self._brackets), token)


def parse(
    source: Source,
    sources: SourceMap,
    sink: Sink,
    options: AnalyseOptions | None = None,
    *,
    tapset: bool = False,
    macros: Callable[[], Mapping[str, Macro]] | None = None,
) -> ast.Script | None:
    """The tree of a text; None after errors, which are in the sink.

    `tapset` marks a library file, `macros` gives the macros of `.stpm` files on first use.
    """
    del sources
    options = options or AnalyseOptions()

    def closing(span: Span) -> None:
        sink.report(errors.warning("possible erroneous closing '}%', use '%}'?", span))

    if len(source.text) > MAX_BYTES:
        start = Span(source.base, source.base + 1)
        sink.report(Diagnostic("text-too-large", errors.TOO_LARGE, start, phase="parse"))
        return None
    if (nul := source.text.find("\0")) >= 0:
        at = Span(source.base + nul, source.base + nul + 1)
        sink.report(errors.warning(errors.ENDS_AT_NUL, at))
    lexer = Lexer(source, options.arguments, closing)
    tokens = Preprocessor(lexer, options, sink, macros or dict)
    end = Span(source.base + len(source.text), source.base + len(source.text))
    run = _Parser(_Stream(tokens), end, sink, options)
    definitions = run.run()
    if definitions is None:
        return None
    for definition in definitions:
        deep = too_deep(definition, MAX_NESTING)
        if deep is not None:
            sink.report(errors.parse(errors.TOO_DEEP, deep))
            return None
    if not run.saw_tokens and not tapset:
        what = " is empty after preprocessing." if lexer.saw_tokens else " is empty."
        message = f"Input file '{source.name}'{what}"
        sink.report(Diagnostic("empty-file", message, NOWHERE, phase="parse"))
        return None
    return ast.Script(source.name, tuple(definitions), tapset, frozenset(lexer.used))
