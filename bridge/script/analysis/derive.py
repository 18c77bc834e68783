"""Probe definitions -> derived probes: aliases replaced, wildcards multiplied, places found.

Rule: what a point stands for is asked of `markers.Targets`; aliases (of the script and of the
library) are replaced here, component by component, and their bodies are put around the
handler's. Spec: systemtap-language section 9.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bridge.diagnostics import Diagnostic, Severity
from bridge.markers import CALL_BIAS, MarkerAttachment, Never, NoMatch, PointPart
from bridge.script import errors
from bridge.script.analysis.aliases import Aliases, is_wild
from bridge.script.analysis.program import prefix
from bridge.script.analysis.typed import Written
from bridge.script.printing import print_bodies
from bridge.script.printing.listing import BUILT_IN_FAMILIES
from bridge.script.printing.print_tree import bare_text
from bridge.script.syntax import ast
from bridge.script.syntax.tokens import KEYWORDS
from bridge.script.syntax.walk import walk
from bridge.source import machine_text, script_text
from bridge.suggest import among, similar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bridge.diagnostics import Sink
    from bridge.markers import Expansion, Targets
    from bridge.script.analysis.aliases import NamedAlias
    from bridge.script.library import Library
    from bridge.source import Span

MAX_ALIAS_DEPTH = 100
MAX_WORK = 3_000_000
"""How many nodes the bodies of all probes of a program may have together."""
_PER_POINT, _PER_PLACE = 100, 20
"""What a point and a place cost besides their bodies, in nodes."""
MAX_COMPONENTS = 8
"""How many parts a point with `**` is tried with."""
_RESOLVING = errors.Message("while-resolving-probe-point", "while resolving probe point")
_TOO_MANY_PROBES = errors.Message("too-many-probes", "too many probes")
KERNEL_FAMILIES = frozenset({"kernel", "module", "kprobe"})
"""Where scripts find other things on other kernels, and so are told (SystemTap is silent)."""
_MISMATCH = errors.Message("unknown-probe-point", "probe point mismatch")


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
    """What pn() gives: the alias by its full name, else the point as the script has it."""
    alias: str = ""
    """The alias by its full name, if the point names one."""
    suffix: str = ""
    """`?` or `!` of the innermost point."""
    origins: tuple[str, ...] = ()
    """The aliases that led here, innermost first, and the points of the probe."""
    optional: bool = False
    """Whether a wildcard found the place, or a point with `?` or `!`."""
    shared: bool = False
    """Whether its handler is that of other places, too (`analysis.shared`)."""
    number: int = 0
    """Its place in the order of the script."""
    own: Written | None = None
    """What the script's own files say of it."""


class _Unresolved(Exception):
    def __init__(self, diagnostics: Sequence[Diagnostic], *, placed: bool = False) -> None:
        self.diagnostics = tuple(diagnostics)
        self.placed = placed
        """Whether they say which point was being resolved; the innermost comes first."""
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
    tail: str = ""
    """`?` or `!` and the condition of the script's own point."""
    alias: str = ""
    origins: tuple[str, ...] = ()
    optional: bool = False
    library: str = ""
    """The first point on the way that names an alias of the library."""

    def inside(self, script: ast.Script, alias: ast.Alias, point: ast.ProbePoint) -> _Handler:
        """The handler with an alias's bodies around it."""
        before = (ScopedBlock(script, alias.prologue),) if alias.prologue else ()
        after = (ScopedBlock(script, alias.epilogue),) if alias.epilogue else ()
        bodies = (*before, *self.bodies, *after)
        origins = (_alias_text(alias), *self.origins)
        return replace(self, bodies=bodies, chain=(*self.chain, point), origins=origins)

    def own_part(self, point: ast.ProbePoint) -> Written | None:
        """What the script's own files say of the probe at a point."""
        own = tuple(body.block for body in self.bodies if not body.script.tapset)
        if not own:
            return None
        conditions = (one.expr for one in self.conditions if not one.script.tapset)
        return Written(self.library or bare_text(point), own, tuple(conditions))

    def under(self, script: ast.Script, point: ast.ProbePoint) -> _Handler:
        """The handler with the point's condition added, and whether the point must be there."""
        optional = self.optional or _is_optional(point)
        if point.condition is None:
            return replace(self, optional=optional)
        added = (*self.conditions, ScopedCondition(script, point.condition))
        return replace(self, conditions=added, optional=optional)


