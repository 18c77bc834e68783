"""Probe points on functions of the kernel -> expansions, by kallsyms and BTF.

`kernel.function`, `kernel.statement`, the same of a `module`, and `kprobe.*`, which stands for
the same places but knows no variables, as in SystemTap. One rule: what cannot be probed is left
out of a pattern (and counted), and named where it is the only one.
Source: stapprobes(3stap), "DWARF-less probing", "DWARF debuginfo".
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge.diagnostics import Diagnostic, FileOffset, Severity
from bridge.markers import (
    REGISTER,
    REGISTER_NAMES,
    RESULT_REGISTERS,
    Expansion,
    KernelPlace,
    Kind,
    Loaded,
    Marker,
    MarkerAttachment,
    NoMatch,
    RawArgument,
    Register,
    ValueType,
    Variable,
)
from bridge.probes import errors
from bridge.probes.btf import Kind as TypeKind
from bridge.probes.kernel import calling
from bridge.probes.kernel.scope import ZERO, KernelGlobals, KernelScope
from bridge.probes.kernel.symbols import KALLSYMS, KERNEL, Symbol, Symbols, module_name
from bridge.probes.points import is_wild
from bridge.suggest import among, similar
from bridge.world import VMLINUX_BTF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bridge.markers import GlobalAccess, PointPart, Result
    from bridge.probes.btf import Btf
    from bridge.world import World

    Types = Callable[[str], Btf | None]
    """The types of the kernel (""), or of it and a module."""

_NEEDS_LINES = (
    "the kernel's source files, lines, inlined copies and labels are known from its debug"
    " information only, and markbridge reads functions of the kernel by BTF and kallsyms"
)
_BY_DEBUG_INFORMATION = frozenset({"inline", "label", "callee", "callees", "nearest"})
_NAMES_SHOWN = 3
_ADDRESS = (1 << 64) - 1


@dataclass(frozen=True)
class KernelFunctions:
    """Expands the points of one machine."""

    world: World
    symbols: Symbols
    types: Types

    def expand(self, parts: Sequence[PointPart]) -> tuple[Expansion, ...] | NoMatch:
        """All places that a point stands for."""
        return _Query(self, _question(parts)).answer()

    def static(self, wanted: GlobalAccess) -> Result:
        """The way to a global of the kernel, for places that are not in it."""
        types = self.types("")
        if types is None:
            return wanted.missing("kernel: it has no BTF")
        return KernelGlobals(types, self.symbols, Loaded()).static(wanted)


@dataclass(frozen=True, slots=True)
class _Question:
    """A point in pieces: whose functions, which, and what about them.

    `what` is "function" or "statement", `wanted` a name, a pattern or an address.
    """

    head: str
    owner: str
    what: str
    wanted: str | int
    suffixes: tuple[PointPart, ...]
    bare: bool = False
    """Whether it is `kprobe`, which knows no variables."""

    @property
    def suffix(self) -> str:
        """The first word behind the function."""
        return self.suffixes[0].name if self.suffixes else ""

    @property
    def returns(self) -> bool:
        """Whether it is about the function's return."""
        return self.suffix == "return"

    def point(self, name: str) -> str:
        """The point of one place."""
        shown = f'"{name}"' if isinstance(self.wanted, str) else f"{self.wanted:#x}"
        ends = "".join(
            f".{s.name}" + (f"({s.argument})" if s.argument is not None else "")
            for s in self.suffixes
        )
        return f"{self.head}.{self.what}({shown}){ends}"


def _question(parts: Sequence[PointPart]) -> _Question:
    first, rest = parts[0], parts[1:]
    head, owner = first.name, KERNEL
    if first.name == "module":
        owner = str(first.argument)
        head = f'module("{owner}")'
    elif rest[0].name == "module":
        owner = str(rest[0].argument)
        head, rest = f'kprobe.module("{owner}")', rest[1:]
    wanted = rest[0].argument
    assert wanted is not None
    if isinstance(wanted, int):
        wanted &= _ADDRESS  # the language's numbers have a sign
    return _Question(
        head, owner, rest[0].name, wanted, tuple(rest[1:]), bare=first.name == "kprobe"
    )


