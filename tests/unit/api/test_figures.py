"""Pictures of statistics, arrays, hits and traces: their numbers are those of what is shown."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

import bridge
from bridge.engine.hits import Hit
from bridge.markers import Kind, Marker

HISTOGRAM = (bridge.Bucket(0, 0, 3), bridge.Bucket(1, 1, 12), bridge.Bucket(64, None, 6))
STATISTIC = bridge.Statistic(21, 400, 0, 99, 19, None, HISTOGRAM)


def _titles(figure: bridge.Figure) -> list[str]:
    """The texts of the bars; the picture is well-formed."""
    root = ElementTree.fromstring(figure.svg)
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}title")]


def _widths(figure: bridge.Figure) -> list[float]:
    return [float(width) for width in re.findall(r"<rect [^>]*width='([\d.]+)'", figure.svg)]


def test_a_histogram() -> None:
    figure = bridge.show(STATISTIC, "sizes <bytes>")

    assert _titles(figure) == ["0: 3", "1: 12", "64 … ∞: 6"]
    assert _widths(figure) == [105.0, 420.0, 210.0]
    assert "sizes &lt;bytes&gt;" in figure.svg
    assert figure._repr_html_() == figure._repr_svg_() == figure.svg


def test_an_array_has_the_largest_first() -> None:
    figure = bridge.show({"plum": 2, ("a", 1): 8})

    assert _titles(figure) == ["a, 1: 8", "plum: 2"]


def test_an_array_of_statistics_and_a_long_one() -> None:
    assert len(_titles(bridge.show({"a": STATISTIC, "b": STATISTIC}))) == 6
    assert "… 5 more" in bridge.show({number: number for number in range(45)}).svg


def _hit(name: str, time_ns: int) -> Hit:
    return Hit(Marker(Kind.USDT, "shop", name, (), ()), time_ns, 0, 1, 1, "app", {})


def test_hits_over_time() -> None:
    hits = [_hit("order", time) for time in (0, 1, 119 * 10**9)] + [_hit("closed", 60 * 10**9)]
    titles = _titles(bridge.show(hits))

    assert [title.partition(": ")[2] for title in titles] == ["2", "1", "1"]
    assert "119 s" in bridge.show(hits).svg


@pytest.mark.parametrize("what", [5, "text", {}, [], {"a": "text"}])
def test_what_has_no_picture(what: object) -> None:
    with pytest.raises(bridge.BridgeError):
        bridge.show(what)  # type: ignore[arg-type]


def test_a_statistic_without_a_histogram_says_what_to_do() -> None:
    with pytest.raises(bridge.BridgeError, match="@hist_log"):
        bridge.show(bridge.Statistic(1, 1, 1, 1, 1, None, None))


def test_columns_of_a_trace() -> None:
    numpy = pytest.importorskip("numpy")
    kind = bridge.EventClass("tick", 0, bridge.Struct(()))
    times = numpy.arange(30) * 10**9
    empty = numpy.zeros(30)
    table = bridge.Columns(kind, times, times, empty, {}, {})

    assert len(_titles(bridge.show(table))) == 30
    assert ">tick</text>" in bridge.show({"tick": table}).svg
    assert "29 s" in bridge.show(table).svg
