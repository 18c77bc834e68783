"""`.callee("g")`, `.callees(n)`: what a function calls, and how to tell that it was the caller.

Comes in: a function. Goes out: `Callee`s, each with the chains of return addresses of which a
hit must have one. Inlined copies are in the function and need none. One rule: a return address
is where call frame information says that it is; a chain that this does not tell is left out.
Source: DWARF 5, sections 3.4 (call sites) and 6.4; stapprobes(3stap), "DWARF".
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bridge.markers import Access, Register, ValueType, Variable
from bridge.probes.dwarf import die as entries
from bridge.probes.dwarf.locations import REGISTERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.probes.dwarf.debug import Die
    from bridge.probes.dwarf.image import DebugImage
    from bridge.probes.dwarf.units import DebugFunction

Chain = tuple[int, ...]
"""Return addresses, from the callee outwards."""
_CALL_SITES = frozenset({"DW_TAG_call_site", "DW_TAG_GNU_call_site"})
_WORD = 8
_STACK = {"x86_64": "rsp", "aarch64": "sp"}
_SAVED = {"x86_64": "rbp"}
"""A register that frames may be counted from, and that no function has changed at its entry."""


@dataclass(frozen=True, slots=True)
class Callee:
    """A function that another one calls, or has a copy of."""

    caller: DebugFunction
    function: DebugFunction
    chain: Chain


@dataclass(frozen=True, slots=True)
class _Call:
    returns_to: int
    function: DebugFunction


def callees(
    function: DebugFunction, pattern: str, depth: int, chain: Chain = ()
) -> Iterator[Callee]:
    """What a function calls, and what those call, so many levels deep."""
    found = [Callee(function, one, chain) for one in function.copies]
    found += [
        Callee(function, call.function, (call.returns_to, *chain)) for call in _calls(function)
    ]
    for one in found:
        if fnmatchcase(one.function.name, pattern):
            yield one
        if depth > 1:
            yield from callees(one.function, pattern, depth - 1, one.chain)


def _calls(function: DebugFunction) -> Iterator[_Call]:
    """The calls in a function whose return address and target are known."""
    waiting = list(function.die.iter_children())
    while waiting:
        die = waiting.pop(0)
        if die.tag == "DW_TAG_lexical_block":
            waiting += die.iter_children()
        elif die.tag in _CALL_SITES:
            yield from _call(function, die)


def _call(function: DebugFunction, die: Die) -> Iterator[_Call]:
    tail = entries.own(die, "DW_AT_call_tail_call") or entries.own(die, "DW_AT_GNU_tail_call")
    returns = entries.own(die, "DW_AT_call_return_pc") or entries.own(die, "DW_AT_low_pc")
    origin = "DW_AT_call_origin"
    if entries.own(die, origin) is None:
        origin = "DW_AT_abstract_origin"
    if returns is None or tail is not None or entries.own(die, origin) is None:
        return
    named = entries.target(die, origin)
    if named is None:
        return
    wanted = entries.origin(named).offset
    image = function.unit.image
    for one in image.functions(entries.name_of(named)):
        same = entries.origin(one.die).offset == wanted
        if not one.inlined and (same or one.is_external):
            yield _Call(int(returns.value), one)


# --- at a hit ---------------------------------------------------------------------------------


def return_words(image: DebugImage, address: int, chain: Chain) -> list[Access] | None:
    """Where the return addresses of a chain are in the stack; None where that is not told."""
    machine = image.elf.machine
    at_entry = image.entered_at(address) is not None
    if machine != "x86_64":
        return None
    base, offset = "", 0
    found = []
    for level, pc in enumerate((address, *chain[:-1])):
        rule = image.frames.at(pc)
        if rule is None:
            return None
        register = REGISTERS[machine][rule[0]]
        if level == 0:
            base, offset = register, rule[1]
        elif register == _STACK[machine]:
            offset += rule[1]
        elif register == _SAVED[machine] and level == 1 and at_entry:
            base, offset = register, rule[1]
        else:
            return None
        start = Variable(f"%{base}", ValueType.LONG, (Register(base, _WORD, signed=True),))
        found.append(Access(start, (offset - _WORD,), _WORD, signed=True, space=image.space))
    return found
