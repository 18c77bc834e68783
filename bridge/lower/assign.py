"""Assignments, steps and deletions: the places that can be written.

Order of evaluation (spec section 5): the index, then the value, then the old content is read.
`used` says whether anybody wants the value; if not, `+= -= ++ --` become the mergeable
additions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.ir.program import Value
from bridge.lower import expr as lower_expr_module
from bridge.lower.builder import VALUES
from bridge.script.analysis.typed import GlobalVariable, LocalVariable
from bridge.script.syntax import ast

if TYPE_CHECKING:
    from bridge.ir.program import Reg
    from bridge.lower.builder import Builder


@dataclass(frozen=True, slots=True)
class LValue:
    """Something assignable: a local, a scalar global (no keys), or an array element."""

    variable: LocalVariable | GlobalVariable
    keys: tuple[Reg, ...]
    node: ast.Expr

    @property
    def type(self) -> Value:
        """The type of what is stored there."""
        return VALUES[self.variable.type]


def place(b: Builder, node: ast.Expr) -> LValue:
    """The place that an expression names; evaluates its index."""
    match node:
        case ast.Name():
            return LValue(b.facts.names[node], (), node)
        case ast.Index(base=ast.Name() as base, keys=keys):
            regs = lower_expr_module.lower_all(b, [key for key in keys if key is not None])
            return LValue(b.facts.names[base], regs, node)
        case _:
            raise AssertionError(f"not assignable: {node}")


def load(b: Builder, at: LValue) -> Reg:
    """Read a place. For a local it is the variable's own register."""
    if isinstance(at.variable, LocalVariable):
        return b.local(at.variable)
    dest = b.reg(at.type)
    number = b.shared.globals[at.variable]
    if at.keys:
        b.emit(ops.ArrayGet(dest, number, at.keys))
    else:
        b.emit(ops.GlobalGet(dest, number))
    return dest


def store(b: Builder, at: LValue, source: Reg) -> None:
    """Write a place."""
    if isinstance(at.variable, LocalVariable):
        b.emit(ops.Copy(b.local(at.variable), source))
    elif at.keys:
        number = b.shared.globals[at.variable]
        b.emit(ops.ArraySet(number, at.keys, source, b.site(at.node)))
    else:
        assign_variable(b, at.variable, source)


def assign_variable(b: Builder, variable: LocalVariable | GlobalVariable, source: Reg) -> None:
    """Write a whole variable."""
    if isinstance(variable, LocalVariable):
        b.emit(ops.Copy(b.local(variable), source))
    else:
        b.emit(ops.GlobalSet(b.shared.globals[variable], source))


def lower_assign(b: Builder, node: ast.Assign, *, used: bool) -> Reg | None:
    """`target op value`; the register has the assigned value."""
    at = place(b, node.target)
    held = [b.hold(key) for key in at.keys]
    value = lower_expr_module.lower_expr(b, node.value)
    at = LValue(at.variable, tuple(b.release(key) for key in held), at.node)
    if node.op == "<<<":
        assert isinstance(at.variable, GlobalVariable)
        number = b.shared.globals[at.variable]
        b.emit(ops.StatAdd(number, at.keys, value, b.site(node.target)))
        return value
    if node.op == "=":
        store(b, at, value)
        return value
    if node.op in {"+=", "-="} and not used and isinstance(at.variable, GlobalVariable):
        _add(b, at, value, negate=node.op == "-=")
        return None
    result = combine(b, node, node.op[:-1], load(b, at), value)
    store(b, at, result)
    return result


def combine(b: Builder, node: ast.Node, op: str, left: Reg, right: Reg) -> Reg:
    """Left op right, for every operator that an assignment may carry."""
    dest = b.reg(b.type_of(left))
    if op == ".":
        b.emit(ops.Concat(dest, (left, right)))
    else:
        b.emit(ops.Arith(dest, op, left, right, b.site(node) if op in {"/", "%"} else None))
    return dest


def _add(b: Builder, at: LValue, amount: Reg, *, negate: bool) -> None:
    assert isinstance(at.variable, GlobalVariable)
    if negate:
        amount = combine(b, at.node, "-", b.const(0), amount)
    number = b.shared.globals[at.variable]
    if at.keys:
        b.emit(ops.ArrayAdd(number, at.keys, amount, b.site(at.node)))
    else:
        b.emit(ops.GlobalAdd(number, amount))


def lower_step(b: Builder, node: ast.Step, *, used: bool) -> Reg | None:
    """`++x` and its kin; `x++` has the old value."""
    at = place(b, node.operand)
    one = b.const(1 if node.op == "++" else -1)
    if not used and isinstance(at.variable, GlobalVariable):
        _add(b, at, one, negate=False)
        return None
    old = load(b, at)
    if used and not node.prefix and isinstance(at.variable, LocalVariable):
        copy = b.reg(Value.LONG)
        b.emit(ops.Copy(copy, old))
        old = copy
    new = combine(b, node, "+", old, one)
    store(b, at, new)
    return new if node.prefix else old


def lower_delete(b: Builder, target: ast.Expr) -> None:
    """`delete` of a variable, an element or a slice."""
    match target:
        case ast.Name():
            _clear(b, b.facts.names[target])
        case ast.Index(base=ast.Name() as base, keys=keys):
            variable = b.facts.names[base]
            assert isinstance(variable, GlobalVariable)
            regs = lower_expr_module.lower_keys(b, keys)
            b.emit(ops.ArrayDelete(b.shared.globals[variable], regs))
        case _:
            raise AssertionError(f"not deletable: {target}")


def _clear(b: Builder, variable: LocalVariable | GlobalVariable) -> None:
    if isinstance(variable, GlobalVariable):
        b.emit(ops.ArrayDelete(b.shared.globals[variable], ()))
    elif VALUES[variable.type] is Value.LONG:
        b.emit(ops.Const(b.local(variable), 0))
    else:
        b.emit(ops.ConstString(b.local(variable), b""))
