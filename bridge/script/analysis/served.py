"""`$value` in probes of served files (`procfs`) -> calls that read and write the file's text.

The text is none of the language: it may be longer than MAXSTRINGLEN. The rule, SystemTap's: who
serves a reader may only assign it (`=`, `.=`), who takes what was written may only read it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.markers import ServedFile
from bridge.script import errors
from bridge.script.analysis.derive import ScopedBlock
from bridge.script.printing.describe import describe
from bridge.script.syntax import ast
from bridge.script.syntax.walk import rebuild

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.diagnostics import Diagnostic
    from bridge.script.analysis.derive import Derived

TEXT, SET, APPEND = "__file_text", "__file_set", "__file_append"
"""The built-ins."""
_ASSIGNING = {"=": SET, ".=": APPEND}


def serve(derived: Derived, report: Callable[[Diagnostic], None]) -> Derived:
    """The probe with calls in place of `$value`."""
    file = derived.expansion.attachment
    if not isinstance(file, ServedFile):
        return derived
    calls = _Calls(file.writes, report)
    blocks = tuple(
        ScopedBlock(b.script, rebuild(b.block, calls.change)) for b in derived.bodies
    )
    return replace(derived, bodies=blocks)


@dataclass
class _Calls:
    writes: bool
    report: Callable[[Diagnostic], None]

    def change(self, node: ast.Node) -> ast.Node:
        """The node, without variables of the place."""
        match node:
            case ast.Assign(op=op, target=ast.Target() as target) if op in _ASSIGNING:
                if not self._is_text(target):
                    self._refuse_name(target)
                elif self.writes:
                    self._refuse("is read-only in a procfs write probe", target)
                return self._call(_ASSIGNING[op], node, self.change(node.value))
            case ast.AtOperator(op="defined", operand=ast.Target(name=name)):
                value = int(name == "$value")
                return ast.Number(value, span=node.span, token=node.token)
            case ast.Target():
                return self._variable(node)
            case _:
                return rebuild(node, self.change)

    def _variable(self, node: ast.Target) -> ast.Expr:
        if not self._is_text(node):
            self._refuse_name(node)
        elif not self.writes:
            self._refuse("cannot be read in a procfs read probe", node)
        return self._call(TEXT, node)

    @staticmethod
    def _is_text(node: ast.Target) -> bool:
        return node.name == "$value" and not (node.path or node.address_of or node.pretty)

    def _refuse_name(self, node: ast.Target) -> None:
        message = errors.Message(
            "unresolved-target", "invalid target symbol for procfs probe, $value expected"
        )
        self.report(errors.semantic(message, node.token, describe(node)))

    def _refuse(self, why: str, node: ast.Expr) -> None:
        message = errors.Message("wrong-direction", f"procfs $value variable {why}")
        self.report(errors.semantic(message, node.token, describe(node)))

    @staticmethod
    def _call(name: str, at: ast.Expr, *arguments: ast.Node) -> ast.Call:
        given = tuple(one for one in arguments if isinstance(one, ast.Expr))
        return ast.Call(name, given, span=at.span, token=at.token)
