"""Probe points on functions of the kernel -> expansions, by kallsyms and BTF.

`kernel.function`, `kernel.statement`, the same of a `module`, and `kprobe.*`, which stands for
the same places but knows no variables, as in SystemTap. One rule: what cannot be probed is left
out of a pattern (and counted), and named where it is the only one.
Source: stapprobes(3stap), "DWARF-less probing", "DWARF debuginfo".
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from bridge.diagnostics import Diagnostic, FileOffset, Severity
from bridge.markers import (
    ENTERED,
    OWN_NAME,
    REGISTER,
    REGISTER_NAMES,
    RESULT_REGISTERS,
    Expansion,
    KernelPlace,
    Kind,
    Loaded,
    Marker,
    MarkerAttachment,
    NoAccess,
    NoMatch,
    PointPart,
    RawArgument,
    Register,
    ValueType,
    Variable,
)
from bridge.probes import errors
from bridge.probes.btf import BtfKind as TypeKind
from bridge.probes.kernel import calling
from bridge.probes.kernel.debug_files import release
from bridge.probes.kernel.debug_image import DebugImages, KernelImage
from bridge.probes.kernel.debug_scope import DebugScope
from bridge.probes.kernel.scope import ZERO, KernelGlobals, KernelScope
from bridge.probes.kernel.symbols import KALLSYMS, KERNEL, KernelSymbol, Symbols, module_name
from bridge.probes.points import is_wild
from bridge.suggest import among, similar
from bridge.world import VMLINUX_BTF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bridge.markers import GlobalAccess, Result, Scope, Structure
    from bridge.probes.btf import Btf
    from bridge.probes.dwarf.image import DebugImage
    from bridge.probes.dwarf.probe_addresses import ProbeAddress
    from bridge.probes.dwarf.probes import FunctionProbe
    from bridge.world import World

    Types = Callable[[str], Btf | None]
    """The types of the kernel (""), or of it and a module."""

_GONE = "its code is thrown away when the kernel has started"
_BY_DEBUG_INFORMATION = frozenset({"inline", "label", "callee", "callees", "nearest"})
_NAMES_SHOWN = 3
_ADDRESS = (1 << 64) - 1


@dataclass(frozen=True)
class KernelFunctions:
    """Expands the points of one machine."""

    world: World
    symbols: Symbols
    types: Types
    has: Callable[[str], bool] = lambda _: False
    """Whether the kernel has a feature."""

    @cached_property
    def debug(self) -> DebugImages:
        """The debug information of the kernel and of its modules."""
        return DebugImages(self.world, self.symbols)

    def expand(self, parts: Sequence[PointPart]) -> tuple[Expansion, ...] | NoMatch:
        """All places that a point stands for."""
        return _Query(self, _question(parts)).answer()

    def static(self, wanted: GlobalAccess) -> Result:
        """The way to a global of the kernel, for places that are not in it."""
        types = self.types("")
        found: Result = wanted.missing("kernel: it has no BTF")
        if types is not None:
            found = KernelGlobals(types, self.symbols, Loaded()).static(wanted)
        if wanted.file or isinstance(found, NoAccess):
            return self._described(wanted, found)
        return found

    def _described(self, wanted: GlobalAccess, otherwise: Result) -> Result:
        """A global by debug information."""
        from bridge.probes.dwarf.statics import image_static

        image = self.debug.of(KERNEL)
        if image is None:
            return otherwise
        return image_static(image, wanted)

    def structure(self, name: str, owner: str) -> Structure | NoAccess:
        """A type that BTF does not have, by the debug information of the kernel or a module."""
        from bridge.probes.dwarf.scope import image_structure

        image = self.debug.of(owner)
        if image is None:
            return NoAccess(f"type definition '{name}' not found in '{owner}'")
        return image_structure(image, name)


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
    given: str = ""
    """The file of a module, where that is what names it."""

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
    bare, given = first.name == "kprobe", owner if "/" in owner else ""
    return _Question(head, owner, rest[0].name, wanted, tuple(rest[1:]), bare, given)


@dataclass
class _Query:
    """One question and what is found about it."""

    kernel: KernelFunctions
    question: _Question
    refused: list[tuple[KernelSymbol, str]] = field(default_factory=list)
    """Functions that match and cannot be probed, with the reason."""
    reasons: list[Diagnostic] = field(default_factory=list)
    """What was wrong with debug information, or is not in it."""
    undescribed: list[str] = field(default_factory=list)
    """The kernel, or modules, that have no debug information."""
    taken: set[int] = field(default_factory=set)
    """Where functions begin that debug information tells of."""
    named: set[str] = field(default_factory=set)
    """What they are called."""

    def answer(self) -> tuple[Expansion, ...] | NoMatch:
        """The places, or why there are none."""
        wrong = self._unanswerable()
        if wrong is not None:
            return wrong
        found = self._described()
        lacking = self._lacks_debug_information(found)
        if lacking is not None:
            return NoMatch(0, reasons=(*self.kernel.debug.faults, lacking))
        if not self._by_debug_information:
            found += [self._place(symbol) for symbol in self._probed()]
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
        return None

    # --- by debug information ---

    @property
    def _by_debug_information(self) -> bool:
        """Whether a specification asks for more than a function of a name."""
        if self.question.suffix in _BY_DEBUG_INFORMATION:
            return True
        name, at, file = str(self.question.wanted).partition("@")
        return bool(at) and (is_wild(name) or ":" in file or "+" in file)

    def _owners(self) -> list[str]:
        return [KERNEL] if self.question.owner == KERNEL else self._modules()

    def _described(self) -> list[Expansion]:
        """The places that the debug information of their owners tells."""
        if self.question.bare or not isinstance(self.question.wanted, str):
            return []
        found: list[Expansion] = []
        for owner in self._owners():
            image = self.kernel.debug.of(owner, self.question.given)
            if image is None:
                self.undescribed.append(owner)
                continue
            found += self._in_image(image)
        return found

    def _in_image(self, image: KernelImage) -> list[Expansion]:
        from bridge.probes.dwarf.probes import Query

        question = self.question
        first = PointPart(question.what, question.wanted)
        query = Query(image, (first, *question.suffixes), self._mark)
        probes = query.probes(self.reasons, [])
        self.taken |= {image.runtime(entry) for entry in query.entries}
        self.named |= {probe.marker.name for probe in probes}
        return [self._described_place(probe) for probe in probes]

    def _described_place(self, probe: FunctionProbe) -> Expansion:
        entry = self._described_place(probe.entry) if probe.entry is not None else None
        ends = "".join(
            f".{s.name}({s.argument})" for s in self.question.suffixes if s.name == "maxactive"
        )
        marker = probe.marker
        strings = {"name": marker.name, "module": marker.provider}
        if probe.own_point:
            strings[OWN_NAME] = f"{self.question.head}.{probe.own_point}"
        return Expansion(
            MarkerAttachment(marker),
            f"{self.question.head}.{probe.point}{ends}",
            strings,
            probe.scope,
            scope=probe.scope,
            entry=entry,
            callers=probe.callers,
        )

    def _mark(
        self, image: DebugImage, place: ProbeAddress, *, returns: bool
    ) -> tuple[Marker, Scope] | None:
        """The marker of a place that debug information tells; None if it cannot be probed."""
        from bridge.probes.kernel.debug_places import marker_of, symbol_of

        assert isinstance(image, KernelImage)
        symbol = symbol_of(image, place, self.kernel.symbols)
        if image.is_gone(place.address):
            self.refused.append((symbol, _GONE))
            return None
        reason = self.kernel.symbols.obstacle(symbol)
        if reason:
            self.refused.append((symbol, reason))
            return None
        scope = None
        if place.address == place.function.entry and not place.function.inlined:
            scope = self._scope(symbol, returns=returns)
        if scope is not None and (symbol.symbol != symbol.name):
            scope = None  # a copy may have other parameters
        machine = self.kernel.world.machine
        shown = marker_of(image, place, symbol, returns=returns)
        debug = DebugScope(shown.scope, scope, self.kernel.static)
        if scope is None:
            hidden = _hidden(machine, None, returns=returns, at_entry=shown.at_entry)
            return replace(shown.marker, hidden=(*shown.marker.hidden, *hidden[1:])), debug
        marker = self._marker(symbol, 0, scope, returns=returns)
        return replace(marker, hidden=(*marker.hidden, *shown.marker.hidden)), debug

    def _lacks_debug_information(self, found: list[Expansion]) -> Diagnostic | None:
        """What to say where a point needs debug information that is not there."""
        if found or not self._by_debug_information or not self.undescribed:
            return None
        return _needs_debug_information(self.kernel, self.question, self.undescribed)

    def _modules(self) -> list[str]:
        """The modules that are meant, by the names that the kernel gives them."""
        from fnmatch import fnmatchcase

        pattern = module_name(self.question.owner)
        return [name for name in self.kernel.symbols.modules() if fnmatchcase(name, pattern)]

    def _candidates(self) -> Iterable[KernelSymbol]:
        symbols = self.kernel.symbols
        if isinstance(self.question.wanted, int):
            around = symbols.around(self.question.wanted)
            return (around,) if around is not None else ()
        owners = {"" if owner == KERNEL else owner for owner in self._owners()}
        if "@" in str(self.question.wanted) and not self.question.bare:
            owners &= {"" if owner == KERNEL else owner for owner in self.undescribed}
        named = symbols.matching if is_wild(self._pattern) else symbols.named
        return (symbol for symbol in named(self._pattern) if symbol.module in owners)

    def _probed(self) -> Iterator[KernelSymbol]:
        seen = set()
        for symbol in self._candidates():
            place = symbol.address or symbol
            if place in seen or self._is_excluded(symbol) or self._is_taken(symbol):
                continue
            seen.add(place)
            reason = self.kernel.symbols.obstacle(symbol)
            if reason:
                self.refused.append((symbol, reason))
            else:
                yield symbol

    def _is_taken(self, symbol: KernelSymbol) -> bool:
        """Whether debug information has told of it."""
        return symbol.address in self.taken if symbol.address else symbol.name in self.named

    def _is_excluded(self, symbol: KernelSymbol) -> bool:
        return self.question.suffix == "exported" and not symbol.is_global

    # --- a place ---

    def _place(self, symbol: KernelSymbol) -> Expansion:
        if not self.question.returns:
            return self._expansion(symbol, returns=False)
        entered = _Question(
            self.question.head, self.question.owner, "function", symbol.name, (), True
        )
        entry = _Query(self.kernel, replace(entered, bare=self.question.bare))
        place = entry._expansion(symbol, returns=False)
        called = replace(place, point=f"{place.point}.call")
        returned = replace(self._expansion(symbol, returns=True), entry=called)
        return _with_arguments(returned) if self.kernel.has("fentry") else returned

    def _expansion(self, symbol: KernelSymbol, *, returns: bool) -> Expansion:
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

    def _scope(self, symbol: KernelSymbol, *, returns: bool) -> KernelScope | None:
        btf = self.kernel.types(symbol.module)
        number = btf.find(TypeKind.FUNC, symbol.name) if btf is not None else None
        if btf is None or number is None:
            return None
        machine = self.kernel.world.machine
        return KernelScope(btf, self.kernel.symbols, symbol, number, machine, returns)

    def _marker(
        self, symbol: KernelSymbol, offset: int, scope: KernelScope | None, *, returns: bool
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
        reasons = (*self.kernel.debug.faults, *self.reasons, *reasons)
        near = None
        if isinstance(self.question.wanted, str) and not is_wild(self._pattern) and not reasons:
            near = self._near
        return NoMatch(0, near=near, reasons=reasons)

    def _near(self) -> str:
        names = {s.name for s in self.kernel.symbols.starting(self._pattern[:3])}
        return among(similar(self._pattern, names), "similar functions")


def _with_arguments(returned: Expansion) -> Expansion:
    """A return with what a trampoline still has of the call."""
    attachment, entry = returned.attachment, returned.entry
    assert isinstance(attachment, MarkerAttachment)
    marker = attachment.marker
    if entry is None or marker.kernel is None or not marker.kernel.trampoline:
        return returned
    assert isinstance(entry.attachment, MarkerAttachment)
    kept = tuple(
        Variable(f"{ENTERED}{v.name}", v.type, (v.raw,), v.ctype, v.raw)
        for v in entry.attachment.marker.readable
        if v.raw is not None
    )
    marker = replace(marker, hidden=(*marker.hidden, *kept))
    entered = {variable.name.removeprefix(ENTERED): variable.name for variable in kept}
    return replace(returned, attachment=replace(attachment, marker=marker), entered=entered)


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


def _needs_debug_information(
    kernel: KernelFunctions, question: _Question, owners: Sequence[str]
) -> Diagnostic:
    """Names the files that were looked for, and the packages that have them."""
    search = kernel.debug.search(owners[0], question.given)
    what = "the kernel" if owners[0] == KERNEL else f"module {owners[0]}"
    files = ", ".join(search.looked_for) or "no file: the kernel's release is not known"
    message = (
        f"{question.point(str(question.wanted))}: source files, lines, inlined copies, labels"
        f" and callees are known from debug information only, and there is none of {what};"
        f" looked for {files}"
    )
    if search.others:
        message += f"; of another kernel (its build-id is another one): {search.others[0]}"
    name = release(kernel.world)
    if name:
        message += (
            f". Debian has it in the package linux-image-{name}-dbg, Ubuntu in"
            f" linux-image-{name}-dbgsym, Fedora in kernel-debuginfo"
        )
    return Diagnostic("needs-debug-information", message, file=FileOffset(KALLSYMS, 0))
