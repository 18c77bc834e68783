"""symname(), symdata(): names of addresses from the lines of /proc/kallsyms (proc(5))."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from bridge.interpreter.faults import ScriptError
from bridge.ir.arithmetic import MASK, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.interpreter.machine import IrMachine, Item

_LINE = re.compile(r"(\S+) ([^aA]) \.?(\S+)(?:\s+\[(.*)\])?")
_LOWEST = 1 << 63
"""Below are offsets and constants, or addresses that are hidden from us."""
_PAGE = 4096


class KallsymsLine(NamedTuple):
    """One line; of several names for an address the first counts."""

    address: int
    name: str
    module: str


def read_symbols(text: str) -> list[KallsymsLine]:
    """The symbols in the order of their addresses."""
    found: dict[int, KallsymsLine] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        address = int(match[1], 16) if match else 0
        if match and address >= _LOWEST:
            found.setdefault(address, KallsymsLine(address, match[3], match[4] or ""))
    return sorted(found.values())


def _find(machine: IrMachine, address: int) -> tuple[KallsymsLine, int] | None:
    """The symbol that holds an address, and where it ends."""
    session = machine.session
    if session.symbols is None:
        session.symbols = read_symbols(session.host.symbols())
    after = bisect_right(session.symbols, address, key=lambda symbol: symbol.address)
    if after == 0:
        return None
    symbol = session.symbols[after - 1]
    # the last one of a module reaches to the end of its page, as nothing tells more
    end = (symbol.address | (_PAGE - 1)) + 1
    if after < len(session.symbols):
        following = session.symbols[after]
        if following.module == symbol.module or following.address <= end:
            end = following.address
    return (symbol, end) if address < end else None


def _symname(machine: IrMachine, address: int) -> bytes:
    found = _find(machine, address & MASK)
    return (found[0].name if found else f"{address & MASK:#x}").encode()


def _symdata(machine: IrMachine, address: int) -> bytes:
    found = _find(machine, address & MASK)
    if found is None:
        return f"{address & MASK:#x}".encode()
    (start, name, module), end = found
    where = f"+{(address & MASK) - start:#x}/{end - start:#x} [{module or 'kernel'}]"
    return f"{name}{where}".encode()


def _modname(machine: IrMachine, address: int) -> bytes:
    found = _find(machine, address & MASK)
    if found is None:
        raise ScriptError(b"Cannot determine kernel module name")
    return (found[0].module or "kernel").encode()


# --- back traces ------------------------------------------------------------------------------


def _addresses(machine: IrMachine) -> list[int]:
    """The kernel's calls that led to the hit."""
    data = machine.session.hit.get("kernel_stack", b"")
    assert isinstance(data, bytes)
    words = [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data) - 7, 8)]
    return words[: machine.session.program.limits.maxbacktrace]


def _print_backtrace(machine: IrMachine) -> None:
    lines = [
        f" {address:#x}\n".encode()
        if _find(machine, address) is None
        else f" {address:#x} : ".encode() + _symdata(machine, address) + b"\n"
        for address in _addresses(machine)
    ]
    none = b"<no kernel backtrace at %s>\n" % machine.point
    machine.session.write(b"".join(lines) or none)


def _backtrace(machine: IrMachine) -> bytes:
    words = "".join(f"{address:#x} " for address in _addresses(machine))
    return machine.session.cut(words.encode() or b"\n")


def _sprint_backtrace(machine: IrMachine) -> bytes:
    lines = [
        re.sub(rb"/0x[0-9a-f]+( \[.*\])$", rb"\1", _symdata(machine, address))
        for address in _addresses(machine)
    ]
    return machine.session.cut(b"\n".join([*lines, b""]) or b"\n")


def _stack(machine: IrMachine, number: int) -> int:
    found = _addresses(machine)
    return wrap(found[number]) if 0 <= number < len(found) else 0


FUNCTIONS: dict[str, Callable[..., Item | None]] = {
    "symname": _symname,
    "symdata": _symdata,
    "modname": _modname,
    "backtrace": _backtrace,
    "sprint_backtrace": _sprint_backtrace,
    "print_backtrace": _print_backtrace,
    "_stack": _stack,
}
"""By name."""
