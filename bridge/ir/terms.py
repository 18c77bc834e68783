"""Plain values and the data classes of the IR as text, and back.

For instance `Argument(name="arg1", type=Value.LONG)`.

In goes any value made of the classes in `CLASSES` and of ints, strings, bytes, tuples, sets and
mappings; out comes one line. The rule: `parse_term(term(x)) == x`. Fields that have their
default are left out.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import MISSING, fields
from enum import Enum
from typing import TYPE_CHECKING, Any

from bridge import markers
from bridge.ir import program

if TYPE_CHECKING:
    from collections.abc import Iterator


def _classes() -> dict[str, type]:
    return {
        name: value
        for module in (markers, program)
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__
    }


CLASSES = _classes()
"""Every class that may stand in a term, by its name."""

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
_UNESCAPES = {text[1]: char for char, text in _ESCAPES.items()}


def quote(text: str) -> str:
    """A string in double quotes; whatever is not printable ASCII becomes an escape."""
    return '"' + "".join(_escape(char) for char in text) + '"'


def quote_bytes(data: bytes) -> str:
    """Bytes in double quotes, each byte one character."""
    return quote(data.decode("latin-1"))


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if " " <= char <= "~":
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}"


_ESCAPED = re.compile(r"\\(?:x([0-9a-f]{2})|u\{([0-9a-f]+)\}|(.))")


def unquote(text: str) -> str:
    """The string that `quote` was given."""

    def char(match: re.Match[str]) -> str:
        byte, code, letter = match.groups()
        return _UNESCAPES[letter] if letter else chr(int(byte or code, 16))

    return _ESCAPED.sub(char, text[1:-1])


def unquote_bytes(text: str) -> bytes:
    """The bytes that `quote_bytes` was given."""
    return unquote(text).encode("latin-1")


def term(value: object) -> str:
    """The text of a value."""
    match value:
        case Enum():
            return f"{type(value).__name__}.{value.name}"
        case int() | None:
            return str(value)
        case str():
            return quote(value)
        case bytes():
            return "b" + quote_bytes(value)
        case tuple():
            return "[" + ", ".join(map(term, value)) + "]"
        case frozenset():
            return "set{" + ", ".join(sorted(map(term, value))) + "}"
        case dict():
            return "{" + ", ".join(f"{term(k)}: {term(v)}" for k, v in value.items()) + "}"
        case _:
            return _object(value)


def _object(value: object) -> str:
    shown = [
        f"{field.name}={term(getattr(value, field.name))}"
        for field in fields(value)  # type: ignore[arg-type]  # the closed set of CLASSES
        if field.compare and not _is_default(field, getattr(value, field.name))
    ]
    return f"{type(value).__name__}({', '.join(shown)})"


def _is_default(field: dataclasses.Field[Any], value: object) -> bool:
    if field.default is not MISSING:
        return bool(field.default == value)
    return field.default_factory is not MISSING and bool(field.default_factory() == value)


# --- reading ----------------------------------------------------------------------------------

_TOKEN = re.compile(r'\s*(b?"(?:\\.|[^"\\])*"|-?\d+|[A-Za-z_][\w.]*|[()\[\]{}=:,])')


class TermError(ValueError):
    """The text is not a term."""


def parse_term(text: str) -> Any:  # noqa: ANN401 - any class of the table
    """The value that `term` printed."""
    tokens = [*_tokens(text), ""]
    value, at = _parse(tokens, 0)
    if tokens[at]:
        raise TermError(f"unexpected {tokens[at]!r} in {text!r}")
    return value


def _tokens(text: str) -> Iterator[str]:
    at = 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise TermError(f"not a term: {text[at:]!r}")
        yield found[1]
        at = found.end()


_WORDS: dict[str, object] = {"None": None, "True": True, "False": False}


def _parse(tokens: list[str], at: int) -> tuple[Any, int]:
    word = tokens[at]
    if word.startswith('"'):
        return unquote(word), at + 1
    if word.startswith('b"'):
        return unquote_bytes(word[1:]), at + 1
    if word.lstrip("-").isdigit():
        return int(word), at + 1
    if word in _WORDS:
        return _WORDS[word], at + 1
    if word in _BRACKETS:
        return _parse_collection(tokens, at)
    return _parse_named(tokens, at)


_BRACKETS = {"[": "]", "{": "}", "set": "}"}


def _parse_collection(tokens: list[str], at: int) -> tuple[Any, int]:
    word = tokens[at]
    items, end = _parse_items(tokens, at + (2 if word == "set" else 1), _BRACKETS[word])
    if word == "{":
        return dict(items), end
    keys = (key for key, _ in items)
    return (tuple(keys) if word == "[" else frozenset(keys)), end


def _parse_items(tokens: list[str], at: int, end: str) -> tuple[list[tuple[Any, Any]], int]:
    items = []
    while tokens[at] != end:
        key, at = _parse(tokens, at)
        value = None
        if tokens[at] == ":":
            value, at = _parse(tokens, at + 1)
        items.append((key, value))
        if tokens[at] == ",":
            at += 1
        elif tokens[at] != end:
            raise TermError(f"expected {end!r}, found {tokens[at]!r}")
    return items, at + 1


def _parse_named(tokens: list[str], at: int) -> tuple[Any, int]:
    name, _, member = tokens[at].partition(".")
    if name not in CLASSES:
        raise TermError(f"unknown word {tokens[at]!r}")
    class_ = CLASSES[name]
    if member:
        return class_[member], at + 1  # type: ignore[index]  # an Enum
    at, values = at + 2, {}
    while tokens[at] != ")":
        values[tokens[at]], at = _parse(tokens, at + 2)
        at += tokens[at] == ","
    return class_(**values), at + 1
