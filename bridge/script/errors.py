"""What the front end says: SystemTap's messages as factories and constants.

`parse` is a parse error at a token or node, `semantic` one of the later passes. Codes are the
message's words for tools; the texts are SystemTap's, so that scripts' authors find them again.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from bridge.diagnostics import Diagnostic, Severity
from bridge.script.syntax.tokens import LONGEST_SHOWN, Token, printable
from bridge.source import NOWHERE, Span

if TYPE_CHECKING:
    from collections.abc import Sequence


# --- lexer
NESTED_ARGUMENT = "invalid nested substitution of command line arguments"
ARGUMENT_RANGE = "command line argument out of range [1-{}]"
UNCLOSED_QUOTE = "Could not find matching closing quote"
ENDS_AT_NUL = "the text ends at a NUL byte; what is behind it is not read"
UNCLOSED_EMBEDDED = "Could not find matching '%}' to close embedded function block"

# --- parser
END_OF_FILE = "unexpected end-of-file"
EXPECTED_DEFINITION = "expected 'probe', 'global', 'private', 'function', or '%{'"
NUMBER_RANGE = "number invalid or out of range"
EXPRESSION_LIST = "unexpected comma-separated expression list"
PRETTY_PATH = "-> and [ are not accepted for a pretty-printing variable"
ADDRESS_TWICE = "cannot take address more than once"
EMPTY_STRING = "expected non-empty string"
MULTIPLE_SORTS = "multiple sort directives"
PROBE_POINT_SPECIFIER = "expected probe point specifier"
ALIAS_SUFFIX = "probe point alias name cannot be optional nor sufficient"
SUFFIX_ONLY = "'?', '!' or condition must only be specified in suffix"
SUFFIX_TWICE = "'?' or '!' respecified"
CONDITION_TWICE = "condition respecified"
TOO_MANY_POINTS = "too many probe points"
COMBINED_EPILOGUE = "Combined prologue and epilogue cannot be defined with '+='"
ARRAY_SIZE = "array size out of range"
INITIAL_SCALAR = "only scalar globals can be initialized"
DUPLICATE_PARAMETER = "duplicate parameter names"
LITERAL_NUMBER = "expected literal number"
PRIORITY = "specified priority must be > 0"
BARE_HISTOGRAM = "base histogram operator where expression expected"
UNKNOWN_OPERATOR = "unknown operator {}"
DUPLICATE_GLOBAL = "duplicate global name"
GLOBAL_CONFLICT = "global versus private variable declaration conflict"
NOT_IN_FUNCTION = "found 'return' not in function context"
EMBEDDED_GURU = "embedded code in unprivileged script; need stap -g"
EMBEDDED_EXPR_GURU = "embedded expression code in unprivileged script; need stap -g"
OPERATOR_GURU = "using {} operator not permitted; need stap -g"
NO_LEFT_SIDE = "Expecting lvalue for assignment"
TOO_DEEP = "nesting too deep"
TOO_LARGE = "text too large"
TOO_MANY_ACTIONS = "macro expansion too large"


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

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(parse(message, None))


class Placed(Protocol):
    """What has a place: a token or a node."""

    @property
    def span(self) -> Span:
        """Where it is."""
        ...


def code_of(message: str) -> str:
    """A word for tools: the first words of a message without its variable parts."""
    fixed = re.sub(r"'[^']*'|\([^)]*\)|[^A-Za-z ]", " ", message)
    return "-".join(fixed.lower().split()[:5]) or "error"


def _shown(text: str) -> str:
    """A text with names of the script in it, cut where nobody reads on."""
    return text if len(text) <= 2 * LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def parse(message: str, at: Placed | None) -> Diagnostic:
    """A parse error at a token (or node); what is wrong with junk goes first."""
    span = NOWHERE if at is None else at.span
    described, macros = "", []
    if isinstance(at, Token):
        described, message = at.describe(), at.problem or message
        call = at.call
        while call is not None:
            macros.append((printable(call.text), call.span))
            call = call.call
    message = _shown(message)
    return Diagnostic(
        code_of(message), message, span, described, phase="parse", macros=tuple(macros)
    )


def semantic(
    message: str,
    span: Span = NOWHERE,
    token: str = "",
    chain: Sequence[Diagnostic] = (),
    hint: str = "",
) -> Diagnostic:
    """A semantic error; `token` is the description of the token at `span`."""
    message, token = _shown(message), _shown(token)
    return Diagnostic(code_of(message), message, span, token, hint=hint, chain=tuple(chain))


def warning(message: str, span: Span = NOWHERE, token: str = "") -> Diagnostic:
    """A warning."""
    message, token = _shown(message), _shown(token)
    return Diagnostic(code_of(message), message, span, token, severity=Severity.WARNING)


def chained(first: Diagnostic, rest: Sequence[Diagnostic]) -> Diagnostic:
    """The first message with the others as its follow-ups."""
    return replace(first, chain=(*first.chain, *rest))
