"""Where an argument lies -> words of the kernel's uprobe and kprobe events.

The rule: None where the kernel has no words for it; nothing is approximated.
Source: Documentation/trace/uprobetracer.rst and kprobetrace.rst, "Synopsis".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.markers import Constant, Memory, Register

if TYPE_CHECKING:
    from bridge.markers import Operand

X86 = {f"r{name}": name for name in ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp", "ip")}
"""The kernel's names of registers; the others (r8, x0) are the same."""


def number_type(size: int, *, signed: bool) -> str:
    """The type of a number of so many bytes."""
    return f"{'s' if signed else 'u'}{8 * size}"


def fetched(operand: Operand) -> tuple[str, str] | None:
    """What to fetch, and its type."""
    match operand:
        case Register(high=False):
            name = X86.get(operand.name, operand.name)
            return f"%{name}", number_type(operand.size, signed=operand.signed)
        case Constant(value=value):
            return f"\\{value}", "s64"
        case Memory(base=str(base), index=None):
            where = f"{operand.displacement:+}(%{X86.get(base, base)})"
            return where, number_type(operand.size, signed=operand.signed)
        case _:
            return None
