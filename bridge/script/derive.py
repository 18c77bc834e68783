"""Probe definitions -> derived probes: aliases replaced, wildcards multiplied, places found.

Rule: what a point stands for is asked of `markers.Targets`; aliases (of the script and of the
library) are replaced here, component by component, and their bodies are put around the
handler's. Spec: systemtap-language section 9.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from operator import itemgetter
from typing import TYPE_CHECKING

from bridge.markers import NoMatch, PointPart
from bridge.script import ast, errors
from bridge.script.walk import walk
from bridge.similar import among

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.diagnostics import Diagnostic, Sink
    from bridge.markers import Expansion, Targets
    from bridge.script.library import Library
    from bridge.source import Span

MAX_ALIAS_DEPTH = 100
MAX_WORK = 3_000_000
"""How many nodes the bodies of all probes of a program may have together."""
_PER_PLACE = 20
"""What a place costs besides its bodies, in nodes."""
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True, eq=False)
class ScopedBlock:
    """A body and the file whose private names it may use."""

    script: ast.Script
    block: ast.Block


@dataclass(frozen=True, slots=True, eq=False)
class ScopedCondition:
    """A condition and the file whose private names it may use."""

    script: ast.Script
    expr: ast.Expr


@dataclass(slots=True, eq=False)
class Derived:
    """One probe at one place: its bodies in running order, its conditions (all must hold).

    Messages about the probe as a whole name `token`, which is at `at`: the word `probe`, or
    the innermost alias by which the place was found.
    """

    expansion: Expansion
    script_point: str
    span: Span
    at: Span
    token: str
    bodies: tuple[ScopedBlock, ...]
    conditions: tuple[ScopedCondition, ...]
    written: str = ""
    """The point as the script has it, aliases and all."""
    alias: str = ""
    """The alias by its full name, if the point names one."""


class _Unresolved(Exception):
    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__()


class _TooMany(_Unresolved):
    """There are more probes than can be dealt with; optional points do not hide it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Handler:
    bodies: tuple[ScopedBlock, ...]
    at: Span
    token: str
    conditions: tuple[ScopedCondition, ...] = ()
    chain: tuple[ast.ProbePoint, ...] = ()
    written: str = ""
    alias: str = ""

    def inside(self, script: ast.Script, alias: ast.Alias, point: ast.ProbePoint) -> _Handler:
        """The handler with an alias's bodies around it."""
        before = (ScopedBlock(script, alias.prologue),) if alias.prologue else ()
        after = (ScopedBlock(script, alias.epilogue),) if alias.epilogue else ()
        bodies = (*before, *self.bodies, *after)
        return replace(self, bodies=bodies, chain=(*self.chain, point))

    def under(self, script: ast.Script, point: ast.ProbePoint) -> _Handler:
        """The handler with the point's condition added."""
        if point.condition is None:
            return self
        added = (*self.conditions, ScopedCondition(script, point.condition))
        return replace(self, conditions=added)


