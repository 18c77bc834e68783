"""Metadata text -> syntax tree, over `grammars/tsdl.lark`.

The text is bytes as Latin-1; strings come out as UTF-8 with surrogateescape. The rule: an error
names the line, and nothing is guessed.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from bridge import parsing
from bridge.errors import TraceError
from bridge.trace.ctf import syntax

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    r"(?P<space>(?:\s|//[^\n]*|/\*.*?\*/)+)"
    r'|(?P<string>L?"(?:\\.|[^"\\])*")'
    r"|(?P<character>L?'(?:\\.|[^'\\])+')"
    r"|(?P<number>(?:0[xX][0-9a-fA-F]+|0[bB][01]+|[0-9]+)[uUlL]*(?![A-Za-z0-9_]))"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign>\.\.\.|:=|->|[-+*{}()\[\];,.:=<>])",
    re.DOTALL,
)
LONGEST_NUMBER = 80
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|(.))", re.DOTALL)
_LETTERS = {"a": 7, "b": 8, "e": 27, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}


class MetadataError(TraceError):
    """Metadata that cannot be understood; the message names file and line."""


class TsdlToken(NamedTuple):
    """A token; `type` is the grammar's name of its terminal."""

    type: str
    text: str
    line: int


def _unescape(literal: str) -> str:
    """The text of a literal between its quotes."""
    body = literal[literal.index(literal[-1]) + 1 : -1]

    def one(match: re.Match[str]) -> str:
        if match[1]:
            return chr(int(match[1], 16))
        if match[2]:
            return chr(int(match[2], 8) & 0xFF)
        return chr(_LETTERS.get(match[3], ord(match[3]) & 0xFF))

    return _ESCAPE.sub(one, body).encode("latin-1").decode("utf-8", "surrogateescape")


def _number(token: TsdlToken) -> int:
    digits = token.text.rstrip("uUlL")
    if len(digits) > LONGEST_NUMBER:
        raise MetadataError(f"{token.line}: a number of {len(digits)} digits")
    if digits[:2] in ("0x", "0X"):
        return int(digits, 16)
    if digits[:2] in ("0b", "0B"):
        return int(digits, 2)
    return int(digits, 8 if len(digits) > 1 and digits[0] == "0" else 10)


Node = Any
"""What the parser hands to a reduction: tokens, and results of reductions."""