class Deriver:
    """Derives the probes of one program."""

    def __init__(
        self, scripts: Sequence[ast.Script], library: Library, targets: Targets, sink: Sink
    ) -> None:
        self._targets = targets
        self._sink = sink
        self._aliases = Aliases(scripts, library)
        self._work = 0
        self._sizes: dict[ast.Block, int] = {}

    def probe(self, script: ast.Script, probe: ast.Probe) -> list[Derived]:
        """All probes of one definition; an error is in the sink."""
        handler = _Handler((ScopedBlock(script, probe.body),), probe.token, "keyword")
        try:
            found = self._points(script, probe.points, handler, 0)
        except _Unresolved as problem:
            first, *rest = problem.diagnostics
            self._sink.report(errors.chained(first, rest))
            return []
        if not found and not script.tapset:
            self._tell_missing(probe)
        direct = {derived.span for derived in found if not derived.origins}
        points = (
            _written(script, point, direct=point.span in direct) for point in probe.points
        )
        origin = ",".join(points)
        for derived in found:
            derived.origins = (*derived.origins, origin)
        return found

    def _tell_missing(self, probe: ast.Probe) -> None:
        """A warning for optional functions of the kernel of which not one is there."""
        for point in probe.points:
            places = None
            if point.components[0].name in KERNEL_FAMILIES:
                places = self._targets.expand(_parts(point))
            if isinstance(places, NoMatch):
                why = self._mismatch(point, places)
                text = f"the probe does nothing, {point} is not there: {why.message}"
                message = errors.Message("optional-left-out", text)
                self._sink.report(errors.warning(message, point.span))
                for reason in places.reasons:
                    self._sink.report(replace(reason, severity=Severity.WARNING))

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
                tail = _written(script, point, direct=True).removeprefix(str(point))
                handler = replace(handler, written=str(point), tail=tail)
            try:
                here = self._point(script, point, handler.under(script, point), depth)
            except _Unresolved as problem:
                if point.optional and not isinstance(problem, _TooMany):
                    continue
                first = point.components[0]
                outer = errors.semantic(_RESOLVING, first.token, f"identifier '{first.name}'")
                told = (outer, *problem.diagnostics)
                if problem.placed:
                    told = (*problem.diagnostics, outer)
                raise type(problem)(told, placed=True) from None
            found += here
            if point.sufficient and here:
                break
        return found

    def _point(
        self, script: ast.Script, point: ast.ProbePoint, handler: _Handler, depth: int
    ) -> list[Derived]:
        if depth > MAX_ALIAS_DEPTH:
            message = errors.Message("recursive-alias", "recursive loop in alias expansion")
            raise _Unresolved((errors.semantic(message, point.token, _named(point)),))
        if any("**" in c.name for c in point.components):
            return self._any_depth(script, point, handler, depth)
        first = point.components[0]
        named = self._aliases.beginning(point)
        wild = any(map(is_wild, point.components))
        if not named:
            return self._places(point, handler, optional=False)
        try:
            found = self._by_name(point, 0, named, handler, depth)
        except _Unresolved as problem:
            other = wild or first.name in BUILT_IN_FAMILIES
            if not other or isinstance(problem, _TooMany):
                raise
            found = []
        if found and not wild:
            return found
        return found + self._places(point, handler, optional=bool(found))

    def _any_depth(
        self, script: ast.Script, point: ast.ProbePoint, handler: _Handler, depth: int
    ) -> list[Derived]:
        """What a point with `**` stands for, at whatever depth."""
        at = next(i for i, c in enumerate(point.components) if "**" in c.name)
        found: list[Derived] = []
        for spelled in _spellings(point, at):
            try:
                found += self._point(script, spelled, handler, depth)
            except _TooMany:
                raise
            except _Unresolved:
                continue
        if not found:
            words = self._aliases.first_words()
            raise _Unresolved((_no_wildcard(point.components[at], words),))
        return found

    def _by_name(
        self,
        point: ast.ProbePoint,
        at: int,
        named: Sequence[NamedAlias],
        handler: _Handler,
        depth: int,
    ) -> list[Derived]:
        """Follow the names of aliases from component `at` on; the longest name wins."""
        ends = [n for n in named if len(n.name.components) == at]
        longer = [n for n in named if len(n.name.components) > at]
        words = sorted({n.name.components[at].name for n in longer})
        if at == len(point.components):
            if not ends:
                raise _Unresolved((_truncated(point.components[-1], words),))
            return self._replaced(point, ends, handler, depth)
        component = point.components[at]
        found: list[Derived] = []
        for word in words:
            if component.argument is not None or not fnmatchcase(word, component.name):
                continue
            further = [n for n in longer if n.name.components[at].name == word]
            try:
                found += self._by_name(point, at + 1, further, handler, depth)
            except _Unresolved as problem:
                if not is_wild(component) or isinstance(problem, _TooMany):
                    raise
        found = found or self._replaced(point, ends, handler, depth)
        if not found:
            raise _Unresolved((_no_name(component, words),))
        return found

    def _replaced(
        self, point: ast.ProbePoint, named: Sequence[NamedAlias], handler: _Handler, depth: int
    ) -> list[Derived]:
        """The probes of all aliases of a name, with what follows the name in the point."""
        found: list[Derived] = []
        self._spend(point, _PER_POINT)
        seen = {id(p) for p in handler.chain}
        for owner, alias, name in named:
            if any(id(p) in seen for p in alias.points):
                message = errors.Message(
                    "recursive-alias", "recursive loop in alias expansion of"
                )
                raise _Unresolved((errors.semantic(message, point.token, _named(point)),))
            suffix = point.components[len(name.components) :]
            full = str(replace(name, components=(*name.components, *suffix)))
            inner = replace(
                handler,
                alias=handler.alias or full,
                at=point.components[0].token,
                token=_named(point),
                library=handler.library or (bare_text(point) if owner.tapset else ""),
            )
            found += self._alias(owner, alias, suffix, inner, depth)
        return found

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
            try:
                here = self._points(owner, [point], inner, depth + 1)
            except _Unresolved as problem:
                if suffix and not isinstance(problem, _TooMany):
                    raise _at_suffix(problem, suffix[0]) from None
                raise
            found += here
            if point.sufficient and here:
                break
        return found

    def _places(
        self, point: ast.ProbePoint, handler: _Handler, optional: bool
    ) -> list[Derived]:
        places = self._targets.expand(_parts(point))
        if isinstance(places, NoMatch):
            if optional:
                return []
            if point.optional:
                raise _Unresolved(())
            raise _Unresolved((self._mismatch(point, places), *places.reasons))
        each = _PER_PLACE + sum(map(self._size, handler.bodies))
        self._spend(point, each * len(places))
        for note in (n for place in places for n in place.notes):
            self._sink.report(replace(note, span=point.token))
        return [self._place(point, handler, place) for place in places]

    def _place(self, point: ast.ProbePoint, handler: _Handler, place: Expansion) -> Derived:
        written = text = str(point)
        if not isinstance(place.attachment, MarkerAttachment | Never):
            text = script_text(place.point) if any(map(is_wild, point.components)) else text
            written = f"{text}{handler.tail}"
        return Derived(
            place,
            text,
            point.span,
            handler.at,
            handler.token,
            _chosen(place, handler.bodies),
            handler.conditions,
            handler.alias or written,
            handler.alias,
            print_bodies.suffix(point),
            handler.origins,
            handler.optional,
            own=handler.own_part(point),
        )

    def _mismatch(self, point: ast.ProbePoint, problem: NoMatch) -> Diagnostic:
        part = point.components[min(problem.part, len(point.components) - 1)]
        unknown = problem.code == "unknown-probe-point" or is_wild(part)
        if problem.part == 0 and unknown:
            return _no_name(part, self._aliases.first_words())
        near = problem.near() if problem.near is not None else among(problem.similar)
        message = errors.Message(problem.code, problem.message + near)
        return errors.semantic(message, part.token, _described(part))

    # --- bounds

    def _spend(self, point: ast.ProbePoint, work: int) -> None:
        self._work += work
        if self._work > MAX_WORK:
            raise _TooMany((errors.semantic(_TOO_MANY_PROBES, point.token, _named(point)),))

    def _size(self, body: ScopedBlock) -> int:
        """How many nodes a body has."""
        known = self._sizes.get(body.block)
        if known is None:
            known = self._sizes[body.block] = sum(1 for _ in walk(body.block))
        return known


