"""`markbridge dtrace -h|-G -s FILE.d`: a header or an object file from a provider file.

It takes the options of SystemTap's dtrace(1) and can stand in its place in a build, as the
command `markbridge-dtrace`; no compiler is run. What is wrong with the file is told, and then
nothing is written.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.cli.front import UsageError, dispatch
from bridge.cli.terminal import say
from bridge.errors import HostError, TraceError
from bridge.progress import doing

if TYPE_CHECKING:
    import argparse

    from bridge.facility.provider.model import ProviderFile
    from bridge.formats.elf_object import Machine

HELP_OPTION = False
"""-h makes a header here; help is --help."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("--help", action="help", help="show this help")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("-h", dest="header", action="store_true", help="make a header")
    what.add_argument(
        "-G", dest="object", action="store_true", help="make an object file with the semaphores"
    )
    add("-s", dest="source", metavar="FILE", required=True, help="the provider file")
    add("-o", dest="out", metavar="FILE", help="what to write (default: FILE.h, FILE.o)")
    add("-C", dest="cpp", action="store_true", help="run the preprocessor ($CPP, or cpp) first")
    add("-I", dest="include", metavar="DIR", action="append", default=[], help="for it")
    add("-D", dest="define", metavar="NAME", action="append", default=[], help="for it")
    add("-k", dest="keep", action="store_true", help="keep what the preprocessor made")
    add("--types", action="store_true", help="accepted and without effect, as in SystemTap")
    add("--no-pyparsing", action="store_true", help="without effect")
    add("-x", dest="ignored", metavar="OPTION", action="append", help="without effect")
    for flag in ("-fpic", "-fPIC"):
        add(flag, dest="pic", action="store_true", help="without effect")
    add("-32", dest="bits", action="store_const", const="-32", help="an object of 32 bits")
    add("-64", dest="bits", action="store_const", const="-64", help="an object of 64 bits")
    add(
        "--machine",
        help="what the object is for: x86_64, aarch64, i386, arm (default: what the objects"
        " or $CC and $CFLAGS are for)",
    )
    add("objects", nargs="*", help="object files that it will be linked with")


def run(arguments: argparse.Namespace) -> int:
    """Write the file; 1 if the provider file could not be read."""
    if arguments.types:
        say("note: the option --types is obsolete and without effect")
    with doing(f"reading {arguments.source}"):
        file = _read(arguments)
    for note in file.notes:
        say(f"note: {note}")
    if not file.providers:
        say(f"warning: {arguments.source} has no provider")
    if arguments.header:
        from bridge.facility.provider import header

        _out(arguments, ".h").write_text(header.write(file.providers), "utf-8")
    else:
        from bridge.facility.provider import object as object_file

        with doing("asking for what machine the object is"):
            machine = _machine(arguments)
        content = object_file.write(file.providers, machine)
        _out(arguments, ".o").write_bytes(content)
    return 0


def _out(arguments: argparse.Namespace, suffix: str) -> Path:
    return Path(arguments.out or Path(arguments.source).with_suffix(suffix).name)


def _read(arguments: argparse.Namespace) -> ProviderFile:
    from bridge.facility.provider.parse import parse

    path = Path(arguments.source)
    try:
        content = _preprocessed(arguments) if arguments.cpp else path.read_bytes()
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}") from None
    return parse(content.decode("utf-8", "surrogateescape"), str(path))


def _preprocessed(arguments: argparse.Namespace) -> bytes:
    """What `$CPP` makes of the file."""
    import shlex
    import subprocess

    command = shlex.split(os.environ.get("CPP", "")) or ["cpp"]
    command += [f"-I{folder}" for folder in arguments.include]
    command += [f"-D{name}" for name in arguments.define]
    try:
        done = subprocess.run([*command, arguments.source], check=False, stdout=subprocess.PIPE)
    except OSError as error:
        raise HostError(f"{command[0]}: {error.strerror}; -C needs a preprocessor") from None
    if done.returncode:
        raise TraceError(f"{command[0]} failed on {arguments.source}")
    if arguments.keep:
        kept = Path(f"{Path(arguments.source).stem}.cpp.d")
        kept.write_bytes(done.stdout)
        print(f"cpp: {kept}")
    return done.stdout


def _machine(arguments: argparse.Namespace) -> Machine:
    import shlex

    from bridge.facility.provider import machines

    if arguments.machine:
        return machines.named(arguments.machine)
    for name in arguments.objects:
        try:
            with Path(name).open("rb") as file:
                found = machines.of_object(file.read(20))
        except OSError as error:
            raise UsageError(f"{name}: {error.strerror}") from None
        if found is not None:
            return found
    flags = shlex.split(os.environ.get("CFLAGS", "").replace("\\\n", " "))
    flags += [arguments.bits] if arguments.bits else []
    compiler = shlex.split(os.environ.get("CC", "")) or ["cc"]
    return machines.of_compiler(compiler, flags, os.uname().machine)


def main() -> int:
    """The command `markbridge-dtrace`."""
    return dispatch(["dtrace", *sys.argv[1:]])
