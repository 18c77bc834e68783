"""stap++, the dialect of openresty's scripts (`.sxx`) -> the script language.

In: a text, and what `$^name` stands for. Out: the text with as many lines, and the modules
that `@use` names, which are texts of the library. Rule: what stands for a name is put in line
by line before the language sees the text, inside of strings and comments, too.
Source: the README of github.com/openresty/stapxx.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.diagnostics import Diagnostic, Severity
from bridge.source import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bridge.source import Source, SourceMap

_GIVEN = re.compile(r"\$\^(\w+)(?:[ \t]*:(\w+)[ \t]*\((.*?)\))?")
_FUNCTION = re.compile(r"@pfunc\s*\(\s*(\w+)\s*\)")
_NAMED = re.compile(r"\$\*(\w+)\s*:=\s*(&?@(?:cast|var)\(.*?\)(?:\[\d+\])?)")
_NAME = re.compile(r"\$\*(\w+)")
_MODULE = r"\w+(?:\.\w+)*"
_USE = re.compile(rf"@use\s+({_MODULE}(?:\s*,\s*{_MODULE})*)")
ARGUMENT, LIBRARY, PATH = "arg_", "lib", "_path"
SUFFIX = ".sxx"


@dataclass(frozen=True, slots=True)
class Given:
    """What the names stand for, and how more is found."""

    arguments: Mapping[str, str] = field(default_factory=dict)
    """`$^arg_x` by x."""
    program: str = ""
    """`$^exec_path`; "" if it is not known."""
    target: str = "ANY"
    """`$^target`."""
    condition: str = "1"
    """`$^pid_ok`."""
    libraries: Callable[[], Sequence[str]] = tuple
    """The paths that `$^libx_path` may be."""
    module: Callable[[str], tuple[str, str] | None] = lambda _: None
    """The path and the text of a module by its file, `nginx/request.sxx`."""


class Wrong(Exception):
    """A name that stands for nothing: why, what to do, and where in the text."""

    def __init__(self, reason: str, remedy: str, at: int) -> None:
        super().__init__(reason)
        self.reason, self.remedy, self.at = reason, remedy, at


@dataclass(slots=True)
class Translator:
    """Translates a script and its modules."""

    given: Given
    sources: SourceMap
    modules: dict[str, str] = field(default_factory=dict)
    """The modules that were used: text by path."""
    unused: set[str] = field(default_factory=set)
    """Arguments that nobody has asked for."""
    notes: list[Diagnostic] = field(default_factory=list)
    _defaults: dict[str, str] = field(default_factory=dict)
    _files: set[str] = field(default_factory=set)

    def script(self, source: Source) -> str:
        """The text of a script in the language; `Wrong` where a name stands for nothing."""
        self.unused = set(self.given.arguments)
        return self.text(source)

    def text(self, source: Source) -> str:
        """The same for any file."""
        names: dict[str, str] = {}
        lines, start = [], source.base
        for line in source.text.split("\n"):
            lines.append(self._line(line, names, start))
            start += len(line) + 1
        return "\n".join(lines)

    def _line(self, line: str, names: dict[str, str], start: int) -> str:
        def at(found: re.Match[str]) -> int:
            """Where a name stands, as far as what was put in before does not hide it."""
            return start + max(original.find(found[0]), 0)

        original = line
        line = _FUNCTION.sub(r'process("$^exec_path").function("\1")', line)
        line = _GIVEN.sub(lambda found: self._value(found, at(found)), line)

        def define(found: re.Match[str]) -> str:
            names[found[1]] = _NAME.sub(name, found[2])
            return ""

        def name(found: re.Match[str]) -> str:
            if found[1] not in names:
                remedy = f"define it above: $*{found[1]} := @cast(...)"
                raise Wrong(f"$*{found[1]} is not defined", remedy, at(found))
            return names[found[1]]

        line = _NAME.sub(name, _NAMED.sub(define, line))
        return _USE.sub(lambda found: self._use(found, at(found)), line)

    # --- names

    def _value(self, found: re.Match[str], at: int) -> str:
        name, trait, default = found.groups()
        if trait not in {None, "default"}:
            reason = f"`:{trait}` behind $^{name}; there is only `:default(VALUE)`"
            raise Wrong(reason, "write `:default(VALUE)`", at)
        value = self._known(name)
        if value is None and trait is not None:
            value = self._defaults[name] = default
        if value is None:
            raise self._unknown(name, at)
        return value

    def _known(self, name: str) -> str | None:
        given = self.given
        if name.startswith(ARGUMENT):
            argument = name.removeprefix(ARGUMENT)
            self.unused.discard(argument)
            return given.arguments.get(argument, self._defaults.get(name))
        match name:
            case "exec_path":
                return given.program or None
            case "target":
                return given.target if given.program else None
            case "pid_ok":
                return given.condition if given.program else None
        if name.startswith(LIBRARY) and name.endswith(PATH) and given.program:
            return self._library(name.removeprefix(LIBRARY).removesuffix(PATH))
        return None

    def _library(self, name: str) -> str:
        """A library of the target by its name; the program itself if that has it inside."""
        paths = sorted(self.given.libraries())
        word = re.escape(name)
        for pattern in (rf"\blib{word}[-.\d]*\.so(?:\.\d+)*$", rf"\b(?:lib)?{word}[^/\s]*\.so"):
            for path in paths:
                if re.search(pattern, path):
                    return path
        if name not in self._files:
            self._files.add(name)
            message = f"lib{name} is no library of {self.given.program}, which may contain it"
            self.notes.append(
                Diagnostic("stapxx-static-library", message, severity=Severity.WARNING)
            )
        return self.given.program

    def _unknown(self, name: str, at: int) -> Wrong:
        if name.startswith(ARGUMENT):
            argument = name.removeprefix(ARGUMENT)
            return Wrong(f"$^{name} has no value", f"give --arg {argument}=VALUE", at)
        of_target = name in {"exec_path", "target", "pid_ok"}
        if of_target or (name.startswith(LIBRARY) and name.endswith(PATH)):
            remedy = "say which program is meant: -x PID, -c CMD or --exec FILE"
            return Wrong(f"$^{name} has no value: there is no target", remedy, at)
        return Wrong(f"$^{name} is not known", "see docs/scripts.md for the names", at)

    # --- modules

    def _use(self, found: re.Match[str], at: int) -> str:
        for name in re.findall(_MODULE, found[1]):
            file = name.replace(".", "/") + SUFFIX
            module = self.given.module(file)
            if module is None:
                remedy = "give the folder of the modules with -I, as in -I stapxx/tapset"
                raise Wrong(f"@use {name}: there is no {file}", remedy, at)
            path, text = module
            if path not in self.modules:
                self.modules[path] = ""  # modules may use each other
                self.modules[path] = self.text(self.sources.add(path, text))
        return ""


def diagnostic(wrong: Wrong) -> Diagnostic:
    """What is said of a name that stands for nothing."""
    return Diagnostic(
        "stapxx-name", wrong.reason, Span(wrong.at, wrong.at + 2), hint=wrong.remedy
    )
