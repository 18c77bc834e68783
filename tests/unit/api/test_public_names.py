"""Everything that a public signature mentions is public."""

from __future__ import annotations

import builtins
import collections.abc
import inspect
import re
import sys
import typing
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING

import pytest

import bridge
from bridge.marker_lookup import markers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KNOWN = {
    *bridge.__all__,
    *dir(builtins),
    *dir(typing),
    *dir(collections.abc),
    *("Array", "Path", "PathLike", "TracebackType"),
}
"""`Array` is one of numpy, which is optional."""
NOT_MADE_BY_USERS = {"Session", "StoredProgram"}


def _annotations(thing: object) -> Iterator[str]:
    match thing:
        case property():
            yield from _annotations(thing.fget)
        case classmethod() | staticmethod():
            yield from _annotations(thing.__func__)
        case type():
            yield from (text for name, text in _texts(thing) if not name.startswith("_"))
            for name, member in vars(thing).items():
                made = name == "__init__" and thing.__name__ not in NOT_MADE_BY_USERS
                if made or not name.startswith("_"):
                    yield from _annotations(member)
        case FunctionType():
            yield from (text for _, text in _texts(thing))


def _texts(thing: object) -> Iterator[tuple[str, str]]:
    for name, found in getattr(thing, "__annotations__", {}).items():
        yield name, str(getattr(found, "__forward_arg__", found))


@pytest.mark.parametrize("name", bridge.__all__)
def test_what_a_signature_mentions_is_public(name: str) -> None:
    thing = getattr(bridge, name)
    thing = markers if isinstance(thing, ModuleType) else thing
    mentioned = {
        word.rpartition(".")[2]
        for text in _annotations(thing)
        for word in re.findall(r"[A-Za-z_.]*\b[A-Z]\w+", text)
    }
    assert mentioned <= KNOWN
    home = vars(sys.modules[thing.__module__]) if hasattr(thing, "__module__") else {}
    for word in mentioned & set(bridge.__all__) & home.keys():
        assert home[word] is getattr(bridge, word), f"another {word} is public"


def test_signatures_are_looked_at() -> None:
    """Else the test above could not fail."""
    assert any("GlobalValue" in text for text in _annotations(bridge.Session))
    assert any("Operand" in text for text in _annotations(bridge.Variable))
    assert inspect.isclass(bridge.EventWriter)


def test_types_of_fields_are_taken_by_name_and_as_they_are(tmp_path: Path) -> None:
    integer = bridge.Integer(16, signed=True)
    with bridge.CtfWriter(tmp_path / "trace") as writer:
        order = writer.event_class("shop:order", id=integer, parts=[integer, 2], name="string")
        order(id=-1, parts=[1, 2], name="pear")
        order(id=7, parts=[3, -4], name="plum")
        with pytest.raises(bridge.TraceError, match="field `id`: no type 'u17'"):
            writer.event_class("shop:other", id="u17")

    with bridge.open_trace(tmp_path / "trace") as trace:
        assert [event.fields for event in trace] == [
            {"id": -1, "parts": [1, 2], "name": "pear"},
            {"id": 7, "parts": [3, -4], "name": "plum"},
        ]
