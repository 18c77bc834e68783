"""Target expressions -> what they stand for at a place: variables, ways to values, constants.

`$name->path`, `@var("name@file")->path`, `@cast(e, "type")->path`. One rule: what does not
exist is a `NoAccess`, which the caller reports or answers `@defined` with.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.markers import ENTERED, REGISTER, GlobalAccess, MarkerAttachment, NoAccess
from bridge.script.syntax import ast
from bridge.source import machine_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.markers import Expansion, Part, Result, Structure, Variable

    Structures = Callable[[str, str], Structure | NoAccess]
    """The type of a name in a module, for places that have no types of their own."""

    Statics = Callable[[GlobalAccess], Result]
    """The globals of all modules: `Targets.static`."""

    Typed = ast.Target | ast.AtVar | ast.Cast


def parts(path: tuple[ast.Component, ...]) -> tuple[Part, ...]:
    """A path as the types see it; a computed index is None."""
    found: list[Part] = []
    for component in path:
        match component:
            case ast.Member(name=name):
                found.append(machine_text(name))
            case ast.Element(index=ast.Number(value=value)):
                found.append(value)
            case ast.Element():
                found.append(None)
    return tuple(found)


def computed(path: tuple[ast.Component, ...]) -> list[ast.Expr]:
    """The indices of a path that are not constants, in order."""
    return [
        component.index
        for component in path
        if isinstance(component, ast.Element) and not isinstance(component.index, ast.Number)
    ]


def no_statics(wanted: GlobalAccess) -> NoAccess:
    """What is known of globals where nothing is known."""
    return NoAccess(f"unable to find global '{wanted.name}'")


def lookup(
    node: Typed,
    expansion: Expansion | None,
    structures: Structures,
    statics: Statics = no_statics,
) -> Result:
    """What a target expression stands for."""
    match node:
        case ast.Target():
            return target(node, expansion)
        case ast.AtVar():
            return _static(node, expansion, statics)
        case ast.Cast(type=str(type_)):
            name, module = machine_text(type_), machine_text(node.module or "")
            found = _structure(name, module, expansion, structures)
            if isinstance(found, NoAccess):
                return found
            return found.access(
                parts(node.path), address_of=node.address_of, pretty=node.pretty
            )
        case _:
            return NoAccess(_UNRESOLVED)


def target(node: ast.Target, expansion: Expansion | None) -> Result:
    """What `$name->path` stands for."""
    if expansion is None:
        return NoAccess(_UNRESOLVED)
    name, path = machine_text(node.name[1:]), parts(node.path)
    name, *inner = expansion.renamed.get(name, name).split("->")
    path = (*inner, *path)
    found = _of_place(node, expansion, name, path)
    if isinstance(found, NoAccess):
        why = expansion.absent.get(node.name[1:], expansion.absent.get("*", ""))
        return replace(found, message=f"{found.message}; {why}") if why else found
    return found


def _of_place(
    node: ast.Target, expansion: Expansion, name: str, path: tuple[Part, ...]
) -> Result:
    """What a variable of a place and a path from there stand for."""
    variable = None
    if expansion.scope is None or name.startswith(_BY_CONVENTION):
        known = (*expansion.variables, *_registers(expansion))
        variable = next((v for v in known if v.name == name), None)
    if variable is not None and not path and not node.address_of and not node.pretty:
        return variable
    if expansion.members is not None:
        return expansion.members.access(
            name, path, address_of=node.address_of, pretty=node.pretty
        )
    return NoAccess(_missing(node, expansion, known=variable is not None))


_BY_CONVENTION = ("arg", REGISTER, ENTERED)
_UNRESOLVED = "unresolved target-symbol expression"


def _registers(expansion: Expansion) -> tuple[Variable, ...]:
    """`$arg1` and so on, which a function has by the calling convention."""
    match expansion.attachment:
        case MarkerAttachment(marker=marker):
            return tuple(v for v in marker.readable if v.name.startswith(_BY_CONVENTION))
        case _:
            return ()


def _missing(node: ast.Target, expansion: Expansion, *, known: bool) -> str:
    if known:
        return f"unable to dereference target variable '{node.name}': its type is not known"
    if isinstance(expansion.attachment, MarkerAttachment):
        for name, reason in expansion.attachment.marker.unreadable:
            if name == node.name[1:]:
                return reason
        names = " ".join(f"${v.name}" for v in expansion.variables)
        more = f" (alternatives: {names})" if names else ""
        return f"unable to find target variable '{node.name}'{more}"
    return _UNRESOLVED


def _static(node: ast.AtVar, expansion: Expansion | None, statics: Statics) -> Result:
    """A global: of the place's own file, if it is there, else of the first module with it."""
    name, _, file = machine_text(node.name).partition("@")
    modules = machine_text(node.module or "")
    wanted = GlobalAccess(
        name, file, modules, parts(node.path), address_of=node.address_of, pretty=node.pretty
    )
    first: Result | None = None
    if expansion is not None and expansion.scope is not None:
        first = expansion.scope.static(wanted)
        if not modules or not isinstance(first, NoAccess):
            return first
    for module in (modules or "kernel").split(":"):
        found = statics(replace(wanted, module=module))
        if not isinstance(found, NoAccess):
            return found
        first = first or found
    assert first is not None
    return first


def _structure(
    name: str, modules: str, expansion: Expansion | None, structures: Structures
) -> Structure | NoAccess:
    """The type of a cast, in the first of the modules that has it, or in the place's file."""
    first: NoAccess | None = None
    for module in modules.split(":") if modules else [""]:
        if expansion is not None and expansion.scope is not None and not _is_kernel(module):
            found = expansion.scope.structure(name, module)
            if isinstance(found, NoAccess) and module:
                found = structures(name, module)
        else:
            found = structures(name, module or "kernel")
        if not isinstance(found, NoAccess):
            return found
        first = first or found
    assert first is not None
    return first


def _is_kernel(module: str) -> bool:
    return module == "kernel" or module.startswith("kernel<")
