"""The table of commands, and the way from `argv` to the one that is asked for.

One rule: nothing heavy is imported before it is known which command runs. Each command is a
module of this package with `configure(parser)` and `run(arguments) -> exit code`.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import NoReturn

from bridge import __version__
from bridge.errors import BridgeError, HostError

EXIT_ERROR, EXIT_USAGE, EXIT_HOST = 1, 2, 3
"""Exit codes: script, run or input failed; wrong usage; the host lacks something."""
EXIT_INTERRUPTED = 130
"""What a shell expects of a command that Ctrl-C ended before it did anything."""


class ToldError(BridgeError):
    """What is wrong has been said already; `exit_code` is what is left to give."""

    def __init__(self, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__("told")


class UsageError(BridgeError):
    """The command line does not make sense."""


COMMANDS = {
    "run": "run a script on markers of this machine, or over a recorded trace",
    "check": "say what is wrong with a script",
    "compile": "write a script as a program that runs where there is no compiler (llvmlite)",
    "explain": "show where each handler of a script will run, and why",
    "list": "list probe points and their variables",
    "record": "record the running kernel as an LTT or CTF trace",
    "read": "print a trace",
    "convert": "convert a trace to another format",
    "export": "write a script's markers, or all of it, for another tracer",
    "import": "write a script that does what a program of another tracer (bpftrace) does",
    "facility": "write a description of events (facility, provider file) in another form",
    "dtrace": "make a header or an object from a DTrace provider file, in place of dtrace(1)",
    "procfs": "read and write the files that running scripts serve",
    "doctor": "say what this machine has and lacks, and what to do about it",
}
"""Every command with its line of help."""
MODULES = {"import": "imports"}
"""The modules of commands whose names no module can have."""

FOLDERS = {
    "include": "<markbridge/marker.h> is, for the option -I of a C compiler",
    "examples": "the examples are",
}
"""Folders of the package that people need the path of."""

_EPILOG = """commands:
{commands}

`markbridge COMMAND --help` tells more about each.
exit codes: 0; 1 an error in a script, a run or a trace; 2 wrong usage; 3 the host lacks
something (and what to do about it)
"""


def _front_parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    lines = (f"  {name:{width}}  {text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        "markbridge",
        usage="markbridge COMMAND [OPTIONS] ...",
        description="Run SystemTap scripts without SystemTap; read, write LTT and CTF traces.",
        epilog=_EPILOG.format(commands="\n".join(lines)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    parser.add_argument("-h", "--help", action="help", help="show this help")
    parser.add_argument(
        "-V", "--version", action="version", version=f"markbridge {__version__}"
    )
    for name, what in FOLDERS.items():
        parser.add_argument(f"--{name}-dir", action="store_true", help=f"print where {what}")
    parser.add_argument("--cflags", action="store_true", help="print that option")
    return parser


def _print_folder(name: str, before: str = "") -> int:
    """Where a folder of the package is: the header for C programs, the examples."""
    from pathlib import Path

    print(before + str(Path(__file__).resolve().parent.parent / name))
    return 0


def dispatch(arguments: list[str] | None = None) -> int:
    """Run the command with `arguments` (default: of the process); its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] in (["--include-dir"], ["--examples-dir"]):
        return _print_folder(words[0].removeprefix("--").removesuffix("-dir"))
    if words[:1] == ["--cflags"]:
        return _print_folder("include", "-I")
    if not words or words[0] not in COMMANDS:
        parser = _front_parser()
        parser.parse_args(words[:1])
        parser.error(f"unknown command {words[0]!r}" if words else "no command given")
    return _run(words[0], words[1:])


class _Parser(argparse.ArgumentParser):
    """The options of one command; `run` takes an unknown one as stap does."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and exit."""
        _, unknown, option = message.partition("unrecognized arguments: ")
        if unknown and self.prog.endswith(" run"):
            self.exit(EXIT_ERROR, f"{self.prog}: unrecognized option '{option.split()[0]}'\n")
        super().error(message)


def _run(name: str, words: list[str]) -> int:
    try:
        return _command(name, words)
    except ToldError as error:
        return error.exit_code
    except HostError as error:
        from bridge.cli.terminal import say_error

        say_error(str(error))
        return EXIT_HOST
    except BridgeError as error:
        from bridge.cli.terminal import say_error

        say_error(str(error))
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_ERROR
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return _quiet_pipe()


def _progress(parsed: argparse.Namespace) -> AbstractContextManager[None]:
    """Long work is told on a terminal, but not beside output that is for tools."""
    if not sys.stderr.isatty() or getattr(parsed, "format", "") == "json":
        return nullcontext()
    from bridge import progress

    return progress.told_on(sys.stderr)


def _command(name: str, words: list[str]) -> int:
    module = import_module(f"bridge.cli.{MODULES.get(name, name)}")
    with_help = getattr(module, "HELP_OPTION", True)
    parser = _Parser(f"markbridge {name}", description=COMMANDS[name], add_help=with_help)
    module.configure(parser)
    parsed = parser.parse_intermixed_args(words)
    with _progress(parsed):
        return int(module.run(parsed))


def _quiet_pipe() -> int:
    """The reader of our output has gone: nothing is left to say, not even at exit."""
    import os

    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
    return EXIT_ERROR
