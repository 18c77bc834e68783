"""Statistics and histogram text (spec section 7)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.interpreter.faults import ScriptError
from bridge.ir.arithmetic import calculate, wrap

if TYPE_CHECKING:
    from bridge.ir.program import Buckets, StatShape

LOG_BUCKETS = 128
LOG_ZERO = 64
"""The number of the logarithmic bucket of the value 0."""
WIDTH = 50
MARGIN = 2
NARROWEST = 5
"""The width of the word "value"."""


def bucket_count(buckets: Buckets) -> int:
    """How many buckets a shape has, underflow and overflow included."""
    if buckets.kind == "log":
        return LOG_BUCKETS
    return _quotient(buckets.high - buckets.low, buckets.step) + 3


def _quotient(left: int, right: int) -> int:
    result = calculate("/", left, right)
    assert result is not None
    return result


@dataclass(slots=True)
class RunningStatistic:
    """One statistic. `mean` and `deviation` are Welford's, scaled by `variance_bits`.

    `merged` is what a scalar is: SystemTap merges it from its CPUs when it is read, which
    corrects part of the rounding of @variance; entries of arrays are taken as they are.
    """

    shape: StatShape
    merged: bool = True
    count: int = 0
    sum: int = 0
    min: int = 0
    max: int = 0
    mean: int = 0
    deviation: int = 0
    histogram: list[int] = field(default_factory=list)

    def add(self, value: int) -> None:
        """`statistic <<< value`."""
        shifted = wrap(value << self.shape.variance_bits)
        if self.count == 0:
            self.count, self.sum, self.min, self.max = 1, value, value, value
            self.mean, self.deviation = shifted, 0
        else:
            self.count += 1
            self.sum = wrap(self.sum + value)
            self.min, self.max = min(self.min, value), max(self.max, value)
            self._vary(shifted)
        if self.shape.buckets is not None:
            self._bucket(self.shape.buckets, value)

    def _vary(self, shifted: int) -> None:
        # SystemTap keeps the difference in a C int
        delta = ((shifted - self.mean + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
        self.mean = wrap(self.mean + _quotient(delta, self.count))
        self.deviation = wrap(self.deviation + delta * wrap(shifted - self.mean))

    def _bucket(self, buckets: Buckets, value: int) -> None:
        if not self.histogram:
            self.histogram = [0] * bucket_count(buckets)
        self.histogram[bucket_of(buckets, value)] += 1

    def read(self, part: str) -> int:
        """An extractor."""
        if part in {"count", "sum"}:
            return self.count if part == "count" else self.sum
        if self.count == 0:
            raise ScriptError("empty aggregate")
        match part:
            case "min":
                return self.min
            case "max":
                return self.max
            case "avg":
                return _quotient(self.sum, self.count)
            case _:
                return self._variance()

    def _variance(self) -> int:
        if self.count == 1:
            return 0
        variance = _quotient(self.deviation, self.count - 1)
        if self.merged:
            mean = _quotient(wrap(self.sum << self.shape.variance_bits), self.count)
            off = wrap(self.mean - mean)
            squares = wrap(wrap(self.count * off) * off)
            total = wrap(squares + wrap((self.count - 1) * variance))
            variance = _quotient(total, self.count - 1)
        # the count of a shift has 6 bits, as on the processor
        return variance >> (2 * self.shape.variance_bits & 63)


def bucket_of(buckets: Buckets, value: int) -> int:
    """The number of the bucket that a value belongs to."""
    if buckets.kind == "log":
        distance = value.bit_length()
        at = LOG_ZERO - distance if value < 0 else LOG_ZERO + distance
        return max(0, min(at, LOG_BUCKETS - 1))
    above = wrap(value - buckets.low)
    if above < 0:
        return 0
    return min(above // buckets.step + 1, bucket_count(buckets) - 1)


def _lower_bound(buckets: Buckets, at: int) -> int:
    if buckets.kind == "linear":
        # the last bucket is labelled with the bound that it exceeds
        last = bucket_count(buckets) - 1
        step = at - 2 if at == last else max(at - 1, 0)
        return buckets.low + step * buckets.step
    if at == LOG_ZERO:
        return 0
    power = abs(at - LOG_ZERO) - 1
    return -(1 << power) if at < LOG_ZERO else 1 << power


def histogram_text(statistic: RunningStatistic, elision: int) -> bytes:
    """The whole text of a histogram, an empty line at its end included."""
    buckets = statistic.shape.buckets
    assert buckets is not None
    if statistic.count == 0:
        raise ScriptError("empty aggregate")
    counts = statistic.histogram
    first, last = _range(buckets, counts)
    width = _label_width(buckets, first, last)
    scale = -(-max(counts) // WIDTH) if max(counts) > WIDTH else 1
    lines = [f"{'value':>{width}} |{'-' * WIDTH} count"]
    eliding = False
    for at in range(first, last + 1):
        if _is_elided(counts, at, (first, last), elision):
            eliding = True
            continue
        if eliding:
            lines.append(f"{'':>{width}} ~")
            eliding = False
        bar = "@" * (counts[at] // scale)
        room = WIDTH - len(bar) + 1 + len(str(max(counts)))
        lines.append(f"{_label(buckets, at):>{width}} |{bar}{counts[at]:>{room}}")
    return "".join(f"{line}\n" for line in [*lines, ""]).encode()


def _range(buckets: Buckets, counts: list[int]) -> tuple[int, int]:
    """The first and the last bucket to print: those in use and a margin."""
    used = [at for at, count in enumerate(counts) if count]
    first, last = used[0], used[-1]
    for _ in range(MARGIN):
        if first > 0 and not (buckets.kind == "log" and first == LOG_ZERO):
            first -= 1
        last = min(last + 1, len(counts) - 1)
    if buckets.kind == "linear":
        first += first == 0 and not counts[0]
        last -= last == len(counts) - 1 and not counts[-1]
    return first, last


def _label(buckets: Buckets, at: int) -> str:
    mark = ""
    if buckets.kind == "linear":
        last = bucket_count(buckets) - 1
        mark = "<" if at == 0 else ">" if at == last else ""
    return f"{mark}{_lower_bound(buckets, at)}"


def _label_width(buckets: Buckets, first: int, last: int) -> int:
    if buckets.kind == "log":
        ends = [str(_lower_bound(buckets, at)) for at in (first, last)]
        return max(NARROWEST, *map(len, ends))
    low = len(str(buckets.low)) + (first == 0)
    # SystemTap measures the value behind the last one that it prints
    high = len(str(buckets.low + buckets.step * last))
    return max(NARROWEST, low, high + (last == bucket_count(buckets) - 1))


def _is_elided(counts: list[int], at: int, printed: tuple[int, int], elision: int) -> bool:
    if elision < 0:
        return False
    reach = min(elision, len(counts))
    near = range(max(printed[0], at - reach), min(printed[1], at + reach) + 1)
    return not any(counts[other] for other in near)
