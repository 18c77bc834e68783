"""Probe points -> attachments on this machine: the live implementation of `markers.Targets`.

The rule: nothing here raises for what the user wrote or for what a file contains; what was
wrong with a file is in `NoMatch.reasons`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property, partial
from typing import TYPE_CHECKING

from bridge.diagnostics import Severity, Sink
from bridge.markers import (
    OWN_NAME,
    Expansion,
    Marker,
    MarkerAttachment,
    NoAccess,
    NoMatch,
)
from bridge.probes import (
    errors,
    processes,
    programs,
    syscalls,
)
from bridge.probes import (
    perf_probes as samples,
)
from bridge.probes import (
    session_probes as sessions,
)
from bridge.probes.elf import open_elf
from bridge.probes.functions import function_marker
from bridge.probes.points import check, is_wild, matching_name
from bridge.probes.safety import SitePolicy
from bridge.probes.sdt import read_argument_names, read_notes
from bridge.probes.separate import separate_file
from bridge.probes.symbols import (
    Function,
    function_names,
    functions_like,
    has_functions,
    has_symbols,
)
from bridge.suggest import among, similar
from bridge.world import BTF_FOLDER, VMLINUX_BTF

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.diagnostics import Diagnostic
    from bridge.markers import GlobalAccess, PointPart, Result, Structure
    from bridge.probes.btf import Btf
    from bridge.probes.dwarf.image import Image
    from bridge.probes.dwarf.probes import Probe
    from bridge.probes.elf import ElfFile
    from bridge.probes.kernel.elsewhere import Elsewhere
    from bridge.probes.kernel.functions import KernelFunctions
    from bridge.probes.sdt import Note
    from bridge.world import World

Names = Callable[[], Iterable[str]]
"""Names to suggest: a missing function may be optional, and nobody asks for them."""


def _always() -> bool:
    return True


NO_TARGET = "unspecified process probe is invalid without a -c COMMAND or -x PID"


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


@dataclass(frozen=True, slots=True)
class _Program:
    """A file to look into, and how its attachments are named and restricted."""

    path: str
    prefix: str
    pid: int = 0
    follow_target: bool = False


class Binder:
    """Expands probe points; remembers the files that it has opened."""

    def __init__(self, world: World, options: Options | None = None) -> None:
        self._world = world
        self._options = options or Options()
        self._files: dict[str, tuple[ElfFile | None, tuple[Diagnostic, ...]]] = {}
        self._notes: dict[str, list[Note]] = {}
        self._separates: dict[str, ElfFile | None] = {}
        self._btf: list[Btf | None] = []
        self._of_modules: dict[str, Btf | None] = {}
        self._images: dict[str, tuple[Image | None, tuple[Diagnostic, ...]]] = {}

    def expand(self, parts: Sequence[PointPart]) -> tuple[Expansion, ...] | NoMatch:
        """All places that a probe point stands for, in a stable order."""
        wrong = check(parts)
        if wrong is not None:
            return wrong
        match parts[0].name:
            case "timer":
                found = sessions.expand_timer(parts, self._world.user_hz)
                return (found,) if isinstance(found, Expansion) else found
            case "process" if processes.is_event(parts):
                target = bool(self._options.command or self._options.pid)
                wrong = self._target_gone()
                return wrong or processes.expand(parts, self._world, follow_target=target)
            case "perf":
                sample = samples.expand(parts, self._world.machine)
                return sample if isinstance(sample, NoMatch) else (sample,)
            case "process":
                return self._expand_process(parts)
            case "kernel" if parts[1].name in ("trace", "mark"):
                return self._expand_event(parts)
            case "kernel" | "module" | "kprobe":
                return self._expand_functions(parts)
            case _:
                return (sessions.expand_session(parts),)

    # --- functions of the kernel ---

    @cached_property
    def _kernel_functions(self) -> KernelFunctions:
        from bridge.probes.kernel.functions import KernelFunctions
        from bridge.probes.kernel.symbols import Symbols

        return KernelFunctions(self._world, Symbols(self._world), self._module_types)

    def _expand_functions(self, parts: Sequence[PointPart]) -> tuple[Expansion, ...] | NoMatch:
        found = None if parts[0].name == "module" else self._elsewhere.expand(parts)
        return found or self._kernel_functions.expand(parts)

    @cached_property
    def _elsewhere(self) -> Elsewhere:
        from bridge.probes.kernel.elsewhere import Elsewhere

        functions, options = self._kernel_functions, self._options
        return Elsewhere(functions, self._tracepoints, options.reached, options.strict_names)

    def _module_types(self, module: str) -> Btf | None:
        """The types of the kernel and of a module ("": of the kernel alone)."""
        if not module:
            return self._kernel_types()
        if module not in self._of_modules:
            self._of_modules[module] = self._read_types(module)
        return self._of_modules[module]

    # --- kernel.trace ---

    def _expand_event(self, parts: Sequence[PointPart]) -> tuple[Expansion, ...] | NoMatch:
        if parts[1].name == "trace":
            return self._expand_trace(_text(parts[1]))
        from bridge.probes import kernel_marks

        return kernel_marks.expand(parts, self._expand_trace)

    def _expand_trace(self, pattern: str) -> tuple[Expansion, ...] | NoMatch:
        found = self._tracepoints(pattern)
        if isinstance(found, NoMatch) and not is_wild(pattern):
            found = self._elsewhere.tracepoint(pattern) or found
        if isinstance(found, NoMatch) or self._options.strict_names:
            return found
        return tuple(map(self._elsewhere.with_arguments, found))

    def _tracepoints(self, pattern: str) -> tuple[Expansion, ...] | NoMatch:
        from bridge.probes import tracepoints

        sink = Sink()
        markers = tracepoints.find(pattern, self._world, sink)
        types = self._kernel_types()
        unseen = tuple(item for item in sink.items if item.code == "no-tracefs")
        calls: list[Marker] = []
        if not markers and unseen:
            calls = tracepoints.find_system_calls(pattern, self._world, types)
            if types is not None:
                markers = tracepoints.find_in_types(pattern, types)
        if not markers and not calls:
            near = None if is_wild(pattern) else partial(self._like_event, pattern)
            return NoMatch(0, near=near, reasons=tuple(sink.items))
        found = [_trace_expansion(marker, types, unseen) for marker in markers]
        found += [_trace_expansion(marker, None, ()) for marker in calls]
        return tuple(
            replace(place, entry=self._call_of(place), lacking=_lacking(place, types))
            for place in found
        )

    def _like_event(self, wanted: str) -> str:
        """The events that are most like one, as a message has them."""
        from bridge.probes import tracepoints

        names = [name for _, name in tracepoints.event_names(self._world)]
        return among(similar(wanted.rpartition(":")[2], names), "similar tracepoints")

    def _call_of(self, place: Expansion) -> Expansion | None:
        """Where a system call begins, for the place where it returns: for `@entry`."""
        from bridge.probes import tracepoints

        attachment = place.attachment
        assert isinstance(attachment, MarkerAttachment)
        call = syscalls.enter_event(attachment.marker.provider, attachment.marker.name)
        if not call:
            return None
        entered = tracepoints.find(call, self._world, Sink())
        if not entered:
            types = self._kernel_types()
            entered = tracepoints.find_system_calls(call, self._world, types)
        return _trace_expansion(entered[0], None, ()) if entered else None

    def _kernel_types(self) -> Btf | None:
        """The kernel's BTF; None where it has none that can be read."""
        if not self._btf:
            self._btf.append(self._read_types())
        return self._btf[0]

    def _read_types(self, module: str = "") -> Btf | None:
        from bridge.probes.btf import Btf, BtfError, merged
        from bridge.probes.kernel import names

        try:
            data = self._world.read_file(VMLINUX_BTF)
            if module:
                data = merged(data, self._world.read_file(f"{BTF_FOLDER}/{module}"))
            types = Btf(data)
            types.moved = {} if self._options.strict_names else names.members()
            types.tracepoint("")  # reads all records once, so what is wrong is seen here
        except (OSError, BtfError):
            return None
        return types

    # --- types ---

    def structure(self, name: str, module: str) -> Structure | NoAccess:
        """What a pointer to a type points to: of the kernel, or of a program or library."""
        from bridge.probes.members import kernel_structure

        if module == "kernel" or module.startswith("kernel<"):
            types = self._kernel_types()
            if types is None:
                return NoAccess(
                    f"type definition '{name}' not found in 'kernel': it has no BTF"
                )
            return kernel_structure(types, name)
        types = self._types_of_module(module)
        if types is not None:
            return kernel_structure(types, name)
        for path in programs.program_paths(module, self._world):
            elf, _ = self._open(path)
            image = self._image(path, elf, []) if elf is not None else None
            if image is not None:
                from bridge.probes.dwarf.scope import image_structure

                return image_structure(image, name)
        return NoAccess(f"type definition '{name}' not found in '{module}'")

    def static(self, wanted: GlobalAccess) -> Result:
        """The way to a global: of the kernel, or of a program or library."""
        if wanted.module == "kernel" or wanted.module.startswith("kernel<"):
            return self._kernel_functions.static(wanted)
        for program in programs.program_paths(wanted.module, self._world):
            elf, _ = self._open(program)
            image = self._image(program, elf, []) if elf is not None else None
            if image is not None:
                from bridge.probes.dwarf.statics import image_static

                return image_static(image, wanted)
        return wanted.missing()

    def _types_of_module(self, module: str) -> Btf | None:
        """The types of a module that a cast names; None where it names none that is loaded."""
        name = module.replace("-", "_")
        if not name or "/" in name or not self._world.exists(f"{BTF_FOLDER}/{name}"):
            return None
        return self._module_types(name)

    # --- process ---

    def _expand_process(self, parts: Sequence[PointPart]) -> tuple[Expansion, ...] | NoMatch:
        chosen = self._programs(parts[0])
        if isinstance(chosen, NoMatch):
            return chosen
        rest = parts[1:]
        reasons: list[Diagnostic] = []
        if rest[0].name == "library":
            chosen = self._libraries(chosen, _text(rest[0]), reasons)
            rest = rest[1:]
        found: list[Expansion] = []
        near: list[Names] = []
        several = len(chosen) > 1
        for program in chosen:
            elf, faults = self._open(program.path)
            # Of several files that a pattern matches, those that are no programs do not matter.
            reasons += () if several and elf is None else faults
            if elf is not None:
                found += self._inside(program, elf, rest, reasons, near)
        if found:
            return tuple(found)
        return _none_found(rest, near, tuple(reasons))

    def _inside(
        self,
        program: _Program,
        elf: ElfFile,
        rest: Sequence[PointPart],
        reasons: list[Diagnostic],
        near: list[Names],
    ) -> list[Expansion]:
        """The places in one file that the rest of a point names."""
        if rest[0].name in ("function", "statement"):
            return self._function(program, elf, rest, reasons, near)
        return self._mark(program, elf, rest, reasons, near)

    def _programs(self, part: PointPart) -> list[_Program] | NoMatch:
        match part.argument:
            case None:
                return self._target()
            case int(pid):
                path = programs.process_path(pid, self._world)
                if path is None:
                    return programs.no_process(pid)
                return [_Program(path, f"process({pid})", pid=pid)]
            case name:
                return self._named(name)

    def _named(self, name: str) -> list[_Program] | NoMatch:
        paths = programs.program_paths(name, self._world)
        if paths:
            return [_Program(path, f'process("{path}")') for path in paths]
        if is_wild(name):
            return NoMatch(0)
        if "/" not in name:
            return NoMatch(0, f"cannot find executable '{name}'", code="no-such-program")
        return NoMatch(0, reasons=(errors.unreadable(name, FileNotFoundError()),))

    def _target_gone(self) -> NoMatch | None:
        """What is wrong with the process of `-x`."""
        pid = self._options.pid
        if pid and programs.process_path(pid, self._world) is None:
            return programs.no_process(pid)
        return None

    def _target(self) -> list[_Program] | NoMatch:
        pid, command = self._options.pid, self._options.command
        if pid:
            path = programs.process_path(pid, self._world)
            if path is None:
                return programs.no_process(pid)
        elif command:
            name = programs.command_program(command)
            paths = programs.program_paths(name, self._world) if name else []
            if not paths:
                return NoMatch(0, f"cannot find executable '{name}'", code="no-such-program")
            path = paths[0]
        else:
            return NoMatch(0, NO_TARGET, code="no-target")
        return [_Program(path, f'process("{path}")', follow_target=True)]

    def _libraries(
        self, chosen: Sequence[_Program], pattern: str, reasons: list[Diagnostic]
    ) -> list[_Program]:
        found = []
        for program in chosen:
            elf, faults = self._open(program.path)
            reasons += faults
            if elf is None:
                continue
            for path in programs.library_paths(pattern, elf, self._world):
                prefix = f'{program.prefix}.library("{path}")'
                found.append(_Program(path, prefix, program.pid, program.follow_target))
        return found

    def _open(self, path: str) -> tuple[ElfFile | None, tuple[Diagnostic, ...]]:
        if path not in self._files:
            sink = Sink()
            elf = open_elf(path, self._world, sink)
            if elf is not None and not elf.machine:
                what = f"is for a machine ({elf.header.machine}) that is not supported"
                sink.report(errors.elf_foreign(path, what, 18))
                elf = None
            self._files[path] = elf, tuple(sink.items)
        return self._files[path]

    def _separate(self, elf: ElfFile) -> ElfFile | None:
        """The file that has the symbols of a stripped one."""
        if elf.path not in self._separates:
            stripped = not has_symbols(elf)
            found = separate_file(elf, self._world) if stripped else None
            self._separates[elf.path] = found
        return self._separates[elf.path]

    # --- process.mark ---

    def _mark(
        self,
        program: _Program,
        elf: ElfFile,
        rest: Sequence[PointPart],
        reasons: list[Diagnostic],
        near: list[Names],
    ) -> list[Expansion]:
        from bridge.probes.usdt import read_markers

        sink = Sink()
        if program.path not in self._notes:
            self._notes[program.path] = read_notes(elf, sink)
        notes = self._notes[program.path]
        by_provider = rest[0].name == "provider"
        provider, name = (_text(rest[0]) if by_provider else "*"), _text(rest[-1])
        chosen = [
            note
            for note in notes
            if fnmatchcase(note.name, name) and fnmatchcase(note.provider, provider)
        ]
        policy = SitePolicy(self._world.release, self._options.unsafe_nop5)
        symbols = partial(self._separate, elf)
        named = read_argument_names(elf, sink) if chosen else {}
        markers = read_markers(elf, chosen, policy, sink, symbols, named)
        if not notes:
            sink.report(errors.no_markers(program.path))
        reasons += sink.items
        near.append(lambda: {note.name for note in notes})
        return [_mark_expansion(program, marker, by_provider=by_provider) for marker in markers]

    # --- process.function, process.statement ---

    def _image(self, path: str, elf: ElfFile, reasons: list[Diagnostic]) -> Image | None:
        """The debug information of a file; None if it has none."""
        if path not in self._images:
            from bridge.probes.dwarf.image import open_image

            sink = Sink()
            self._images[path] = open_image(elf, self._world, sink), tuple(sink.items)
        image, faults = self._images[path]
        reasons += (fault for fault in faults if fault not in reasons)
        return image

    def _function(
        self,
        program: _Program,
        elf: ElfFile,
        rest: Sequence[PointPart],
        reasons: list[Diagnostic],
        near: list[Names],
    ) -> list[Expansion]:
        """Functions and statements: by debug information where it is there, else by symbol."""
        image = self._image(program.path, elf, reasons)
        found: list[Expansion] = []
        if image is not None:
            from bridge.probes.dwarf.probes import Query

            policy = SitePolicy(self._world.release, self._options.unsafe_nop5)
            query = Query(image, rest, policy)
            found += [_probe_expansion(program, p) for p in query.probes(reasons, near)]
            taken = query.entries
        else:
            taken = frozenset()
        if image is not None and image.split and not taken:
            reasons.append(errors.split_debug_information(program.path, image.split))
        if rest[0].name == "function" and isinstance(rest[0].argument, str):
            found += self._symbols(program, elf, rest, reasons, near, taken)
        elif image is None:
            reasons.append(errors.no_debug_information(program.path, rest[0].name))
        return found

    def _symbols(
        self,
        program: _Program,
        elf: ElfFile,
        rest: Sequence[PointPart],
        reasons: list[Diagnostic],
        near: list[Names],
        taken: frozenset[int],
    ) -> list[Expansion]:
        """Functions by symbol; `taken` are the addresses of those that are known already."""
        pattern = _text(rest[0])
        suffix = rest[1].name if len(rest) > 1 else ""
        image = self._images[program.path][0]
        separate = self._separate(elf) if image is None else image.separate
        if not taken and not has_functions(elf, separate):
            reasons.append(errors.no_symbols(program.path))
        if "@" in pattern or suffix in ("inline", "label"):
            if image is None:
                reasons.append(errors.by_source_file(program.path, pattern))
            return []
        near.append(partial(function_names, elf, separate))
        functions = functions_like(elf, separate, pattern)
        chosen: dict[str, list[Function]] = {}
        for function in functions:
            name = matching_name(function.names, pattern)
            if name is not None and function.address not in taken:
                chosen.setdefault(name, []).append(function)
        found = [
            _symbol_expansion(program, elf, name, places, suffix)
            for name, places in chosen.items()
        ]
        if image is None or not image.split:
            return found
        hidden = errors.split_debug_information(program.path, image.split)
        found = [replace(expansion, reasons=(hidden,)) for expansion in found]
        if found and is_wild(pattern) and not suffix:  # inlined copies are left out
            note = replace(hidden, severity=Severity.WARNING)
            found[0] = replace(found[0], notes=(note,))
        return found


