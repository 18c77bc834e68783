"""ELF files as the interpreter's back traces need them: extent, symbols, call frames.

In: the bytes of a file. Out: names of addresses, and the caller's registers. The rule: the
tables are decoded by pyelftools, so that nothing is shared with csrc/backtrace/unwind.c.
Source: DWARF 5, sections 2.5 and 6.4. Registers have DWARF's numbers for x86-64.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from elftools.common.exceptions import DWARFError, ELFError, ELFParseError
from elftools.common.utils import bytes2str
from elftools.construct.core import ConstructError
from elftools.dwarf.callframe import FDE
from elftools.dwarf.dwarf_expr import DWARFExprParser
from elftools.elf.elffile import ELFFile

from bridge.ir.arithmetic import MASK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Memory = Callable[[int], int]
    """The 64-bit number at an address; LookupError if it cannot be read."""

SP, PC = 7, 16
PAGE = 4096
FAULTS = (ELFError, ELFParseError, DWARFError, ConstructError, LookupError, ValueError)
_TYPES = ("STT_FUNC", "STT_OBJECT")


@dataclass(frozen=True, slots=True)
class Frame:
    """The registers of a frame; after a call the instruction before the pc is meant."""

    registers: tuple[int, ...]
    after_call: bool = False


class StackImage:
    """One file; `debug` gives the bytes of the separate file of a build id, or b""."""

    def __init__(self, data: bytes, debug: Callable[[str], bytes]) -> None:
        self._file: Any = ELFFile(io.BytesIO(data))
        self._debug = debug
        self._segments = [s for s in self._file.iter_segments() if s["p_type"] == "PT_LOAD"]
        ends = [s["p_vaddr"] + s["p_memsz"] for s in self._segments]
        self.low = min(s["p_vaddr"] for s in self._segments) // PAGE * PAGE
        self.high = -(-max(ends) // PAGE) * PAGE

    def bias(self, start: int, offset: int) -> int:
        """What to add to link-time addresses, by a mapping of the file; LookupError if none."""
        inside = [
            (
                offset != s["p_offset"] // PAGE * PAGE,
                start - offset + s["p_offset"] - s["p_vaddr"],
            )
            for s in self._segments
            if s["p_offset"] // PAGE * PAGE <= offset < s["p_offset"] + s["p_filesz"]
        ]
        if not inside:
            raise LookupError(offset)
        return int(min(inside)[1])

    # --- symbols ------------------------------------------------------------------------------

    @cached_property
    def _symbols(self) -> list[tuple[int, str]]:
        found = {s["st_value"]: s.name for s in self._symbol_table() if self._counts(s)}
        return sorted(found.items())

    def _symbol_table(self) -> Iterator[Any]:
        for file, name in ((self._file, ".symtab"), (self._separate, ".symtab")):
            table = file.get_section_by_name(name) if file is not None else None
            if table is not None:
                return table.iter_symbols()  # type: ignore[no-any-return] # pyelftools
        table = self._file.get_section_by_name(".dynsym")
        return iter(()) if table is None else table.iter_symbols()

    @cached_property
    def _separate(self) -> Any:  # noqa: ANN401 - pyelftools
        note = self._file.get_section_by_name(".note.gnu.build-id")
        for one in note.iter_notes() if note is not None else ():
            identity = str(one["n_desc"])
            data = self._debug(f"{identity[:2]}/{identity[2:]}")
            return ELFFile(io.BytesIO(data)) if data else None
        return None

    def _counts(self, symbol: Any) -> bool:  # noqa: ANN401 - pyelftools
        home = symbol["st_shndx"]
        if symbol["st_info"]["type"] not in _TYPES or home == "SHN_UNDEF":
            return False
        return bool(self.low <= symbol["st_value"] < self.high)

    def symbol(self, address: int) -> tuple[str, int, int] | None:
        """Its name, where it starts and how far it reaches (0: unknown)."""
        after = bisect_right(self._symbols, address, key=lambda symbol: symbol[0])
        if not after:
            return None
        start, name = self._symbols[after - 1]
        size = self._symbols[after][0] - start if after < len(self._symbols) else 0
        return name, start, size

    # --- call frames --------------------------------------------------------------------------

    @cached_property
    def _entries(self) -> list[Any]:
        """What .debug_frame says comes first."""
        info = self._file.get_dwarf_info(follow_links=False)
        found = list(info.CFI_entries()) if info.has_CFI() else []
        found += list(info.EH_CFI_entries()) if info.has_EH_CFI() else []
        return [entry for entry in found if isinstance(entry, FDE)]

    def step(self, frame: Frame, bias: int, memory: Memory) -> Frame | None:
        """The caller's frame; None if there is none, or if nothing is known."""
        pc = frame.registers[PC] - bias - frame.after_call
        for entry in self._entries:
            start = entry["initial_location"]
            if start <= pc < start + entry["address_range"]:
                return _caller(entry, pc, frame, memory)
        return None


