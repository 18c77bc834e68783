"""Marker format string -> fields: `ip #p%ld syscall_id #2u%u`, as the tracers read it.

A conversion is `[#trace_type] %c_type`; its name is the first word, ended by a space, after the
conversion before. The trace type says how the value lies in the buffer; without one the C type
does. The rule: every oddity of the scanner is kept, because writers had the same one.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.trace import model

QUALIFIERS = ("ll", "h", "l", "L", "Z", "z", "t", "S")
LETTERS = "cspdiouxX"
_C_FLAGS = "-+ #0"


@dataclass(frozen=True, slots=True)
class MarkerSizes:
    """Bytes of C types where the marker was compiled; `alignment` 0 means packed."""

    c_int: int = 4
    long: int = 8
    pointer: int = 8
    size_t: int = 8
    alignment: int = 0


@dataclass(frozen=True, slots=True)
class MarkerConversion:
    """One conversion: its name (empty: none), C type and trace type (empty: none)."""

    name: str
    c_qualifier: str
    c_letter: str
    trace_attributes: str = ""
    trace_qualifier: str = ""
    trace_letter: str = ""


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        """The next character; '' at the end."""
        return self.text[self.at : self.at + 1]

    def take(self, characters: str) -> str:
        """All following characters that are in the set."""
        start = self.at
        while self.peek() and self.peek() in characters:
            self.at += 1
        return self.text[start : self.at]

    def qualifier(self, digits: str = "") -> str:
        """A length modifier (or one of the digits); '' if none follows."""
        for word in QUALIFIERS:
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return word
        if self.peek() and self.peek() in digits:
            self.at += 1
            return self.text[self.at - 1]
        return ""

    def letter(self) -> str:
        """The next character, whatever it is; it is eaten even if it is no type letter."""
        self.at += 1
        return self.text[self.at - 1 : self.at]


def _trace_type(scanner: _Scanner) -> tuple[str, str, str]:
    attributes = scanner.take("nb")
    qualifier = scanner.qualifier("1248")
    letter = scanner.peek()
    if letter and letter in LETTERS:
        scanner.at += 1
        return attributes, qualifier, letter
    # Not a type letter: the scanner swallows it, so `#1%d` has no conversion at all.
    scanner.at += 1
    return attributes, qualifier, ""


def parse(text: str) -> list[MarkerConversion]:
    """The conversions of a format in order."""
    scanner, conversions = _Scanner(text), []
    word_start, name, trace = 0, "", ("", "", "")
    while scanner.peek():
        mark = scanner.letter()
        following = scanner.peek()
        if mark in "%#" and following == mark:
            scanner.at += 1
        elif mark == "#":
            trace = _trace_type(scanner)
        elif mark == "%":
            scanner.take(_C_FLAGS)
            qualifier, letter = scanner.qualifier(), scanner.letter()
            if letter in LETTERS and letter:
                conversions.append(MarkerConversion(name, qualifier, letter, *trace))
            name, trace, word_start = "", ("", "", ""), scanner.at
        elif mark == " " and not name:
            name = text[word_start : scanner.at - 1].strip(" ")
            if not name:
                word_start = scanner.at
    return conversions


def _size(qualifier: str, letter: str, sizes: MarkerSizes) -> int:
    if letter == "c":
        return 1
    if letter == "p":
        return sizes.pointer
    if qualifier in ("1", "2", "4", "8"):
        return int(qualifier)
    widths = {
        "": sizes.c_int,
        "h": 2,
        "l": sizes.long,
        "ll": 8,
        "L": 8,
        "z": sizes.size_t,
        "Z": sizes.size_t,
        "t": sizes.pointer,
        "S": sizes.c_int,
    }
    return widths[qualifier]


def _type(
    conversion: MarkerConversion, sizes: MarkerSizes, big: bool, capped: bool
) -> model.Integer | model.Text:
    if conversion.c_letter == "s" or conversion.trace_letter == "s":
        return model.Text()
    letter = conversion.trace_letter or conversion.c_letter
    has_type = bool(conversion.trace_letter)
    qualifier = conversion.trace_qualifier if has_type else conversion.c_qualifier
    size = _size(qualifier, letter, sizes)
    align = 1
    if sizes.alignment:
        align = min(size, sizes.alignment) if capped else size
    return model.Integer(
        bits=8 * size,
        signed=letter in "di",
        align_bits=8 * align,
        big_endian=big or "n" in conversion.trace_attributes,
        base=16 if letter == "p" else 10,
    )


def payload(text: str, sizes: MarkerSizes, big: bool, capped: bool = True) -> model.Struct:
    """The payload that a format describes."""
    fields = []
    for number, conversion in enumerate(parse(text), 1):
        name = conversion.name or f"field {number}"
        fields.append(model.Field(name, _type(conversion, sizes, big, capped)))
    return model.Struct(tuple(fields))
