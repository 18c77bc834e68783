"""Whether a uprobe at a site leaves the program alone.

Linux 6.18 replaces a probed five-byte nop by a `call` to a trampoline, which pushes a return
address into the 128 bytes below the stack pointer that leaf functions may use (the red zone).
So such a site is refused unless it cannot be hit there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.targets.elf import ElfFile

ENDBR64 = b"\xf3\x0f\x1e\xfa"


@dataclass(frozen=True, slots=True)
class SitePolicy:
    """The kernel's version, and whether the user takes the risk (`--unsafe-nop5`)."""

    release: tuple[int, int] = (0, 0)
    allow_nop5: bool = False


def site_fault(elf: ElfFile, address: int, policy: SitePolicy) -> str:
    """Why a uprobe at a marker's site would disturb the program; "" if it would not."""
    return instruction_fault(elf, address)


def instruction_fault(elf: ElfFile, address: int) -> str:
    """Why the kernel would not take a uprobe at an instruction."""
    return ""


def entry_skip(elf: ElfFile, address: int, size: int) -> int:
    """How many bytes a probe at a function's entry may skip."""
    return 0