def markers_of(path: str, world: World) -> tuple[Marker, ...]:
    """The USDT markers of a file; none if it is no ELF file or has none."""
    from bridge.probes.usdt import read_markers

    sink = Sink()
    elf = open_elf(world.real_path(path), world, sink)
    if elf is None or not elf.machine:
        return ()
    policy = SitePolicy(world.release)
    symbols = partial(separate_file, elf, world)
    notes, named = read_notes(elf, sink), read_argument_names(elf, sink)
    return tuple(read_markers(elf, notes, policy, sink, symbols, named))


# --- the words --------------------------------------------------------------------------------


def _text(part: PointPart) -> str:
    return str(part.argument)


def _trace_expansion(
    marker: Marker, types: Btf | None, unseen: tuple[Diagnostic, ...]
) -> Expansion:
    """A tracepoint with its fields and, where the kernel's types are known, its arguments."""
    from bridge.probes.members import TracepointMembers, raw_variables
    from bridge.probes.tracepoints import merge_arguments

    name = f"{marker.provider}:{marker.name}" if marker.provider else marker.name
    arguments = raw_variables(types, marker.name) if types is not None else ()
    members = TracepointMembers(types, marker.name) if types and arguments else None
    merged = replace(marker, variables=merge_arguments(arguments, marker.variables))
    return Expansion(
        MarkerAttachment(merged),
        f'kernel.trace("{name}")',
        {"name": marker.name, "system": marker.provider},
        members,
        reasons=unseen,
        renamed=syscalls.other_names(merged),
    )


