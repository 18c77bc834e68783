"""The parser's state and a token that does not fit -> the sentence that SystemTap says there.

Rule: SystemTap's parser is of recursive descent, so what it says depends on the function that
it is in: which is a place in a rule of the grammar. `PLACES` has the places that have a
sentence of their own, `_NEXT` the sentences by what comes next; a literal is just expected.
Where a rule could end, its function returns, and the caller says what it expected
(`Feeder.settle`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.script.errors import END_OF_FILE, EXPECTED_DEFINITION, PROBE_POINT_SPECIFIER
from bridge.script.syntax.tokens import OPERATOR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.parsing import Position
    from bridge.script.syntax.tokens import Token


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is said at a place of the grammar.

    `text` (empty: nothing, the token is passed over) against a token, `at_end` at the end of
    the text, where the terminals of `shows` (None: any) are still shown if they came last.
    `peeked`: the token was only looked at, so parsing goes on with it. `instead` has other
    sentences for operators by their text, "@" for all `@` words, or for kinds of tokens; where
    it alone is given, all other tokens are left to the caller.
    """

    text: str = ""
    at_end: str = END_OF_FILE
    peeked: bool = False
    shows: frozenset[str] | None = frozenset()
    instead: Mapping[str, Sentence] | None = None
    only: bool = False

    def against(self, token: Token) -> Sentence | None:
        """The sentence for a token; None if it is left to the caller."""
        name = token.text if token.kind == OPERATOR else token.kind
        found = (self.instead or {}).get("@" if name[0] == "@" else name)
        return found or (None if self.only else self)


def _peeked(text: str, at_end: str | None = None) -> Sentence:
    return Sentence(text, text if at_end is None else at_end, peeked=True)


def _returns_to_last(sentence: Sentence, *terminals: str) -> Sentence:
    """The same, with the last token shown at the end of the text."""
    return replace(sentence, shows=frozenset(terminals) or None)


VALUE = Sentence("expected literal string or number", "expected value")
"""Where an expression may start."""
_LITERAL = Sentence("expected literal string or number")
_LITERAL_STRING = Sentence("expected literal string")
_STRING = Sentence("expected string")
_IDENTIFIER = Sentence("expected identifier")
_INDEXABLE = Sentence("expected identifier or statistical operation")
_NO_STATEMENT = _peeked("expected statement")
_STATEMENT = Sentence(
    VALUE.text,
    _NO_STATEMENT.text,
    instead={"keyword": _NO_STATEMENT, "junk": _NO_STATEMENT},
)
_EXPRESSION_STATEMENT = Sentence(VALUE.text, "expression statement expected")
_COMPONENT = Sentence("expected identifier or '*' or '{'")
_OPENING = Sentence("expected '{'")
_POINTS = _peeked("expected one of ', { } = +='")
_NO_POINTS = _peeked(PROBE_POINT_SPECIFIER)
_BODY = replace(_POINTS, instead=dict.fromkeys(("=", "+=", "}"), _NO_POINTS))
_NO_BRACE = _peeked("expected '}'")
_BRACES = replace(_POINTS, instead=dict.fromkeys(("=", "+=", "{"), _NO_BRACE))
_PRINTED = Sentence("expected one of ', )'")
_LISTED = _peeked("expected ',' or ']'")
_CLOSING = Sentence("expected ')'")
_SORTED = _peeked("expected sort directive")
_NO_STATISTIC = _peeked("expected statistical operation")


def _parameters(most: int) -> Sentence:
    """SystemTap passes over what is no comma and no bracket."""
    plural = "s" if most > 1 else ""
    return Sentence(instead={",": Sentence(f"not more than {most} parameter{plural} allowed")})


_NEXT: Mapping[str, Sentence] = {
    **dict.fromkeys(
        (
            *("expr", "ternary", "logical_and", "bit_or", "bit_xor", "bit_and", "membership"),
            *("shift", "concatenation", "additive", "multiplicative", "unary", "dwarf"),
            *("tvalue", "value", "negative", "arguments", "key", "keys", "slice", "slices"),
        ),
        VALUE,
    ),
    **dict.fromkeys(("points", "point", "component"), _COMPONENT),
    **dict.fromkeys(("block", "fbody"), _OPENING),
    **dict.fromkeys(
        ("IDENT", "gvar", "gvars", "signature", "parameters", "foreach_keys", "foreach_key"),
        _IDENTIFIER,
    ),
    **dict.fromkeys(("TEXT", "filled"), _STRING),
    **dict.fromkeys(("NUMBER", "integer", "gcount"), Sentence("expected number")),
    "literal": _LITERAL,
    "format": _LITERAL_STRING,
    "MEMBER": _returns_to_last(Sentence("expected identifier or keyword")),
    "indexable": _INDEXABLE,
    "alias_op": _NO_POINTS,
    "statement": _STATEMENT,
    "'('": _returns_to_last(Sentence("expected '('")),
    **dict.fromkeys(("start", "definition"), _peeked(EXPECTED_DEFINITION)),
}
"""What comes next -> the sentence, at most places."""

