"""What a token is. The lexer makes them, the preprocessor moves them, the parser eats them.

A token's `text` is what the language sees (a string's is its content, escapes kept); its `span`
is where messages point, which for a pasted script argument is the `$1` that it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.script.errors import Message
    from bridge.source import Span

KEYWORDS = frozenset(
    [
        "probe",
        "global",
        "private",
        "function",
        "if",
        "else",
        "for",
        "foreach",
        "in",
        "limit",
        "return",
        "delete",
        "while",
        "break",
        "continue",
        "next",
        "string",
        "long",
        "try",
        "catch",
    ]
)
AT_WORDS = frozenset(
    [
        "cast",
        "defined",
        "probewrite",
        "entry",
        "perf",
        "var",
        "avg",
        "count",
        "sum",
        "min",
        "max",
        "hist_linear",
        "hist_log",
        "const",
        "variance",
        "kregister",
        "uregister",
        "kderef",
        "uderef",
        "enum",
        "enumname",
    ]
)
"""The built-in `@` operators; a macro of such a name hides it, with a warning."""

IDENTIFIER, KEYWORD, OPERATOR = "identifier", "keyword", "operator"
STRING, NUMBER, EMBEDDED, JUNK = "string", "number", "embedded-code", "junk"


@dataclass(slots=True, eq=False)
class Token:
    """One token.

    `kind` is SystemTap's word for it, `type` the terminal that the grammar sees (set by the
    parser), `glued` whether it follows the last token without white space, `problem` what is
    wrong with junk. `call` is the innermost macro invocation that it came out of; that token
    has its own, and so on outwards.
    """

    kind: str
    text: str
    span: Span
    glued: bool = False
    problem: Message | None = None
    type: str = ""
    call: Token | None = None

    def is_operator(self, text: str) -> bool:
        """Whether it is this operator."""
        return self.kind == OPERATOR and self.text == text

    def describe(self) -> str:
        """The token as messages name it: `identifier 'x'`."""
        if self.kind in {EMBEDDED, KEYWORD}:
            return self.kind
        return f"{self.kind} '{printable(self.text)}'"

    def called(self, call: Token, *, glued: bool) -> Token:
        """A copy that came out of a macro invocation."""
        return Token(self.kind, self.text, self.span, glued, self.problem, call=call)


LONGEST_SHOWN = 2000
"""Characters of a token that messages show; a script can have strings of megabytes."""


def printable(text: str) -> str:
    """The text with a question mark for every byte that is not printable ASCII."""
    if len(text) > LONGEST_SHOWN:
        return printable(text[:LONGEST_SHOWN]) + "..."
    return "".join(c if " " <= c <= "~" else "?" for c in text)
