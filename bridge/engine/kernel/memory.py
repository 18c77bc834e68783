"""The kernel's memory, for handlers that run without a hit: begin, end, error and timers.

A hit brings what its handlers read of the kernel. The others have no hit, so a program reads
for them on demand. One rule: only a session that needs it loads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge._native import ffi, lib
from bridge.codegen.bpf.memory import NAME, SHARED, SHARED_BYTES, reader
from bridge.deferred_reads import first_kernel_read
from bridge.diagnostics import Diagnostic
from bridge.engine.kernel import attach
from bridge.engine.kernel.features import BY_NAME, has
from bridge.errors import HostError
from bridge.ir.arithmetic import wrap

if TYPE_CHECKING:
    from bridge.engine.kernel.attach import LoadedObject
    from bridge.ir.program import IrProgram

FEATURE = "program_run"
PAGE = 4096


class KernelMemory:
    """Reads the kernel's memory. `native` is what C reads by, `task` our own task_struct."""

    def __init__(self) -> None:
        self._loaded: LoadedObject = attach.load(reader(), 0)
        self._shared = lib.mb_bpf_map_memory(self._loaded.maps[SHARED], SHARED_BYTES)
        if self._shared == ffi.NULL:
            self._loaded.close()
            raise HostError("cannot map the memory of a BPF map", "run it as root")
        names = [program.name for program in self._loaded.object.programs]
        self.native: Any = ffi.new("struct mb_kernel_reader *")
        self.native.program = self._loaded.programs[names.index(NAME)]
        self.native.shared = ffi.cast("struct mb_kernel_read *", self._shared)
        self.read(0, 1)
        self.task: int = self.native.shared.task

    def read(self, address: int, size: int) -> bytes:
        """The bytes at an address; fewer where the page ends, if the next one is not there."""
        found, part = b"", ffi.new("char[]", PAGE)
        while len(found) < size:
            at = address + len(found)
            wanted = min(size - len(found), PAGE - at % PAGE)
            if lib.mb_kernel_read(self.native, wrap(at), part, wanted) < 0:
                break
            found += bytes(ffi.buffer(part, wanted))
        return found

    def close(self) -> None:
        """Unload the program."""
        lib.mb_bpf_unmap_memory(self._shared, SHARED_BYTES)
        self._loaded.close()


def missing(program: IrProgram) -> Diagnostic | None:
    """What is to be said if a program needs this, and the kernel cannot do it."""
    read = first_kernel_read(program)
    if read is None or has(FEATURE):
        return None
    name, site = read
    since = BY_NAME[FEATURE].since
    return Diagnostic(
        "computed-address",
        f"{name}() cannot read here: this kernel cannot run a program on demand, and no hit"
        f" brings what is read; Linux {since} or later can",
        site.span,
        "read it in a probe on a function or a tracepoint, and keep it in a global",
    )


def kernel_memory(program: IrProgram) -> KernelMemory | None:
    """What a session reads the kernel's memory by, if it does; HostError if it cannot."""
    read = first_kernel_read(program)
    if read is None:
        return None
    refused = missing(program)
    if refused is not None:
        raise HostError(f"{read[1].text}: {refused.message}", refused.hint)
    return KernelMemory()