def _caller(entry: Any, pc: int, frame: Frame, memory: Memory) -> Frame | None:  # noqa: ANN401
    rules: dict[Any, Any] = {}
    for line in (*entry.cie.get_decoded().table, *entry.get_decoded().table):
        if line["pc"] <= pc:
            rules = line
    if not rules or (PC in rules and rules[PC].type == "UNDEFINED"):
        return None
    cfa = _frame_address(entry, rules["cfa"], frame, memory)
    found = [
        _value(entry, number, rules.get(number), cfa, frame, memory)
        for number in range(len(frame.registers))
    ]
    augmentation = bytes2str(entry.cie["augmentation"])
    return Frame(tuple(value & MASK for value in found), "S" not in augmentation)


def _frame_address(entry: Any, rule: Any, frame: Frame, memory: Memory) -> int:  # noqa: ANN401
    if rule.expr is not None:
        return _evaluate(entry, rule.expr, frame, memory, [])
    return int(frame.registers[rule.reg] + rule.offset) & MASK


def _value(
    entry: Any,  # noqa: ANN401 - pyelftools
    number: int,
    rule: Any,  # noqa: ANN401 - pyelftools
    cfa: int,
    frame: Frame,
    memory: Memory,
) -> int:
    match rule.type if rule is not None else "SAME_VALUE":
        case "OFFSET":
            return memory(int(cfa + rule.arg) & MASK)
        case "VAL_OFFSET":
            return int(cfa + rule.arg)
        case "REGISTER":
            return frame.registers[int(rule.arg)]
        case "EXPRESSION":
            return memory(_evaluate(entry, rule.arg, frame, memory, [cfa]))
        case "VAL_EXPRESSION":
            return _evaluate(entry, rule.arg, frame, memory, [cfa])
        case "UNDEFINED":
            return 0
        case _:
            return cfa if number == SP else frame.registers[number]


# --- expressions ------------------------------------------------------------------------------


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


_TWO: dict[str, Callable[[int, int], int]] = {
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "plus": lambda a, b: a + b,
    "minus": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "shl": lambda a, b: a << min(b, 64),
    "shr": lambda a, b: a >> min(b, 64),
    "shra": lambda a, b: _signed(a) >> min(b, 64),
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "ge": lambda a, b: _signed(a) >= _signed(b),
    "gt": lambda a, b: _signed(a) > _signed(b),
    "le": lambda a, b: _signed(a) <= _signed(b),
    "lt": lambda a, b: _signed(a) < _signed(b),
}


def _evaluate(
    entry: Any,  # noqa: ANN401 - pyelftools
    code: list[int],
    frame: Frame,
    memory: Memory,
    stack: list[int],
) -> int:
    """The operations that compilers put into call frame information; no jumps."""
    for op in DWARFExprParser(entry.structs).parse_expr(code):
        name = op.op_name.removeprefix("DW_OP_")
        if name in _TWO:
            right, left = stack.pop(), stack.pop()
            value = int(_TWO[name](left, right))
        elif name.startswith("breg"):
            number, offset = (int(name[4:]), op.args[0]) if name != "bregx" else op.args
            value = frame.registers[number] + offset
        elif name.startswith("lit"):
            value = int(name[3:])
        elif name.startswith("const") or name == "addr":
            value = op.args[0]
        elif name == "plus_uconst":
            value = stack.pop() + op.args[0]
        elif name == "deref":
            value = memory(stack.pop())
        elif name == "dup":
            value = stack[-1]
        else:
            raise LookupError(name)
        stack.append(value & MASK)
    return stack[-1]