def _chosen(place: Expansion, bodies: tuple[ScopedBlock, ...]) -> tuple[ScopedBlock, ...]:
    """The bodies, behind `if ($way != value) next` where not all hits of a place count."""
    if place.callers:
        return _called(place, bodies)
    if place.only is None:
        return bodies
    (name, *path), wanted = place.only[0].split("->"), place.only[1]
    at = bodies[0].block
    where = {"span": at.span, "token": at.token}
    members = tuple(ast.Member(part, **where) for part in path)
    way: ast.Expr = ast.Target(f"${name}", members, span=at.span, token=at.token)
    if place.entry is not None:
        way = ast.AtOperator("entry", way, span=at.span, token=at.token)
    other = ast.Binary("!=", way, ast.Number(wanted, **where), **where)
    leave = ast.If(other, ast.Next(**where), None, **where)
    return (ScopedBlock(bodies[0].script, ast.Block((leave,), **where)), *bodies)


def _called(place: Expansion, bodies: tuple[ScopedBlock, ...]) -> tuple[ScopedBlock, ...]:
    """The bodies, behind `if (no call that counts) next`, where others call, too."""
    at = bodies[0].block
    where = {"span": at.span, "token": at.token}

    def read(name: str) -> ast.Expr:
        return ast.Target(f"${name}", (), span=at.span, token=at.token)

    def differs(name: str, value: int) -> ast.Expr:
        way: ast.Expr = ast.Binary("-", read(name), read(CALL_BIAS), **where)
        if place.entry is not None:
            way = ast.AtOperator("entry", way, span=at.span, token=at.token)
        return ast.Binary("!=", way, ast.Number(value, **where), **where)

    def joined(operator: str, terms: list[ast.Expr]) -> ast.Expr:
        found = terms[0]
        for term in terms[1:]:
            found = ast.Binary(operator, found, term, **where)
        return found

    chains = [joined("||", [differs(*one) for one in chain]) for chain in place.callers]
    leave = ast.If(joined("&&", chains), ast.Next(**where), None, **where)
    return (ScopedBlock(bodies[0].script, ast.Block((leave,), **where)), *bodies)


