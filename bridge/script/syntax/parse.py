"""Source -> ast.Script: lexer, preprocessor and grammar together, with error recovery.

Rule: after an error the parser goes on at the next definition, as SystemTap does, so one run
reports several. The parser's state decides what a word is (a keyword may be part of a probe
point or a member name), and the error message for an unexpected token (`expectations`).
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

from bridge import parsing
from bridge.diagnostics import Diagnostic
from bridge.script import errors
from bridge.script.options import AnalyseOptions
from bridge.script.syntax import ast
from bridge.script.syntax.builder import TreeBuilder, number
from bridge.script.syntax.conditions import compare_versions
from bridge.script.syntax.expectations import Sentence, sentence
from bridge.script.syntax.lex import MAX_BYTES, Lexer
from bridge.script.syntax.preprocess import Preprocessor
from bridge.script.syntax.tokens import (
    EMBEDDED,
    IDENTIFIER,
    KEYWORD,
    NUMBER,
    OPERATOR,
    STRING,
    Token,
)
from bridge.script.syntax.walk import too_deep
from bridge.source import NOWHERE, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.diagnostics import Sink
    from bridge.script.syntax.preprocess import Macro
    from bridge.source import Source, SourceMap

STARTERS = frozenset({"probe", "private", "global", "function"})
_ASSIGNMENTS = frozenset(
    {"<<<", "+=", "-=", "*=", "/=", "%=", "<<=", ">>=", "&=", "^=", "|=", ".="}
)
PRINTERS = {
    name: kind
    for kind, names in {
        "PRINT": "print sprint",
        "PRINTCHAR": "print_char",
        "PRINTLN": "println sprintln",
        "PRINTF": "printf sprintf",
        "PRINTD": "printd sprintd printdln sprintdln",
    }.items()
    for name in names.split()
}
_AT = {
    **dict.fromkeys(("@avg", "@count", "@sum", "@min", "@max"), "STAT"),
    **dict.fromkeys(("@perf", "@enum"), "AT_LITERAL"),
    "@const": "AT_CONST",
    "@probewrite": "AT_NAME",
    **dict.fromkeys(("@kregister", "@uregister"), "AT_REGISTER"),
    **dict.fromkeys(("@kderef", "@uderef"), "AT_DEREF"),
}
_SHOWN = {"@hist_log": "SHOWN_LOG", "@hist_linear": "SHOWN_LINEAR"}
_SINCE = {"@enum": "5.5", "@enumname": "5.6"}
_GURU = frozenset({"@const", "@kregister", "@kderef"})
_LEFT = frozenset(
    {
        *("LPAR", "RPAR", "LSQB", "RSQB", "RBRACE", "COMMA", "SEMICOLON", "DOT"),
        *("GLOBAL", "PRIVATE", "FUNCTION", "ELSE", "LIMIT"),
    }
)
"""Terminals that SystemTap does not keep: where the text ends behind them, it shows none."""
_STARTING = frozenset({"PROBE", "PRIVATE", "GLOBAL", "FUNCTION"})
MAX_ERRORS = 200
MAX_NESTING = 1000
_STEPS_PER_LEVEL = 20

# trees are walked by recursion, a few Python frames per level
sys.setrecursionlimit(max(sys.getrecursionlimit(), MAX_NESTING * _STEPS_PER_LEVEL))


@cache
def _grammar() -> parsing.Grammar:
    return parsing.load("systemtap", TreeBuilder())


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

    def put_back(self, token: Token) -> None:
        """Give this token next."""
        self._ahead.append(token)

    def pass_over(self) -> None:
        """Leave out what no definition can begin with, as far as that is seen quickly."""
        if not self._ahead:
            self._tokens.pass_over()


class _Parser:
    """One run over one text."""

    def __init__(self, stream: _Stream, end: Span, sink: Sink, options: AnalyseOptions) -> None:
        self._stream = stream
        self._end = Token("end", "", end, type="$END")
        self._sink = sink
        self._options = options
        self._grammar = _grammar()
        self._feeder = self._grammar.feeder()
        self._in_function = False
        self._depth = 0
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
            except errors.RefusedAhead as refused:
                shown = None if self._last is None or self._last.type in _LEFT else self._last
                self._fail(errors.Refused(errors.parse(refused.message, shown or self._end)))
            except errors.Refused as refused:
                self._fail(refused)
        return None

    def _finish(self) -> list[ast.Definition] | None:
        try:
            done, result = self._feeder.finish(self._end)
            said = None if done else self._sentence(None)
        except errors.RefusedAhead as refused:
            raise errors.Refused(errors.parse(refused.message, self._end)) from None
        if said is not None:
            last = self._last
            shown = last is not None and (said.shows is None or last.type in said.shows)
            raise errors.Refused(
                errors.parse(errors.unexpected(said.at_end), last if shown else self._end)
            )
        assert isinstance(result, list)
        return None if self.errors else result

    def _fail(self, refused: errors.Refused) -> None:
        self._report(refused.diagnostic)
        self._feeder = self._grammar.feeder()
        self._depth = 0
        self._last = None
        self._declaring = ""
        if not refused.resumes:
            self._recover()

    def _report(self, diagnostic: Diagnostic) -> None:
        self.errors += 1
        self._sink.report(diagnostic)

    def _recover(self) -> None:
        """Leave out all up to the next definition."""
        while self.errors < MAX_ERRORS:
            try:
                self._stream.pass_over()
                token = self._stream.peek()
                if token is None or token.kind == EMBEDDED:
                    return
                if token.kind == KEYWORD and token.text in STARTERS:
                    return
                self._stream.next()
            except errors.RefusedAhead as refused:
                self._report(errors.parse(refused.message, self._end))
            except errors.Refused as refused:
                self._report(refused.diagnostic)

    # --- one token

    def _take(self, token: Token) -> None:
        token.type = self._terminal(token)
        self._check(token)
        self._join(token)
        try:
            said = None if self._feeder.feed(token) else self._sentence(token)
        except errors.RefusedAhead as refused:
            self._stream.put_back(token)
            raise errors.Refused(errors.parse(refused.message, token)) from None
        except errors.Refused:
            self._stream.put_back(token)
            raise
        if said is not None:
            self._say(said, token)
        elif token.kind == OPERATOR:
            self._count_brackets(token)
        self._last = token

    def _sentence(self, token: Token | None) -> Sentence:
        """What is said in this state, or in that of a caller (None: at the end of the text)."""
        while True:
            said = sentence(self._feeder.positions(), settles=self._feeder.settles())
            if said is not None and token is not None:
                said = said.against(token)
            if said is not None and not (said.only and token is None):
                return said
            settled = self._feeder.settle()
            assert settled

    def _say(self, said: Sentence, token: Token) -> None:
        """Refuse a token that does not fit, unless SystemTap passes over it."""
        if said.peeked:
            self._stream.put_back(token)
        message = errors.unexpected(said.text)
        if token.kind == OPERATOR and token.text[0] == "@" and self._feeder.accepts("TARGET"):
            message = errors.UNKNOWN_OPERATOR.format(token.text)
        if message:
            raise errors.Refused(errors.parse(message, token))

    def _count_brackets(self, token: Token) -> None:
        if token.text in {"(", "[", "{"}:
            if self._depth >= MAX_NESTING:
                raise errors.Refused(errors.parse(errors.TOO_DEEP, token))
            self._depth += 1
        elif token.text in {")", "]", "}"} and self._depth:
            self._depth -= 1

    # --- what depends on more than the grammar

    def _check(self, token: Token) -> None:
        """Refuse what the grammar would take, in the order in which SystemTap does."""
        if token.type in _STARTING:
            self._start(token.type)
        elif token.type in {"RETURN", "EMBEDDED"} or token.text in _GURU:
            self._check_context(token)
        elif token.type == "NUMBER":
            self._check_number(token)
        elif token.type == "IDENT" and self._declaring and not self._depth:
            self._declare(token)
        elif token.kind == OPERATOR and token.text in {"->", "["} and self._pretty():
            raise errors.Refused(errors.parse(errors.PRETTY_PATH, token))

    def _start(self, terminal: str) -> None:
        """What a keyword of the top level begins."""
        if not self._feeder.fits(terminal):
            return
        self._in_function = terminal == "FUNCTION"
        private = self._last is not None and self._last.type == "PRIVATE"
        if terminal == "PRIVATE" or (terminal == "GLOBAL" and private):
            self._declaring = "private"
        else:
            self._declaring = "global" if terminal == "GLOBAL" else ""

    def _check_context(self, token: Token) -> None:
        """`return`, and what needs -g; refused only where the grammar takes it."""
        message, again = None, False
        if token.type == "RETURN":
            message = None if self._in_function else errors.NOT_IN_FUNCTION
        elif not self._options.guru:
            again = token.type == "EMBEDDED" and self._feeder.fits("TARGET")
            message = errors.OPERATOR_GURU.format(token.text)
            if token.type == "EMBEDDED":
                message = errors.EMBEDDED_EXPR_GURU if again else errors.EMBEDDED_GURU
        if message and self._feeder.fits(token.type):
            if again:
                self._stream.put_back(token)
            resumes = token.type != "RETURN"
            raise errors.Refused(errors.parse(message, token), resumes=resumes)

    def _check_number(self, token: Token) -> None:
        try:
            number(token)
        except errors.Refused:
            if self._feeder.fits("NUMBER"):
                raise

    def _declare(self, token: Token) -> None:
        """A name in a declaration of globals is new in its file."""
        if self._last is None or self._last.type not in {"GLOBAL", "PRIVATE", "COMMA"}:
            return
        known = self._names.get(token.text)
        if known is not None:
            same = known == self._declaring
            message = errors.DUPLICATE_GLOBAL if same else errors.GLOBAL_CONFLICT
            raise errors.Refused(errors.parse(message, token))
        self._names[token.text] = self._declaring

    def _pretty(self) -> bool:
        """Whether the last token ended a pretty-printed target."""
        last = self._last
        if last is None or not last.text.endswith("$"):
            return False
        return last.type in {"DOLLARS", "MEMBER"} or (
            last.type == "TARGET" and last.text.strip("$") != ""
        )

    # --- what a token is here

    def _terminal(self, token: Token) -> str:
        kind, accepts = token.kind, self._feeder.accepts
        if accepts("WILDNAME") and (kind in {IDENTIFIER, KEYWORD} or token.is_operator("*")):
            return "WILDNAME"
        if accepts("MEMBER") and kind in {IDENTIFIER, KEYWORD}:
            return "MEMBER"
        if kind == IDENTIFIER:
            return self._identifier(token)
        if kind == OPERATOR:
            return self._operator(token)
        if kind == KEYWORD:
            return self._grammar.terminals.get(token.text, "UNKNOWN")
        return {NUMBER: "NUMBER", STRING: "TEXT", EMBEDDED: "EMBEDDED"}.get(kind, "JUNK")

    def _identifier(self, token: Token) -> str:
        text, accepts = token.text, self._feeder.accepts
        if text[0] == "$":
            if not text.strip("$") and accepts("DOLLARS") and not self._pretty():
                return "DOLLARS"
            return "TARGET" if accepts("TARGET") else "IDENT"
        kind = PRINTERS.get(text)
        return kind if kind is not None and accepts(kind) else "IDENT"

    def _operator(self, token: Token) -> str:
        text, accepts = token.text, self._feeder.accepts
        if text[0] == "@":
            return self._at_word(text)
        if text in _ASSIGNMENTS and accepts("ASSIGN"):
            return "ASSIGN"
        return self._grammar.terminals.get(text, "UNKNOWN")

    def _at_word(self, text: str) -> str:
        accepts = self._feeder.accepts
        if text in _SHOWN and accepts(_SHOWN[text]):
            return _SHOWN[text]
        if text not in _SHOWN and accepts("AT_WORD"):
            return "AT_WORD"
        if compare_versions(self._options.compatible, _SINCE.get(text, "")) < 0:
            return "UNKNOWN"
        return _AT.get(text) or self._grammar.terminals.get(text, "UNKNOWN")

    def _join(self, token: Token) -> None:
        """Take what belongs to a token from behind it, if the token fits."""
        # an error there may be told of this token
        self._last = token
        if token.type == "WILDNAME":
            self._join_wildcards(token)
        elif token.type == "TEXT" and self._feeder.fits("TEXT"):
            self._join_strings(token)
        elif token.type == "RETURN" and self._feeder.fits("RETURN"):
            after = self._stream.peek()
            if after is not None and (after.is_operator(";") or after.is_operator("}")):
                token.type = "RETURN_VOID"

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
            self._last = self._stream.next()
        token.text = "".join(pieces)


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
        sink.report(errors.warning(errors.CLOSED_BACKWARDS, span))

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
    if not run.saw_tokens and not tapset:
        what = " is empty after preprocessing." if lexer.saw_tokens else " is empty."
        message = f"Input file '{source.name}'{what}"
        sink.report(Diagnostic("empty-file", message, NOWHERE, phase="parse"))
        return None
    if definitions is None:
        return None
    for definition in definitions:
        deep = too_deep(definition, MAX_NESTING)
        if deep is not None:
            sink.report(errors.parse(errors.TOO_DEEP, deep))
            return None
    return ast.Script(source.name, tuple(definitions), tapset, frozenset(lexer.used))