@dataclass
class _Query:
    """One question and what is found about it."""

    kernel: KernelFunctions
    question: _Question
    refused: list[tuple[Symbol, str]] = field(default_factory=list)
    """Functions that match and cannot be probed, with the reason."""

    def answer(self) -> tuple[Expansion, ...] | NoMatch:
        """The places, or why there are none."""
        wrong = self._unanswerable()
        if wrong is not None:
            return wrong
        found = [self._place(symbol) for symbol in self._probed()]
        if not found:
            return self._nothing()
        found[0] = replace(found[0], notes=self._left_out())
        return tuple(found)

    # --- which functions ---

    @property
    def _pattern(self) -> str:
        return str(self.question.wanted).partition("@")[0]

    def _unanswerable(self) -> NoMatch | None:
        question = self.question
        if not self.kernel.symbols.known:
            return NoMatch(0, reasons=(_unreadable(),))
        if question.owner != KERNEL and not self._modules():
            return NoMatch(0, reasons=(_not_loaded(question.owner),))
        by_line = isinstance(question.wanted, str) and self._needs_lines(question.wanted)
        if by_line or question.suffix in _BY_DEBUG_INFORMATION:
            return NoMatch(0, reasons=(_needs_lines(question),))
        return None

    def _needs_lines(self, wanted: str) -> bool:
        """Whether a specification asks for more than a function of a name."""
        name, at, file = wanted.partition("@")
        return bool(at) and (is_wild(name) or ":" in file or "+" in file)

    def _modules(self) -> list[str]:
        """The modules that are meant, by the names that the kernel gives them."""
        from fnmatch import fnmatchcase

        pattern = module_name(self.question.owner)
        return [name for name in self.kernel.symbols.modules() if fnmatchcase(name, pattern)]

    def _candidates(self) -> Iterable[Symbol]:
        symbols = self.kernel.symbols
        if isinstance(self.question.wanted, int):
            around = symbols.around(self.question.wanted)
            return (around,) if around is not None else ()
        owners = {""} if self.question.owner == KERNEL else set(self._modules())
        named = symbols.matching if is_wild(self._pattern) else symbols.named
        return (symbol for symbol in named(self._pattern) if symbol.module in owners)

    def _probed(self) -> Iterator[Symbol]:
        seen = set()
        for symbol in self._candidates():
            place = symbol.address or symbol
            if place in seen or self._is_excluded(symbol):
                continue
            seen.add(place)
            reason = self.kernel.symbols.obstacle(symbol)
            if reason:
                self.refused.append((symbol, reason))
            else:
                yield symbol

    def _is_excluded(self, symbol: Symbol) -> bool:
        return self.question.suffix == "exported" and not symbol.is_global

    # --- a place ---

    def _place(self, symbol: Symbol) -> Expansion:
        if not self.question.returns:
            return self._expansion(symbol, returns=False)
        entered = _Question(
            self.question.head, self.question.owner, "function", symbol.name, (), True
        )
        entry = _Query(self.kernel, replace(entered, bare=self.question.bare))
        place = entry._expansion(symbol, returns=False)
        called = replace(place, point=f"{place.point}.call")
        return replace(self._expansion(symbol, returns=True), entry=called)

    def _expansion(self, symbol: Symbol, *, returns: bool) -> Expansion:
        question = self.question
        wanted = question.wanted
        offset = 0
        if isinstance(wanted, int) and question.what == "statement" and symbol.address:
            offset = wanted - symbol.address
        scope = None if offset else self._scope(symbol, returns=returns)
        marker = self._marker(symbol, offset, scope, returns=returns)
        visible = None if question.bare else scope
        return Expansion(
            MarkerAttachment(marker),
            question.point(symbol.name),
            {"name": symbol.name, "module": symbol.owner},
            visible,
            scope=visible,
            lacking=() if question.bare else self._lacking(),
        )

    def _lacking(self) -> tuple[Diagnostic, ...]:
        return () if self.kernel.types("") is not None else (errors.no_btf(VMLINUX_BTF),)

    def _scope(self, symbol: Symbol, *, returns: bool) -> KernelScope | None:
        btf = self.kernel.types(symbol.module)
        number = btf.find(TypeKind.FUNC, symbol.name) if btf is not None else None
        if btf is None or number is None:
            return None
        machine = self.kernel.world.machine
        return KernelScope(btf, self.kernel.symbols, symbol, number, machine, returns)

    def _marker(
        self, symbol: Symbol, offset: int, scope: KernelScope | None, *, returns: bool
    ) -> Marker:
        machine = self.kernel.world.machine
        own = scope is not None and symbol.symbol == symbol.name and scope.is_plain
        trampoline = scope.number if own and scope is not None else 0
        if not self.kernel.symbols.is_only(symbol):
            trampoline = 0  # the kernel would take the first one of the name
        place = KernelPlace(symbol.symbol, symbol.module, symbol.address, offset, trampoline)
        variables = scope.variables if scope is not None and not self.question.bare else ()
        count = len(scope.passed) if trampoline and scope is not None else None
        return Marker(
            Kind.KERNEL_RETURN if returns else Kind.KERNEL_FUNCTION,
            symbol.owner,
            symbol.name,
            variables=variables,
            hidden=_hidden(machine, count, returns=returns, at_entry=not offset),
            kernel=place,
        )

    # --- what to say ---

    def _left_out(self) -> tuple[Diagnostic, ...]:
        if not self.refused:
            return ()
        names = [symbol.name for symbol, _ in self.refused[:_NAMES_SHOWN]]
        more = ", ..." if len(self.refused) > _NAMES_SHOWN else ""
        message = (
            f"{len(self.refused)} functions that match {self.question.what}"
            f'("{self.question.wanted}") cannot be probed and are left out:'
            f" {', '.join(names)}{more}"
        )
        return (Diagnostic("kernel-functions-left-out", message, severity=Severity.WARNING),)

    def _nothing(self) -> NoMatch:
        reasons = tuple(
            Diagnostic(
                "not-probed",
                f"{KALLSYMS}: `{symbol.symbol}` cannot be probed: {reason}",
                file=FileOffset(KALLSYMS, 0),
            )
            for symbol, reason in self.refused[:_NAMES_SHOWN]
        )
        near = None
        if isinstance(self.question.wanted, str) and not is_wild(self._pattern) and not reasons:
            near = self._near
        return NoMatch(0, near=near, reasons=reasons)

    def _near(self) -> str:
        names = {s.name for s in self.kernel.symbols.starting(self._pattern[:3])}
        return among(similar(self._pattern, names), "similar functions")


