"""/proc/kallsyms and tracefs -> the functions of the kernel, and which of them can be probed.

One rule: a copy that the compiler made of a function (`f.isra.0`, `f.constprop.0`) is the
function; a part that it split off (`f.part.0`, `f.cold`) is none. Sources: proc_kallsyms(5),
Documentation/trace/ftrace.rst ("available_filter_functions"), Documentation/trace/kprobes.rst.
"""

from __future__ import annotations

import re
from collections import Counter
from fnmatch import translate
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from bridge.world import tracefs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.world import World

KALLSYMS = "/proc/kallsyms"
MODULES = "/proc/modules"
BLACKLIST = "/sys/kernel/debug/kprobes/blacklist"
KERNEL = "kernel"
"""What scripts call the kernel without its modules."""

_COPY = r"(?:\.(?:isra|constprop)\.\d+|\.llvm\.\d+)*"
_LINE = re.compile(rb"^([0-9a-f]+) ([tTwW]) (\S+)(?:[ \t]+\[(\w+)\])?$", re.MULTILINE)
_LITERAL = re.compile(r"[^*?\[\\]*")
"""What all names that a shell pattern matches start with."""

_PARTS = re.compile(rf"{_COPY}$")
_FEW = 32
"""So many searches of the text cost as much as an index of all names."""
_NO_FUNCTION = ("__pfx_", "__cfi_", "__SCT__", "__SCK__", "__ksymtab", "__crc_", "__UNIQUE_ID")
"""What symbols of the text section start with that are no functions."""


def module_name(module: str) -> str:
    """What the kernel calls a module that is named, or whose file is given."""
    file = module.rpartition("/")[2]
    return re.sub(r"\.ko(?:\.\w+)?$", "", file).replace("-", "_")


class KernelSymbol(NamedTuple):
    """A function: its symbol, its address (0: hidden from us), and its module ("": none)."""

    symbol: str
    address: int
    module: str
    is_global: bool

    @property
    def name(self) -> str:
        """The function's name in the source."""
        return _PARTS.sub("", self.symbol)

    @property
    def owner(self) -> str:
        """What scripts call the file that it is in."""
        return self.module or KERNEL


