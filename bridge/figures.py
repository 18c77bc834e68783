"""Histograms, counts and time lines as SVG: what a notebook shows of a session or a trace.

The rule: a figure is text without scripts or fonts of its own, and has all its numbers as
titles that a pointer shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from bridge.engine.snapshot import Statistic
from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.engine.hits import Hit
    from bridge.engine.snapshot import Bucket, GlobalValue
    from bridge.trace.arrays import Columns

_ROW, _LABEL, _WIDTH, _NUMBER = 18, 170, 420, 90
_BINS, _LANE = 120, 40
_MOST_ROWS = 40
_COLOUR = "#3b6ea5"


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture; notebooks show it by themselves, `svg` is its text for anything else."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        return self.svg


def show(
    what: GlobalValue | Iterable[Hit] | Columns | Mapping[str, Columns], title: str = ""
) -> Figure:
    """A histogram, the counts of an array, or a time line of hits or events.

    A statistic of a script that asks for its histogram, a global array of numbers (the largest
    first) or statistics, hits, or what `columns` gives. BridgeError, if there is nothing to
    show.
    """
    if isinstance(what, Statistic):
        return Figure(_page(title, [_bars("", _rows_of(what))]))
    if isinstance(what, int | str):
        raise BridgeError("a single value is no picture; show an array or a statistic")
    if isinstance(what, Mapping):
        return _of_mapping(what, title)
    if not isinstance(what, Iterable):
        name = what.event_class.name
        return Figure(_page(title, _lanes({name: list(what.timestamp_ns)})))
    times: dict[str, list[int]] = {}
    for hit in what:
        times.setdefault(hit.name, []).append(hit.timestamp_ns)
    return Figure(_page(title, _lanes(times)))


def _of_mapping(what: Mapping[Any, Any], title: str) -> Figure:
    kinds = {type(value) for value in what.values()}
    if kinds == {int}:
        ordered = sorted(what.items(), key=lambda item: -item[1])
        return Figure(_page(title, [_bars("", [(_key(key), n) for key, n in ordered])]))
    if kinds == {Statistic}:
        return Figure(_page(title, [_bars(_key(k), _rows_of(v)) for k, v in what.items()]))
    if kinds and not kinds & {int, str, Statistic}:
        times = {name: list(table.timestamp_ns) for name, table in what.items()}
        return Figure(_page(title, _lanes(times)))
    raise BridgeError("this has no picture; show numbers, statistics, hits or columns")


def _key(key: object) -> str:
    return ", ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _rows_of(statistic: Statistic) -> list[tuple[str, int]]:
    if statistic.histogram is None:
        raise BridgeError("the script asks for no histogram of this: print(@hist_log(...))")
    return [(_bounds(bucket), bucket.count) for bucket in statistic.histogram]


def _bounds(bucket: Bucket) -> str:
    low = "-∞" if bucket.low is None else str(bucket.low)
    high = "∞" if bucket.high is None else str(bucket.high)
    return low if low == high else f"{low} … {high}"


# --- drawing ----------------------------------------------------------------------------------

_Part = tuple[int, str]
"""The height of a piece, and its text; it begins at 0."""


def _page(title: str, parts: Sequence[_Part]) -> str:
    if not parts:
        raise BridgeError("there is nothing to show")
    shown, at = "", 0
    if title:
        shown, at = _text(4, 14, title, "font-weight='bold'"), 24
    for height, text in parts:
        shown += f"<g transform='translate(0 {at})'>{text}</g>"
        at += height + 8
    width = _LABEL + _WIDTH + _NUMBER
    head = f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{at}'"
    style = "font-family='sans-serif' font-size='12'"
    return f"{head} viewBox='0 0 {width} {at}' {style}>{shown}</svg>"


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f"<text x='{x}' y='{y}' fill='currentColor' {more}>{escape(text)}</text>"


def _bars(label: str, rows: Sequence[tuple[str, int]]) -> _Part:
    """A bar for each row."""
    if not rows:
        raise BridgeError("there is nothing to show: it has no values")
    left_out = len(rows) - _MOST_ROWS
    most = max(1, *(count for _, count in rows))
    at = _ROW if label else 0
    text = _text(4, 13, label) if label else ""
    for name, count in rows[:_MOST_ROWS]:
        length = max(0, count) * _WIDTH / most
        title = f"<title>{escape(name)}: {count}</title>"
        text += _text(_LABEL - 8, at + 13, name[-28:], "text-anchor='end'")
        text += f"<rect x='{_LABEL}' y='{at + 2}' width='{length:.1f}' height='{_ROW - 4}'"
        text += f" fill='{_COLOUR}'>{title}</rect>"
        text += _text(_LABEL + length + 6, at + 13, str(count))
        at += _ROW
    if left_out > 0:
        text += _text(_LABEL, at + 13, f"… {left_out} more")
        at += _ROW
    return at, text


def _lanes(times: Mapping[str, Sequence[int]]) -> list[_Part]:
    """A lane for each name: how many there were in each part of the time."""
    every = [int(time) for one in times.values() for time in one]
    if not every:
        raise BridgeError("there is nothing to show: no events")
    begin, end = min(every), max(every)
    step = max(1, -(-(end - begin + 1) // _BINS))
    parts = []
    for name, moments in times.items():
        bins = [0] * _BINS
        for moment in moments:
            bins[(int(moment) - begin) // step] += 1
        parts.append(_lane(name, bins, step))
    scale = _text(_LABEL, 13, "0") + _text(
        _LABEL + _WIDTH, 13, f"{(end - begin) / 1e9:g} s", "text-anchor='end'"
    )
    return [*parts, (_ROW, scale)]


def _lane(name: str, bins: Sequence[int], step: int) -> _Part:
    most, width = max(1, *bins), _WIDTH / _BINS
    text = _text(_LABEL - 8, _LANE / 2 + 4, name[-28:], "text-anchor='end'")
    for number, count in enumerate(bins):
        if count:
            height = count * _LANE / most
            text += f"<rect x='{_LABEL + number * width:.1f}' y='{_LANE - height:.1f}'"
            text += f" width='{width:.1f}' height='{height:.1f}' fill='{_COLOUR}'>"
            text += f"<title>{number * step / 1e9:g} s: {count}</title></rect>"
    text += _text(_LABEL + _WIDTH + 6, _LANE / 2 + 4, str(sum(bins)))
    return _LANE, text
