"""How a function of the kernel gets its parameters: a prototype in BTF -> operands.

Each parameter has two: a register or the stack, for a program at a kprobe, and its number, for
one behind a trampoline (fentry, fexit). Sources: System V x86-64 psABI 3.2.3; AAPCS64 6.8.2;
bpf-helpers(7), bpf_get_func_arg.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.markers import (
    ARGUMENT_REGISTERS,
    RESULT_REGISTERS,
    Memory,
    RawArgument,
    Register,
    ValueType,
    Variable,
)
from bridge.probes.types import COMPOSITES, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.probes.btf import Btf, Parameter

WORD = 8
RESULT = -1
"""The number of the result behind a trampoline."""
MOST_BEHIND_TRAMPOLINE = 6
"""Words of parameters that the trampolines of every kernel pass on."""
_STACK = {"x86_64": ("rsp", 8), "aarch64": ("sp", 0)}
"""The stack's register where a function is entered, and where its stack parameters begin."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A parameter: its type, and how its value is got (None: in pieces, it is no number)."""

    parameter: Parameter
    variable: Variable | None


def passed(btf: Btf, parameters: tuple[Parameter, ...], machine: str) -> tuple[Passed, ...]:
    """The parameters of a function in order."""
    places = _Places(machine)
    plain = is_plain(btf, parameters)
    found = []
    for index, parameter in enumerate(parameters):
        size = btf.size(parameter.type)
        shape = btf.shape(parameter.type)
        if shape in COMPOSITES or shape is Shape.FLOAT or size not in (1, 2, 4, 8):
            places.skip(size, in_registers=shape is not Shape.FLOAT)
            found.append(Passed(parameter, None))
            continue
        signed = btf.is_signed(parameter.type)
        operand = places.take(size, signed)
        raw = RawArgument(index, size, signed) if plain else None
        variable = Variable(
            parameter.name, ValueType.LONG, (operand,), btf.name(parameter.type), raw
        )
        found.append(Passed(parameter, variable))
    return tuple(found)


def is_plain(btf: Btf, parameters: tuple[Parameter, ...]) -> bool:
    """Whether each parameter is a word that a trampoline passes on."""
    return len(parameters) <= MOST_BEHIND_TRAMPOLINE and all(
        parameter.type and btf.is_scalar(parameter.type) and btf.size(parameter.type) <= WORD
        for parameter in parameters
    )


def by_convention(machine: str, count: int | None) -> tuple[Variable, ...]:
    """`$arg1`.. as integers are passed; `count` are known to a trampoline."""
    return tuple(
        Variable(
            f"arg{index + 1}",
            ValueType.LONG,
            (Register(register, WORD, signed=True),),
            "long",
            RawArgument(index) if count is not None and index < count else None,
        )
        for index, register in enumerate(ARGUMENT_REGISTERS.get(machine, ()))
    )


def result(btf: Btf, type_: int, name: str, machine: str, *, plain: bool) -> Variable | None:
    """The result of a function; None where it is no number."""
    size, signed = btf.size(type_), btf.is_signed(type_)
    if not type_ or not btf.is_scalar(type_) or size not in (1, 2, 4, 8):
        return None
    operand = Register(RESULT_REGISTERS[machine], size, signed)
    raw = RawArgument(RESULT, size, signed) if plain else None
    return Variable(name, ValueType.LONG, (operand,), btf.name(type_), raw)


class _Places:
    """Where the next parameter is."""

    def __init__(self, machine: str) -> None:
        self._free: Iterator[str] = iter(ARGUMENT_REGISTERS.get(machine, ()))
        self._left = len(ARGUMENT_REGISTERS.get(machine, ()))
        self._stack, self._offset = _STACK.get(machine, ("", 0))

    def take(self, size: int, signed: bool) -> Register | Memory:
        """A word."""
        if self._left:
            self._left -= 1
            return Register(next(self._free), size, signed)
        place = Memory(self._stack, None, 1, self._offset, size, signed, space="kernel")
        self._offset += WORD
        return place

    def skip(self, size: int, *, in_registers: bool) -> None:
        """A structure, which is in one or two registers if it fits and they are free."""
        words = -(-size // WORD)
        if not in_registers:
            return
        if words <= 2 and words <= self._left:
            for _ in range(words):
                next(self._free)
            self._left -= words
        else:
            self._offset += WORD * words
