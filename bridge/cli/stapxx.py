"""stap++ scripts (`--xx`): what their names stand for on this machine.

The target's program and libraries are looked up as stap++ does it: by -x, -c or --exec.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.cli.front import EXIT_ERROR, ToldError, UsageError
from bridge.diagnostics import Diagnostic, Severity
from bridge.script import stapxx

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from bridge.source import Source, SourceMap

LIMITS = {"MAXACTION": "100000", "MAXMAPENTRIES": "5000", "MAXBACKTRACE": "200"}
"""What stap++ sets if -D does not."""


def translated(arguments: argparse.Namespace, source: Source, sources: SourceMap) -> Source:
    """The script in the language; its modules become texts of the library.

    ToldError, after the message, where a name stands for nothing.
    """
    from bridge.cli.terminal import say_diagnostics

    given = _given(arguments, Path(source.name).parent)
    translator = stapxx.Translator(given, sources)
    try:
        text = translator.script(source)
    except stapxx.Wrong as wrong:
        say_diagnostics([stapxx.diagnostic(wrong)], sources)
        raise ToldError(EXIT_ERROR) from wrong
    say_diagnostics([*translator.notes, *map(_unused, sorted(translator.unused))], sources)
    arguments.texts = tuple(translator.modules.items())
    named = {item.partition("=")[0] for item in arguments.defines}
    limits = [f"{name}={value}" for name, value in LIMITS.items() if name not in named]
    arguments.defines = [*arguments.defines, *limits]
    if given.program and "modules" in arguments:
        arguments.modules = [*arguments.modules, given.program, *given.libraries()]
    return sources.add(source.name, text)


def _unused(name: str) -> Diagnostic:
    message = f"--arg {name}: the script has no $^arg_{name}"
    return Diagnostic("stapxx-argument", message, severity=Severity.WARNING)


def _given(arguments: argparse.Namespace, folder: Path) -> stapxx.Given:
    values = {}
    for item in arguments.xx_arguments:
        name, equals, value = item.partition("=")
        if not equals:
            raise UsageError(f"--arg needs NAME=VALUE, not `{item}`")
        values[name] = value
    program = _program(arguments)
    of_target = bool(arguments.pid or arguments.command)
    return stapxx.Given(
        arguments=values,
        program=program,
        target=str(arguments.pid) if arguments.pid else "ANY",
        condition="pid() == target()" if of_target else "1",
        libraries=cache(lambda: _libraries(program, arguments.pid)),
        module=_finder(
            [*map(Path, arguments.include), Path(), folder, folder.parent / "tapset"]
        ),
    )


def _program(arguments: argparse.Namespace) -> str:
    """The program of the target; "" if there is none."""
    from bridge.probes.programs import command_program, process_path, program_paths
    from bridge.world import LiveWorld

    world = LiveWorld()
    if arguments.xx_program:
        if not world.is_executable(arguments.xx_program):
            raise UsageError(f"--exec {arguments.xx_program}: there is no such program")
        return world.real_path(arguments.xx_program)
    if arguments.pid:
        path = process_path(arguments.pid, world)
        if path is None:
            raise UsageError(f"-x {arguments.pid}: there is no such process")
        return path
    found = (
        program_paths(command_program(arguments.command), world) if arguments.command else []
    )
    return found[0] if found else ""


def _libraries(program: str, pid: int) -> Sequence[str]:
    """The libraries that a process has mapped, or that a program is linked with."""
    if pid:
        lines = Path(f"/proc/{pid}/maps").read_text(errors="surrogateescape").splitlines()
        paths = (line.split(maxsplit=5)[5:] for line in lines)
        return sorted({path[0] for path in paths if path and ".so" in path[0]})
    from bridge.diagnostics import Sink
    from bridge.probes.elf import open_elf
    from bridge.probes.programs import needed_libraries
    from bridge.world import LiveWorld

    elf = open_elf(program, LiveWorld(), Sink())
    return sorted(needed_libraries(elf, LiveWorld()).values()) if elf is not None else ()


def _finder(folders: Sequence[Path]) -> Callable[[str], tuple[str, str] | None]:
    def find(file: str) -> tuple[str, str] | None:
        for folder in folders:
            path = folder / file
            if path.is_file():
                return str(path), path.read_bytes().decode("latin-1")
        return None

    return find