class Deriver:
    """Derives the probes of one program."""

    def __init__(
        self, scripts: Sequence[ast.Script], library: Library, targets: Targets, sink: Sink
    ) -> None:
        self._targets = targets
        self._sink = sink
        self._index = _Aliases(scripts, library)
        self._work = 0
        self._sizes: dict[ast.Block, int] = {}

    def probe(self, script: ast.Script, probe: ast.Probe) -> list[Derived]:
        """All probes of one definition; an error is in the sink."""
        handler = _Handler((ScopedBlock(script, probe.body),), probe.token, "keyword")
        try:
            return self._points(script, probe.points, handler, 0)
        except _Unresolved as problem:
            first, *rest = problem.diagnostics
            self._sink.report(errors.chained(first, rest))
            return []

    def _points(
        self,
        script: ast.Script,
        points: Sequence[ast.ProbePoint],
        handler: _Handler,
        depth: int,
    ) -> list[Derived]:
        found: list[Derived] = []
        for point in points:
            if depth == 0:
                handler = replace(handler, written=str(point))
            try:
                here = self._point(script, point, handler.under(script, point), depth)
            except _Unresolved as problem:
                if point.optional and not isinstance(problem, _TooMany):
                    continue
                first = point.components[0]
                outer = errors.semantic(
                    "while resolving probe point", first.token, f"identifier '{first.name}'"
                )
                raise type(problem)((outer, *problem.diagnostics)) from None
            found += here
            if point.sufficient and here:
                break
        return found

    def _point(
        self, script: ast.Script, point: ast.ProbePoint, handler: _Handler, depth: int
    ) -> list[Derived]:
        if depth > MAX_ALIAS_DEPTH:
            message = "recursive loop in alias expansion"
            raise _Unresolved((errors.semantic(message, point.token, _named(point)),))
        found: list[Derived] = []
        self._spend(point, _PER_PLACE)
        aliases = self._index.named(point)
        seen = {id(p) for p in handler.chain}
        for owner, alias, name in aliases:
            if any(id(p) in seen for p in alias.points):
                message = "recursive loop in alias expansion of"
                raise _Unresolved((errors.semantic(message, point.token, _named(point)),))
            suffix = point.components[len(name.components) :]
            full = str(replace(name, components=(*name.components, *suffix)))
            inner = replace(
                handler,
                alias=handler.alias or full,
                at=point.components[0].token,
                token=_named(point),
            )
            found += self._alias(owner, alias, suffix, inner, depth)
        wild = any(_WILD.search(c.name) for c in point.components)
        if aliases and (not wild or not found):
            return found
        return found + self._places(point, handler, bool(found))

    def _alias(
        self,
        owner: ast.Script,
        alias: ast.Alias,
        suffix: Sequence[ast.PointComponent],
        handler: _Handler,
        depth: int,
    ) -> list[Derived]:
        points = [_extended(point, suffix) for point in alias.points]
        found: list[Derived] = []
        for original, point in zip(alias.points, points, strict=True):
            inner = handler.inside(owner, alias, original)
            here = self._points(owner, [point], inner, depth + 1)
            found += here
            if point.sufficient and here:
                break
        return found

    def _places(
        self, point: ast.ProbePoint, handler: _Handler, optional: bool
    ) -> list[Derived]:
        parts = [PointPart(c.name, c.argument, c.token) for c in point.components]
        places = self._targets.expand(parts)
        if isinstance(places, NoMatch):
            if optional:
                return []
            raise _Unresolved((self._mismatch(point, places), *places.reasons))
        each = _PER_PLACE + sum(map(self._size, handler.bodies))
        self._spend(point, each * len(places))
        return [
            Derived(
                place,
                str(point),
                point.span,
                handler.at,
                handler.token,
                handler.bodies,
                handler.conditions,
                handler.written,
                handler.alias,
            )
            for place in places
        ]

    def _mismatch(self, point: ast.ProbePoint, problem: NoMatch) -> Diagnostic:
        part = point.components[min(problem.part, len(point.components) - 1)]
        message = problem.message + among(problem.similar)
        return errors.semantic(message, part.token, f"identifier '{part.name}'")

    # --- bounds

    def _spend(self, point: ast.ProbePoint, work: int) -> None:
        self._work += work
        if self._work > MAX_WORK:
            raise _TooMany((errors.semantic("too many probes", point.token, _named(point)),))

    def _size(self, body: ScopedBlock) -> int:
        """How many nodes a body has."""
        known = self._sizes.get(body.block)
        if known is None:
            known = self._sizes[body.block] = sum(1 for _ in walk(body.block))
        return known


_NamedAlias = tuple[ast.Script, ast.Alias, ast.ProbePoint]
"""An alias by one of its names."""


class _Aliases:
    """The aliases of the scripts and the library, by the first component of their names."""

    def __init__(self, scripts: Sequence[ast.Script], library: Library) -> None:
        self._scripts = scripts
        self._library = library
        self._indexed = 0
        self._count = 0
        self._known: set[ast.Alias] = set()
        self._own: dict[str, list[tuple[int, _NamedAlias]]] = {}

    def named(self, point: ast.ProbePoint) -> list[_NamedAlias]:
        """The aliases that a point names, each with the name that the point begins with."""
        self._catch_up()
        first = point.components[0].name
        if _WILD.search(first):
            fitting = [
                x for name in self._own if fnmatchcase(name, first) for x in self._own[name]
            ]
            candidates = [named for _, named in sorted(fitting, key=itemgetter(0))]
        else:
            candidates = [named for _, named in self._own.get(first, ())]
        candidates += [
            (script, alias, name)
            for script, alias in self._library.aliases(first)
            if alias not in self._known
            for name in alias.names
        ]
        found = [named for named in candidates if _begins(point.components, named[2])]
        # `a.b.return` means the alias of that name, and not `a.b` with a suffix
        longest = max((len(name.components) for _, _, name in found), default=0)
        return [one for one in found if len(one[2].components) == longest]

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
            self._own.setdefault(first, []).append((self._count, (script, alias, name)))


def _begins(components: Sequence[ast.PointComponent], name: ast.ProbePoint) -> bool:
    """Whether a point begins with a name; wildcards are in the point."""
    return len(name.components) <= len(components) and all(
        component.argument is None and _fits(known.name, component.name)
        for known, component in zip(name.components, components, strict=False)
    )


def _fits(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)


def _extended(point: ast.ProbePoint, suffix: Sequence[ast.PointComponent]) -> ast.ProbePoint:
    if not suffix:
        return point
    return ast.ProbePoint(
        (*point.components, *suffix),
        point.optional,
        point.sufficient,
        point.condition,
        span=point.span,
        token=point.token,
    )


def _named(point: ast.ProbePoint) -> str:
    return f"identifier '{point.components[0].name}'"
