"""The machine that is probed, as the families of probe points ask it: its files and its types.

It remembers what it has opened. The rule: nothing here raises for what a file contains; what
was wrong with it is among the reasons. What is read is loaded when it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bridge.diagnostics import Sink
from bridge.markers import NoAccess, NoMatch
from bridge.world import BTF_FOLDER, VMLINUX_BTF, kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.diagnostics import Diagnostic
    from bridge.markers import GlobalAccess, Result, Structure
    from bridge.probes.btf import Btf
    from bridge.probes.dwarf.image import DebugImage
    from bridge.probes.elf import ElfFile
    from bridge.probes.kernel.elsewhere import Elsewhere
    from bridge.probes.kernel.functions import KernelFunctions
    from bridge.probes.safety import SitePolicy
    from bridge.probes.sdt import Note
    from bridge.world import World


def _always() -> bool:
    return True


def _never(_: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says about targets.

    `command` is the `-c` command line, `pid` the `-x` process (0: none), `unsafe_nop5` whether
    markers are attached where a uprobe may overwrite the red zone.
    """

    command: str = ""
    pid: int = 0
    unsafe_nop5: bool = False
    strict_names: bool = False
    """Whether names that the kernel has changed are not looked for under the new ones."""
    reached: Callable[[], bool] = _always
    """Whether functions of the kernel can be probed."""
    has: Callable[[str], bool] = _never
    """Whether the kernel has a feature (docs/kernels.md)."""


