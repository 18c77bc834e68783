"""Where the lengths and tags of types are: their paths as each version of CTF writes them.

`located` makes every path start at a scope, which CTF 2 says exactly; `relative` makes of those
the names of CTF 1.8, which are looked for outwards from where they stand.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.trace.ctf.layout import Assembler, CtfScope, LayoutError, labelled
from bridge.trace.model import (
    Enumeration,
    FieldType,
    FixedArray,
    Integer,
    Optional,
    Sequence,
    Struct,
    Variant,
    names_of,
    path_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.trace.ctf.layout import PathEnd
    from bridge.trace.model import Ranges

    Labels = dict[str, Ranges]
    """The values of a tag by the names of the options that they choose."""


def located(scopes: Mapping[CtfScope, Struct]) -> dict[CtfScope, Struct]:
    """The structures of scopes, with each path from a scope on, and options by their ranges."""
    assembler = Assembler(loose=True)
    found: dict[CtfScope, Struct] = {}
    for scope, struct in scopes.items():
        assembler.places.clear()
        assembler.scope(scope, struct)
        changed = _changed(struct, iter(list(assembler.places)))
        assert isinstance(changed, Struct)
        found[scope] = changed
    return found


def _changed(kind: FieldType, places: Iterator[PathEnd]) -> FieldType:
    """The type with its paths replaced by the places that were found for them, in order."""
    match kind:
        case Struct(fields=fields):
            members = tuple(replace(f, type=_changed(f.type, places)) for f in fields)
            return replace(kind, fields=members)
        case FixedArray(element=element):
            return replace(kind, element=_changed(element, places))
        case Sequence(element=element):
            path = _path(next(places))
            return replace(kind, length=path, element=_changed(element, places))
        case Optional(element=element):
            path = _path(next(places))
            return replace(kind, tag=path, element=_changed(element, places))
        case Variant(options=options):
            place = next(places)
            ranges = kind.ranges or tuple(_labelled(option.name, place) for option in options)
            changed = tuple(replace(o, type=_changed(o.type, places)) for o in options)
            return replace(kind, tag=_path(place), options=changed, ranges=ranges)
        case _:
            return kind


def _path(place: PathEnd) -> str:
    return f"{place.scope.value}.{path_of(place.members)}"


def _labelled(name: str, place: PathEnd) -> Ranges:
    found = _merged(labelled(name, place.type))
    if not found:
        raise LayoutError(f"no value of the tag chooses the option `{name}`")
    return found


def _merged(ranges: Ranges) -> Ranges:
    """The same numbers in ranges that have none in common."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], high)
        else:
            found.append((low, high))
    return tuple(found)


def relative(scopes: Mapping[CtfScope, Struct]) -> dict[CtfScope, Struct]:
    """Located structures as CTF 1.8 has them: tags are enumerations that name the options."""
    labels: dict[str, Labels] = {}
    for struct in scopes.values():
        _collect(struct, labels)
    found: dict[CtfScope, Struct] = {}
    for scope, struct in scopes.items():
        tagged = _tagged(struct, labels, scope, ())
        assert isinstance(tagged, Struct)
        found[scope] = tagged
    return shortened(found)


def shortened(scopes: Mapping[CtfScope, Struct]) -> dict[CtfScope, Struct]:
    """Located structures with each path from where it stands, if it stays in its scope."""
    found: dict[CtfScope, Struct] = {}
    for scope, struct in scopes.items():
        changed = _relative(struct, scope, ())
        assert isinstance(changed, Struct)
        found[scope] = changed
    return found


def _option_names(kind: Variant) -> list[str]:
    names = [option.name or f"option_{i}" for i, option in enumerate(kind.options)]
    if len(set(names)) != len(names):
        raise LayoutError("two options of a variant have the same name")
    return names


def _collect(kind: FieldType, labels: dict[str, Labels]) -> None:
    """Which labels the tags of variants in a type need, by their paths."""
    match kind:
        case Struct(fields=fields):
            for member in fields:
                _collect(member.type, labels)
        case FixedArray(element=element) | Sequence(element=element):
            _collect(element, labels)
        case Variant(options=options):
            own = labels.setdefault(kind.tag, {})
            for name, ranges in zip(_option_names(kind), kind.ranges, strict=True):
                if own.setdefault(name, ranges) != ranges:
                    raise LayoutError(f"option `{name}` is chosen by different values of a tag")
            for option in options:
                _collect(option.type, labels)
        case Optional():
            raise LayoutError("CTF 1.8 has no optional fields")
        case _:
            return


def _tagged(
    kind: FieldType, labels: Mapping[str, Labels], scope: CtfScope, members: tuple[str, ...]
) -> FieldType:
    """The type, with its tags as enumerations and its options named."""
    match kind:
        case Integer() | Enumeration():
            return _enumeration(kind, labels.get(f"{scope.value}.{path_of(members)}", {}))
        case Struct(fields=fields):
            rows = (
                replace(f, type=_tagged(f.type, labels, scope, (*members, f.name)))
                for f in fields
            )
            return replace(kind, fields=tuple(rows))
        case FixedArray(element=element) | Sequence(element=element):
            return replace(kind, element=_tagged(element, labels, scope, members))
        case Variant(options=options):
            options = tuple(
                replace(o, name=name, type=_tagged(o.type, labels, scope, members))
                for name, o in zip(_option_names(kind), options, strict=True)
            )
            return replace(kind, options=options)
        case _:
            return kind


def _enumeration(kind: Integer | Enumeration, own: Labels) -> FieldType:
    if not own:
        return kind
    number = kind.container if isinstance(kind, Enumeration) else kind
    before = kind.labels if isinstance(kind, Enumeration) else ()
    known = Enumeration(number, before)
    if all(_merged(labelled(name, known)) == _merged(r) for name, r in own.items()):
        return kind
    kept = tuple(row for row in before if row[0] not in own)
    added = ((name, low, high) for name, ranges in own.items() for low, high in ranges)
    return Enumeration(number, (*kept, *added))


def _relative(kind: FieldType, scope: CtfScope, members: tuple[str, ...]) -> FieldType:
    match kind:
        case Struct(fields=fields):
            rows = (
                replace(f, type=_relative(f.type, scope, (*members, f.name))) for f in fields
            )
            return replace(kind, fields=tuple(rows))
        case FixedArray(element=element):
            return replace(kind, element=_relative(element, scope, members))
        case Sequence(element=element):
            path = _shortened(kind.length, scope, members)
            return replace(kind, length=path, element=_relative(element, scope, members))
        case Optional(element=element):
            path = _shortened(kind.tag, scope, members)
            return replace(kind, tag=path, element=_relative(element, scope, members))
        case Variant(options=options):
            path = _shortened(kind.tag, scope, members)
            rows = (replace(o, type=_relative(o.type, scope, members)) for o in options)
            return replace(kind, tag=path, options=tuple(rows))
        case _:
            return kind


def _shortened(path: str, scope: CtfScope, members: tuple[str, ...]) -> str:
    """The path from where it stands, if it leads to the same scope."""
    if not path.startswith(f"{scope.value}."):
        return path
    names = names_of(path[len(scope.value) + 1 :])
    common = 0
    while common < min(len(names), len(members)) - 1 and names[common] == members[common]:
        common += 1
    return path_of(names[common:])
