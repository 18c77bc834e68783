"""The tapset library: folders of `.stp` and `.stpm` files, loaded on demand by an index.

A quick scan of each file's text tells which functions, aliases and globals it defines; a file
is parsed only when one of them is referenced. Rule: what does not parse is skipped with a
warning, as SystemTap does with optional library files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.diagnostics import Severity, Sink
from bridge.ir.program import Limits
from bridge.script import errors
from bridge.script.syntax import ast, conditions
from bridge.script.syntax.lex import Lexer
from bridge.script.syntax.parse import parse
from bridge.script.syntax.preprocess import Macro, Preprocessor
from bridge.script.syntax.read import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.script.options import AnalyseOptions
    from bridge.source import SourceMap

FAMILIES = {"syscall": "syscall", "nd_syscall": "syscall", "tp_syscall": "syscall"}
"""First components of aliases that have a folder: its files are named after the second ones."""
OWN_TAPSET = Path(__file__).resolve().parent.parent / "tapset"
_DEFINITION = re.compile(
    r"^[ \t]*(?:(?:private|@\w+)[ \t]+)*(?:"
    r"function[ \t]+(?P<function>\w+)"
    r"|probe[ \t]+(?P<alias>[A-Za-z_]\w*)"
    r"|global[ \t]+(?P<globals>(?:,[ \t]*\n|[^\n;])+))",
    re.MULTILINE,
)
_MORE_NAMES = re.compile(r"\w+")
_WILD = re.compile(r"[*?\[]")


@dataclass(slots=True, eq=False)
class _File:
    name: str
    text: str
    script: ast.Script | None = None
    parsed: bool = False


@dataclass(slots=True)
class _Index:
    functions: dict[str, list[_File]] = field(default_factory=dict)
    aliases: dict[str, list[_File]] = field(default_factory=dict)
    globals: dict[str, list[_File]] = field(default_factory=dict)

    def add(self, file: _File) -> None:
        for found in _DEFINITION.finditer(file.text):
            if name := found.group("function"):
                self._note(self.functions, name, file)
            elif name := found.group("alias"):
                self._note(self.aliases, name, file)
            else:  # with words of initial values: too many only mean that a file is parsed
                for name in _MORE_NAMES.findall(found.group("globals")):
                    self._note(self.globals, name, file)

    @staticmethod
    def _note(table: dict[str, list[_File]], name: str, file: _File) -> None:
        files = table.setdefault(name, [])
        if file not in files:
            files.append(file)


class Library:
    """All tapset folders of one compilation."""

    def __init__(self, sources: SourceMap, sink: Sink, options: AnalyseOptions) -> None:
        self._sources = sources
        self._sink = sink
        self._options = options
        self._index: _Index | None = None
        self._members: dict[Path, _File] = {}
        """The files of families that were read."""
        self._macros: dict[str, Macro] | None = None

    # --- definitions

    def functions(self, name: str) -> list[tuple[ast.Script, ast.Function]]:
        """The library's functions of this name, all overloads."""
        return [
            (script, definition)
            for script in self._scripts(self._indexed().functions.get(name, []))
            for definition in script.definitions
            if isinstance(definition, ast.Function) and definition.name == name
        ]

    def aliases(self, first: str, second: str = "*") -> list[tuple[ast.Script, ast.Alias]]:
        """The aliases in files that define one whose first two components fit the patterns.

        Where files are told apart by the first component only, it alone counts.
        """
        table = self._indexed().aliases
        if _WILD.search(first):
            files = [file for name in table if fnmatchcase(name, first) for file in table[name]]
        else:
            files = list(table.get(first, ()))
        files += self._family(first, second)
        return [
            (script, definition)
            for script in self._scripts(list(dict.fromkeys(files)))
            for definition in script.definitions
            if isinstance(definition, ast.Alias)
        ]

    def global_(self, name: str) -> tuple[ast.Script, ast.Global] | None:
        """The library's global (not private) of this name."""
        for script in self._scripts(self._indexed().globals.get(name, [])):
            for definition in script.definitions:
                match definition:
                    case ast.Global(name=known, private=False) if known == name:
                        return script, definition
        return None

    def alias_names(self) -> list[str]:
        """The first components of all aliases."""
        return sorted({*self._indexed().aliases, *self._families()})

    def function_names(self) -> list[str]:
        """The names of all functions."""
        return sorted(self._indexed().functions)

    # --- loading

    def _families(self) -> list[str]:
        return list(FAMILIES) if self._options.own_tapset else []

    def _family(self, first: str, second: str) -> list[_File]:
        """The files that define aliases of a family; all, if none is named so."""
        folders = [FAMILIES[name] for name in self._families() if fnmatchcase(name, first)]
        found: list[_File] = []
        for folder in dict.fromkeys(folders):
            paths = _members(folder)
            fitting = [path for path in paths if fnmatchcase(path.stem, second)]
            found += [self._member(path) for path in fitting or paths]
        return found

    def _member(self, path: Path) -> _File:
        if path not in self._members:
            self._members[path] = _own_file(path)
        return self._members[path]

    def _indexed(self) -> _Index:
        if self._index is None:
            self._index = _Index()
            for name, text in self._texts(".stp"):
                self._index.add(_File(name, text))
        return self._index

    def _texts(self, suffix: str) -> Iterator[tuple[str, str]]:
        if self._options.own_tapset:
            for path in own_files(suffix):
                file = _own_file(path)
                yield file.name, file.text
        if suffix == ".stp":
            yield from self._options.texts
        for folder in self._options.include:
            for path in _library_files(folder, suffix, self._options):
                try:
                    yield str(path), read_text(path).decode("latin-1")
                except OSError:
                    continue

    def _scripts(self, files: list[_File]) -> list[ast.Script]:
        for file in files:
            if not file.parsed:
                file.parsed = True
                file.script = self._parse(file)
        return [file.script for file in files if file.script is not None]

    def _parse(self, file: _File) -> ast.Script | None:
        sink = Sink()
        options = replace(self._options, guru=True)
        source = self._sources.add(file.name, file.text)
        script = parse(source, self._sources, sink, options, tapset=True, macros=self.macros)
        for diagnostic in sink.items:
            self._sink.report(replace(diagnostic, severity=Severity.WARNING))
        if script is None or sink.failed:
            message = errors.Message(
                "tapset-skipped", f'tapset "{file.name}" has errors, and will be skipped'
            )
            self._sink.report(errors.warning(message))
        return script

    # --- macros

    def macros(self) -> Mapping[str, Macro]:
        """The macros of all `.stpm` files; a file with an error gives none."""
        if self._macros is None:
            self._macros = {}
            for name, text in (*self._limits(), *self._texts(".stpm")):
                for key, macro in self._library_macros(name, text).items():
                    self._macros.setdefault(key, macro)
        return self._macros

    def _limits(self) -> Iterator[tuple[str, str]]:
        """A macro with the value of a limit that scripts ask for."""
        limit = self._options.defines.get("MAXSTRINGLEN", str(Limits().maxstringlen))
        yield "limits", f"@define MAXSTRINGLEN %( {limit} %)"

    def _library_macros(self, name: str, text: str) -> dict[str, Macro]:
        sink = Sink()
        lexer = Lexer(self._sources.add(name, text), self._options.arguments)
        tokens = Preprocessor(lexer, replace(self._options, guru=True), sink, dict)
        try:
            stray = tokens.next()
        except errors.Refused as refused:
            self._sink.report(replace(refused.diagnostic, severity=Severity.WARNING))
            return {}
        if stray is not None:
            message = errors.Message(
                "stray-in-macro-file", f"unexpected token in library macro file '{name}'"
            )
            self._sink.report(errors.warning(message, stray.span, stray.describe()))
            return {}
        for macro in tokens.macros.values():
            macro.library = True
        return tokens.macros


@cache
def own_files(suffix: str) -> list[Path]:
    """The files of our own library that are always known (not a family's members)."""
    return [
        *sorted(OWN_TAPSET.glob(f"*{suffix}")),
        *sorted(OWN_TAPSET.glob(f"*/common/*{suffix}")),
    ]


@cache
def _members(folder: str) -> tuple[Path, ...]:
    return tuple(sorted((OWN_TAPSET / folder).glob("*.stp")))


@cache
def _own_text(path: Path) -> tuple[str, str]:
    """The name and the text of a file of ours, which nobody changes while we run."""
    return f"tapset/{path.relative_to(OWN_TAPSET)}", path.read_bytes().decode("latin-1")


def _own_file(path: Path) -> _File:
    return _File(*_own_text(path))


def _library_files(folder: Path, suffix: str, options: AnalyseOptions) -> list[Path]:
    """The files of a tapset folder: its own, and those for this architecture and run time."""
    known = options.conditions or conditions.host_conditions()
    arch = known.get("arch", "")
    found: list[Path] = []
    for part in (folder, folder / arch, folder / "linux", folder / "linux" / arch):
        if part.is_dir():
            found += sorted(part.glob(f"*{suffix}"))
    return list(dict.fromkeys(found))
