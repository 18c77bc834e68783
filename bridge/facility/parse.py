"""Text of a facility description -> `model.Facility`, one per document of the text.

The dialect is not XML: values may be unquoted, closing slashes may be missing, comments are
C's. The rule: what any genevent from 2003 to 2008 accepted is accepted, and an error names its
line. `strict` is for generators: what they would have to guess is refused.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from bridge import parsing
from bridge.facility.build import FacilityBuilder
from bridge.facility.check import check
from bridge.facility.tokens import FacilityError, FacilityToken, tokens

if TYPE_CHECKING:
    from bridge.facility import model

_DEPTH = 64
_NESTING = frozenset(("<struct", "<union", "<array", "<sequence", "<enum"))
_EXPECTED = (
    ("<int", "a type"),
    ("<label", "<label>"),
    ("<field", "<field>"),
    ("<event", "<event> or <type>"),
    ("<facility", "<facility>"),
    ("</facility", "</facility>"),
    ("</event", "</event>"),
    ("</field", "</field>"),
    ("</type", "</type>"),
    ("</description", "</description>"),
    ("</array", "</array>"),
    ("</sequence", "</sequence>"),
    ("</struct", "</struct>"),
    ("</union", "</union>"),
    ("</enum", "</enum>"),
    (">", "'>'"),
)
"""What a parser waits for, by a token that it would take; those that fit are named."""


@cache
def _tables() -> dict[str, str]:
    """The grammar's name of each literal."""
    return dict(parsing.load("facility", object()).terminals)


def parse(text: str, name: str = "facility", *, strict: bool = False) -> list[model.Facility]:
    """All documents of a text.

    Args:
        text: the description as Latin-1, one character per byte; a byte order mark is skipped.
        name: what the messages call the file.
        strict: refuse what no generator of 2007 takes or what it takes silently: events that
            hold one struct, unknown attributes, second declarations, names that C has not.

    Raises:
        FacilityError: the description cannot be read; the message names file and line.

    """
    builder = FacilityBuilder(name, strict)
    feeder = parsing.load("facility", builder).feeder()
    terminals, depth = _tables(), 0
    for token in tokens(text, name):
        kind = terminals.get(token.type, token.type)
        fed = token._replace(type=kind)
        if token.type == "$END":
            done, found = feeder.finish(fed)
            if not done:
                raise _unexpected(builder, feeder, token)
            return _checked(found, builder)
        if token.type in _NESTING and feeder.fits(terminals["<int"]):
            depth += 1
        elif token.text in ("struct", "union", "array", "sequence", "enum"):
            depth -= token.type.startswith("<")
        if depth > _DEPTH:
            raise builder.fail(token.line, "types are nested too deeply")
        if not feeder.feed(fed):
            raise _unexpected(builder, feeder, token)
    raise AssertionError("the end of the text is a token")


def _checked(
    facilities: list[model.Facility], builder: FacilityBuilder
) -> list[model.Facility]:
    for facility in facilities:
        check(facility, builder.fail)
    return facilities


def _waits(feeder: parsing.Feeder, literal: str) -> bool:
    """Whether the element may come; `<field>` that would close a field is no field."""
    closing = _tables().get(literal.replace("<", "</"))
    if not literal.startswith("</") and closing is not None and feeder.fits(closing):
        return False
    return feeder.fits(_tables()[literal])


def _unexpected(
    builder: FacilityBuilder, feeder: parsing.Feeder, token: FacilityToken
) -> FacilityError:
    """The error for a token that does not fit, unless what was read before it is wrong."""
    wanted = [text for literal, text in _EXPECTED if _waits(feeder, literal)]
    got = f"{token.type}>" if token.type.startswith("<") else token.text
    while feeder.settle():
        pass
    *most, last = wanted[:3] or ["nothing"]
    listed = f"{', '.join(most)} or {last}" if most else last
    return builder.fail(token.line, f"expected {listed}, not {got}")


__all__ = ["FacilityError", "parse"]