class Symbols:
    """The functions of one kernel. Nothing is read before it is asked for."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._asked = 0

    @cached_property
    def _text(self) -> bytes:
        try:
            return self._world.read_file(KALLSYMS)
        except OSError:
            return b""

    @property
    def known(self) -> bool:
        """Whether the symbols of the kernel can be read."""
        return bool(self._text)

    def modules(self) -> Sequence[str]:
        """The modules that are loaded."""
        try:
            text = self._world.read_file(MODULES).decode("utf-8", "replace")
        except OSError:
            return ()
        return sorted(line.split()[0] for line in text.splitlines() if line)

    # --- functions ---

    def named(self, name: str, module: str | None = None) -> list[KernelSymbol]:
        """The functions of a name, of a module or of all."""
        self._asked += 1
        found = self._by_name.get(name, []) if self._asked > _FEW else []
        found = found or self._search(name)
        return list(found) if module is None else [s for s in found if s.module == module]

    @cached_property
    def _by_name(self) -> dict[str, list[KernelSymbol]]:
        found: dict[str, list[KernelSymbol]] = {}
        for symbol in self.all:
            found.setdefault(symbol.name, []).append(symbol)
        return found

    def _search(self, name: str) -> list[KernelSymbol]:
        word = re.escape(name.encode())
        pattern = re.compile(
            rb" [tTwW] " + word + _COPY.encode() + rb"(?:[ \t]+\[\w+\])?$", re.M
        )
        found = []
        for match in pattern.finditer(self._text):
            start = self._text.rfind(b"\n", 0, match.start()) + 1
            line = _LINE.match(self._text[start : match.end()])
            if line is not None:
                found.append(_symbol(line.groups()))
        return found

    def starting_at(self, address: int) -> KernelSymbol | None:
        """The function that begins at an address, parts that were split off as well."""
        row = re.compile(rb"^%016x [tTwW] .*$" % address, re.MULTILINE)
        found = row.search(self._text)
        line = _LINE.match(found[0]) if found is not None else None
        return _symbol(line.groups()) if line is not None else None

    def is_only(self, symbol: KernelSymbol) -> bool:
        """Whether no other function of the kernel (or of its module) has the name."""
        if "all" in self.__dict__:
            return self._counts[symbol.name, symbol.module] == 1
        return len(self.named(symbol.name, symbol.module)) == 1

    @cached_property
    def _counts(self) -> Counter[tuple[str, str]]:
        return Counter((symbol.name, symbol.module) for symbol in self.all)

    @cached_property
    def all(self) -> tuple[KernelSymbol, ...]:
        """All functions, in the order of the kernel's list."""
        found = map(_symbol, _LINE.findall(self._text))
        return tuple(s for s in found if not s.symbol.startswith(_NO_FUNCTION))

    def matching(self, pattern: str) -> Iterator[KernelSymbol]:
        """The functions whose name a shell pattern matches; no parts split off."""
        matches = re.compile(translate(pattern)).match
        literal = _LITERAL.match(pattern)
        assert literal is not None
        near = self.starting(literal[0])
        return (s for s in near if matches(s.name) and not _is_part(s.name))

    def starting(self, start: str) -> Iterator[KernelSymbol]:
        """The functions whose symbol starts so: a kernel has tens of thousands of others."""
        if "all" in self.__dict__ or not start:
            return (s for s in self.all if s.symbol.startswith(start))
        line = rb"^[0-9a-f]+ [tTwW] " + re.escape(start.encode()) + rb"\S*(?:[ \t]+\[\w+\])?$"
        found = re.compile(line, re.MULTILINE).finditer(self._text)
        lines = (_LINE.match(match[0]) for match in found)
        symbols = (_symbol(groups.groups()) for groups in lines if groups is not None)
        return (s for s in symbols if not s.symbol.startswith(_NO_FUNCTION))

    def around(self, address: int) -> KernelSymbol | None:
        """The function that an address is in."""
        best: KernelSymbol | None = None
        for symbol in self.all:
            if symbol.address <= address and (best is None or symbol.address >= best.address):
                best = symbol
        return best

    # --- data ---

    @property
    def has_variables(self) -> bool:
        """Whether variables have names (CONFIG_KALLSYMS_ALL): every kernel has this one."""
        return b" jiffies\n" in self._text

    def variable(self, name: str) -> int:
        """The address of a global variable; 0 if there is none, or it is hidden."""
        word = re.escape(name.encode())
        match = re.search(rb"^([0-9a-f]+) [bBdDrRvVgG] " + word + rb"\b", self._text, re.M)
        return int(match[1], 16) if match else 0

    def extent(self, name: str) -> tuple[int, int]:
        """Its address, and how many bytes there are to the next symbol; 0 and 0: unknown."""
        address = self.variable(name)
        if not address:
            return 0, 0
        addresses = (int(line[:16], 16) for line in self._text.splitlines() if line[:1] != b" ")
        after = min((other for other in addresses if other > address), default=address + 1)
        return address, after - address

    # --- what can be probed ---

    @cached_property
    def _traceable(self) -> frozenset[tuple[str, str]]:
        mounted = tracefs(self._world)
        if mounted is None:
            return frozenset()
        try:
            text = self._world.read_file(f"{mounted}/available_filter_functions")
        except OSError:
            return frozenset()
        lines = (line.split() for line in text.decode("utf-8", "replace").splitlines())
        return frozenset(
            (words[0], words[1].strip("[]") if len(words) > 1 else "")
            for words in lines
            if words
        )

    @cached_property
    def _forbidden(self) -> frozenset[str]:
        try:
            text = self._world.read_file(BLACKLIST).decode("utf-8", "replace")
        except OSError:
            return frozenset()
        lines = (line.split() for line in text.splitlines())
        return frozenset(words[1] for words in lines if len(words) > 1)

    def obstacle(self, symbol: KernelSymbol) -> str:
        """Why a function cannot be probed; "" if it can, or if that cannot be told."""
        if symbol.symbol in self._forbidden:
            return (
                "the kernel does not let it be probed (it is in the list of kprobes/blacklist)"
            )
        traceable = self._traceable
        if traceable and (symbol.symbol, symbol.module) not in traceable:
            return (
                "the kernel was built without tracing of it (it is not in"
                " available_filter_functions: notrace, or only used at start-up)"
            )
        return ""


def _symbol(groups: Sequence[bytes | None]) -> KernelSymbol:
    address, kind, name, module = groups
    assert address is not None
    assert kind is not None
    assert name is not None
    return KernelSymbol(
        name.decode(), int(address, 16), (module or b"").decode(), kind in (b"T", b"W")
    )


def _is_part(name: str) -> bool:
    return "." in name
