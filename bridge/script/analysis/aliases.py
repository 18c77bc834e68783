"""The aliases of a program's scripts and of the library, by the first component of their names.

Rule: nothing is resolved here; wildcards of a point are compared with the first component only.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from bridge.script.printing.listing import BUILT_IN_FAMILIES
from bridge.script.syntax import ast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.script.library import Library

_WILD = re.compile(r"[*?\[]")


class NamedAlias(NamedTuple):
    """An alias under one of its names."""

    script: ast.Script
    alias: ast.Alias
    name: ast.ProbePoint


def is_wild(component: ast.PointComponent) -> bool:
    """Whether a component stands for several names."""
    return bool(_WILD.search(component.name))


class Aliases:
    """The index; scripts may be added while it is used."""

    def __init__(self, scripts: Sequence[ast.Script], library: Library) -> None:
        self._scripts = scripts
        self._library = library
        self._indexed = 0
        self._count = 0
        self._known: set[ast.Alias] = set()
        self._own: dict[str, list[tuple[int, NamedAlias]]] = {}

    def beginning(self, point: ast.ProbePoint) -> list[NamedAlias]:
        """The aliases whose names begin with what a point begins with."""
        self._catch_up()
        first = point.components[0]
        second = point.components[1].name if len(point.components) > 1 else "*"
        if first.argument is not None:
            return []
        if is_wild(first):
            fitting = [
                entry
                for name, entries in self._own.items()
                if fnmatchcase(name, first.name)
                for entry in entries
            ]
            found = [named for _, named in sorted(fitting, key=itemgetter(0))]
        else:
            found = [named for _, named in self._own.get(first.name, ())]
        return found + [
            NamedAlias(script, alias, name)
            for script, alias in self._library.aliases(first.name, second)
            if alias not in self._known
            for name in alias.names
            if fnmatchcase(name.components[0].name, first.name)
        ]

    def first_words(self) -> set[str]:
        """All names that a probe point may begin with."""
        self._catch_up()
        return {*self._own, *self._library.alias_names(), *BUILT_IN_FAMILIES}

    def _catch_up(self) -> None:
        """Take in the scripts that have come since."""
        for script in self._scripts[self._indexed :]:
            for definition in script.definitions:
                if isinstance(definition, ast.Alias):
                    self._add(script, definition)
        self._indexed = len(self._scripts)

    def _add(self, script: ast.Script, alias: ast.Alias) -> None:
        self._known.add(alias)
        for name in alias.names:
            self._count += 1
            first = name.components[0].name
            entry = (self._count, NamedAlias(script, alias, name))
            self._own.setdefault(first, []).append(entry)