PLACES: Mapping[Position, Sentence] = {
    # probes
    ("probe", "'probe'", "points"): _returns_to_last(_COMPONENT),
    ("probe", "points", "block"): _BODY,
    ("alias", "points", "block"): _BODY,
    ("component_braces", "points", "'}'"): _BRACES,
    ("component_call", "literal", "')'"): _returns_to_last(_CLOSING, "NUMBER"),
    ("conditioned", "'if'", "'('"): _peeked("expected '('"),
    ("point", "conditioned", "')'"): _peeked("expected ')'"),
    # globals and functions
    ("private_function", "'private'", "'function'"): Sentence(
        "expected 'function' or identifier"
    ),
    ("gvar", "gset", "literal"): _returns_to_last(_LITERAL),
    ("ftype", "':'", "'long'"): Sentence("expected 'string' or 'long'"),
    ("signature", "ftype", "'('"): Sentence("expected '('"),
    ("signature", "parameters", "')'"): _returns_to_last(
        Sentence("expected ',' or ')'"), "IDENT"
    ),
    ("signature", "')'", "fbody"): replace(_OPENING, at_end=_OPENING.text),
    # statements
    ("try_", "'try'", "block"): _returns_to_last(_OPENING),
    ("catch_variable", "IDENT", "')'"): _returns_to_last(_CLOSING),
    ("for_", "'('", "expr"): _EXPRESSION_STATEMENT,
    ("for_", "';'", "')'"): _EXPRESSION_STATEMENT,
    ("foreach_order", "foreach_head", "foreach_sort"): Sentence(
        instead={"@": _NO_STATISTIC}, only=True
    ),
    ("foreach_sort", "STAT", "'+'"): _SORTED,
    ("foreach_sort", "'@variance'", "'+'"): _SORTED,
    ("foreach_slice", "slices", "']'"): _LISTED,
    ("foreach_many", "foreach_list", "']'"): _LISTED,
    ("return_value", "'return'", "expr"): replace(
        VALUE, at_end="expected ';', '}' or an expression statement"
    ),
    # expressions
    ("bracketed", "keys", "']'"): _LISTED,
    ("in_one", "'in'", "indexable"): _returns_to_last(_INDEXABLE),
    ("in_many", "'in'", "indexable"): _returns_to_last(_INDEXABLE),
    ("regex_query", "'=~'", "TEXT"): _returns_to_last(_LITERAL_STRING),
    ("regex_query", "'!~'", "TEXT"): _returns_to_last(_LITERAL_STRING),
    ("index", "slices", "']'"): Sentence("expected one of '] ,'"),
    ("call", "arguments", "')'"): Sentence("expected one of ') ,'"),
    ("negative", "'-'", "NUMBER"): _LITERAL,
    ("cast", "filled", "')'"): _CLOSING,
    ("at_var", "TEXT", "')'"): _CLOSING,
    ("at_expr", "expr", "')'"): _CLOSING,
    ("at_expr", "filled", "')'"): _CLOSING,
    ("at_literal", "'('", "filled"): _LITERAL_STRING,
    ("stat_op", "expr", "')'"): _parameters(1),
    ("stat_op", "integer", "')'"): _parameters(2),
    # printing
    ("print_plain", "arguments", "')'"): _PRINTED,
    ("print_format", "format", "')'"): _PRINTED,
    ("print_format", "*", "')'"): _PRINTED,
    ("print_element", "shown_element", "')'"): _PRINTED,
    ("print_element", "*", "')'"): _PRINTED,
    ("print_histogram", "shown", "')'"): _CLOSING,
    ("print_delimited", "'('", "TEXT"): _LITERAL_STRING,
    ("print_delimited", "TEXT", "delimited"): _PRINTED,
    ("print_delimited", "expr", "delimited"): _PRINTED,
    ("print_delimited", "expr", "')'"): _PRINTED,
    ("print_delimited", "*", "')'"): _PRINTED,
}
"""Places in rules -> the sentence."""


def sentence(positions: Sequence[Position], *, settles: bool) -> Sentence | None:
    """What is said in a state that is in the middle of some rules; None if nothing.

    `settles` tells whether the state could end a rule, too: then only the table counts.
    """
    for position in positions:
        if position in PLACES:
            return PLACES[position]
    if settles:
        return None
    following = [behind for _, _, behind in positions]
    for behind in following:
        if behind in _NEXT:
            return _NEXT[behind]
    literal = next(behind for behind in following if behind[0] == "'")
    return Sentence(f"expected {literal}")
