"""What the passes after derivation share: globals, functions and probes under construction.

Rule: one object per declared thing; the trees stay as they are and facts are kept per body.
"""

from __future__ import annotations

import re
from bisect import bisect_right, insort
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge.markers import Access, NoAccess
from bridge.script import errors
from bridge.script.analysis import embedded
from bridge.script.analysis.lookup import no_statics
from bridge.script.analysis.typed import Facts, FunctionInfo, GlobalVariable, LocalVariable
from bridge.script.analysis.types import Type
from bridge.script.c import HELPER
from bridge.script.printing.describe import describe
from bridge.script.syntax import ast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.diagnostics import Sink
    from bridge.markers import Result
    from bridge.script.analysis.derive import Derived, ScopedBlock, ScopedCondition
    from bridge.script.analysis.lookup import Statics, Structures
    from bridge.script.library import Library
    from bridge.script.options import AnalyseOptions
    from bridge.source import Span


def no_structures(name: str, module: str) -> NoAccess:
    """What is known of types where nothing is known."""
    return NoAccess(f"type definition '{name}' not found in '{module or 'kernel'}'")


Named = tuple[ast.Script, ast.Function]
"""A function and the file that it is in."""
TYPES = {"long": Type.LONG, "string": Type.STRING, None: Type.UNKNOWN}


@dataclass(slots=True, eq=False)
class Body:
    """One body with its facts: of a function (`function` set) or of a probe (`derived` set)."""

    blocks: tuple[ScopedBlock, ...]
    conditions: tuple[ScopedCondition, ...] = ()
    facts: Facts = field(default_factory=Facts)
    function: FunctionInfo | None = None
    derived: Derived | None = None
    places: Sequence[Derived] = ()
    """All that the body of a probe is run at; `derived` is the first of them."""
    declared: dict[str, ast.Name] = field(default_factory=dict)
    """Where each local was first seen."""


@dataclass(slots=True, eq=False)
class Arity:
    """How many keys a global was seen with (-1: not yet), and where first."""

    count: int = -1
    span: Span | None = None
    token: str = ""


