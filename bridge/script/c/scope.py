"""The names that a body of embedded C knows: parameters, locals, types of the script."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge.script.c import VARIABLE, kernel
from bridge.script.c import tree as c
from bridge.script.c.types import constant
from bridge.script.c.values import CValue, CVariable, number, string

if TYPE_CHECKING:
    from collections.abc import Mapping

RESULT = "_retvalue"
"""The variable of the language that STAP_RETVALUE is."""


@dataclass(slots=True)
class CScope:
    """Parameters (name -> whether a string), locals by block, and what the file declares."""

    parameters: Mapping[str, bool]
    layouts: Mapping[str, c.Layout]
    enumerators: Mapping[str, int]
    functions: Mapping[str, c.Function]
    result: str | None
    variables: Mapping[str, c.Declared]
    """Those of the file: globals of the script."""
    used: dict[str, int] = field(default_factory=dict)
    """Those of them that were named, with their first values."""
    blocks: list[dict[str, CVariable]] = field(default_factory=lambda: [{}])
    modes: Mapping[int, CVariable] = field(default_factory=dict)
    """How each variable was used in a first pass, by where it is declared."""
    declared: dict[int, CVariable] = field(default_factory=dict)
    made: int = 0

    def argument(self, name: str, at: int) -> CValue:
        """A parameter of the script's function."""
        if name not in self.parameters:
            raise c.Unsupported(f"the function has no parameter `{name}`", at)
        return string(name) if self.parameters[name] else number(name, c.LONG)

    def find(self, name: str) -> CVariable | None:
        """The variable that a name means here."""
        for block in reversed(self.blocks):
            if name in block:
                return block[name]
        return None

    def of_file(self, name: str, at: int) -> CVariable:
        """A variable of the file, as a global of the script: a number, or an address."""
        declared = self.variables[name]
        if not isinstance(declared.type, c.Int | c.Pointer):
            raise c.Unsupported(
                f"`{name}` is a variable of the embedded C of the file, and no number", at
            )
        first = declared.value
        if isinstance(first, tuple):
            raise c.Unsupported("values in braces", declared.at)
        known = 0 if first is None else constant(first, self.enumerators)
        self.used[f"{VARIABLE}{name}"] = known
        return CVariable(f"{VARIABLE}{name}", declared.type, decided=True)

    def declare(self, declared: c.Declared) -> CVariable:
        """A new local variable; its name in the language is its own."""
        type_ = declared.type
        text = isinstance(type_, c.Array) and isinstance(type_.of, c.Int) and type_.of.size == 1
        if isinstance(type_, c.Array) and not text:
            raise c.Unsupported(
                f"`{declared.name}` is an array of more than characters", declared.at
            )
        if isinstance(type_, c.Struct) and type_.name not in kernel.LOCALS:
            raise c.Unsupported(
                f"`{declared.name}` is a structure as a local variable", declared.at
            )
        known = self.modes.get(declared.at, CVariable("", type_, text))
        variable = replace(known, name=self.fresh(declared.name))
        self.declared[declared.at] = variable
        self.blocks[-1][declared.name] = variable
        return variable

    def __post_init__(self) -> None:
        if self.result is not None:
            text = self.result == "string"
            type_ = c.Array(c.CHAR, 0) if text else c.LONG
            self.blocks[0]["STAP_RETVALUE"] = CVariable(RESULT, type_, text)

    def parameter(self, declared: c.Declared) -> None:
        """A parameter of a helper function."""
        pointer = isinstance(declared.type, c.Pointer)
        self.blocks[0][declared.name] = CVariable(
            f"_{declared.name}", declared.type, decided=pointer
        )

    def fresh(self, name: str) -> str:
        """A name in the language that nothing else has."""
        self.made += 1
        return f"_{name}_{self.made}"

    def member(self, variable: CVariable, name: str, at: int) -> CVariable:
        """A member of a local structure."""
        assert isinstance(variable.type, c.Struct)
        if name not in kernel.LOCALS[variable.type.name]:
            raise c.Unsupported(f"the structure has no member `{name}`", at)
        return CVariable(f"{variable.name}_{name}", c.LONG)
