"""The syntax tree: nodes never change and never carry results; a pass fills tables beside it.

Identity is the key of those tables, so nodes compare by identity (`eq=False`). `span` covers
the whole construct; `token` is the span of the one token that SystemTap would name in a message
about it (an operator, an identifier, a keyword). Spec: systemtap-language sections 1 and 3.
"""

from __future__ import annotations

from bridge.source import NOWHERE, Span
from bridge.values import dataclass


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Node:
    """What all nodes have: the range they cover and the token they are reported at."""

    span: Span
    token: Span


# --- expressions ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Number(Node):
    """An integer literal, already wrapped to a signed 64-bit value."""

    value: int


@dataclass(frozen=True, slots=True, eq=False)
class String(Node):
    """A string literal with escapes evaluated;

    each character is one byte (Latin-1). `raw` keeps the escapes.
    """

    value: str
    raw: str


@dataclass(frozen=True, slots=True, eq=False)
class Name(Node):
    """A variable: local or global, decided in elaboration."""

    id: str


@dataclass(frozen=True, slots=True, eq=False)
class Member(Node):
    """`->name` of a target expression."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Element(Node):
    """`[expr]` of a target expression."""

    index: Expr


Component = Member | Element


@dataclass(frozen=True, slots=True, eq=False)
class Target(Node):
    """`$name->a[1]$$`: a target variable with its path.

    `pretty` is "", "$" or "$$"; `address_of` stands for a leading `&`.

    `name` keeps its dollar (`$arg1`, `$$vars`).
    """

    name: str
    path: tuple[Component, ...] = ()
    pretty: str = ""
    address_of: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Cast(Node):
    """`@cast(expr, "type", "module")->path`;

    `type` None is the autocast `expr->member` of a plain value.
    """

    value: Expr
    type: str | None
    module: str | None = None
    path: tuple[Component, ...] = ()
    pretty: str = ""
    address_of: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class AtVar(Node):
    """`@var("name@file", "module")->path`."""

    name: str
    module: str | None = None
    path: tuple[Component, ...] = ()
    pretty: str = ""
    address_of: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Unary(Node):
    """`+ - ! ~`."""

    op: str
    operand: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Step(Node):
    """`++x --x x++ x--`; `prefix` tells which side."""

    op: str
    operand: Expr
    prefix: bool


@dataclass(frozen=True, slots=True, eq=False)
class Binary(Node):
    """Arithmetic, bit, shift, comparison, logical and concatenation operators:

    `+ - * / % & | ^ << >> >>> . < <= … && ||`.
    """

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Regex(Node):
    """`left =~ "pattern"` or `!~`."""

    op: str
    left: Expr
    pattern: String


@dataclass(frozen=True, slots=True, eq=False)
class In(Node):
    """`key in array`, `[a, *, b] in array`; None stands for `*`."""

    keys: tuple[Expr | None, ...]
    array: Indexable


@dataclass(frozen=True, slots=True, eq=False)
class Ternary(Node):
    """`condition ? then : orelse`."""

    condition: Expr
    then: Expr
    orelse: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Assign(Node):
    """`target op value`, op one of `= <<< += -= *= /= %= <<= >>= &= ^= |= .=`."""

    op: str
    target: Expr
    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Index(Node):
    """`base[keys]`; None stands for `*` (legal only in `in` and `delete`)."""

    base: Indexable
    keys: tuple[Expr | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Call(Node):
    """`name(arguments)` of a script, tapset or built-in function."""

    name: str
    arguments: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Print(Node):
    """The print family, by its name in the script (`printf`, `sprintdln`, `print_char`, …).

    `format` is the literal of `[s]printf`, `delimiter` that of `[s]printd[ln]`.
    """

    name: str
    arguments: tuple[Expr, ...]
    format: String | None = None
    delimiter: String | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StatOp(Node):
    """`@count(s)` and friends:

    `op` without the `@`; `parameters` holds the bits of `@variance`.
    """

    op: str
    stat: Expr
    parameters: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Histogram(Node):
    """`@hist_log(s)` (no parameters) or `@hist_linear(s, low, high, step)`."""

    kind: str
    stat: Expr
    parameters: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class AtOperator(Node):
    """The other `@` operators with one expression: `@defined`, `@entry`, `@probewrite` …

    `literals` holds their literal string arguments (`@enumname(e, "type", "module")`).
    """

    op: str
    operand: Expr
    literals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class AtLiteral(Node):
    """The `@` operators with literals only: `@perf("x")`, `@const("C")`, `@enum("NAME")`."""

    op: str
    literals: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class AtRegister(Node):
    """`@kregister(n) @uregister(n) @kderef(size, address) @uderef(size, address)`."""

    op: str
    arguments: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedExpr(Node):
    """`%{ C %}` as an expression; `code` without its brackets."""

    code: str


Indexable = Name | Histogram
Expr = (
    Number
    | String
    | Name
    | Target
    | Cast
    | AtVar
    | Unary
    | Step
    | Binary
    | Regex
    | In
    | Ternary
    | Assign
    | Index
    | Call
    | Print
    | StatOp
    | Histogram
    | AtOperator
    | AtLiteral
    | AtRegister
    | EmbeddedExpr
)


# --- statements -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Null(Node):
    """`;`"""


@dataclass(frozen=True, slots=True, eq=False)
class Block(Node):
    """`{ … }`"""

    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ExprStmt(Node):
    """An expression for its effect."""

    value: Expr


@dataclass(frozen=True, slots=True, eq=False)
class If(Node):
    """`if (condition) then else orelse`."""

    condition: Expr
    then: Stmt
    orelse: Stmt | None


@dataclass(frozen=True, slots=True, eq=False)
class For(Node):
    """`for (init; condition; step) body`; `while` is its own node."""

    init: Expr | None
    condition: Expr | None
    step: Expr | None
    body: Stmt


@dataclass(frozen=True, slots=True, eq=False)
class While(Node):
    """`while (condition) body`."""

    condition: Expr
    body: Stmt


@dataclass(frozen=True, slots=True, eq=False)
class Sort(Node):
    """The sort marker of a foreach.

    `by` is "key" (with `key`, counted from 0), "value", or a statistic operator (`sum`, `count`
    …) without its `@`.
    """

    by: str
    descending: bool
    key: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Foreach(Node):
    """`foreach (value = [keys] in array[slices] @op- limit n) body`."""

    keys: tuple[Name, ...]
    value: Name | None
    array: Indexable
    slices: tuple[Expr | None, ...]
    sort: Sort | None
    limit: Expr | None
    body: Stmt


@dataclass(frozen=True, slots=True, eq=False)
class Return(Node):
    """`return` with or without a value."""

    value: Expr | None


@dataclass(frozen=True, slots=True, eq=False)
class Delete(Node):
    """`delete lvalue`."""

    target: Expr


@dataclass(frozen=True, slots=True, eq=False)
class Break(Node):
    """`break`"""


@dataclass(frozen=True, slots=True, eq=False)
class Continue(Node):
    """`continue`"""


@dataclass(frozen=True, slots=True, eq=False)
class Next(Node):
    """`next`"""


@dataclass(frozen=True, slots=True, eq=False)
class Try(Node):
    """`try { … } catch (variable) { … }`."""

    body: Block
    variable: Name | None
    handler: Block


Stmt = (
    Null
    | Block
    | ExprStmt
    | If
    | For
    | While
    | Foreach
    | Return
    | Delete
    | Break
    | Continue
    | Next
    | Try
)


# --- top level --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class PointComponent(Node):
    """`name` or `name(argument)` of a probe point; `name` may hold wildcards."""

    name: str
    argument: int | str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ProbePoint(Node):
    """One probe point with braces expanded: components, `?`/`!` suffix, `if (condition)`."""

    components: tuple[PointComponent, ...]
    optional: bool = False
    sufficient: bool = False
    condition: Expr | None = None

    def __str__(self) -> str:
        return ".".join(_component_text(component) for component in self.components)


def _component_text(component: PointComponent) -> str:
    match component.argument:
        case None:
            return component.name
        case int(number):
            return f"{component.name}({number})"
        case str(text):
            return f'{component.name}("{text}")'


@dataclass(frozen=True, slots=True, eq=False)
class Probe(Node):
    """`probe points { … }`."""

    points: tuple[ProbePoint, ...]
    body: Block


@dataclass(frozen=True, slots=True, eq=False)
class Alias(Node):
    """`probe names = points { prologue }, { epilogue }`;

    with `+=` the one block is the epilogue.
    """

    names: tuple[ProbePoint, ...]
    points: tuple[ProbePoint, ...]
    prologue: Block | None
    epilogue: Block | None


@dataclass(frozen=True, slots=True, eq=False)
class Global(Node):
    """One declared global: `wrap` for `%`, `size` for `[N]`, `initial` a literal."""

    name: str
    private: bool
    wrap: bool
    size: int | None
    initial: Number | String | None
    assigned: Span = NOWHERE
    """Where the `=` is."""


@dataclass(frozen=True, slots=True, eq=False)
class Parameter(Node):
    """A function parameter; `type` is "long", "string" or None (inferred)."""

    name: str
    type: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Function(Node):
    """A script function;

    one of `body` and `code` (embedded C) is set, or both, when the C is understood.
    `priority` None is the default.
    """

    name: str
    private: bool
    result: str | None
    parameters: tuple[Parameter, ...]
    priority: int | None
    body: Block | None
    code: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Embedded(Node):
    """`%{ C %}` at file level."""

    code: str


Definition = Probe | Alias | Global | Function | Embedded


@dataclass(frozen=True, slots=True, eq=False)
class Script:
    """One file:

    its definitions in order, by the name of its source; `tapset` for library files.
    `arguments` are the numbers of the script arguments (`$1 @1`) that it uses.
    """

    name: str
    definitions: tuple[Definition, ...]
    tapset: bool = False
    arguments: frozenset[int] = frozenset()
