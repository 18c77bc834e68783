"""What hits add to the globals of a session, as data: out of one session and into another.

Additions commute, so a script whose hits only add may run over pieces of a recording, and the
sums are those of one run. Entries come in the order of insertion, and a merge of pieces in
their order inserts as one run over them would. Sources: `mb_session_walk`, `mb_session_add`
and `mb_session_merge_stat` of csrc/runtime/session.cdef.h.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge import declared
from bridge._native import ffi, lib
from bridge.engine.snapshot import wrapped
from bridge.ir.program import Array, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bridge.engine.session.native import NativeSession
    from bridge.ir.program import Global, StatShape

Key = tuple[int | bytes, ...]
"""The keys of an entry; () for a scalar."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What a statistic has collected; `buckets` is () without a histogram."""

    count: int
    sum: int
    min: int
    max: int
    buckets: tuple[int, ...] = ()


Entries = dict[Key, "int | bytes | Collected"]
Aggregates = dict[str, Entries]
"""Entries of globals, by the names of these."""


# --- out of a session -------------------------------------------------------------------------


def take(session: NativeSession, names: Iterable[str]) -> Aggregates:
    """The entries of some globals of a session, which keeps them."""
    wanted = frozenset(names)
    with session.lent as handle:
        return {
            variable.name: dict(_entries(handle, number, variable))
            for number, variable in enumerate(session.placed.program.globals)
            if variable.name in wanted
        }


def _entries(
    handle: Any,  # noqa: ANN401 - cffi
    number: int,
    variable: Global,
) -> Iterator[tuple[Key, int | bytes | Collected]]:
    if not isinstance(variable, Array):
        word = ffi.cast("struct mb_session_head *", handle).globals[number]
        stat = variable.stat
        yield (), _value(handle, number, ffi.NULL, word, stat, variable.type)
        return
    keys, value = ffi.new("int64_t[]", declared.MB_MAX_KEYS), ffi.new("int64_t *")
    at = lib.mb_session_walk(handle, number, 0, keys, value)
    while at:
        words = zip(variable.keys, keys, strict=False)
        key = tuple(_text(w) if kind is Value.STRING else int(w) for kind, w in words)
        yield key, _value(handle, number, keys, value[0], variable.stat, variable.value)
        at = lib.mb_session_walk(handle, number, at, keys, value)


def _value(
    handle: Any,  # noqa: ANN401 - cffi
    number: int,
    keys: Any,  # noqa: ANN401 - cffi
    word: int,
    stat: StatShape | None,
    type_: Value | None,
) -> int | bytes | Collected:
    if stat is not None:
        return _collected(handle, number, keys, stat)
    return _text(word) if type_ is Value.STRING else int(word)


def _text(word: int) -> bytes:
    return bytes(ffi.string(ffi.cast("char *", word)))


def _collected(
    handle: Any,  # noqa: ANN401 - cffi
    number: int,
    keys: Any,  # noqa: ANN401 - cffi
    shape: StatShape,
) -> Collected:
    result = ffi.new("int64_t *")
    lib.mb_stat_get(handle, number, keys, declared.MB_COUNT, result, declared.MB_NO_SITE)
    total = 0 if shape.buckets is None else lib.mb_session_buckets(handle, number)
    if not result[0]:
        return Collected(0, 0, 0, 0, (0,) * total)

    def part(op: int) -> int:
        lib.mb_stat_get(handle, number, keys, op, result, declared.MB_NO_SITE)
        return int(result[0])

    buckets = []
    for at in range(total):
        lib.mb_histogram_get(handle, number, keys, at, result, declared.MB_NO_SITE)
        buckets.append(int(result[0]))
    count, total_sum = part(declared.MB_COUNT), part(declared.MB_SUM)
    least, most = part(declared.MB_MIN), part(declared.MB_MAX)
    return Collected(count, total_sum, least, most, tuple(buckets))


# --- into a session ---------------------------------------------------------------------------


def merge(
    session: NativeSession, found: Aggregates, blame: Mapping[str, tuple[int, int]]
) -> None:
    """Add entries to the globals of a session.

    A full array is an error of the handler and the site that `blame` has for the global.
    """
    with session.lent as handle:
        for number, variable in enumerate(session.placed.program.globals):
            for key, value in found.get(variable.name, {}).items():
                _add(handle, number, key, value, blame[variable.name])


def _add(
    handle: Any,  # noqa: ANN401 - cffi
    number: int,
    key: Key,
    value: int | bytes | Collected,
    blame: tuple[int, int],
) -> None:
    keys, _kept = _words(key)
    match value:
        case Collected(count=count, sum=total, min=least, max=most, buckets=buckets):
            values = ffi.new("int64_t[]", (count, total, least, most))
            counts = ffi.new("int64_t[]", buckets) if buckets else ffi.NULL
            if count or key:
                lib.mb_session_merge_stat(handle, number, keys, values, counts, *blame)
        case int():
            lib.mb_session_add(handle, number, keys, value, *blame)
        case bytes():
            raise AssertionError("texts are not added")


def store(session: NativeSession, found: Aggregates) -> None:
    """Give the globals of a session values that another one has."""
    with session.lent as handle:
        for number, variable in enumerate(session.placed.program.globals):
            for key, value in found.get(variable.name, {}).items():
                keys, _kept = _words(key)
                if isinstance(value, bytes):
                    lib.mb_session_store_string(handle, number, keys, value)
                else:
                    assert isinstance(value, int), "statistics are merged"
                    lib.mb_session_store(handle, number, keys, value)


def _words(key: Key) -> tuple[Any, list[Any]]:
    """Keys as C takes them, and what has to live as long."""
    if not key:
        return ffi.NULL, []
    kept = [ffi.new("char[]", part) for part in key if isinstance(part, bytes)]
    texts = iter(kept)
    words = [
        int(ffi.cast("intptr_t", next(texts))) if isinstance(part, bytes) else part
        for part in key
    ]
    return ffi.new("int64_t[]", words), kept


# --- sums -------------------------------------------------------------------------------------


def combined(first: Aggregates, second: Aggregates) -> Aggregates:
    """The sums of two, whose entries are in the order of insertion."""
    return {
        name: _combined_entries(first.get(name, {}), second.get(name, {}))
        for name in (*first, *(name for name in second if name not in first))
    }


def _combined_entries(first: Entries, second: Entries) -> Entries:
    result = dict(first)
    for key, value in second.items():
        known = result.get(key)
        result[key] = value if known is None else _sum(known, value)
    return result


def _sum(first: int | bytes | Collected, second: int | bytes | Collected) -> int | Collected:
    match first, second:
        case int(), int():
            return wrapped(first + second)
        case Collected(count=0), Collected():
            return second
        case Collected(), Collected(count=0):
            return first
        case Collected(), Collected():
            pairs = zip(first.buckets, second.buckets, strict=True)
            return Collected(
                first.count + second.count,
                wrapped(first.sum + second.sum),
                min(first.min, second.min),
                max(first.max, second.max),
                tuple(map(sum, pairs)),
            )
        case _:
            raise AssertionError(f"no sum of {first!r} and {second!r}")
