"""The operations of the IR.

Operands are registers (`Reg`); keys may be None where a wildcard is allowed. Ops with `site`
can fail at run time: the error goes to the block's `on_error`, else it unwinds out of the
function, call by call. Semantics: systemtap-language sections 5 to 8; the executable definition
is `bridge.interpreter.interpret`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.values import dataclass

if TYPE_CHECKING:
    from bridge.ir.program import Label, Reg

ARITHMETIC = ("+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", ">>>")
"""Wrapping 64-bit;

`/` truncates, `%` has the dividend's sign, division by 0 is an error; shift counts are masked
by 63.
"""

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
"""Signed on longs, bytewise on strings; the result is 0 or 1."""

STAT_READS = ("count", "sum", "min", "max", "avg", "variance")


# --- values -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Const:
    """dest = an integer."""

    dest: Reg
    value: int


@dataclass(frozen=True, slots=True)
class ConstString:
    """dest = bytes (cut to MAXSTRINGLEN - 1; ends at a NUL)."""

    dest: Reg
    value: bytes


@dataclass(frozen=True, slots=True)
class Copy:
    """dest = source, of the same type."""

    dest: Reg
    source: Reg


@dataclass(frozen=True, slots=True)
class Arith:
    """dest = left op right, op of ARITHMETIC; `site` is set for `/` and `%` only."""

    dest: Reg
    op: str
    left: Reg
    right: Reg
    site: int | None = None


@dataclass(frozen=True, slots=True)
class Compare:
    """dest = left op right over two LONG or two STRING registers, op of COMPARISONS."""

    dest: Reg
    op: str
    left: Reg
    right: Reg


@dataclass(frozen=True, slots=True)
class Concat:
    """dest = the parts one after another, cut to MAXSTRINGLEN - 1."""

    dest: Reg
    parts: tuple[Reg, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """dest = 1 if the regular expression occurs in the text, else 0;

    sets what matched() returns.
    """

    dest: Reg
    text: Reg
    pattern: bytes


@dataclass(frozen=True, slots=True)
class Capture:
    """dest = the handler's capture number `index`; fails if its memory could not be read."""

    dest: Reg
    index: int
    site: int | None = None


# --- globals ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GlobalGet:
    """dest = a scalar global."""

    dest: Reg
    variable: int


@dataclass(frozen=True, slots=True)
class GlobalSet:
    """A scalar global = source."""

    variable: int
    source: Reg


@dataclass(frozen=True, slots=True)
class GlobalAdd:
    """A scalar LONG global += amount without reading it:

    the mergeable form, commutative across CPUs.
    """

    variable: int
    amount: Reg


@dataclass(frozen=True, slots=True)
class ArrayGet:
    """dest = array[keys]; 0 or "" if absent, which does not create it."""

    dest: Reg
    variable: int
    keys: tuple[Reg, ...]


@dataclass(frozen=True, slots=True)
class ArraySet:
    """array[keys] = source; creates the entry; fails on overflow."""

    variable: int
    keys: tuple[Reg, ...]
    source: Reg
    site: int


@dataclass(frozen=True, slots=True)
class ArrayAdd:
    """array[keys] += amount without reading it:

    the mergeable form; creates the entry; fails on overflow.
    """

    variable: int
    keys: tuple[Reg, ...]
    amount: Reg
    site: int


@dataclass(frozen=True, slots=True)
class ArrayHas:
    """dest = 1 if an entry matches; None is a wildcard."""

    dest: Reg
    variable: int
    keys: tuple[Reg | None, ...]


@dataclass(frozen=True, slots=True)
class ArrayDelete:
    """Remove the entries that match;

    None is a wildcard; no keys at all: empty the array, the scalar or the statistic.
    """

    variable: int
    keys: tuple[Reg | None, ...]


@dataclass(frozen=True, slots=True)
class StatAdd:
    """statistic <<< source (scalar statistic:

    no keys); creates the entry; fails on overflow.
    """

    variable: int
    keys: tuple[Reg, ...]
    source: Reg
    site: int


