"""Source -> Token*: the lexer, including the pasting of command line arguments.

Rule: every byte of the text is part of a token, white space or a comment; what fits nowhere is
a junk token, which is an error only where the parser meets it. Spec: systemtap-language 1.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.script import errors
from bridge.script.syntax.tokens import (
    EMBEDDED,
    IDENTIFIER,
    JUNK,
    KEYWORD,
    KEYWORDS,
    NUMBER,
    OPERATOR,
    STRING,
    Token,
)
from bridge.source import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.source import Source

# Going back takes memory for every round of a group, so groups are repeated in atomic
# packs of 200 rounds. Possessive quantifiers would do, too, but are wrong before CPython 3.11.5
# (gh-100061, gh-106052); so are atomic groups with capturing groups inside (gh-101955).
_PACK = "(?>(?:{}){{1,200}})"
_COMMENT_LINE = r"(?:\#|//)[^\n]*\n?"
_STRING = r"\"[^\"\\\n]*" + _PACK.format(r"\\[\s\S][^\"\\\n]*") + "*"
_SPACE = re.compile(
    _PACK.format(rf"[ \t\n\v\f\r]+|{_COMMENT_LINE}|/\*(?:(?s:.*?)\*/|(?s:.*))") + "+"
)
_TOKEN = re.compile(
    rf"""
    (?P<argument>[$@](?:[0-9]+|\#))
  | (?P<word>[A-Za-z_$@][A-Za-z0-9_$]*)
  | (?P<number>[0-9][A-Za-z0-9]*)
  | (?P<string>{_STRING}")
  | (?P<embedded>%\{{(?s:.*?)%\}})
  | (?P<open_string>{_STRING}(?:\n|\\?\Z))
  | (?P<open_embedded>%\{{(?s:.*)\Z)
  | (?P<operator><<<|>>>|<<=|>>=|==|!=|<=|>=|=~|!~|\+=|-=|\*=|/=|%=|&=|\^=|\|=|\.=|&&|\|\||\+\+
      |--|->|<<|>>|%\(|%\?|%:|%\)|[!-/:-@\[-`{{-~])
  | (?P<junk>[\s\S])
    """,
    re.VERBOSE,
)
_DULL_ONE = rf"""
    [ \t\n\v\f\r]+
  | {_COMMENT_LINE}
  | /\*(?s:.*?)\*/
  | (?!(?:probe|private|global|function)(?![A-Za-z0-9_$]))[A-Za-z_][A-Za-z0-9_$]*
  | \$(?![0-9\#])[A-Za-z0-9_$]*
  | [0-9][A-Za-z0-9]*
  | {_STRING}(?:"|\n|\\?\Z)
  | [!&-.:-?\[-^`{{-~]
  | /(?!\*)
  | %(?![(?:){{])
  | @(?![A-Za-z0-9_$\#])
  | [^!-~]
    """
_DULL = re.compile(_PACK.format(_DULL_ONE) + "*", re.VERBOSE)
"""What neither begins a definition nor means anything to the preprocessor."""
_AT_WORD = re.compile(r"@([A-Za-z_$][A-Za-z0-9_$]*)")
_QUOTED = re.compile(r"\\(?:([xabtnvfr0-7\\])|([\s\S]))")
_KINDS = {"number": NUMBER, "operator": OPERATOR}
MAX_BYTES = 8 << 20
"""Of a text, and of all that arguments put into it."""
_WINDOW = 256
"""So much of the text is looked at behind a pasted argument, at first."""


class Lexer:
    """The tokens of one text, one at a time.

    `report` takes warnings; `used` collects the numbers of the script arguments that were
    pasted. A pasted argument is lexed in place of its `$1`, and all its tokens point there.
    """

    def __init__(
        self,
        source: Source,
        arguments: Sequence[str] = (),
        report: Callable[[Span], None] | None = None,
    ) -> None:
        self.used: set[int] = set()
        self.saw_tokens = False
        self.glued = False
        """Whether the last token followed the one before without white space."""
        # SystemTap's own way to read a file
        self._source = source.text.partition("\0")[0]
        self._base = source.base
        self._arguments = arguments
        self._report = report
        self._pasted = 0
        self._pasted_until = 0
        self._pasted_at = Span(0, 0)
        # what is lexed: the text, or an argument and as much of the text behind it as needed
        self._text = self._source
        self._shift = source.base
        self._at = 0

    def next(self) -> Token | None:
        """The next token; None at the end of the text."""
        self.glued = True
        while True:
            if space := self._match(_SPACE):
                self._at = space.end()
                self.glued = False
            found = self._match(_TOKEN)
            if found is None:
                return None
            if found.lastgroup != "argument":
                self.saw_tokens = True
                return self._token(found)
            if token := self._paste(found):
                return token

    def stop(self) -> None:
        """Give no more tokens."""
        self._source = self._text = ""
        self._at = self._pasted_until = 0

    def pass_over(self, is_macro: Callable[[str], bool]) -> None:
        """Leave out what begins no definition and means nothing to a preprocessor."""
        end = self._at
        while not self._pasted_until:
            found = _DULL.match(self._text, end)
            word = None if found is None else _AT_WORD.match(self._text, found.end())
            end = end if found is None else found.end()
            if word is None or is_macro(word[1]):
                break
            end = word.end()
        self.saw_tokens |= end > self._at
        self._at = end

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """The pattern at the place in the text; behind a pasted argument that goes on."""
        while self._pasted_until:
            if self._at >= self._pasted_until:
                self._unpaste()
                break
            found = pattern.match(self._text, self._at)
            if found is None or found.end() < len(self._text) or not self._widen():
                return found
        return pattern.match(self._text, self._at)

    def _span(self, start: int, end: int) -> Span:
        if start < self._pasted_until:
            return self._pasted_at
        return Span(start + self._shift, end + self._shift)

    def _token(self, found: re.Match[str]) -> Token:
        self._at = found.end()
        group, text = found.lastgroup or "junk", found.group()
        token = Token(
            _KINDS.get(group, JUNK), text, self._span(found.start(), found.end()), self.glued
        )
        if group == "word":
            token.kind = _word_kind(text)
        elif group == "string":
            token.kind, token.text = STRING, _unquote(text[1:-1])
        elif group == "embedded":
            token.kind, token.text = EMBEDDED, text[2:-2]
            if "}%" in token.text and self._report:
                self._report(token.span)
        elif group == "open_string":
            token.text, token.problem = "", errors.UNCLOSED_QUOTE
        elif group == "open_embedded":
            token.text, token.problem = "", errors.UNCLOSED_EMBEDDED
        elif group == "junk":
            token.text = f"\\x{ord(text):02x}"
        return token

    def _paste(self, found: re.Match[str]) -> Token | None:
        start, end, text = found.start(), found.end(), found.group()
        span = self._span(start, end)
        if text[1] == "#":
            value = str(len(self._arguments))
        else:
            number = int(text[1:8])
            if not 1 <= number <= len(self._arguments):
                self._at = end
                return Token(JUNK, "", span, problem=self._out_of_range())
            self.used.add(number)
            value = self._arguments[number - 1]
        if start < self._pasted_until:
            self._at = end
            return Token(JUNK, "", span, problem=errors.NESTED_ARGUMENT)
        if text[0] == "@":
            value = quote(value)
        self._pasted += len(value)
        if self._pasted > MAX_BYTES:
            self.stop()
            return Token(JUNK, "", span, problem=errors.TOO_LARGE)
        self._at = end
        if value:
            self._paste_text(value, span)
        self.saw_tokens = True
        return None

    def _paste_text(self, value: str, span: Span) -> None:
        """Lex a value in place of what ends here in the text."""
        end = self._at
        self._text = value + self._source[end : end + _WINDOW]
        self._shift += end - len(value)
        self._at = 0
        self._pasted_until, self._pasted_at = len(value), span

    def _widen(self) -> bool:
        """See twice as much of the text behind the argument; False if there is no more."""
        behind = len(self._text) - self._pasted_until
        start = self._pasted_until + self._shift - self._base
        more = self._source[start + behind : start + 2 * behind + _WINDOW]
        self._text += more
        return bool(more)

    def _unpaste(self) -> None:
        """Go on in the text itself, behind the argument."""
        if self._pasted_until:
            self._at += self._shift - self._base
            self._text, self._shift = self._source, self._base
            self._pasted_until = 0

    def _out_of_range(self) -> errors.Message:
        return errors.ARGUMENT_RANGE.format(len(self._arguments))


def _word_kind(text: str) -> str:
    if text[0] == "@":
        return OPERATOR
    return KEYWORD if text in KEYWORDS else IDENTIFIER


def quote(text: str) -> str:
    """The text as a string literal of the language."""
    escapes = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
    pieces = [escapes.get(c) or (c if " " <= c <= "~" else f"\\{ord(c):03o}") for c in text]
    return '"' + "".join(pieces) + '"'


def _unquote(text: str) -> str:
    """Keep the escapes that C knows, drop the backslash of all others."""
    if "\\" not in text:
        return text
    return _QUOTED.sub(lambda m: m.group() if m.group(1) else m.group(2), text)


_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]*)|([0-7]{1,3})|([\s\S]))")
_SIMPLE = {"a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}


def escape_problem(raw: str) -> str | None:
    """What a C compiler says of a literal's escapes; SystemTap hands literals on to one."""
    for found in _ESCAPE.finditer(raw):
        if found.group(1) == "":
            return r"\x used with no following hex digits"
        if found.group(1) and int(found.group(1), 16) > 0xFF:
            return "hex escape sequence out of range"
        if found.group(2) and int(found.group(2), 8) > 0xFF:
            return "octal escape sequence out of range"
    return None


def evaluate(raw: str) -> str:
    """The bytes that a literal's text stands for, by C's rules, up to a NUL."""

    def one(found: re.Match[str]) -> str:
        if found.group(1) is not None:
            return chr(int(found.group(1) or "0", 16) & 0xFF)
        if found.group(2):
            return chr(int(found.group(2), 8) & 0xFF)
        return _SIMPLE.get(found.group(3), found.group(3))

    if "\\" not in raw:
        return raw
    return _ESCAPE.sub(one, raw)