def _parts(point: ast.ProbePoint) -> list[PointPart]:
    return [PointPart(c.name, _argument(c.argument), c.token) for c in point.components]


def _argument(argument: str | int | None) -> str | int | None:
    """What is written in a component, as the machine has it."""
    return machine_text(argument) if isinstance(argument, str) else argument


def _is_optional(point: ast.ProbePoint) -> bool:
    """Whether a script can do without one of the places that a point stands for."""
    arguments = (c.argument for c in point.components)
    patterns = any(isinstance(a, str) and bool(set(a) & set("*?[")) for a in arguments)
    return point.optional or point.sufficient or patterns or any(map(is_wild, point.components))


def _at_suffix(problem: _Unresolved, component: ast.PointComponent) -> _Unresolved:
    """What is wrong behind an alias with a suffix, told where the suffix is."""
    _, cause, *rest = problem.diagnostics
    token = _described(component)
    return _Unresolved((replace(cause, span=component.token, token=token), *rest))


def _described(component: ast.PointComponent) -> str:
    """A component as messages name it."""
    return "keyword" if component.name in KEYWORDS else f"identifier '{component.name}'"


def _no_name(component: ast.PointComponent, words: Iterable[str]) -> Diagnostic:
    """A component that nothing has."""
    if is_wild(component):
        return _no_wildcard(component, words)
    return _unknown(_MISMATCH, component, component.name, words)


