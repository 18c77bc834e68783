"""The syntax tree of embedded C. `at` is the offset of a node's first token in its text."""

from __future__ import annotations

from dataclasses import dataclass


class Unsupported(Exception):
    """C that cannot run here: why, and at which offset of the text."""

    def __init__(self, reason: str, at: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at = at


# --- types ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Int:
    """An integer of `size` bytes; `truth` for `_Bool`, whose values are 0 and 1."""

    size: int
    signed: bool = True
    truth: bool = False


@dataclass(frozen=True, slots=True)
class Void:
    """No value."""


@dataclass(frozen=True, slots=True)
class Struct:
    """A structure or union by name: one of the kernel's unless the script declares it."""

    name: str
    union: bool = False


@dataclass(frozen=True, slots=True)
class Pointer:
    """A pointer."""

    to: CType


@dataclass(frozen=True, slots=True)
class Array:
    """An array of `count` elements; 0 where the text does not say how many."""

    of: CType
    count: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """What a path into the kernel's types gives; only its reader knows the type."""


@dataclass(frozen=True, slots=True)
class TypeOf:
    """`typeof(of)`, which a cast names."""

    of: Expr


CType = Int | Void | Struct | Pointer | Array | Unknown | TypeOf
INT, LONG, ULONG, CHAR = Int(4), Int(8), Int(8, False), Int(1)
VOID, UNKNOWN = Void(), Unknown()


@dataclass(frozen=True, slots=True)
class Declared:
    """A name with its type, and its first value if it has one."""

    name: str
    type: CType
    at: int
    value: Expr | tuple[object, ...] | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Members of a structure that the text declares."""

    name: str
    members: tuple[Declared, ...]
    union: bool


# --- expressions ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, parameter or constant."""

    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Number:
    """A literal number or character."""

    at: int
    value: int
    type: Int


@dataclass(frozen=True, slots=True)
class Text:
    """A literal text, as it is written, with its quotes."""

    at: int
    raw: str


@dataclass(frozen=True, slots=True)
class Unary:
    """`op` before (or, with `post`, behind) an operand."""

    at: int
    op: str
    operand: Expr
    post: bool = False


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands; also `,`."""

    at: int
    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Assign:
    """`op` is `=`, or the operation of a compound assignment."""

    at: int
    op: str
    target: Expr
    value: Expr


@dataclass(frozen=True, slots=True)
class Ternary:
    """`condition ? yes : no`."""

    at: int
    condition: Expr
    yes: Expr
    no: Expr


@dataclass(frozen=True, slots=True)
class Cast:
    """A value as another type."""

    at: int
    type: CType
    operand: Expr


@dataclass(frozen=True, slots=True)
class SizeOf:
    """The size of a type or of an expression's type."""

    at: int
    operand: CType | Expr


@dataclass(frozen=True, slots=True)
class Index:
    """`base[index]`."""

    at: int
    base: Expr
    index: Expr


@dataclass(frozen=True, slots=True)
class Member:
    """`base.name`, or `base->name` with `arrow`."""

    at: int
    base: Expr
    name: str
    arrow: bool


@dataclass(frozen=True, slots=True)
class TypeArgument:
    """A type where a macro takes one (`container_of`)."""

    at: int
    type: CType


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function or macro by name."""

    at: int
    name: str
    arguments: tuple[Expr, ...]


Expr = (
    Name
    | Number
    | Text
    | Unary
    | Binary
    | Assign
    | Ternary
    | Cast
    | SizeOf
    | Index
    | Member
    | TypeArgument
    | Call
)

# --- statements -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Declaration:
    """Local variables, one after the other."""

    at: int
    variables: tuple[Declared, ...]


@dataclass(frozen=True, slots=True)
class Evaluate:
    """An expression for its effects."""

    at: int
    value: Expr


@dataclass(frozen=True, slots=True)
class Block:
    """Statements in braces; `{}` for an empty statement."""

    at: int
    items: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class If:
    """`if`, with `no` None where there is no `else`."""

    at: int
    condition: Expr
    yes: Statement
    no: Statement | None


@dataclass(frozen=True, slots=True)
class Loop:
    """`while`, `for` and, with `first`, `do`: the condition None is always true."""

    at: int
    start: Statement | None
    condition: Expr | None
    step: Expr | None
    body: Statement
    first: bool = False


@dataclass(frozen=True, slots=True)
class Switch:
    """A `switch`; its cases stand among the items."""

    at: int
    value: Expr
    items: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """`case value:`; None for `default:`."""

    at: int
    value: Expr | None


@dataclass(frozen=True, slots=True)
class Leave:
    """`break` or `continue`."""

    at: int
    word: str


@dataclass(frozen=True, slots=True)
class Goto:
    """`goto name;`."""

    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Label:
    """`name:`, in front of what follows it in its block."""

    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Return:
    """`return`, with a value or None."""

    at: int
    value: Expr | None


@dataclass(frozen=True, slots=True)
class Iterate:
    """A macro that heads a loop (`list_for_each_entry`)."""

    at: int
    name: str
    arguments: tuple[Expr, ...]
    body: Statement


Statement = (
    Declaration
    | Evaluate
    | Block
    | If
    | Loop
    | Switch
    | Case
    | Leave
    | Goto
    | Label
    | Return
    | Iterate
)


@dataclass(frozen=True, slots=True)
class Function:
    """A helper function at the level of the file."""

    at: int
    name: str
    result: CType
    parameters: tuple[Declared, ...]
    body: Block


@dataclass(frozen=True, slots=True)
class Unit:
    """What the text at the level of the file declares."""

    functions: tuple[Function, ...]
    variables: tuple[Declared, ...]
    layouts: tuple[Layout, ...]
    types: tuple[tuple[str, CType], ...]
    enumerators: tuple[tuple[str, int], ...]
