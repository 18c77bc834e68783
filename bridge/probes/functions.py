"""`ElfFile` -> markers at the entries and returns of its functions.

`$arg1`.. are the integer arguments by the calling convention, `$return` the result. The probe
stands at the function's first instruction, or at the one behind an `endbr64`/`bti` where that
one is cheap for the kernel: nothing has changed by then.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from bridge.markers import (
    ARGUMENT_REGISTERS,
    Kind,
    Marker,
    Register,
    Site,
    ValueType,
    Variable,
)
from bridge.probes.safety import entry_skip, instruction_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.probes.elf import ElfFile
    from bridge.probes.symbols import ElfFunction

RESULTS = {"x86_64": "rax", "aarch64": "x0"}


@cache
def _register(name: str, register: str) -> Variable:
    return Variable(name, ValueType.LONG, (Register(register, 8, signed=True),), "long")


@cache
def register_arguments(machine: str, *, returns: bool) -> tuple[Variable, ...]:
    """`$arg1`.. or `$return`, as the calling convention passes integers."""
    if returns:
        return (_register("return", RESULTS[machine]),)
    return tuple(_register(f"arg{i}", r) for i, r in enumerate(ARGUMENT_REGISTERS[machine], 1))


def function_marker(
    elf: ElfFile, name: str, functions: Sequence[ElfFunction], *, returns: bool
) -> Marker:
    """The marker of the function(s) of one name; several files may have a static one of it."""
    sites = []
    for function in functions:
        address = function.address + entry_skip(elf, function.address, function.size)
        offset = elf.file_offset(address)
        if offset is None:  # `read_functions` leaves those out
            continue
        fault = instruction_fault(elf, address)
        sites.append(Site(elf.path, offset, address, unsafe=fault))
    kind = Kind.FUNCTION_RETURN if returns else Kind.FUNCTION
    variables = register_arguments(elf.machine, returns=returns)
    return Marker(kind, elf.path, name, tuple(sites), variables, elf.machine)
