"""The manual page of the functions, made from the table and the library: `docs/functions.md`.

Rule: every function has one line that says what it is; the tests run each where the page says
that it runs. Write the page with `python -m tools.manual.functions > docs/functions.md`.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, NamedTuple

from bridge.ir.passes.captures import NUMBERS, STRINGS
from bridge.script.analysis.types import Type
from bridge.script.builtins import BUILTINS, KERNEL_STACK, Effect
from bridge.script.library import own_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bridge.script.builtins import Builtin

KERNEL, NATIVE, INTERPRETER, REPLAY = "kernel", "native", "interpreter", "replay"

_INTRODUCTION = """\
# The functions

What scripts can call. Generated from the table of built-ins and from the library by
`python -m tools.manual.functions`; the tests run every function where this page says
that it runs. A script may define a function of the same name and number of arguments; its own
wins.

## Built-in functions

Effect: *pure* functions depend on nothing but their arguments; *context* is what the hit says
(in a handler that no hit started: what markbridge itself is); *memory* is read where the hit
is; *process* looks at the process that was hit, which is held meanwhile; *state* is that of the
session or the system.

Where: `kernel`, at the hit itself; `native`, in the machine code of handlers in user space;
`interpreter`, the reference; `replay`, over a recorded trace, which has to hold what was read
at the hit. Functions that change the system (`printk`, `raise`) do nothing in a replay.
"""
_LIBRARY = """\
## Library functions

Written in the language itself (`bridge/tapset/`), so they run wherever the built-ins run that
they call.
"""

_ALIASES = """\
## Probe aliases

Points of the library, what they stand for, and the variables that they set.

| alias | point | variables |
|---|---|---|"""

_ALIAS = re.compile(r"^probe ([a-z_][\w.]*) = ([^{]*?)\s*\{(.*?)^\}", re.MULTILINE | re.DOTALL)
_VARIABLE = re.compile(r"^\s+(\w+) = ", re.MULTILINE)
_FUNCTION = re.compile(r"((?:^//.*\n)*)^function (\w+)(:\w+)?\s*\(([^)]*)\)", re.MULTILINE)
_HEAD = re.compile(r"\A(?:(?:#|//).*\n)+")


OF_EMBEDDED_C = "_c_"
"""What functions are called that only the translation of embedded C uses."""


class LibraryFunction(NamedTuple):
    """A function of the library: where it is, how it is called, what it is."""

    file: str
    name: str
    signature: str
    parameters: int
    doc: str


def engines(builtin: Builtin) -> tuple[str, ...]:
    """Where a built-in runs."""
    if builtin.effect is Effect.CONTEXT:
        return (KERNEL, NATIVE, INTERPRETER, REPLAY)
    if builtin.effect is Effect.MEMORY:
        captured = builtin.name in STRINGS or builtin.name in NUMBERS
        return (KERNEL, NATIVE, INTERPRETER, REPLAY) if captured else (NATIVE, INTERPRETER)
    if builtin.effect is Effect.PROCESS or KERNEL_STACK in builtin.reads:
        return (NATIVE, INTERPRETER)
    return (NATIVE, INTERPRETER, REPLAY)


def _library_files() -> list[Path]:
    return sorted(own_files(".stp"), key=lambda path: path.name)


def library_functions() -> Iterator[LibraryFunction]:
    """The public functions of the library, by file and name."""
    for entry in _library_files():
        found = {}
        for comment, name, result, parameters in _FUNCTION.findall(entry.read_text()):
            if name.startswith(OF_EMBEDDED_C):
                continue
            words = re.split(r"\s*,\s*", parameters) if parameters else []
            signature = f"{name}{result}({', '.join(words)})"
            doc = " ".join(line.strip("/ ") for line in comment.splitlines())
            found[signature] = LibraryFunction(entry.name, name, signature, len(words), doc)
        yield from sorted(found.values(), key=lambda f: (f.name, f.parameters))


def _signature(builtin: Builtin) -> str:
    result = "" if builtin.result is Type.UNKNOWN else f":{builtin.result.value}"
    return f"{builtin.name}{result}({', '.join(t.value for t in builtin.parameters)})"


def _builtins() -> Iterator[str]:
    yield "| function | | effect | where |"
    yield "|---|---|---|---|"
    for builtin in sorted(BUILTINS.values(), key=_signature):
        if builtin.name.startswith("_"):
            continue
        doc = builtin.doc + (" (with `-g`)" if builtin.guru else "")
        effect, where = builtin.effect.value, ", ".join(engines(builtin))
        yield f"| `{_signature(builtin)}` | {doc} | {effect} | {where} |"


def _library() -> Iterator[str]:
    file = ""
    for function in library_functions():
        if function.file != file:
            file = function.file
            yield from ("", f"### {file.removesuffix('.stp')}", "", _heading(file), "")
            yield from ("| function | |", "|---|---|")
        yield f"| `{function.signature}` | {function.doc} |"


def _heading(file: str) -> str:
    """The comment at the start of a library file, without the licence and references."""
    text = next(path.read_text() for path in _library_files() if path.name == file)
    found = _HEAD.match(text)
    lines = [line.strip("#/ ") for line in found[0].splitlines()] if found else []
    words = " ".join(line for line in lines if not line.startswith("SPDX"))
    return re.sub(r"\s*See .*", "", words)


def _aliases() -> Iterator[str]:
    for entry in _library_files():
        for name, point, body in _ALIAS.findall(entry.read_text()):
            variables = ", ".join(dict.fromkeys(_VARIABLE.findall(body)))
            yield f"| `{name}` | `{point}` | {variables} |"


def function_manual() -> str:
    """The whole page."""
    library = (_LIBRARY.rstrip("\n"), *_library())
    return "\n".join((_INTRODUCTION, *_builtins(), "", *library, "", _ALIASES, *_aliases(), ""))


if __name__ == "__main__":
    sys.stdout.write(function_manual())
