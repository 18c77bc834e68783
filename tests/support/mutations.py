"""A script and a seed -> the script with a few small mistakes in it, as typing makes them.

What is edited are tokens (one is deleted, doubled, swapped with its neighbour, replaced or put
in between) or characters (quotes, braces, backslashes, bytes that are no ASCII, NUL).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.script.syntax.lex import Lexer
from bridge.source import Source

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from bridge.script.syntax.tokens import Token

WORDS = [
    *("probe", "global", "private", "function", "if", "else", "for", "foreach", "in", "limit"),
    *("return", "delete", "while", "break", "continue", "next", "string", "long", "try"),
    *("catch", "begin", "x", "y", "foo", "$x", "$$", "$y$", "$x$$", "$1", "@1", "$#", "@5"),
    *("print", "printf", "println", "printd", "sprint", "sprintf", "print_char", "@cast"),
    *("@var", "@defined", "@entry", "@perf", "@const", "@avg", "@count", "@variance", "@min"),
    *("@hist_log", "@hist_linear", "@probewrite", "@kregister", "@uderef", "@define", "@foo"),
    *("0", "1", "0x", "08", "077", "18446744073709551616", '""', '"a"', '"%d"', '"%z"'),
    *("%{", "%}", "{", "}", "(", ")", "[", "]", ";", ":", ",", ".", "?", "!", "~", "+", "-"),
    *("*", "/", "%", "&", "|", "^", "=", "==", "!=", "<", ">", "<=", ">=", "<<", ">>", ">>>"),
    *("<<<", "+=", "-=", "<<=", ".=", "&&", "||", "++", "--", "->", "=~", "!~", "%(", "%?"),
    *("%:", "%)", "%(1==1%?", "1==1", "kernel_v", "arch", "/*", "*/", "#", "//", "`", "'"),
]
CHARACTERS = [
    *('"', "'", "{", "}", "(", ")", "%", "\\", "\n", "\0", "\x01"),
    *("\x80", "\xc3", "\xa4"),
]
EDITS = ["delete", "double", "swap", "replace", "replace", "insert", "insert", "join", "end"]
_CHARACTERS_TO_DELETE = '"{}\\()[];,%\n'


def mutated(random: Random, text: str) -> str:
    """The text (one character a byte) with one to three edits."""
    edit = _edit_characters if random.random() < 0.25 else _edit_tokens
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        text = edit(random, text)
    return text


def _spans(text: str) -> list[tuple[int, int]]:
    lexer = Lexer(Source("x.stp", text, 0))
    found: list[Token] = []
    while token := lexer.next():
        found.append(token)
    return [(token.span.start, token.span.end) for token in found]


def _edit_tokens(random: Random, text: str) -> str:
    spans = _spans(text)
    if len(spans) < 2:
        return text + random.choice(WORDS)
    at = random.randrange(len(spans) - 1)
    start, end = spans[at]
    second, last = spans[at + 1]
    token = text[start:end]
    word = _word(random, text, spans)
    behind = {
        "delete": text[end:],
        "double": f"{token} {token}{text[end:]}",
        "swap": text[second:last] + text[end:second] + token + text[last:],
        "replace": word + text[end:],
        "insert": f"{word} {token}{text[end:]}",
        "join": token + text[second:],
        "end": "",
    }
    return text[:start] + behind[random.choice(EDITS)]


def _word(random: Random, text: str, spans: Sequence[tuple[int, int]]) -> str:
    if random.random() < 0.5:
        return random.choice(WORDS)
    start, end = random.choice(spans)
    return text[start:end]


def _edit_characters(random: Random, text: str) -> str:
    places = [at for at, c in enumerate(text) if c in _CHARACTERS_TO_DELETE]
    if places and random.random() < 0.5:
        at = random.choice(places)
        return text[:at] + text[at + 1 :]
    at = random.randrange(len(text) + 1)
    return text[:at] + random.choice(CHARACTERS) + text[at:]
