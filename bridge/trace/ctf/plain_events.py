"""Event blocks of CTF 1.8 metadata in the form that LTTng writes -> syntax tree, by patterns.

Traces of a kernel have thousands of them, and the parser takes half a millisecond for each. The
rule: only what cannot be wrong is taken here; every other block is left to the parser, and so
is a text with comments among its events.
"""

from __future__ import annotations

import re
from functools import lru_cache

from bridge.trace.ctf import syntax
from bridge.trace.ctf.parse import MetadataError, parse

_EVENT = re.compile(
    r'^event \{\n\tname = "([^"\\\n]*)";\n\tid = (0|[1-9]\d{0,17});\n'
    r"\tstream_id = (0|[1-9]\d{0,17});\n"
    r"((?:\tloglevel = (?:0|[1-9]\d?);\n)?)"
    r"\tfields := struct \{\n((?:\t\t[^\n]*;\n)*)\t\};\n\};\n",
    re.MULTILINE | re.ASCII,
)
_FIELD = re.compile(
    r"\t\t(integer \{[^{}\n]*\}|string) (_\w+)(?:\[ ?(_\w+|[1-9]\d{0,8}) ?\])?;\n", re.ASCII
)
_INTEGER = re.compile(
    r"integer \{ size = (8|16|32|64); align = (1|8|16|32|64); signed = (0|1);"
    r" encoding = (none|UTF8|ASCII); base = (8|10|16|2); \}",
    re.ASCII,
)
_LONGEST_NAME = 200
_PLACEHOLDER = "callsite {};"
"""A block without a meaning."""


def items_of(text: str, name: str) -> list[syntax.Item]:
    """The items of a metadata text; what is wrong with it is told as the parser tells it."""
    rest, blocks = take(text)
    if not blocks:
        return parse(text, name)
    try:
        items = parse(rest, name)
    except MetadataError:
        return parse(text, name)  # of the whole text; the rest has other words in it
    found: list[syntax.Item] = []
    for item in items:
        found += blocks.get(item.line, [item]) if _is_placeholder(item) else [item]
    return found


def take(text: str) -> tuple[str, dict[int, list[syntax.TopBlock]]]:
    """The text with a placeholder, line for line, for each row of blocks that were taken.

    The blocks are by the line of their placeholder, which may stand where blocks may.
    """
    first = _EVENT.search(text)
    if first is None or "/*" in text[first.start() :] or "//" in text[first.start() :]:
        return text, {}
    if text.rfind("/*", 0, first.start()) > text.rfind("*/", 0, first.start()):
        return text, {}
    pieces: list[str] = []
    blocks: dict[int, list[syntax.TopBlock]] = {}
    row: list[syntax.TopBlock] = []
    at, line = 0, 1
    for match in _EVENT.finditer(text):
        line += text.count("\n", at, match.start())
        between = text[at : match.start()]
        pieces.append(between)
        block = _block(match, line)
        if block is None:
            row = []
            pieces.append(match[0])
        else:
            if between.strip() or not row:
                row = blocks[line] = []
                pieces.append(_PLACEHOLDER)
            row.append(block)
            pieces.append("\n" * match[0].count("\n"))
        at = match.end()
        line += match[0].count("\n")
    pieces.append(text[at:])
    return "".join(pieces), blocks


def _is_placeholder(item: syntax.Item) -> bool:
    return isinstance(item, syntax.TopBlock) and item.kind == "callsite" and not item.entries


def _block(match: re.Match[str], line: int) -> syntax.TopBlock | None:
    name, number, stream, level, body = match.groups()
    if len(name) > _LONGEST_NAME or not name.isascii():
        return None
    fields, end, row = [], 0, line + 5 + bool(level)
    for field in _FIELD.finditer(body):
        specifiers = _specifiers(field[1])
        if field.start() != end or specifiers is None:
            return None
        lengths: tuple[syntax.Value | None, ...] = ()
        if length := field[3]:
            lengths = (int(length) if length[0] != "_" else (length,),)
        declarator = syntax.Declarator(field[2], pointer=False, lengths=lengths)
        fields.append(syntax.Declaration(specifiers, (declarator,), row))
        end, row = field.end(), row + 1
    if end != len(body):
        return None
    entries: list[syntax.Entry] = [
        syntax.Assignment("name", name, line + 1),
        syntax.Assignment("id", int(number), line + 2),
        syntax.Assignment("stream_id", int(stream), line + 3),
    ]
    if level:
        value = int(level.strip().removeprefix("loglevel = ").rstrip(";"))
        entries.append(syntax.Assignment("loglevel", value, line + 4))
    struct = syntax.StructSpecifier("", tuple(fields), None, line + 4 + bool(level))
    entries.append(syntax.TypeAssignment("fields", (struct,), struct.line))
    return syntax.TopBlock("event", tuple(entries), line)


@lru_cache(maxsize=1024)
def _specifiers(text: str) -> tuple[syntax.Specifier, ...] | None:
    """What stands for a type; None if its properties are to be looked at closely."""
    if text == "string":
        return (syntax.Word("string", 0),)
    found = _INTEGER.fullmatch(text)
    if found is None:
        return None
    size, align, signed, encoding, base = found.groups()
    entries = (
        syntax.Assignment("size", int(size), 0),
        syntax.Assignment("align", int(align), 0),
        syntax.Assignment("signed", int(signed), 0),
        syntax.Assignment("encoding", (encoding,), 0),
        syntax.Assignment("base", int(base), 0),
    )
    return (syntax.Block("integer", entries, 0),)
