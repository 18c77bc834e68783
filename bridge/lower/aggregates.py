"""Statistics: extractors, histograms, and the shape that their uses ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.ir.program import Value
from bridge.lower import expr
from bridge.script.analysis.typed import GlobalVariable
from bridge.script.syntax import ast

if TYPE_CHECKING:
    from bridge.ir.program import Reg
    from bridge.lower.builder import Builder

LOG_BUCKETS = 128


def statistic(b: Builder, node: ast.Expr) -> tuple[int, tuple[Reg, ...]]:
    """The global and the evaluated index of a statistic."""
    keys: tuple[Reg, ...] = ()
    match node:
        case ast.Name():
            variable = b.facts.names[node]
        case ast.Index(base=ast.Name() as base, keys=index):
            variable = b.facts.names[base]
            keys = expr.lower_all(b, [key for key in index if key is not None])
        case _:
            raise AssertionError(f"not a statistic: {node}")
    assert isinstance(variable, GlobalVariable)
    return b.shared.globals[variable], keys


def lower_extractor(b: Builder, node: ast.StatOp) -> Reg:
    """`@count(s)` and its kin."""
    variable, keys = statistic(b, node.stat)
    dest = b.reg(Value.LONG)
    b.emit(ops.StatGet(dest, variable, keys, node.op, b.site(node)))
    return dest


def histogram_statistic(b: Builder, node: ast.Histogram) -> tuple[int, tuple[Reg, ...]]:
    """The statistic under a histogram."""
    return statistic(b, node.stat)


def lower_bucket(b: Builder, node: ast.Index, histogram: ast.Histogram) -> Reg:
    """`@hist_log(s)[bucket]`."""
    variable, keys = histogram_statistic(b, histogram)
    held = [b.hold(key) for key in keys]
    (bucket,) = expr.lower_all(b, [key for key in node.keys if key is not None])
    dest = b.reg(Value.LONG)
    regs = tuple(b.release(key) for key in held)
    b.emit(ops.HistogramGet(dest, variable, regs, bucket, b.site(node)))
    return dest


def bucket_count(node: ast.Histogram) -> int:
    """How many buckets a histogram has, underflow and overflow included (spec section 7)."""
    if not node.parameters:
        return LOG_BUCKETS
    low, high, step = node.parameters
    return (high - low) // step + 3