@dataclass(slots=True, eq=False)
class ResolvedScript:
    """The program of one compilation."""

    scripts: list[ast.Script]
    library: Library
    options: AnalyseOptions
    sink: Sink
    globals: dict[tuple[str, str], GlobalVariable] = field(default_factory=dict)
    arities: dict[GlobalVariable, Arity] = field(default_factory=dict)
    functions: dict[ast.Function, Body] = field(default_factory=dict)
    called: list[Body] = field(default_factory=list)
    """Functions that are called and whose own names are still to be resolved, by full name."""
    probes: list[Body] = field(default_factory=list)
    derived: int = 0
    """How many probes were derived so far."""
    referenced: dict[GlobalVariable, None] = field(default_factory=dict)
    """Globals in the order in which bodies name them first, as SystemTap lists them."""
    structures: Structures = no_structures
    statics: Statics = no_statics
    suggested: int = 0
    """How many unknown functions were looked up among the known ones."""
    refusals: dict[ast.Function, embedded.Refusal] = field(default_factory=dict)
    """Functions whose embedded C is not understood."""
    _translated: dict[ast.Function, ast.Block | None] = field(default_factory=dict)
    _embedded: embedded.EmbeddedC = field(default_factory=embedded.EmbeddedC)
    _helpers: dict[str, Named] = field(default_factory=dict)
    _last_called: str = ""
    _named: dict[str, list[Named]] = field(default_factory=dict)
    _indexed: int = 0
    _told: set[str] = field(default_factory=set)

    def tell_moved(self, found: Result, node: ast.Node) -> None:
        """Warn, once each, of names that are others in the running kernel."""
        for note in found.moved if isinstance(found, Access) else ():
            if note not in self._told:
                self._told.add(note)
                message = errors.Message("moved-name", note)
                self.sink.report(errors.warning(message, node.token, describe(node)))

    def declare(self, script: ast.Script, declaration: ast.Global) -> GlobalVariable:
        """The variable of a declaration; private ones are known in their file only."""
        key = (script.name if declaration.private else "", declaration.name)
        if key not in self.globals:
            initial = declaration.initial.value if declaration.initial else None
            variable = GlobalVariable(
                declaration.name,
                declaration,
                _initial_type(initial),
                None,
                initial,
                declaration.size,
                declaration.wrap,
                user=not script.tapset,
                label=prefix(script, declaration) + declaration.name,
            )
            self.globals[key] = variable
            self.arities[variable] = Arity()
            if initial is not None:
                self.arities[variable] = Arity(0, declaration.assigned, "operator '='")
        return self.globals[key]

    def named_globals(self) -> Sequence[GlobalVariable]:
        """The globals that bodies name, in the order of their first use; then all others."""
        return list(dict.fromkeys((*self.referenced, *self.globals.values())))

    def next_called(self) -> Body:
        """The next function to resolve: SystemTap goes through them by name, over and over."""
        at = bisect_right(self.called, self._last_called, key=_label) % len(self.called)
        body = self.called.pop(at)
        self._last_called = _label(body)
        return body

    def choose(self, script: ast.Script) -> None:
        """Take a library file into the program."""
        if any(known is script for known in self.scripts):
            return
        self.scripts.append(script)
        for definition in script.definitions:
            if isinstance(definition, ast.Global):
                self.declare(script, definition)

    def functions_named(self, name: str) -> Sequence[Named]:
        """The functions of the program's files that have a name, in their order."""
        for script in self.scripts[self._indexed :]:
            for definition in script.definitions:
                if isinstance(definition, ast.Function):
                    self._named.setdefault(definition.name, []).append((script, definition))
        self._indexed = len(self.scripts)
        if name.startswith(HELPER) and not self.options.assume_types:
            return (*self._named.get(name, ()), *self._helper(name))
        return self._named.get(name, ())

    def function(self, script: ast.Script, declaration: ast.Function) -> Body:
        """The body of a function that is called."""
        from bridge.script.analysis.derive import ScopedBlock

        if declaration not in self.functions:
            parameters = tuple(
                LocalVariable(p.name, TYPES[p.type]) for p in declaration.parameters
            )
            facts = Facts(locals={p.name: p for p in parameters})
            info = FunctionInfo(
                declaration.name,
                declaration,
                parameters,
                TYPES[declaration.result],
                facts,
                self._function_label(script, declaration),
            )
            if (translated := self.translated(declaration)) is not None:
                info.declaration = replace(declaration, body=translated)
            body_ = info.declaration.body
            blocks = (ScopedBlock(script, body_),) if body_ else ()
            body = self.functions[declaration] = Body(blocks, facts=facts, function=info)
            insort(self.called, body, key=_label)
        return self.functions[declaration]

    def translated(self, declaration: ast.Function) -> ast.Block | None:
        """The body of a function in embedded C, if that is understood."""
        if declaration.code is None or self.options.assume_types:
            return None
        if declaration not in self._translated:
            found = self._embedded_c().body(declaration)
            if isinstance(found, embedded.Refusal):
                self.refusals[declaration] = found
            self._translated[declaration] = found if isinstance(found, ast.Block) else None
            self._declare_used(declaration)
        return self._translated[declaration]

    def _embedded_c(self) -> embedded.EmbeddedC:
        """The embedded C of the files that were taken so far."""
        file_level = tuple(
            definition
            for script in self.scripts
            for definition in script.definitions
            if isinstance(definition, ast.Embedded)
        )
        if file_level != self._embedded.file_level or not self._embedded.ready:
            self._embedded = embedded.EmbeddedC(file_level, self.options)
        return self._embedded

    def _declare_used(self, at: ast.Function) -> None:
        for variable in self._embedded_c().variables(at):
            self.declare(self.scripts[0], variable)

    def _helper(self, name: str) -> Sequence[Named]:
        """A helper function of embedded C, as a function of the language."""
        if name not in self._helpers:
            made = self._embedded_c().helper(name.removeprefix(HELPER))
            if made is None:
                return ()
            declaration, refusal = made
            if refusal is not None:
                self.refusals[declaration] = refusal
                self._translated[declaration] = None
            self._helpers[name] = (self.scripts[0], declaration)
            self._declare_used(declaration)
        return (self._helpers[name],)

    def _function_label(self, script: ast.Script, declaration: ast.Function) -> str:
        # SystemTap reads its library first
        library = [function for _, function in self.library.functions(declaration.name)]
        own = [function for _, function in self.functions_named(declaration.name)]
        number = list(dict.fromkeys((*library, *own))).index(declaration)
        return f"{prefix(script, declaration)}{declaration.name}__overload_{number}"

    def bodies(self) -> Sequence[Body]:
        """All bodies: functions by their full name, then probes."""
        return [*sorted(self.functions.values(), key=_label), *self.probes]


def _label(body: Body) -> str:
    return body.function.label if body.function is not None else ""


def prefix(script: ast.Script, declaration: ast.Global | ast.Function) -> str:
    """What SystemTap puts before the name of a global or a function."""
    if not declaration.private:
        return "__global_"
    return f"__private_{re.sub('[^0-9A-Za-z]', '_', script.name)}_"


def _initial_type(initial: int | str | None) -> Type:
    match initial:
        case int():
            return Type.LONG
        case str():
            return Type.STRING
        case None:
            return Type.UNKNOWN
