"""Assignments to the traced program, in guru mode -> calls that write to its memory.

`$p->x = v`, `$local += v`, `@cast(p, "t")->x++`, `@var("g") = v`, where the left side is in the
memory of a process that can be stopped. One rule: what is written when the handler runs has to
be what the program finds after the hit, so all else stays as it is, and is refused by
bridge.script.analysis.checks with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.markers import Access, MarkerAttachment
from bridge.script.analysis.derive import ScopedBlock
from bridge.script.analysis.lookup import lookup
from bridge.script.builtins import SET_USER
from bridge.script.syntax import ast
from bridge.script.syntax.walk import rebuild

if TYPE_CHECKING:
    from bridge.markers import Expansion
    from bridge.script.analysis.derive import Derived
    from bridge.script.analysis.lookup import Typed
    from bridge.script.analysis.program import ResolvedScript

SIZES = frozenset({1, 2, 4, 8})


def write(program: ResolvedScript, derived: Derived) -> Derived:
    """The probe with calls in place of assignments."""
    options = program.options
    place = derived.expansion
    if not options.guru or options.assume_types:
        return derived
    if not isinstance(place.attachment, MarkerAttachment):
        return derived
    writes = _Writes(program, place)
    blocks = tuple(
        ScopedBlock(b.script, rebuild(b.block, writes.change)) for b in derived.bodies
    )
    return replace(derived, bodies=blocks) if writes.found else derived


@dataclass
class _Writes:
    program: ResolvedScript
    place: Expansion
    found: bool = False

    def change(self, node: ast.Node) -> ast.Node:
        """The node, without assignments to what is in the program's memory."""
        match node:
            case ast.Assign(op=op, target=(ast.Target() | ast.Cast() | ast.AtVar()) as target):
                value = rebuild(node, self.change)
                assert isinstance(value, ast.Assign)
                return self._written(op[:-1], target, value.value, node) or value
            case ast.Step(op=op, operand=(ast.Target() | ast.Cast() | ast.AtVar()) as target):
                one = ast.Number(1, span=node.span, token=node.token)
                changed = self._written(op[0], target, one, node)
                if changed is not None and not node.prefix:
                    undo = "-" if op == "++" else "+"
                    changed = _binary(undo, changed, one, node)
                return changed or node
            case _:
                return rebuild(node, self.change)

    def _written(
        self, op: str, target: Typed, value: ast.Expr, at: ast.Expr
    ) -> ast.Expr | None:
        """The call that writes; None where it cannot be written."""
        size = self._size(target)
        if not size:
            return None
        self.found = True
        address = replace(target, address_of=True)
        new = _binary(op, target, value, at) if op else value
        number = ast.Number(size, span=at.span, token=at.token)
        return ast.Call(SET_USER, (address, new, number), span=at.span, token=at.token)

    def _size(self, target: Typed) -> int:
        """How many bytes a left side has in the memory of the process; 0: none, or bits."""
        if target.address_of or target.pretty:
            return 0
        program = self.program
        found = lookup(target, self.place, program.structures, program.statics)
        known = isinstance(found, Access) and found.space == "user" and not found.bits
        if not known or not isinstance(found, Access) or found.size not in SIZES:
            return 0
        address = replace(target, address_of=True)
        there = lookup(address, self.place, program.structures, program.statics)
        return found.size if isinstance(there, Access) else 0


def _binary(op: str, left: ast.Expr, right: ast.Expr, at: ast.Expr) -> ast.Expr:
    return ast.Binary(op, left, right, span=at.span, token=at.token)
