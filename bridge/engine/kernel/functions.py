"""Programs on functions of the kernel: loaded behind trampolines, or attached to kprobes.

One rule: what the kernel refuses becomes a `HostError` that names the function; where only a
trampoline is refused, a `TrampolineError` tells which hook has to do with a kprobe.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from bridge._native import ffi, lib
from bridge.codegen.bpf.object import Attach
from bridge.engine.kernel.features import KPROBE_PMU as PMU
from bridge.engine.kernel.features import has
from bridge.engine.kernel.refusals import RefusedError, refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.codegen.bpf.object import BpfProgram
    from bridge.errors import HostError

TRAMPOLINES = frozenset({Attach.FENTRY, Attach.FEXIT})
KPROBES = frozenset({Attach.KPROBE, Attach.KPROBE_RETURN})
LOG_BYTES = 1 << 20
_NO_KPROBES = "this kernel has no kprobes (CONFIG_KPROBE_EVENTS) and refuses fentry"
_OTHER_KERNEL = (
    "boot a kernel that has them, as distributions' kernels do; tracepoints (kernel.trace) and"
    " system calls (syscall.*) work here"
)
_REASONS = {
    -errno.ENOENT: "there is no such function any more",
    -errno.EADDRNOTAVAIL: "several functions have the name, and their addresses are hidden"
    " (kernel.kptr_restrict)",
    -errno.EINVAL: "the kernel does not let it be probed",
    -errno.EILSEQ: "the address is not the beginning of an instruction",
    -errno.EOPNOTSUPP: "the kernel does not let it be probed",
    -errno.EBUSY: "another tracer has it",
}


class TrampolineError(Exception):
    """The kernel refuses a trampoline that a hook wants, or any (`everywhere`)."""

    def __init__(self, hook: int, *, everywhere: bool) -> None:
        super().__init__(hook)
        self.hook = hook
        self.everywhere = everywhere


class TogetherError(Exception):
    """The kernel refuses one link for many functions; `hooks` are those that need their own."""

    def __init__(self, hooks: frozenset[int]) -> None:
        super().__init__(hooks)
        self.hooks = hooks


def load_behind_trampoline(program: BpfProgram, code: bytes) -> int:
    """Load a program for a trampoline; a file descriptor."""
    assert program.kernel is not None
    place = ffi.new("struct mb_trampoline *")
    place.function = program.kernel.trampoline
    place.at_return = program.attach is Attach.FEXIT
    place.types = _types_of(program, program.kernel.module)
    name = program.name.encode()[:15]
    try:
        loaded: int = lib.mb_bpf_trampoline_load(place, name, code, len(code), ffi.NULL, 0)
        if loaded < 0:
            raise TrampolineError(program.hook, everywhere=loaded == -errno.EPERM)
        return loaded
    finally:
        if place.types:
            os.close(place.types)


def _types_of(program: BpfProgram, module: str) -> int:
    if not module:
        return 0
    types: int = lib.mb_bpf_module_types(module.encode())
    if types < 0:
        raise TrampolineError(program.hook, everywhere=False)
    return types


def attach_many(program: BpfProgram, descriptor: int) -> int:
    """One link for all functions of a program; its file descriptor."""
    probes = ffi.new("struct mb_kprobes *")
    addresses = ffi.new("uint64_t[]", [place.address for _, place in program.many])
    cookies = ffi.new("uint64_t[]", [hook for hook, _ in program.many])
    probes.addresses, probes.cookies, probes.count = addresses, cookies, len(program.many)
    probes.at_return = program.attach is Attach.KPROBE_RETURN
    link: int = lib.mb_bpf_attach_kprobes(descriptor, probes)
    if link < 0:
        raise TogetherError(frozenset(hook for hook, _ in program.many))
    return link


def attach_function(program: BpfProgram, descriptor: int) -> int:
    """Attach a loaded program; the link's file descriptor."""
    if program.attach in TRAMPOLINES:
        link: int = lib.mb_bpf_attach_trampoline(descriptor)
        if link < 0:
            raise TrampolineError(program.hook, everywhere=False)
        return link
    return _attach_kprobe(program, descriptor)


def _attach_kprobe(program: BpfProgram, descriptor: int) -> int:
    place = program.kernel
    assert place is not None
    if not has("kprobes"):
        raise RefusedError(_name(place.symbol), _NO_KPROBES, _OTHER_KERNEL)
    probe = ffi.new("struct mb_kprobe *")
    symbol = ffi.new("char[]", place.symbol.encode())
    probe.symbol, probe.address, probe.offset = symbol, place.address, place.offset
    probe.type = int((PMU / "type").read_text())
    probe.at_return = program.attach is Attach.KPROBE_RETURN
    probe.return_bit = _return_bit()
    link: int = lib.mb_bpf_attach_kprobe(descriptor, probe)
    if link < 0:
        raise _refused(place.symbol, link)
    return link


def _return_bit() -> int:
    """The bit of `config` that means a return: `config:0`."""
    return int((PMU / "format" / "retprobe").read_text().rpartition(":")[2])


def _refused(symbol: str, code: int) -> HostError:
    return refused(_name(symbol), code, _REASONS.get(code, ""))


def _name(symbol: str) -> str:
    return f"the kernel's function `{symbol}`"


def missed(programs: Sequence[BpfProgram], descriptors: Sequence[int]) -> int:
    """How many hits were passed over, because a program ran on the CPU already.

    That is so where a handler is hit inside of another one. A kernel before 5.12 does not tell.
    """
    return _missed(programs, descriptors, TRAMPOLINES | KPROBES)


def missed_events(programs: Sequence[BpfProgram], descriptors: Sequence[int]) -> int:
    """The same of tracepoints: the kernel runs one program of this kind on a CPU at a time.

    bpf(2) on a map keeps them from its CPU, too.
    """
    return _missed(programs, descriptors, frozenset({Attach.TRACEPOINT}))


def _missed(
    programs: Sequence[BpfProgram], descriptors: Sequence[int], kinds: frozenset[Attach]
) -> int:
    counts = (
        lib.mb_bpf_program_missed(descriptor)
        for program, descriptor in zip(programs, descriptors, strict=True)
        if program.attach in kinds
    )
    return sum(count for count in counts if count > 0)