@dataclass(frozen=True, slots=True)
class StatGet:
    """dest = an extractor of STAT_READS; `min max avg variance` fail with "empty aggregate"."""

    dest: Reg
    variable: int
    keys: tuple[Reg, ...]
    op: str
    site: int


@dataclass(frozen=True, slots=True)
class HistogramGet:
    """dest = the count of histogram bucket number `bucket`;

    fails if it is out of range or the statistic is empty.
    """

    dest: Reg
    variable: int
    keys: tuple[Reg, ...]
    bucket: Reg
    site: int


@dataclass(frozen=True, slots=True)
class HistogramText:
    """The histogram's text (spec section 7): printed if dest is None, else stored."""

    dest: Reg | None
    variable: int
    keys: tuple[Reg, ...]
    site: int


# --- iteration --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Order:
    """The sort of a foreach: `by` "key" (number `key`), "value", or one of STAT_READS."""

    by: str
    descending: bool
    key: int = 0


@dataclass(frozen=True, slots=True)
class IterBegin:
    """Sort the array if `order` is given (the new order stays), and start iterating over it.

    `iterator` is unique within the function. `limit` is a LONG register or None. `slices` are
    empty or one per key.
    """

    iterator: int
    variable: int
    order: Order | None
    limit: Reg | None
    slices: tuple[Reg | None, ...]


@dataclass(frozen=True, slots=True)
class IterDelete:
    """Drop the state of an iteration that was left early (break, next, return, error)."""

    iterator: int


# --- calls and output -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """dest = the first of the overloads that does not end in NextOverload;

    fails if all do, or on MAXNESTING.
    """

    dest: Reg | None
    overloads: tuple[int, ...]
    arguments: tuple[Reg, ...]
    site: int


@dataclass(frozen=True, slots=True)
class CallBuiltin:
    """dest = a built-in of `bridge.script.builtins.BUILTINS`, by its name."""

    dest: Reg | None
    name: str
    arguments: tuple[Reg, ...]
    site: int


@dataclass(frozen=True, slots=True)
class PrintFormat:
    """Print format number `format` with its arguments; `site` is set if it reads memory."""

    format: int
    arguments: tuple[Reg, ...]
    site: int | None = None


@dataclass(frozen=True, slots=True)
class FormatString:
    """dest = the text of format number `format`, cut to MAXSTRINGLEN - 1; `site` as above."""

    dest: Reg
    format: int
    arguments: tuple[Reg, ...]
    site: int | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """Count statements against MAXACTION; ends the handler with an error that no catch sees."""

    count: int
    site: int


@dataclass(frozen=True, slots=True)
class Caught:
    """dest = the message of the error that led into this catch block; clears the error."""

    dest: Reg | None


# --- terminators ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Jump:
    """Go to a block."""

    target: Label


@dataclass(frozen=True, slots=True)
class Branch:
    """Go to `then` if condition is not 0, else to `orelse`."""

    condition: Reg
    then: Label
    orelse: Label


@dataclass(frozen=True, slots=True)
class IterNext:
    """Fetch the next entry:

    keys (and value) into registers, go to `body`; or go to `done`, which ends the iteration.
    """

    iterator: int
    keys: tuple[Reg, ...]
    value: Reg | None
    body: Label
    done: Label


@dataclass(frozen=True, slots=True)
class Return:
    """Leave the function with a value or without; `next` in a handler is a Return."""

    value: Reg | None = None


@dataclass(frozen=True, slots=True)
class NextOverload:
    """`next` in a function: the call goes on with the next overload."""


Op = (
    Const
    | ConstString
    | Copy
    | Arith
    | Compare
    | Concat
    | Match
    | Capture
    | GlobalGet
    | GlobalSet
    | GlobalAdd
    | ArrayGet
    | ArraySet
    | ArrayAdd
    | ArrayHas
    | ArrayDelete
    | StatAdd
    | StatGet
    | HistogramGet
    | HistogramText
    | IterBegin
    | IterDelete
    | Call
    | CallBuiltin
    | PrintFormat
    | FormatString
    | Tick
    | Caught
)
Terminator = Jump | Branch | IterNext | Return | NextOverload
