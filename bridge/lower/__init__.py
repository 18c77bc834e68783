"""Typed -> ir.IrProgram. `program.lower` is the entry; one module per concern."""

from bridge.lower.program import lower

__all__ = ["lower"]
