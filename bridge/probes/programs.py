"""Which ELF files a `process(...)` or `library(...)` component means.

A name without a slash is searched in PATH as a shell would; wildcards are expanded; paths are
real paths, with every link resolved, because that is where the kernel puts a uprobe.
"""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bridge.command_line import expand
from bridge.diagnostics import Sink
from bridge.errors import BridgeError
from bridge.formats import elf_notes as layout
from bridge.markers import NoMatch
from bridge.probes.elf import open_elf
from bridge.probes.points import is_wild
from bridge.proc_paths import leads_through_process, root_of
from bridge.world import find_executable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bridge.probes.elf import ElfFile
    from bridge.world import World

LD_CONFIGURATION = "/etc/ld.so.conf"
DEFAULT_FOLDERS = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")


def program_paths(name: str, world: World) -> list[str]:
    """The real paths that a program's name or pattern stands for, without repetition."""
    if is_wild(name) and "/" in name:
        found = list(world.glob(name))
    elif is_wild(name):
        folders = world.env.get("PATH", "").split(":")
        found = [
            path for folder in folders if folder for path in world.glob(f"{folder}/{name}")
        ]
        found = [path for path in found if world.is_executable(path)]
    else:
        path = find_executable(world, name)
        found = [] if path is None else [path]
    return list(dict.fromkeys(map(world.real_path, found)))


def multiarch_paths(name: str, world: World) -> list[str]:
    """Where Debian has the library that a path of other distributions means.

    `/lib64/libc.so.6` and `/usr/lib*/libc.so.6` are in a folder that is named by the machine.
    """
    match = re.fullmatch(r"(?:/usr)?/lib[^/]*/([^/]+)", name)
    if match is None:
        return []
    return program_paths(f"/usr/lib/{world.machine}-linux-gnu/{match[1]}", world)


def process_path(pid: int, world: World) -> str | None:
    """The program that a process runs; None if there is no such process.

    Where its path leads nowhere (deleted), the link in /proc is the path: it opens the file.
    Below another root, or in another mount namespace, it is a path through /proc/PID/root.
    """
    link = f"/proc/{pid}/exe"
    if not world.exists(f"/proc/{pid}"):
        return None
    path = world.real_path(link)
    return path if world.exists(path) else link


def no_process(pid: int) -> NoMatch:
    """What a point says of a process that is not there."""
    return NoMatch(0, f"cannot probe pid {pid}: No such process", code="no-such-process")


def command_program(command: str) -> str:
    """The program that a `-c` command line starts: its first word that is no assignment."""
    import shlex

    try:
        words = expand(command) or shlex.split(command)  # the latter where a shell runs it
    except (BridgeError, ValueError):
        words = command.split()
    return next((w for w in words if "=" not in w.split("/")[0]), "")


def known_modules(
    given: Iterable[str], command: str, pid: int, world: World, *, libraries: bool = False
) -> tuple[str, ...]:
    """The real paths of files and of the target's program; with the libraries that they need.

    What is no file (`-d kernel`) is left out.
    """
    words = list(given)
    if command:
        words += program_paths(command_program(command), world)
    path = process_path(pid, world) if pid else None
    words += [path] if path is not None else []
    found = dict.fromkeys(world.real_path(word) for word in words if world.exists(word))
    if libraries:
        for name in list(found):
            elf = open_elf(name, world, Sink())
            if elf is not None:
                found |= dict.fromkeys(needed_libraries(elf, world).values())
    return tuple(found)


# --- libraries --------------------------------------------------------------------------------


def _configured_folders(
    world: World, root: str, path: str = LD_CONFIGURATION, above: tuple[str, ...] = ()
) -> Iterator[str]:
    """The folders of ld.so.conf below `root`, and of the files that it includes."""
    path = path if path.startswith(f"{root}/") else root + path
    if path in above or not world.exists(path):
        return
    for line in world.read_file(path).decode("utf-8", "surrogateescape").splitlines():
        words = line.split("#")[0].split()
        if len(words) == 2 and words[0] == "include":
            for included in world.glob(root + words[1]):
                yield from _configured_folders(world, root, included, (*above, path))
        elif words and words[0].startswith("/"):
            yield root + words[0]


def _folders(elf: ElfFile, world: World) -> Iterator[str]:
    """Where ld.so looks for what a file needs, in its order; below the root of its process."""
    root = root_of(elf.path)
    origin = elf.path.rpartition("/")[0].removeprefix(root)
    run_path = ":".join(elf.dynamic_texts(layout.DT_RUNPATH))
    old_path = "" if run_path else ":".join(elf.dynamic_texts(layout.DT_RPATH))
    our_path = "" if root else world.env.get("LD_LIBRARY_PATH", "")
    for paths in (old_path, our_path, run_path):
        for folder in filter(None, paths.split(":")):
            yield root + folder.replace("$ORIGIN", origin).replace("${ORIGIN}", origin)
    yield from _configured_folders(world, root)
    # Debian's ld.so has its own folders built in; small containers have no ld.so.conf.
    own = f"{elf.machine}-linux-gnu"
    for folder in (f"/lib/{own}", f"/usr/lib/{own}", *DEFAULT_FOLDERS):
        yield root + folder


def needed_libraries(elf: ElfFile, world: World) -> dict[str, str]:
    """All libraries that a program is linked with, directly or not: name -> real path."""
    found: dict[str, str] = {}
    waiting = [elf]
    while waiting:
        user = waiting.pop(0)
        for name in user.dynamic_texts(layout.DT_NEEDED):
            if name in found:
                continue
            path = _locate(name, user, world)
            if path is None:
                continue
            found[name] = path
            library = open_elf(path, world, Sink())
            if library is not None:
                waiting.append(library)
    return found


def _locate(name: str, user: ElfFile, world: World) -> str | None:
    if "/" in name:
        path = _below(root_of(user.path), name)
        return world.real_path(path) if world.exists(path) else None
    for folder in _folders(user, world):
        path = f"{folder}/{name}"
        if world.exists(path):
            return world.real_path(path)
    return _mapped(name, user, world)


def _below(root: str, path: str) -> str:
    return root + path if path.startswith("/") else path


def _mapped(name: str, user: ElfFile, world: World) -> str | None:
    """A library that the process of a program has in memory, wherever it was found."""
    root = root_of(user.path)
    try:
        lines = world.read_file(f"{root.rpartition('/')[0]}/maps").splitlines() if root else []
    except OSError:
        return None
    for line in lines:
        path = os.fsdecode(line.split(maxsplit=5)[-1])
        if path.rpartition("/")[2] == name and world.exists(root + path):
            return world.real_path(root + path)
    return None


def library_paths(pattern: str, elf: ElfFile, world: World) -> list[str]:
    """The real paths of the libraries that `.library("pattern")` of a program stands for.

    A path is taken as it is, below the root of its process; a name or pattern is compared with
    the file names of the libraries that the program is linked with.
    """
    if "/" in pattern:
        root = "" if leads_through_process(pattern) else root_of(elf.path)
        return program_paths(_below(root, pattern), world)
    found = [
        path
        for name, path in needed_libraries(elf, world).items()
        if fnmatchcase(name, pattern) or fnmatchcase(path.rpartition("/")[2], pattern)
    ]
    return list(dict.fromkeys(found))