class _Builder:
    """Reductions of the grammar, by rule name; each takes the list of its parts."""

    # --- values ---

    def word(self, parts: list[Node]) -> Node:
        return parts[0]

    c_word = word
    block_word = word

    def path(self, parts: list[Node]) -> str:
        return ".".join(part.text for part in parts[::2])

    def number(self, parts: list[Node]) -> int:
        return _number(parts[0])

    def plus_number(self, parts: list[Node]) -> int:
        return _number(parts[1])

    def minus_number(self, parts: list[Node]) -> int:
        return -_number(parts[1])

    def text(self, parts: list[Node]) -> str:
        return _unescape(parts[0].text)

    character = text

    def name(self, parts: list[Node]) -> tuple[str, ...]:
        return tuple(str(parts[0]).split("."))

    def group(self, parts: list[Node]) -> Node:
        return parts[1]

    # --- declarators ---

    def dim(self, parts: list[Node]) -> list[Node]:
        return [parts[1] if len(parts) == 3 else None]

    def bits(self, parts: list[Node]) -> Node:
        if parts:
            raise MetadataError(f"{parts[0].line}: bit-fields of C have no layout in CTF")

    def pointer(self, _parts: list[Node]) -> str:
        return "*"

    def declarator(self, parts: list[Node]) -> syntax.Declarator:
        lengths = tuple(d[0] for d in parts[1:] if isinstance(d, list))
        return syntax.Declarator(parts[0].text, pointer=False, lengths=lengths)

    def declarator_group(self, parts: list[Node]) -> syntax.Declarator:
        inner: syntax.Declarator = parts[1]
        outer = tuple(d[0] for d in parts[3:] if isinstance(d, list))
        return syntax.Declarator(inner.name, inner.pointer, inner.lengths + outer)

    def rest(self, parts: list[Node]) -> tuple[syntax.Declarator, ...]:
        return _declarators(parts)

    def tail(self, parts: list[Node]) -> tuple[Node, tuple[syntax.Declarator, ...]]:
        """Lengths of the name that ends the specifiers (None: it is among the declarators)."""
        rest = parts[-1]
        first = _declarators(parts[:-1])
        lengths = tuple(d[0] for d in parts if isinstance(d, list))
        if not first:
            return lengths, rest
        named = first[0]
        named = syntax.Declarator(named.name, named.pointer, named.lengths + lengths)
        return None, (named, *rest)

    def alias_tail(self, parts: list[Node]) -> tuple[bool, tuple[Node, ...]]:
        return "*" in parts, tuple(d[0] for d in parts if isinstance(d, list))

    # --- specifiers ---

    def specifiers(self, parts: list[Node]) -> tuple[syntax.Specifier, ...]:
        return tuple(parts)

    def word_specifier(self, parts: list[Node]) -> syntax.Word:
        return syntax.Word(parts[0].text, parts[0].line)

    def integer_specifier(self, parts: list[Node]) -> syntax.Block:
        return syntax.Block(parts[0].text, tuple(parts[2:-1]), parts[0].line)

    string_specifier = integer_specifier
    float_specifier = integer_specifier

    def struct_body(self, parts: list[Node]) -> tuple[tuple[Node, ...], Node]:
        fields = tuple(p for p in parts if isinstance(p, syntax.Declaration | syntax.Alias))
        align = parts[-2] if getattr(parts[-1], "text", "") == ")" else None
        return fields, align

    def struct_specifier(self, parts: list[Node]) -> syntax.StructSpecifier:
        name = parts[1].text if len(parts) == 3 else ""
        fields, align = parts[-1]
        return syntax.StructSpecifier(name, fields, align, parts[0].line)

    def struct_reference(self, parts: list[Node]) -> syntax.StructSpecifier:
        return syntax.StructSpecifier(parts[1].text, None, None, parts[0].line)

    def tag(self, parts: list[Node]) -> str:
        return str(parts[1])

    def variant_specifier(self, parts: list[Node]) -> syntax.VariantSpecifier:
        head = parts[1 : next(i for i, p in enumerate(parts) if _is(p, "{"))]
        name = next((p.text for p in head if isinstance(p, TsdlToken)), "")
        tag = next((p for p in head if isinstance(p, str)), "")
        fields = tuple(p for p in parts if isinstance(p, syntax.Declaration | syntax.Alias))
        return syntax.VariantSpecifier(name, tag, fields, parts[0].line)

    def variant_reference(self, parts: list[Node]) -> syntax.VariantSpecifier:
        return syntax.VariantSpecifier(parts[1].text, parts[2], None, parts[0].line)

    def container(self, parts: list[Node]) -> tuple[syntax.Specifier, ...]:
        return tuple(parts[1])

    def enumerator(self, parts: list[Node]) -> tuple[str, Node, Node]:
        label = parts[0].text
        if parts[0].type == "STRING":
            label = _unescape(label)
        low = parts[2] if len(parts) > 2 else None
        return label, low, parts[4] if len(parts) > 4 else low

    def enumerators(self, parts: list[Node]) -> list[tuple[str, Node, Node]]:
        return [p for p in parts if not isinstance(p, TsdlToken)]

    def enum_specifier(self, parts: list[Node]) -> syntax.EnumSpecifier:
        head = parts[1 : next(i for i, p in enumerate(parts) if _is(p, "{"))]
        name = next((p.text for p in head if isinstance(p, TsdlToken)), "")
        container = next((p for p in head if not isinstance(p, TsdlToken)), ())
        return syntax.EnumSpecifier(name, container, tuple(parts[-2]), parts[0].line)

    def enum_reference(self, parts: list[Node]) -> syntax.EnumSpecifier:
        return syntax.EnumSpecifier(parts[1].text, (), None, parts[0].line)

    # --- declarations ---

    def declared(self, parts: list[Node]) -> syntax.Declaration:
        specifiers, (lengths, declarators) = parts
        last = specifiers[-1]
        if lengths is not None and isinstance(last, syntax.Word) and len(specifiers) > 1:
            first = syntax.Declarator(last.text, pointer=False, lengths=lengths)
            specifiers, declarators = specifiers[:-1], (first, *declarators)
        return syntax.Declaration(specifiers, declarators, last.line)

    def typealias(self, parts: list[Node]) -> syntax.Alias:
        _, specifiers, (pointer, lengths), _, name, (name_pointer, _) = parts
        return syntax.Alias(specifiers, lengths, pointer, name, name_pointer, parts[0].line)

    def field(self, parts: list[Node]) -> Node:
        return parts[0]

    inner = field

    def assignment(self, parts: list[Node]) -> syntax.Assignment:
        return syntax.Assignment(parts[0], parts[2], parts[1].line)

    def type_assignment(self, parts: list[Node]) -> syntax.TypeAssignment:
        return syntax.TypeAssignment(parts[0], parts[2], parts[1].line)

    def block(self, parts: list[Node]) -> syntax.TopBlock:
        return syntax.TopBlock(parts[0].text, tuple(parts[2:-2]), parts[0].line)

    item = field

    def start(self, parts: list[Node]) -> list[syntax.Item]:
        return parts


def _is(part: Node, text: str) -> bool:
    return isinstance(part, TsdlToken) and part.text == text


def _declarators(parts: list[Node]) -> tuple[syntax.Declarator, ...]:
    """The declarators among the parts; a star before one makes it a pointer."""
    found: list[syntax.Declarator] = []
    star = False
    for part in parts:
        if isinstance(part, syntax.Declarator):
            found.append(syntax.Declarator(part.name, star or part.pointer, part.lengths))
            star = False
        elif part == "*":
            star = True
    return tuple(found)


@cache
def _grammar() -> parsing.Grammar:
    return parsing.load("tsdl", _Builder())


def _tokens(text: str, name: str) -> Iterator[TsdlToken]:
    terminals = _grammar().terminals
    at, line = 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise MetadataError(f"{name}:{line}: unexpected character {text[at]!r}")
        piece, kind = match[0], match.lastgroup
        if kind == "string":
            yield TsdlToken("STRING", piece, line)
        elif kind == "character":
            yield TsdlToken("CHARACTER", piece, line)
        elif kind == "number":
            yield TsdlToken("NUMBER", piece, line)
        elif kind != "space":
            yield TsdlToken(terminals.get(piece, "NAME"), piece, line)
        line += piece.count("\n")
        at = match.end()


def parse(text: str, name: str) -> list[syntax.Item]:
    """The items of a metadata text; `name` is the file that errors name."""
    feeder = _grammar().feeder()
    line = 1
    for token in _tokens(text, name):
        line = token.line
        try:
            fits = feeder.feed(token)
        except MetadataError as error:
            raise MetadataError(f"{name}:{error}") from None
        if not fits:
            raise MetadataError(f"{name}:{line}: unexpected `{token.text}`")
    done, items = feeder.finish(TsdlToken("$END", "", line))
    if not done or not isinstance(items, list):
        raise MetadataError(f"{name}:{line}: unexpected end of the metadata")
    return items
