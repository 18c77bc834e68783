"""Associative arrays: insertion order, sizes, sorting that stays (spec section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.interpreter.faults import ScriptError
from bridge.interpreter.statistics import RunningStatistic
from bridge.ir.program import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.ir.ops import Order
    from bridge.ir.program import Array

Item = int | bytes
Key = tuple[Item, ...]
Entry = Item | RunningStatistic
SELECTED = 30
"""Up to this limit a sort only brings the first entries to the front."""


class OrderedArray:
    """One array; the dict keeps the order of iteration."""

    def __init__(self, declaration: Array) -> None:
        self.declaration = declaration
        self.entries: dict[Key, Entry] = {}
        self.sorted = 0
        """How often the order has changed."""

    def get(self, key: Key) -> Item:
        """The value, 0 or "" if there is none."""
        found = self.entries.get(key)
        if found is None:
            return 0 if self.declaration.value is Value.LONG else b""
        assert not isinstance(found, RunningStatistic)
        return found

    def set(self, key: Key, value: Entry) -> None:
        """Make or change an entry."""
        if key not in self.entries:
            self._make_room()
        self.entries[key] = value

    def statistic(self, key: Key) -> RunningStatistic:
        """The statistic, made if there is none."""
        if key not in self.entries:
            assert self.declaration.stat is not None
            self.set(key, RunningStatistic(self.declaration.stat, merged=False))
        found = self.entries[key]
        assert isinstance(found, RunningStatistic)
        return found

    def _make_room(self) -> None:
        if len(self.entries) < self.declaration.size:
            return
        if not self.declaration.wrap:
            what = "size limit" if self.declaration.sized else "MAXMAPENTRIES"
            size = f" ({self.declaration.size})" if self.declaration.sized else ""
            raise ScriptError(f"Array overflow, check {what}{size}")
        del self.entries[next(iter(self.entries))]

    def matching(self, pattern: Sequence[Item | None]) -> list[Key]:
        """The keys that match; None is a wildcard."""
        if None not in pattern:
            exact = tuple(item for item in pattern if item is not None)
            return [exact] if exact in self.entries else []
        return [key for key in self.entries if matches(key, pattern)]

    # --- order --------------------------------------------------------------------------------

    def sort(self, order: Order, limit: int | None) -> None:
        """Reorder for good."""
        weight = self._weight(order)
        keys = list(self.entries)
        # SystemTap takes the limit as a C int
        selected = 0 if limit is None else ((limit + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
        if selected == 0 or selected > SELECTED:
            keys.sort(key=weight, reverse=order.descending)
        else:
            _select(keys, selected, weight, descending=order.descending)
        self.entries = {key: self.entries[key] for key in keys}
        self.sorted += 1

    def _weight(self, order: Order) -> Callable[[Key], Item]:
        if order.by == "key":
            return lambda key: key[order.key]
        by = order.by if order.by in {"sum", "min", "max", "avg"} else "count"

        def value(key: Key) -> Item:
            found = self.entries[key]
            return found.read(by) if isinstance(found, RunningStatistic) else found

        return value


def matches(key: Key, pattern: Sequence[Item | None]) -> bool:
    """Whether a key fits a slice."""
    return all(want is None or want == item for item, want in zip(key, pattern, strict=True))


def _select(
    keys: list[Key], count: int, weight: Callable[[Key], Item], *, descending: bool
) -> None:
    """Bubble-sort the first `count`, then sift the others in; what falls out stays behind."""

    def is_behind(first: Key, second: Key) -> bool:
        a, b = weight(first), weight(second)
        if isinstance(a, bytes) or isinstance(b, bytes):
            assert isinstance(a, bytes)
            assert isinstance(b, bytes)
            return a < b if descending else a > b
        return a < b if descending else a > b

    last = max(min(count, len(keys)) - 1, 0)
    swapped = True
    while swapped:
        swapped = False
        for at in range(last):
            if is_behind(keys[at], keys[at + 1]):
                keys[at], keys[at + 1] = keys[at + 1], keys[at]
                swapped = True
    for at in range(last + 1, len(keys)):
        to = last
        while to >= 0 and is_behind(keys[to], keys[at]):
            to -= 1
        if to != last:
            keys.insert(to + 1, keys.pop(at))