def _lacking(place: Expansion, types: Btf | None) -> tuple[Diagnostic, ...]:
    """That there are no types, for a tracepoint that would have arguments by them."""
    assert isinstance(place.attachment, MarkerAttachment)
    if types is not None or place.attachment.marker.provider == syscalls.SUBSYSTEM:
        return ()
    return (errors.no_btf(VMLINUX_BTF),)


def _mark_expansion(program: _Program, marker: Marker, *, by_provider: bool) -> Expansion:
    provider = f'.provider("{marker.provider}")' if by_provider else ""
    strings = {"name": marker.name, "provider": marker.provider}
    if len(marker.sites) == 1:
        strings[OWN_NAME] = f"{program.prefix}.statement({marker.sites[0].address:#x})"
    return Expansion(
        MarkerAttachment(marker, program.pid, program.follow_target),
        f'{program.prefix}{provider}.mark("{marker.name}")',
        strings,
    )


def _probe_expansion(program: _Program, probe: Probe) -> Expansion:
    return Expansion(
        MarkerAttachment(probe.marker, program.pid, program.follow_target),
        f"{program.prefix}.{probe.point}",
        {"name": probe.marker.name},
        probe.scope,
        scope=probe.scope,
        entry=_probe_expansion(program, probe.entry) if probe.entry is not None else None,
    )


