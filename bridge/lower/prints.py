"""The print family -> formats: every member becomes one `Format` and its arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.ir.program import Conversion, Format, Value
from bridge.lower import aggregates, expr
from bridge.script.syntax import ast
from bridge.script.syntax.format import parse_format

if TYPE_CHECKING:
    from bridge.ir.program import Reg
    from bridge.lower.builder import Builder


def lower_print(b: Builder, node: ast.Print) -> Reg | None:
    """Print; the `s` members give the text instead."""
    stores = node.name.startswith("s")
    if node.arguments and isinstance(node.arguments[0], ast.Histogram):
        return _histogram(b, node.arguments[0], stores=stores)
    arguments = expr.lower_all(b, node.arguments)
    format_ = _format(b, node, arguments)
    number = b.shared.format(format_)
    site = b.site(node) if _reads_memory(format_) else None
    if not stores:
        b.emit(ops.PrintFormat(number, arguments, site))
        return None
    dest = b.reg(Value.STRING)
    b.emit(ops.FormatString(dest, number, arguments, site))
    return dest


def _reads_memory(format_: Format) -> bool:
    return any(isinstance(p, Conversion) and p.letter in {"m", "M"} for p in format_.pieces)


def _format(b: Builder, node: ast.Print, arguments: tuple[Reg, ...]) -> Format:
    if node.format is not None:
        return parse_format(node.format.raw)
    if node.name == "print_char":
        return Format((Conversion("c"),))
    delimiter = node.delimiter.value.encode("latin-1") if node.delimiter else b""
    pieces: list[bytes | Conversion] = []
    for at, argument in enumerate(arguments):
        if at:
            pieces.append(delimiter)
        pieces.append(Conversion("d" if b.type_of(argument) is Value.LONG else "s"))
    pieces.append(_end(node))
    return Format(tuple(piece for piece in _joined(pieces) if piece))


def _joined(pieces: list[bytes | Conversion]) -> list[bytes | Conversion]:
    joined: list[bytes | Conversion] = []
    for piece in pieces:
        if isinstance(piece, bytes) and joined and isinstance(last := joined[-1], bytes):
            joined[-1] = last + piece
        else:
            joined.append(piece)
    return joined


def _end(node: ast.Print) -> bytes:
    return b"\n" if node.name.endswith("ln") else b""


def _histogram(b: Builder, histogram: ast.Histogram, *, stores: bool) -> Reg | None:
    variable, keys = aggregates.histogram_statistic(b, histogram)
    # println and sprintln add no newline to the one that ends the histogram
    dest = b.reg(Value.STRING) if stores else None
    b.emit(ops.HistogramText(dest, variable, keys, b.site(histogram)))
    return dest
