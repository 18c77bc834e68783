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

_SPACE = r"[ \t\n]*"
_EVENT = re.compile(
    r'^event~\{~name ~= ~"([^"\\\n]*)"~;~id ~= ~(0|[1-9]\d{0,17}) ~;~'
    r"stream_id ~= ~(0|[1-9]\d{0,17}) ~;~(?:loglevel ~= ~(0|[1-9]\d?) ~;~)?"
    r"fields ~:= ~struct ~\{".replace(" ~", "~").replace("~", _SPACE),
    re.MULTILINE | re.ASCII,
)
_FIELD = re.compile(
    r"~(integer ?\{[^{}\n]*\}|string)[ \t]+(_\w+)~(?:\[ ?(_\w+|[1-9]\d{0,8}) ?\])?~;".replace(
        "~", _SPACE
    ),
    re.ASCII,
)
_END = re.compile(r"~\}~;~\}~;".replace("~", _SPACE))
_INTEGER = re.compile(
    r"integer ?\{ ?size = (8|16|32|64); align = (1|8|16|32|64); signed = (0|1);"
    r" encoding = (none|UTF8|ASCII); base = (8|10|16|2); ?\}",
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
    while (match := _EVENT.search(text, at)) is not None:
        between = text[at : match.start()]
        line += between.count("\n")
        block, end = _block(text, match, line)
        pieces.append(between)
        if block is None:
            row = []
            pieces.append(text[match.start() : end])
        else:
            if between.strip() or not row:
                row = blocks[line] = []
                pieces.append(_PLACEHOLDER)
            row.append(block)
            pieces.append("\n" * text.count("\n", match.start(), end))
        line += text.count("\n", match.start(), end)
        at = end
    pieces.append(text[at:])
    return "".join(pieces), blocks


def _is_placeholder(item: syntax.Item) -> bool:
    return isinstance(item, syntax.TopBlock) and item.kind == "callsite" and not item.entries


def _block(text: str, match: re.Match[str], line: int) -> tuple[syntax.TopBlock | None, int]:
    """A block, None if it is to be looked at closely; and how far the text was looked at."""
    name, number, stream, level = match.groups()
    end = match.end()
    if len(name) > _LONGEST_NAME or not name.isascii():
        return None, end

    def line_of(group: int) -> int:
        return line + text.count("\n", match.start(), match.start(group))

    fields, row = [], line + text.count("\n", match.start(), end)
    struct_line = row
    while (field := _FIELD.match(text, end)) is not None:
        specifiers = _specifiers(field[1])
        if specifiers is None:
            return None, end
        row += text.count("\n", end, field.start(1))
        lengths: tuple[syntax.Value | None, ...] = ()
        if length := field[3]:
            lengths = (int(length) if length[0] != "_" else (length,),)
        declarator = syntax.Declarator(field[2], pointer=False, lengths=lengths)
        fields.append(syntax.Declaration(specifiers, (declarator,), row))
        row += text.count("\n", field.start(1), field.end())
        end = field.end()
    last = _END.match(text, end)
    if last is None:
        return None, end
    entries: list[syntax.Entry] = [
        syntax.Assignment("name", name, line_of(1)),
        syntax.Assignment("id", int(number), line_of(2)),
        syntax.Assignment("stream_id", int(stream), line_of(3)),
    ]
    if level:
        entries.append(syntax.Assignment("loglevel", int(level), line_of(4)))
    struct = syntax.StructSpecifier("", tuple(fields), None, struct_line)
    entries.append(syntax.TypeAssignment("fields", (struct,), struct_line))
    return syntax.TopBlock("event", tuple(entries), line), last.end()


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
