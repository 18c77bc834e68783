"""Whether a uprobe at a site leaves the program alone.

Since Linux 6.18 a probed five-byte nop becomes a `call` to a trampoline. It pushes a return
address into the 128 bytes below the stack pointer, which a leaf function may use (the red zone
of the x86-64 ABI). So such a site is refused unless it is proven that nothing lies there. Every
other instruction gets a breakpoint, which uses the kernel's stack and is always safe.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from bridge.probes.symbols import read_functions
from bridge.probes.x86 import INVALID_0F, LONGEST, NOPS_0F, RSP, Instruction, decode

if TYPE_CHECKING:
    from bridge.probes.elf import ElfFile
    from bridge.probes.symbols import ElfFunction

PAGE_SIZE = 4096
NOP5_SIZE = 5
# The kernels that replace five-byte nops by calls. From which version on it is a ten-byte nop
# and a red zone is stepped over is not told by the kernel, so there is no last version here.
FIRST_OPTIMIZING = (6, 18)
LONGEST_FUNCTION = 1 << 20

ENDBR64 = b"\xf3\x0f\x1e\xfa"
STEP_OVER = b"\x48\x8d\x64\x24\x80"  # lea -128(%rsp),%rsp
STEP_BACK = b"\x48\x8d\xa4\x24\x80\x00\x00\x00"  # lea 128(%rsp),%rsp

# What the kernel refuses (arch/x86/kernel/uprobes.c): prefixes, and opcodes that do I/O, trap,
# halt or do not exist.
_BAD_PREFIXES = {0x26: "es", 0x2E: "cs", 0x36: "ss", 0x3E: "ds", 0xF0: "lock"}
_BAD_OPCODES = frozenset(
    b"\x6c\x6d\x6e\x6f\xcc\xcd\xcf\xe4\xe5\xe6\xe7\xec\xed\xee\xef\xf1\xf4\xfa\xfb"
)

# Opcodes with which, alone or behind a REX prefix, every instruction is taken: arithmetic of
# registers and memory, push, pop, conditional jumps, moves of constants, call, ret.
_PLAIN = frozenset(
    (
        *(base + form for base in range(0x00, 0x40, 8) for form in range(6)),
        *range(0x50, 0x60),
        *(0x63, 0x68, 0x6A),
        *range(0x70, 0x80),
        *(0x80, 0x81, 0x83, 0x84, 0x85),
        *range(0xB0, 0xC0),
        *(0xC3, 0xE8),
    )
)
_MOVES = frozenset({0x88, 0x89, 0x8A, 0x8B})  # 89 and 8b may be a nop, by their operands
_SCALARS = frozenset({0x66, 0xF2, 0xF3})
_NOT_PLAIN_0F = {*INVALID_0F, *NOPS_0F, 0x38, 0x3A, 0x0F, *range(0xA6, 0xA8)}
_PLAIN_0F = frozenset(range(256)) - _NOT_PLAIN_0F


def _modrm_bytes(modrm: int) -> int:
    """The bytes of an operand from its ModRM byte on; 0 where the next byte tells."""
    mod, rm = modrm >> 6, modrm & 7
    if mod == 3:
        return 1
    if mod == 0:
        return {4: 0, 5: 5}.get(rm, 1)
    return 1 + (rm == 4) + (1 if mod == 1 else 4)


_MODRM_BYTES = tuple(map(_modrm_bytes, range(256)))

RED_ZONE = (
    "it is a five-byte nop, which this kernel replaces by a call that overwrites the red zone; "
    "nothing around it proves that the red zone is unused (--unsafe-nop5 attaches all the same)"
)


@dataclass(frozen=True, slots=True)
class SitePolicy:
    """The kernel's version, and whether the user takes the risk (`--unsafe-nop5`)."""

    release: tuple[int, int] = (0, 0)
    allow_nop5: bool = False

    @property
    def optimizes_nop5(self) -> bool:
        """Whether the kernel may replace a five-byte nop; an unknown kernel may."""
        return self.release == (0, 0) or self.release >= FIRST_OPTIMIZING


def site_fault(elf: ElfFile, address: int, policy: SitePolicy) -> str:
    """Why a uprobe at a marker's site would disturb the program; "" if it would not."""
    if elf.machine != "x86_64":
        return instruction_fault(elf, address)
    code = elf.bytes_at(address, LONGEST)
    if _is_plain(code):
        return ""
    instruction = decode(code)
    fault = _refused(instruction)
    if fault or instruction is None:
        return fault
    if policy.allow_nop5 or not policy.optimizes_nop5 or not _is_nop5(instruction):
        return ""
    if PAGE_SIZE - address % PAGE_SIZE < NOP5_SIZE:
        return ""  # across a page's end the kernel keeps the breakpoint
    if _is_guarded(elf, address) or _is_proven(elf, address):
        return ""
    return RED_ZONE


def instruction_fault(elf: ElfFile, address: int) -> str:
    """Why the kernel would not take a uprobe at an instruction; "" if it would."""
    if elf.machine != "x86_64":
        return "" if address % 4 == 0 else "it is not at the start of an instruction"
    code = elf.bytes_at(address, LONGEST)
    return "" if _is_plain(code) else _refused(decode(code))


