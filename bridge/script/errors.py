"""What the front end says: SystemTap's messages as factories and constants.

`parse` is a parse error at a token or node, `semantic` one of the later passes. Codes are
for tools and stand in `bridge.codes`; the texts are SystemTap's, so that scripts' authors
find them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from bridge.diagnostics import Diagnostic, Severity
from bridge.script.syntax.tokens import LONGEST_SHOWN, Token, printable
from bridge.source import NOWHERE, Span

if TYPE_CHECKING:
    from collections.abc import Sequence


class Message(str):
    """A text for people, and the code of `bridge.codes` that tools know it by."""

    __slots__ = ("code",)
    code: str

    def __new__(cls, code: str, text: str) -> Message:
        """A text that has a code."""
        made = super().__new__(cls, text)
        made.code = code
        return made

    def format(self, *values: object) -> Message:  # type: ignore[override]  # no keywords
        """The text with its places filled in, and the same code."""
        return Message(self.code, str(self).format(*values))

    def with_end(self, end: str) -> Message:
        """The text with more behind it, and the same code."""
        return Message(self.code, self + end)


def unexpected(text: str) -> Message:
    """What the grammar expected at a place."""
    return Message("unexpected-token", text)


# --- lexer
NESTED_ARGUMENT = Message(
    "nested-argument", "invalid nested substitution of command line arguments"
)
ARGUMENT_RANGE = Message("missing-argument", "command line argument out of range [1-{}]")
UNCLOSED_QUOTE = Message("unclosed-string", "Could not find matching closing quote")
ENDS_AT_NUL = Message("nul-byte", "the text ends at a NUL byte; what is behind it is not read")
UNCLOSED_EMBEDDED = Message(
    "unclosed-embedded-c", "Could not find matching '%}' to close embedded function block"
)

# --- parser
NO_PROBES = Message("no-probes", "no probes found")
CLOSED_BACKWARDS = Message("closed-backwards", "possible erroneous closing '}%', use '%}'?")
END_OF_FILE = "unexpected end-of-file"
EXPECTED_DEFINITION = "expected 'probe', 'global', 'private', 'function', or '%{'"
NUMBER_RANGE = Message("number-out-of-range", "number invalid or out of range")
EXPRESSION_LIST = Message("expression-list", "unexpected comma-separated expression list")
PRETTY_PATH = Message(
    "pretty-printed-path", "-> and [ are not accepted for a pretty-printing variable"
)
ADDRESS_TWICE = Message("address-twice", "cannot take address more than once")
EMPTY_STRING = Message("empty-string", "expected non-empty string")
MULTIPLE_SORTS = Message("sorted-twice", "multiple sort directives")
PROBE_POINT_SPECIFIER = Message("unexpected-token", "expected probe point specifier")
ALIAS_SUFFIX = Message(
    "alias-with-suffix", "probe point alias name cannot be optional nor sufficient"
)
SUFFIX_ONLY = Message("suffix-inside", "'?', '!' or condition must only be specified in suffix")
SUFFIX_TWICE = Message("suffix-twice", "'?' or '!' respecified")
CONDITION_TWICE = Message("condition-twice", "condition respecified")
TOO_MANY_POINTS = Message("too-many-points", "too many probe points")
COMBINED_EPILOGUE = Message(
    "combined-epilogue", "Combined prologue and epilogue cannot be defined with '+='"
)
ARRAY_SIZE = Message("array-size", "array size out of range")
INITIAL_SCALAR = Message("initialized-array", "only scalar globals can be initialized")
DUPLICATE_PARAMETER = Message("duplicate-parameter", "duplicate parameter names")
LITERAL_NUMBER = Message("unexpected-token", "expected literal number")
PRIORITY = Message("bad-priority", "specified priority must be > 0")
BARE_HISTOGRAM = Message("bare-histogram", "base histogram operator where expression expected")
UNKNOWN_OPERATOR = Message("unknown-operator", "unknown operator {}")
DUPLICATE_GLOBAL = Message("duplicate-global", "duplicate global name")
GLOBAL_CONFLICT = Message(
    "private-and-global", "global versus private variable declaration conflict"
)
NOT_IN_FUNCTION = Message("return-outside-function", "found 'return' not in function context")
EMBEDDED_GURU = Message("needs-guru", "embedded code in unprivileged script; need stap -g")
EMBEDDED_EXPR_GURU = Message(
    "needs-guru", "embedded expression code in unprivileged script; need stap -g"
)
OPERATOR_GURU = Message("needs-guru", "using {} operator not permitted; need stap -g")
NO_LEFT_SIDE = Message("not-assignable", "Expecting lvalue for assignment")
TOO_DEEP = Message("nested-too-deep", "nesting too deep")
TOO_LARGE = Message("text-too-large", "text too large")
TOO_MANY_ACTIONS = Message("macro-expansion-too-large", "macro expansion too large")


class Refused(Exception):
    """A rule of the language is broken; never leaves the front end.

    `resumes`: parsing goes on with the next token, whatever it is; else at a definition.
    """

    def __init__(self, diagnostic: Diagnostic, *, resumes: bool = False) -> None:
        self.diagnostic = diagnostic
        self.resumes = resumes
        super().__init__(diagnostic.message)


class RefusedAhead(Refused):
    """The same without a place: the message points at what has been looked at last."""

    def __init__(self, message: Message) -> None:
        self.message = message
        super().__init__(parse(message, None))


class HasSpan(Protocol):
    """What has a place: a token or a node."""

    @property
    def span(self) -> Span:
        """Where it is."""
        ...


def _shown(text: str) -> str:
    """A text with names of the script in it, cut where nobody reads on."""
    return str(text) if len(text) <= 2 * LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def parse(message: Message, at: HasSpan | None) -> Diagnostic:
    """A parse error at a token (or node); what is wrong with junk goes first."""
    span = NOWHERE if at is None else at.span
    described, macros = "", []
    if isinstance(at, Token):
        described, message = at.describe(), at.problem or message
        call = at.call
        while call is not None:
            macros.append((printable(call.text), call.span))
            call = call.call
    text = _shown(message)
    return Diagnostic(message.code, text, span, described, phase="parse", macros=tuple(macros))


def semantic(
    message: Message,
    span: Span = NOWHERE,
    token: str = "",
    chain: Sequence[Diagnostic] = (),
    hint: str = "",
) -> Diagnostic:
    """A semantic error; `token` is the description of the token at `span`."""
    text, token = _shown(message), _shown(token)
    return Diagnostic(message.code, text, span, token, hint=hint, chain=tuple(chain))


def warning(message: Message, span: Span = NOWHERE, token: str = "") -> Diagnostic:
    """A warning."""
    text, token = _shown(message), _shown(token)
    return Diagnostic(message.code, text, span, token, severity=Severity.WARNING)


def chained(first: Diagnostic, rest: Sequence[Diagnostic]) -> Diagnostic:
    """The first message with the others as its follow-ups."""
    return replace(first, chain=(*first.chain, *rest))
