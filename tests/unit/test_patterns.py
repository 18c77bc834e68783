"""No pattern of ours rests on what one CPython build does.

Possessive quantifiers, and atomic groups that capture, match wrongly before CPython 3.11.5
(gh-100061, gh-106052, gh-101955); Debian 12 has 3.11.2.
"""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from re import _constants, _parser  # the parser of patterns has no public name

import pytest

import bridge

ROOT = Path(__file__).resolve().parent.parent.parent
FUNCTIONS = {"compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall"}


def faults(pattern: str | bytes, flags: int = 0) -> list[str]:
    """What in a pattern is wrong on some CPython that we support."""
    return list(_faults(_parser.parse(pattern, flags)))


def _faults(parsed, atomic: bool = False):
    for op, argument in parsed:
        if op is _constants.POSSESSIVE_REPEAT:
            yield "possessive"
        if op is _constants.SUBPATTERN and atomic and argument[0] is not None:
            yield "captures in an atomic group"
        inside = atomic or op in (_constants.POSSESSIVE_REPEAT, _constants.ATOMIC_GROUP)
        for part in _parts(argument):
            yield from _faults(part, inside)


def _parts(argument):
    if isinstance(argument, _parser.SubPattern):
        yield argument
    elif isinstance(argument, tuple | list):
        for part in argument:
            yield from _parts(part)


def compiled_patterns():
    """The patterns that are made when modules are loaded, whatever made their texts."""
    for found in walk_packages(bridge.__path__, "bridge."):
        if found.name in ("bridge.__main__", "bridge._markbridge"):  # a program, and C
            continue
        module = import_module(found.name)
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                yield f"{found.name}.{name}", value.pattern, value.flags


def written_patterns():
    """The patterns that are written down where they are used."""
    for folder in (
        "bridge",
        "formats",
        "grammars",
        "csrc",
        "tools",
        "bench",
        "examples",
        "docs",
    ):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Call(
                        func=ast.Attribute(value=ast.Name(id="re"), attr=name),
                        args=[ast.Constant(value=str() | bytes() as pattern), *_],
                    ) if name in FUNCTIONS:
                        yield f"{path.relative_to(ROOT)}:{node.lineno}", pattern


def test_no_pattern_is_possessive_or_captures_in_an_atomic_group() -> None:
    compiled = {place: faults(p, flags) for place, p, flags in compiled_patterns()}
    written = {place: faults(pattern) for place, pattern in written_patterns()}

    assert len(compiled) > 30
    assert len(written) > 30
    assert {place: wrong for place, wrong in (compiled | written).items() if wrong} == {}


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [
        ("a++", ["possessive"]),
        ("(?:ab?c)*+", ["possessive"]),
        ("x(?:a?+|b)", ["possessive"]),
        ("(?=a{1,3}+)", ["possessive"]),
        ("(?>(a)b)", ["captures in an atomic group"]),
        (r"a+\+|[+*]+|a{2}\++?", []),
        ("(?>(?:ab?c)+)*", []),
    ],
)
def test_the_faults_are_seen(pattern: str, wrong: list[str]) -> None:
    assert faults(pattern) == wrong
