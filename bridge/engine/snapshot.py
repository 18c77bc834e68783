"""The globals of a session as Python values, at one moment.

Numbers are `int`, strings `str` (UTF-8, what is none with surrogates), statistics `Statistic`,
arrays `dict` in the order of insertion, whose keys are tuples where there are several. The
rule: only the session's own thread looks, so a value is whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge import declared
from bridge._native import ffi, lib
from bridge.ir.program import Array, Scalar, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.engine.base import LiveSession
    from bridge.ir.program import Buckets, Global, StatShape

_LOG_ZERO = 64
"""The bucket of 0 (`csrc/runtime/stat.c`)."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many values were from `low` to `high`, both included; None: without a bound."""

    low: int | None
    high: int | None
    count: int


@dataclass(frozen=True, slots=True)
class Statistic:
    """What `<<<` has collected; `min`, `max` and `avg` are None while there are no values.

    `avg` is an integer, as `@avg`. `variance` and `histogram` are None unless the script uses
    them; the histogram has only buckets with values in them.
    """

    count: int
    sum: int
    min: int | None = None
    max: int | None = None
    avg: int | None = None
    variance: int | None = None
    histogram: tuple[Bucket, ...] | None = None


Key = int | str | tuple[int | str, ...]
Single = int | str | Statistic
GlobalValue = Single | dict[Key, Single]
"""The value of a global."""


def snapshot(session: LiveSession) -> dict[str, GlobalValue]:
    """The globals of a session by name; none if the interpreter has it, which keeps its own."""
    found: dict[str, GlobalValue] = {}
    with session.lent as handle:
        if handle == ffi.NULL:
            return found
        for number, variable in enumerate(session.placed.program.globals):
            found[variable.name] = value_of(handle, number, variable)
    return found


def value_of(
    handle: Any,  # noqa: ANN401 - cffi
    number: int,
    variable: Global,
) -> GlobalValue:
    """The value of one global of a C session."""
    if isinstance(variable, Array):
        return dict(_entries(handle, number, variable))
    if variable.stat is not None:
        return _statistic(handle, number, ffi.NULL, variable.stat)
    word = ffi.cast("struct mb_session_head *", handle).globals[number]
    return _single(word, variable)


def _single(word: int, variable: Scalar) -> Single:
    return _text(word) if variable.type is Value.STRING else int(word)


def _text(word: int) -> str:
    data = bytes(ffi.string(ffi.cast("char *", word)))
    return data.decode("utf-8", "surrogateescape")


def _entries(
    handle: Any,  # noqa: ANN401 - cffi
    number: int,
    array: Array,
) -> Iterator[tuple[Key, Single]]:
    keys, value = ffi.new("int64_t[]", declared.MB_MAX_KEYS), ffi.new("int64_t *")
    at = lib.mb_session_walk(handle, number, 0, keys, value)
    while at:
        words = zip(array.keys, keys, strict=False)
        parts = tuple(_text(w) if kind is Value.STRING else int(w) for kind, w in words)
        single: Single
        if array.stat is not None:
            single = _statistic(handle, number, keys, array.stat)
        else:
            single = _text(value[0]) if array.value is Value.STRING else int(value[0])
        yield parts[0] if len(parts) == 1 else parts, single
        at = lib.mb_session_walk(handle, number, at, keys, value)


def _statistic(
    handle: Any,  # noqa: ANN401 - cffi
    number: int,
    keys: Any,  # noqa: ANN401 - cffi
    shape: StatShape,
) -> Statistic:
    result = ffi.new("int64_t *")

    def part(op: int) -> int:
        lib.mb_stat_get(handle, number, keys, op, result, declared.MB_NO_SITE)
        return int(result[0])

    count, total = part(declared.MB_COUNT), part(declared.MB_SUM)
    buckets: tuple[Bucket, ...] | None = None if shape.buckets is None else ()
    if not count:
        return Statistic(count, total, histogram=buckets)
    variance = part(declared.MB_VARIANCE) if "variance" in shape.parts else None
    least, most = part(declared.MB_MIN), part(declared.MB_MAX)
    if shape.buckets is not None:
        buckets = tuple(_buckets(handle, number, keys, shape.buckets))
    average = part(declared.MB_AVG)
    return Statistic(count, total, least, most, average, variance, buckets)


def _buckets(
    handle: Any,  # noqa: ANN401 - cffi
    number: int,
    keys: Any,  # noqa: ANN401 - cffi
    shape: Buckets,
) -> Iterator[Bucket]:
    result = ffi.new("int64_t *")
    total = lib.mb_session_buckets(handle, number)
    for at in range(total):
        lib.mb_histogram_get(handle, number, keys, at, result, declared.MB_NO_SITE)
        if result[0]:
            bounds = _log_bounds(at) if shape.kind == "log" else _bounds(at, total, shape)
            yield Bucket(*bounds, int(result[0]))


def _log_bounds(at: int) -> tuple[int, int]:
    """Powers of two: 0; 1; 2..3; 4..7; and the same below 0."""
    bits = abs(at - _LOG_ZERO)
    if not bits:
        return 0, 0
    low, high = 1 << bits - 1, (1 << bits) - 1
    return (low, high) if at > _LOG_ZERO else (-high, -low)


def _bounds(at: int, total: int, shape: Buckets) -> tuple[int | None, int | None]:
    """The first bucket is what is below, the last one what is above."""
    if at == 0:
        return None, shape.low - 1
    low = shape.low + (at - 1) * shape.step
    return (low, None) if at == total - 1 else (low, low + shape.step - 1)


# --- sums -------------------------------------------------------------------------------------


def combined(first: GlobalValue, second: GlobalValue) -> GlobalValue:
    """What a global is to which two have added: what was there, and what the kernel holds."""
    match first, second:
        case dict(), dict():
            sums = {
                key: _sum(value, second[key]) for key, value in first.items() if key in second
            }
            return first | second | sums
        case ((int() | Statistic()), (int() | Statistic())):
            return _sum(first, second)
        case _:
            return first


def _sum(first: Single, second: Single) -> Single:
    match first, second:
        case int(), int():
            return wrapped(first + second)
        case Statistic(), Statistic():
            return _merged(first, second)
        case _:
            return first


def wrapped(value: int) -> int:
    """A sum as 64 bits hold it."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def _merged(first: Statistic, second: Statistic) -> Statistic:
    """Statistics that the kernel adds to have no variance (`placement`)."""
    if not first.count or not second.count:
        return first if first.count else second
    count, total = first.count + second.count, wrapped(first.sum + second.sum)
    average = abs(total) // count
    return Statistic(
        count,
        total,
        min(s.min for s in (first, second) if s.min is not None),
        max(s.max for s in (first, second) if s.max is not None),
        average if total >= 0 else -average,
        None,
        _merged_buckets(first.histogram, second.histogram),
    )


def _merged_buckets(
    first: tuple[Bucket, ...] | None, second: tuple[Bucket, ...] | None
) -> tuple[Bucket, ...] | None:
    if first is None or second is None:
        return None
    counts: dict[tuple[int | None, int | None], int] = {}
    for bucket in (*first, *second):
        bounds = bucket.low, bucket.high
        counts[bounds] = counts.get(bounds, 0) + bucket.count

    def from_below(bounds: tuple[int | None, int | None]) -> float:
        return float("-inf") if bounds[0] is None else bounds[0]

    return tuple(Bucket(*bounds, counts[bounds]) for bounds in sorted(counts, key=from_below))
