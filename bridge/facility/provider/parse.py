"""Text of a provider file -> `ProviderFile`.

The rule: every probe that dtrace(1) takes is taken, an error names file and line, and what has
no influence on the probes (types, translators, pragmas) is read as C and passed over.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from bridge import parsing
from bridge.facility.provider.declarators import argument, typedef
from bridge.facility.provider.model import MOST_ARGUMENTS, Provider, ProviderFile, ProviderProbe
from bridge.facility.provider.tokens import ProviderError, ProviderReader, ProviderToken

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.facility.provider.model import ProviderArgument

Node = Any
"""What the parser hands to a reduction: tokens, and results of reductions."""

_EXPECTED = (
    ("provider", "provider"),
    ("probe", "probe"),
    ("NAME", "a name"),
    ("(", "'('"),
    (")", "')'"),
    ("{", "'{'"),
    ("}", "'}'"),
    (",", "','"),
    (";", "';'"),
)


class _Builder:
    """Reductions of the grammar, by rule name."""

    def __init__(self) -> None:
        self.types: dict[str, str] = {}

    def fail(self, token: ProviderToken, message: str) -> ProviderError:
        return ProviderError(f"{token.file}:{token.line}: {message}")

    def name(self, children: list[Node]) -> ProviderToken:
        found: ProviderToken = children[0]
        if not found.text.replace("$", "_").isidentifier() and not found.text.isalnum():
            raise self.fail(found, f"{found.text} is no name")
        return found

    def parameter(self, children: list[Node]) -> ProviderArgument:
        """The words before a colon: the argument that the program passes."""
        words = list(_flat(children))
        colon = next((n for n, word in enumerate(words) if word.text == ":"), len(words))
        return argument([word.text for word in words[:colon]])

    def parameters(self, children: list[Node]) -> list[ProviderArgument]:
        found = [c for c in children if not isinstance(c, ProviderToken)]
        # `(void)` has no arguments, as in C
        return [] if [(a.type, a.name) for a in found] == [("void", "")] else found

    def probe(self, children: list[Node]) -> ProviderProbe:
        name: ProviderToken = children[1]
        given = [c for c in children[2:] if isinstance(c, list)]
        arguments = tuple(given[0]) if given else ()
        if len(arguments) > MOST_ARGUMENTS:
            message = f"probe {name.text} has more than {MOST_ARGUMENTS} arguments"
            raise self.fail(name, message)
        return ProviderProbe(name.text, arguments, name.line, name.file)

    def provider(self, children: list[Node]) -> Provider:
        name: ProviderToken = children[1]
        probes = tuple(c for c in children if isinstance(c, ProviderProbe))
        return Provider(name.text, probes, name.line)

    def declaration(self, children: list[Node]) -> None:
        self.types.update(typedef([word.text for word in _flat(children)]))

    def start(self, children: list[Node]) -> tuple[Provider, ...]:
        return tuple(c for c in children if isinstance(c, Provider))


def _flat(nodes: Iterable[Node]) -> Iterable[ProviderToken]:
    for node in nodes:
        if isinstance(node, ProviderToken):
            yield node
        elif isinstance(node, list):
            yield from _flat(node)


@cache
def _tables() -> dict[str, str]:
    """The grammar's name of each literal."""
    return dict(parsing.load("provider", object()).terminals)


def parse(text: str, name: str) -> ProviderFile:
    """The providers of a text.

    Args:
        text: the file, or what cpp made of it (its line markers are followed).
        name: what the messages call the file.

    Raises:
        ProviderError: the file cannot be read; the message names file and line.

    """
    builder, reader = _Builder(), ProviderReader(text, name)
    feeder, terminals = parsing.load("provider", builder).feeder(), _tables()
    for token in reader.tokens():
        fed = token._replace(type=terminals.get(token.type, token.type))
        if token.type == "$END":
            done, providers = feeder.finish(fed)
            if done:
                types = {**reader.defines, **builder.types}
                return ProviderFile(providers, types, tuple(reader.notes))
        if token.type == "$END" or not feeder.feed(fed):
            raise builder.fail(token, _unexpected(feeder, token))
    raise AssertionError("the end of the text is a token")


def _unexpected(feeder: parsing.Feeder, token: ProviderToken) -> str:
    terminals = _tables()
    wanted = [
        text for literal, text in _EXPECTED if feeder.fits(terminals.get(literal, literal))
    ]
    if "a name" in wanted:  # where a name may stand, a keyword may
        wanted = [text for text in wanted if text not in ("provider", "probe")]
    *most, last = wanted[:3] or ["nothing"]
    listed = f"{', '.join(most)} or {last}" if most else last
    got = token.text if token.type == "$END" else f"{token.text!r}"
    return f"expected {listed}, not {got}"


__all__ = ["ProviderError", "parse"]