def _hidden(
    machine: str, count: int | None, *, returns: bool, at_entry: bool
) -> tuple[Variable, ...]:
    """What values are computed from: registers, arguments by convention, the result."""
    registers = tuple(
        Variable(REGISTER + name, ValueType.LONG, (Register(name, 8, signed=True),), "long")
        for name in REGISTER_NAMES.get(machine, ())
    )
    if not at_entry:
        return (ZERO, *registers)
    if returns:
        raw = RawArgument(calling.RESULT) if count is not None else None
        operand = Register(RESULT_REGISTERS.get(machine, ""), 8, signed=True)
        value = Variable(f"{REGISTER}result", ValueType.LONG, (operand,), "long", raw)
        return (ZERO, value, *registers)
    return (ZERO, *calling.by_convention(machine, count), *registers)


def _unreadable() -> Diagnostic:
    message = (
        f"{KALLSYMS}: cannot be read, so the kernel's functions are not known; is /proc"
        " mounted (`mount -t proc proc /proc`)?"
    )
    return Diagnostic("no-kallsyms", message, file=FileOffset(KALLSYMS, 0))


def _not_loaded(module: str) -> Diagnostic:
    name = module_name(module)
    message = f"module {module}: it is not loaded; `modprobe {name}` first"
    return Diagnostic("module-not-loaded", message, file=FileOffset("/proc/modules", 0))


def _needs_lines(question: _Question) -> Diagnostic:
    message = f"{question.point(str(question.wanted))}: {_NEEDS_LINES}"
    return Diagnostic("needs-debug-information", message, file=FileOffset(KALLSYMS, 0))