def _symbol_expansion(
    program: _Program, elf: ElfFile, name: str, places: list[Function], suffix: str
) -> Expansion:
    """A function by symbol; its return knows where it is entered."""
    entered = function_marker(elf, name, places, returns=False)
    if suffix != "return":
        return _function_expansion(program, entered, suffix)
    returned = function_marker(elf, name, places, returns=True)
    entry = _function_expansion(program, entered, "call")
    return replace(_function_expansion(program, returned, suffix), entry=entry)


def _function_expansion(program: _Program, marker: Marker, suffix: str) -> Expansion:
    return Expansion(
        MarkerAttachment(marker, program.pid, program.follow_target),
        f'{program.prefix}.function("{marker.name}")' + (f".{suffix}" if suffix else ""),
        {"name": marker.name},
    )


def _none_found(
    rest: Sequence[PointPart], near: list[Names], reasons: tuple[Diagnostic, ...]
) -> NoMatch:
    wanted = _text(rest[0] if rest[0].name in ("function", "statement") else rest[-1])
    wanted = wanted.partition("@")[0]
    what = f"similar {rest[0].name}s"
    if rest[0].name == "provider" or is_wild(wanted):
        return NoMatch(0, "no match", reasons=reasons)

    def told() -> str:
        names = {name for names in near for name in names()}
        return among(similar(wanted, names) if names else (), what)

    return NoMatch(0, "no match", near=told, reasons=reasons)
