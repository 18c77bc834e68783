"""What the front end hands on: bodies with their facts beside them.

A body (of a probe or a function) is a tuple of blocks of the tree; the same tree may serve many
probes (a wildcard), so each body has its own `Facts`. Everything in `Typed` is complete: no
UNKNOWN, no ERROR, no unresolved name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.diagnostics import Diagnostic
    from bridge.ir.program import StatShape
    from bridge.markers import Expansion, Result
    from bridge.script.analysis.types import Type
    from bridge.script.builtins import Builtin
    from bridge.script.syntax import ast
    from bridge.source import Span


@dataclass(slots=True, eq=False)
class GlobalVariable:
    """A global.

    `keys` is None for a scalar; `type` is that of the value (STAT for statistics); `size` the
    entry limit.
    """

    name: str
    declaration: ast.Global
    type: Type
    keys: tuple[Type, ...] | None
    initial: int | str | None
    size: int | None
    wrap: bool
    user: bool
    """Whether it is declared in the user's script (auto-printed when never read)."""
    label: str = ""
    """What SystemTap calls it in messages and listings of what it has resolved."""
    stat: StatShape | None = None
    written: bool = False
    read: bool = False


@dataclass(slots=True, eq=False)
class LocalVariable:
    """A local or a parameter of one body."""

    name: str
    type: Type


@dataclass(slots=True, eq=False)
class Facts:
    """What is known about the nodes of one body, by node.

    `types`: of every expression. `names`: what a `Name` (also as array, key or catch variable)
    stands for. `calls`: the built-in, or the overloads in the order in which they are tried.
    `targets`: what a `$name`, `@var` or `@cast` stands for; a `str` is a constant of the place
    (`$$name`).
    `refused`: why there is none, told unless the node is dropped.
    """

    types: dict[ast.Expr, Type] = field(default_factory=dict)
    names: dict[ast.Name, GlobalVariable | LocalVariable] = field(default_factory=dict)
    calls: dict[ast.Call, Builtin | tuple[FunctionInfo, ...]] = field(default_factory=dict)
    targets: dict[ast.Expr, Result | str] = field(default_factory=dict)
    refused: dict[ast.Expr, Diagnostic] = field(default_factory=dict)
    locals: dict[str, LocalVariable] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class FunctionInfo:
    """A function that is used: parameters in order, result type (UNKNOWN: returns nothing)."""

    name: str
    declaration: ast.Function
    parameters: tuple[LocalVariable, ...]
    result: Type
    facts: Facts
    label: str = ""
    """What SystemTap calls it in listings: unlike the name, no two functions share it."""


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """A probe as the script's own files have it, its own aliases replaced.

    `point` names an alias of the library where one is meant; bodies and conditions of the
    library are left out, and nothing is folded.
    """

    point: str
    bodies: tuple[ast.Block, ...]
    conditions: tuple[ast.Expr, ...]


@dataclass(slots=True, eq=False)
class ProbeInfo:
    """One derived probe: where it attaches and what it runs.

    `bodies` are the alias prologues, the body and the alias epilogues in the order in which
    they run. `point` is the probe point as messages name it, `script_point` as the user wrote
    it (after alias expansion); `listed` is the place as listings name it, and `origins` are
    the aliases, innermost first, and the script's points by which the place was found.
    `optional` is whether the script can do without the place: a wildcard found it, or a point
    with `?` or `!`.
    """

    expansion: Expansion
    point: str
    script_point: str
    span: Span
    bodies: tuple[ast.Block, ...]
    condition: ast.Expr | None
    facts: Facts
    listed: str = ""
    origins: tuple[str, ...] = ()
    optional: bool = False
    made: bool = False
    """Whether it is no probe of the script, but prints a global that nobody reads."""
    written: Written | None = None
    """None if no file of the script's own has a part in it."""


@dataclass(slots=True, eq=False)
class Typed:
    """A whole program, checked: globals by their first use, functions, probes by the script.

    `options` are -D limits by name.
    """

    globals: tuple[GlobalVariable, ...]
    functions: tuple[FunctionInfo, ...]
    probes: tuple[ProbeInfo, ...]
    options: dict[str, int] = field(default_factory=dict)
    embedded: tuple[str, ...] = ()
    """C outside of functions, of all files that take part."""
    own: tuple[ast.Definition, ...] = ()
    """What the script's own files define."""
