"""The callers of a place -> variables with their return addresses, and what these must be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.markers import BIAS, CALL_BIAS, Constant, NoAccess, ValueType, Variable
from bridge.probes.dwarf.callees import return_words
from bridge.probes.dwarf.scope import At, base_variables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.markers import (
        Callers,
        Enumerator,
        GlobalAccess,
        Listed,
        Part,
        Result,
        Scope,
        Structure,
    )
    from bridge.probes.dwarf.image import DebugImage
    from bridge.probes.dwarf.units import DebugFunction

_SIGN = 1 << 63


@dataclass(frozen=True)
class Called:
    """Which calls count: the variables of a place by names that no script can write."""

    ways: Mapping[str, Result]
    callers: Callers

    def within(self, scope: Scope) -> Scope:
        """What can be named at the place, with these."""
        return CalledScope(scope, self.ways) if self.ways else scope


def called_from(
    image: DebugImage, function: DebugFunction, address: int, chains: Sequence[tuple[int, ...]]
) -> Called | None:
    """What to compare at an address; None where it is not told where returns are kept."""
    ways: dict[str, Result] = {CALL_BIAS: _bias(image, function, address)}
    callers = []
    for chain in chains:
        words = return_words(image, address, chain)
        if words is None:
            continue
        pairs = []
        for word, wanted in zip(words, chain, strict=True):
            assert isinstance(word.base, Variable)
            name = f"return address at {word.base.name}+{word.offsets[0]}"
            ways[name] = word
            pairs.append((name, _signed(_expected(image, wanted))))
        callers.append(tuple(pairs))
    return Called(ways, tuple(callers)) if callers else None


def _expected(image: DebugImage, address: int) -> int:
    loaded = image.loaded(address)
    return address if loaded is None else loaded


def _signed(value: int) -> int:
    return value - 2 * _SIGN if value & _SIGN else value


def _bias(image: DebugImage, function: DebugFunction, address: int) -> Variable:
    if image.space == "kernel":  # where it is, is known
        return Variable(CALL_BIAS, ValueType.LONG, (Constant(0),))
    at = At(image, function, address, site=address)
    return next(variable for variable in base_variables(at) if variable.name == BIAS)


@dataclass(frozen=True)
class CalledScope:
    """What can be named at a place, and the return addresses of its calls."""

    scope: Scope
    ways: Mapping[str, Result]

    def access(
        self,
        name: str,
        path: Sequence[Part],
        *,
        address_of: bool = False,
        pretty: str = "",
    ) -> Result:
        """See `markers.Members`."""
        if name in self.ways:
            return self.ways[name]
        return self.scope.access(name, path, address_of=address_of, pretty=pretty)

    def result(self) -> Sequence[Listed]:
        """See `markers.Scope`."""
        return self.scope.result()

    def listed(self) -> Sequence[Listed]:
        """See `markers.Scope`."""
        return self.scope.listed()

    def static(self, wanted: GlobalAccess) -> Result:
        """See `markers.Scope`."""
        return self.scope.static(wanted)

    def structure(self, name: str, module: str) -> Structure | NoAccess:
        """See `markers.Scope`."""
        return self.scope.structure(name, module)

    def enumerator(self, name: str) -> Enumerator | NoAccess:
        """See `markers.Scope`."""
        return self.scope.enumerator(name)