class Machine:
    """A world and what has been read of it."""

    def __init__(self, world: World, options: Options | None = None) -> None:
        self.world = world
        self.options = options or Options()
        self._files: dict[str, tuple[ElfFile | None, tuple[Diagnostic, ...]]] = {}
        self._notes: dict[str, list[Note]] = {}
        self._separates: dict[str, ElfFile | None] = {}
        self._btf: list[Btf | None] = []
        self._of_modules: dict[str, Btf | None] = {}
        self._images: dict[str, tuple[DebugImage | None, tuple[Diagnostic, ...]]] = {}

    # --- the target ---------------------------------------------------------------------------

    @property
    def has_target(self) -> bool:
        """Whether the session has a target: `-c` or `-x`."""
        return bool(self.options.command or self.options.pid)

    def target_gone(self) -> NoMatch | None:
        """What is wrong with the process of `-x`."""
        from bridge.probes import programs

        pid = self.options.pid
        if pid and programs.process_path(pid, self.world) is None:
            return programs.no_process(pid)
        return None

    # --- files --------------------------------------------------------------------------------

    @property
    def site_policy(self) -> SitePolicy:
        """Where probes in programs are safe."""
        from bridge.probes.safety import SitePolicy

        return SitePolicy(self.world.release, self.options.unsafe_nop5)

    def open(self, path: str) -> tuple[ElfFile | None, tuple[Diagnostic, ...]]:
        """An ELF file of a machine that we know, and what is wrong with it."""
        from bridge.probes import errors
        from bridge.probes.elf import open_elf

        if path not in self._files:
            sink = Sink()
            elf = open_elf(path, self.world, sink)
            if elf is not None and not elf.machine:
                what = f"is for a machine ({elf.header.machine}) that is not supported"
                sink.report(errors.elf_foreign(path, what, 18))
                elf = None
            self._files[path] = elf, tuple(sink.items)
        return self._files[path]

    def notes(self, elf: ElfFile, sink: Sink) -> list[Note]:
        """The USDT notes of a file; what is wrong with them is reported once."""
        from bridge.probes.sdt import read_notes

        if elf.path not in self._notes:
            self._notes[elf.path] = read_notes(elf, sink)
        return self._notes[elf.path]

    def separate(self, elf: ElfFile) -> ElfFile | None:
        """The file that has the symbols of a stripped one."""
        from bridge.probes.separate import separate_file
        from bridge.probes.symbols import has_symbols

        if elf.path not in self._separates:
            stripped = not has_symbols(elf)
            found = separate_file(elf, self.world) if stripped else None
            self._separates[elf.path] = found
        return self._separates[elf.path]

    def image(self, elf: ElfFile, reasons: list[Diagnostic]) -> DebugImage | None:
        """The debug information of a file; None if it has none."""
        if elf.path not in self._images:
            from bridge.probes.dwarf.image import open_image

            sink = Sink()
            self._images[elf.path] = open_image(elf, self.world, sink), tuple(sink.items)
        image, faults = self._images[elf.path]
        reasons += (fault for fault in faults if fault not in reasons)
        return image

    # --- the kernel ---------------------------------------------------------------------------

    @cached_property
    def kernel_functions(self) -> KernelFunctions:
        """The functions of the kernel and of its modules."""
        from bridge.probes.kernel.functions import KernelFunctions
        from bridge.probes.kernel.symbols import Symbols

        symbols = kept(self.world, ("symbols", self._modules()), lambda: Symbols(self.world))
        return KernelFunctions(self.world, symbols, self._module_types, self.options.has)

    @cached_property
    def elsewhere(self) -> Elsewhere:
        """What stands for functions that have another name by now, or a tracepoint."""
        from bridge.probes.families.tracepoint import tracepoints
        from bridge.probes.kernel.elsewhere import Elsewhere

        functions, options = self.kernel_functions, self.options
        return Elsewhere(
            functions,
            lambda name: tracepoints(name, self),
            options.reached,
            options.strict_names,
        )

    def kernel_types(self) -> Btf | None:
        """The kernel's BTF; None where it has none that can be read."""
        if not self._btf:
            self._btf.append(self._read_types())
        return self._btf[0]

    def _module_types(self, module: str) -> Btf | None:
        """The types of the kernel and of a module ("": of the kernel alone)."""
        if not module:
            return self.kernel_types()
        if module not in self._of_modules:
            self._of_modules[module] = self._read_types(module)
        return self._of_modules[module]

    def _modules(self) -> bytes:
        """The modules that are loaded now: what depends on them is kept until others are."""
        try:
            return self.world.read_file("/proc/modules")
        except OSError:
            return b""

    def _read_types(self, module: str = "") -> Btf | None:
        key = ("types", module, self._modules() if module else b"", self.options.strict_names)
        return kept(self.world, key, lambda: self._types_of_kernel(module))

    def _types_of_kernel(self, module: str) -> Btf | None:
        from bridge.probes.btf import Btf, BtfError, merged
        from bridge.probes.kernel import names

        try:
            data = self.world.read_file(VMLINUX_BTF)
            if module:
                data = merged(data, self.world.read_file(f"{BTF_FOLDER}/{module}"))
            types = Btf(data)
            types.moved = {} if self.options.strict_names else names.members()
            types.tracepoint("")  # reads all records once, so what is wrong is seen here
        except (OSError, BtfError):
            return None
        return types

    # --- types and globals --------------------------------------------------------------------

    def structure(self, name: str, module: str) -> Structure | NoAccess:
        """What a pointer to a type points to: of the kernel, or of a program or library."""
        from bridge.probes.members import kernel_structure

        if _is_kernel(module):
            types = self.kernel_types()
            found: Structure | NoAccess = NoAccess(
                f"type definition '{name}' not found in 'kernel': it has no BTF"
            )
            if types is not None:
                found = kernel_structure(types, name)
            return self._by_debug_information(name, "kernel", found)
        types = self._types_of_module(module)
        if types is not None:
            owner = module.replace("-", "_")
            return self._by_debug_information(name, owner, kernel_structure(types, name))
        image = self._described(module)
        if image is None:
            return NoAccess(f"type definition '{name}' not found in '{module}'")
        from bridge.probes.dwarf.scope import image_structure

        return image_structure(image, name)

    def _by_debug_information(
        self, name: str, owner: str, found: Structure | NoAccess
    ) -> Structure | NoAccess:
        """What BTF has found of a type, or else the debug information of the kernel."""
        if not isinstance(found, NoAccess):
            return found
        more = self.kernel_functions.structure(name, owner)
        return found if isinstance(more, NoAccess) else more

    def static(self, wanted: GlobalAccess) -> Result:
        """The way to a global: of the kernel, or of a program or library."""
        if _is_kernel(wanted.module):
            return self.kernel_functions.static(wanted)
        image = self._described(wanted.module)
        if image is None:
            return wanted.missing()
        from bridge.probes.dwarf.statics import image_static

        return image_static(image, wanted)

    def _described(self, module: str) -> DebugImage | None:
        """The debug information of the first program of a name that has any."""
        from bridge.probes import programs

        for path in programs.program_paths(module, self.world):
            elf, _ = self.open(path)
            image = self.image(elf, []) if elf is not None else None
            if image is not None:
                return image
        return None

    def _types_of_module(self, module: str) -> Btf | None:
        """The types of a module that a cast names; None where it names none that is loaded."""
        name = module.replace("-", "_")
        if not name or "/" in name or not self.world.exists(f"{BTF_FOLDER}/{name}"):
            return None
        return self._module_types(name)


def _is_kernel(module: str) -> bool:
    return module == "kernel" or module.startswith("kernel<")