def _is_plain(code: bytes) -> bool:
    """Whether bytes begin with an instruction that is always taken, and is no five-byte nop.

    Most do; thousands of places are then not decoded for nothing.
    """
    if len(code) < LONGEST:
        return False
    at = 1 if code[0] in _SCALARS else 0
    prefixed = at
    if code[at] & 0xF0 == 0x40:
        at += 1
    opcode = code[at]
    if opcode == 0x0F:
        return code[at + 1] in _PLAIN_0F
    if prefixed:
        return False
    if opcode in _MOVES:
        size = _MODRM_BYTES[code[at + 1]]
        return size > 0 and at + 1 + size != NOP5_SIZE
    return opcode in _PLAIN


def _refused(instruction: Instruction | None) -> str:
    if instruction is None:
        return "there is no instruction that is understood"
    for prefix, name in _BAD_PREFIXES.items():
        if prefix in instruction.prefixes:
            return f"the kernel takes no uprobe at an instruction with the prefix `{name}`"
    if instruction.map == 1 and not instruction.vector and instruction.opcode in _BAD_OPCODES:
        return f"the kernel takes no uprobe at the instruction {instruction.opcode:#x}"
    return ""


def entry_skip(elf: ElfFile, address: int, size: int) -> int:
    """How many bytes a probe at a function's entry skips.

    An `endbr64` would be single-stepped, which takes ten times as long as what the kernel
    emulates. A `push`, nop, `call` or `jmp` behind it sees the same registers and stack.
    """
    if elf.machine != "x86_64" or elf.bytes_at(address, len(ENDBR64)) != ENDBR64:
        return 0
    if 0 < size <= len(ENDBR64):
        return 0
    following = decode(elf.bytes_at(address + len(ENDBR64), LONGEST))
    return len(ENDBR64) if following is not None and _is_emulated(following) else 0


def _is_emulated(instruction: Instruction) -> bool:
    if instruction.map != 1 or instruction.vector or instruction.prefixes:
        return False
    opcode = instruction.opcode
    return 0x50 <= opcode <= 0x57 or opcode in (0x90, 0xE8, 0xE9, 0xEB)


def _is_nop5(instruction: Instruction) -> bool:
    return instruction.length == NOP5_SIZE and instruction.is_nop


def _is_guarded(elf: ElfFile, address: int) -> bool:
    """Whether the site is between two `lea` that step over the red zone and back."""
    before = elf.bytes_at(address - len(STEP_OVER), len(STEP_OVER))
    after = elf.bytes_at(address + NOP5_SIZE, len(STEP_BACK))
    return before == STEP_OVER and after == STEP_BACK


# --- proofs from the whole function -----------------------------------------------------------


def _is_proven(elf: ElfFile, address: int) -> bool:
    """Whether the function around a site makes the red zone unused.

    Either it calls (then the compiler has kept nothing below the stack pointer, since every
    call overwrites it), or nothing in it can address memory below the stack pointer.
    """
    function = _function_at(elf, address)
    if function is None:
        return False
    code = _instructions(elf, function)
    if code is None or address not in code or any(map(_goes_below, code.values())):
        return False
    return _calls(code, function) or _is_self_contained(code, function)


def _function_at(elf: ElfFile, address: int) -> ElfFunction | None:
    functions = read_functions(elf)
    number = bisect_right(functions, address, key=_address) - 1
    if number < 0:
        return None
    function = functions[number]
    inside = address < function.address + min(function.size, LONGEST_FUNCTION)
    return function if inside else None


def _address(function: ElfFunction) -> int:
    return function.address


@lru_cache(maxsize=16)  # several places of a function follow each other
def _instructions(elf: ElfFile, function: ElfFunction) -> dict[int, Instruction] | None:
    """The function's instructions by address; None if not all of its bytes are some."""
    code = elf.bytes_at(function.address, function.size)
    found, at = {}, 0
    while at < len(code):
        instruction = decode(code, at)
        if instruction is None:
            return None
        found[function.address + at] = instruction
        at += instruction.length
    return found if at == function.size else None


def _goes_below(instruction: Instruction) -> bool:
    """Whether an operand lies below the stack pointer, as `-8(%rsp)`."""
    below = instruction.displacement < 0
    return instruction.is_memory and instruction.base == RSP and below


def _calls(code: dict[int, Instruction], function: ElfFunction) -> bool:
    """Whether the function calls, other than the profiler at its entry."""
    entry = {function.address, function.address + len(ENDBR64)}
    return any(
        instruction.is_call and instruction.target != 0 and address not in entry
        for address, instruction in code.items()
    )


def _is_self_contained(code: dict[int, Instruction], function: ElfFunction) -> bool:
    """Whether the stack pointer stays in its register and control in the function."""
    inside = range(function.address, function.address + function.size)
    return not any(
        _copies_stack_pointer(instruction)
        or (
            instruction.target is not None
            and address + instruction.length + instruction.target not in inside
        )
        for address, instruction in code.items()
    )


def _copies_stack_pointer(instruction: Instruction) -> bool:
    """Whether it reads the stack pointer for more than moving it by a constant.

    An `xmm4` counts too: rather too often than too seldom.
    """
    if instruction.map == 1 and not instruction.vector:
        if instruction.opcode in (0x81, 0x83):  # add, sub, and
            return False
        if instruction.opcode in (0x54, 0xC8):  # push %rsp, enter
            return not instruction.rex & 1
    return instruction.reg == RSP or (instruction.mod == 3 and instruction.rm == RSP)
