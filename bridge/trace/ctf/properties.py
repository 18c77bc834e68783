"""The properties of a JSON object of CTF 2 metadata, checked by a table of what they may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Json = dict[str, Any]
Taker = "Callable[[Any], Any]"
"""Checks a value, and gives what it stands for; `Flaw` if it cannot stand there."""
_ALWAYS = ("type", "attributes", "extensions")
_HIGHEST = (1 << 64) - 1
_LOWEST = -(1 << 63)


class Flaw(Exception):
    """What is wrong, and the way to it."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.reason, self.path = reason, path

    def within(self, name: str) -> Flaw:
        """The same, seen from further out."""
        return Flaw(self.reason, f"{name}.{self.path}" if self.path else name)


def checked(
    found: Json,
    required: Mapping[str, Callable[[Any], Any]],
    optional: Mapping[str, Callable[[Any], Any]],
) -> Json:
    """The values of an object with a type, of which nothing else may be there."""
    if not isinstance(found.get("attributes", {}), dict):
        raise Flaw("is no object", "attributes")
    if found.get("extensions", {}) != {}:
        raise Flaw("extensions of CTF 2 cannot be read", "extensions")
    own = {name: value for name, value in found.items() if name not in _ALWAYS}
    return _taken(own, required, optional)


def _taken(
    found: Json,
    required: Mapping[str, Callable[[Any], Any]],
    optional: Mapping[str, Callable[[Any], Any]],
) -> Json:
    missing = [name for name in required if name not in found]
    if missing:
        raise Flaw(f"`{missing[0]}` is missing")
    result = {}
    for name, value in found.items():
        taker = required.get(name) or optional.get(name)
        if taker is None:
            raise Flaw(f"`{name}` is no property of this")
        try:
            result[name] = taker(value)
        except Flaw as flaw:
            raise flaw.within(name) from None
    return result


def object_of(
    required: Mapping[str, Callable[[Any], Any]],
    optional: Mapping[str, Callable[[Any], Any]] | None,
) -> Callable[[Any], Json]:
    """An object with these properties; any others only if `optional` is None."""

    def take(value: object) -> Json:
        if not isinstance(value, dict):
            raise Flaw("is no object")
        return value if optional is None else _taken(value, required, optional)

    return take


def text(value: object) -> str:
    """A text."""
    if not isinstance(value, str):
        raise Flaw("is no text")
    return value


def integer(value: object) -> int:
    """An integer of 64 bits, with a sign or without."""
    if type(value) is not int or not _LOWEST <= value <= _HIGHEST:
        raise Flaw("is no integer of 64 bits")
    return value


def natural(value: object) -> int:
    """An integer of 64 bits that is not negative."""
    if integer(value) < 0:
        raise Flaw("is negative")
    return integer(value)


def array(value: object) -> list[Any]:
    """An array."""
    if not isinstance(value, list):
        raise Flaw("is no array")
    return value


def keyword(*words: str) -> Callable[[object], str]:
    """One of some words."""

    def take(value: object) -> str:
        if value not in words:
            raise Flaw(f"is {value!r}, not one of {', '.join(words)}")
        return str(value)

    return take