def _no_wildcard(component: ast.PointComponent, words: Iterable[str]) -> Diagnostic:
    message = _MISMATCH.with_end(": didn't find any wildcard matches")
    return _unknown(message, component, component.name.partition("*")[0], words)


def _truncated(component: ast.PointComponent, words: Iterable[str]) -> Diagnostic:
    message = errors.Message(
        "truncated-probe-point", f"probe point truncated (follow:  {' '.join(words)})"
    )
    return _unknown(message, component, "", ())


def _unknown(
    message: errors.Message, component: ast.PointComponent, name: str, words: Iterable[str]
) -> Diagnostic:
    """`name` is what the words are compared with."""
    near = among(similar(name, words) if name else ())
    return errors.semantic(message.with_end(near), component.token, _described(component))


def _spellings(point: ast.ProbePoint, at: int) -> Iterator[ast.ProbePoint]:
    """The point with `a**b` as component `at`: as `a*b`, `a*.*b`, `a*.*.*b` and so on."""
    component = point.components[at]
    before, after = re.split(r"\*\*+", component.name, maxsplit=1)
    for more in range(MAX_COMPONENTS - len(point.components) + 1):
        names = (
            [f"{before}*", *["*"] * (more - 1), f"*{after}"] if more else [f"{before}*{after}"]
        )
        spelled = [replace(component, name=name, argument=None) for name in names[:-1]]
        spelled.append(replace(component, name=names[-1]))
        parts = (*point.components[:at], *spelled, *point.components[at + 1 :])
        yield replace(point, components=parts)


def _extended(point: ast.ProbePoint, suffix: Sequence[ast.PointComponent]) -> ast.ProbePoint:
    """A point of an alias with what a script wrote behind the alias's name.

    At the event of a system call there is no kprobe that the suffix could be about.
    """
    if _is_system_call(point):
        suffix = [c for c in suffix if c.name not in _OF_KPROBES]
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


_OF_KPROBES = frozenset({"call", "maxactive"})


def _is_system_call(point: ast.ProbePoint) -> bool:
    match point.components:
        case [ast.PointComponent("kernel"), ast.PointComponent("trace", str(event))]:
            return event.startswith("syscalls:")
        case [ast.PointComponent("never")]:
            return True
    return False


def _written(script: ast.Script, point: ast.ProbePoint, *, direct: bool) -> str:
    """A point of a probe; where it is no alias, its condition is what has been resolved."""
    private = {
        d.name: prefix(script, d) + d.name
        for d in script.definitions
        if isinstance(d, ast.Global) and d.private
    }
    return print_bodies.point(point, private if direct else None)


def _alias_text(alias: ast.Alias) -> str:
    """An alias as listings write it: names, sign, points."""
    names = " = ".join(map(str, alias.names))
    sign = "=" if alias.epilogue is None or alias.prologue is not None else "+="
    return f"{names} {sign} {', '.join(print_bodies.point(p) for p in alias.points)}"


def _named(point: ast.ProbePoint) -> str:
    return f"identifier '{point.components[0].name}'"
