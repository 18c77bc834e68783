"""The parser's state -> the sentence that SystemTap says there.

Rule: which terminals would fit tells where in the grammar we are; the open bracket (and what
stands before it) decides between the sentences for lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.script.errors import END_OF_FILE, EXPECTED_DEFINITION
from bridge.script.tokens import KEYWORD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.script.tokens import Token

VALUE = "expected literal string or number"
_POINTS = "expected one of ', { } = +='"
_STRING_OPERATORS = frozenset({"@cast", "@var", "@enumname", "@const"})

_ONLY: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"LPAR"}), "expected '('"),
    (frozenset({"LBRACE"}), "expected '{'"),
    (frozenset({"CATCH"}), "expected 'catch'"),
    (frozenset({"STRING", "LONG"}), "expected 'string' or 'long'"),
    (frozenset({"NUMBER", "MINUS"}), "expected number"),
    (frozenset({"MEMBER"}), "expected identifier or keyword"),
    (frozenset({"IDENT"}), "expected identifier"),
    (frozenset({"IDENT", "STRING", "LONG"}), "expected identifier"),
    (frozenset({"IDENT", "GLOBAL", "FUNCTION"}), "expected 'function' or identifier"),
    (frozenset({"COMMA"}), "expected ','"),
)
"""All that fits -> the sentence."""


def expectation(  # noqa: PLR0911 - an ordered table
    expected: frozenset[str],
    token: Token | None,
    brackets: Sequence[tuple[Token, Token | None]],
) -> str:
    """What was expected instead of `token` (None: the end of the text)."""
    if "WILDNAME" in expected:
        return "expected identifier or '*' or '{'"
    if {"NUMBER", "TARGET"} <= expected:
        bracket, opener = brackets[-1] if brackets else (None, None)
        if "VBAR" not in expected or bracket is None or bracket.text == "{":
            return _value(expected, token)
        return END_OF_FILE if token is None else _closed(bracket, opener)
    if "PROBE" in expected:
        return EXPECTED_DEFINITION
    if "COMMA" in expected and expected & {"DOT", "EQUAL"} and not expected & {"SLASH"}:
        return _POINTS
    if expected & {"LBRACE", "RBRACE"} and "COMMA" in expected:
        return _POINTS
    if token is None:
        return END_OF_FILE
    for only, sentence in _ONLY:
        if expected == only:
            return sentence
    return _listed(expected, brackets)


def _value(expected: frozenset[str], token: Token | None) -> str:
    if "WHILE" in expected and (token is None or token.kind == KEYWORD):
        return "expected statement"
    return "expected value" if token is None else VALUE


def _closed(bracket: Token, opener: Token | None) -> str:
    """After a whole value inside brackets."""
    indexed = opener is not None and opener.type == "IDENT"
    if bracket.text == "[":
        return "expected one of '] ,'" if indexed else "expected ',' or ']'"
    if indexed:
        return "expected one of ') ,'"
    printing = opener is not None and opener.type.startswith("PRINT")
    return "expected one of ', )'" if printing else "expected ')'"


def _listed(expected: frozenset[str], brackets: Sequence[tuple[Token, Token | None]]) -> str:  # noqa: PLR0911 - an ordered table
    """Inside brackets, or before a fixed word."""
    bracket, opener = brackets[-1] if brackets else (None, None)
    if "TEXT" in expected:
        return _literal(expected, opener)
    if "IDENT" in expected:
        return _identifier(expected)
    if "IN" in expected and "SLASH" not in expected:
        return "expected 'in'"
    if "LPAR" in expected and "COLON" in expected:
        return "expected '('"
    if "RSQB" in expected and bracket is not None:
        indexed = opener is not None and opener.type == "IDENT"
        if "COMMA" not in expected:
            return "expected ']'"
        return "expected one of '] ,'" if indexed else "expected ',' or ']'"
    if "RPAR" in expected and "COMMA" in expected:
        return _arguments(expected, opener)
    for terminal, sentence in _FOLLOWERS:
        if terminal in expected:
            return sentence
    return VALUE


_FOLLOWERS = (
    ("RPAR", "expected ')'"),
    ("SEMICOLON", "expected ';'"),
    ("COLON", "expected ':'"),
    ("COMMA", "expected ','"),
    ("LPAR", "expected '('"),
    ("LBRACE", "expected '{'"),
)


def _literal(expected: frozenset[str], opener: Token | None) -> str:
    if "NUMBER" in expected:
        return VALUE
    plain = opener is not None and opener.text in _STRING_OPERATORS
    return "expected string" if plain else "expected literal string"


def _identifier(expected: frozenset[str]) -> str:
    if len(expected) > 1 and "LSQB" not in expected and "RPAR" not in expected:
        return "expected identifier or statistical operation"
    return "expected identifier"


def _arguments(expected: frozenset[str], opener: Token | None) -> str:
    if opener is None:
        return "expected ')'"
    if opener.type.startswith("PRINT"):
        return "expected one of ', )'"
    if opener.type == "IDENT" and "SLASH" in expected:
        return "expected one of ') ,'"
    return "expected ',' or ')'"
