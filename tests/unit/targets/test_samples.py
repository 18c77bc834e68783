"""`perf.type(T).config(C)`: what it stands for."""

from __future__ import annotations

import pytest

from bridge.markers import Expansion, MarkerAttachment, NoMatch, Sampling
from bridge.probes.families import perf
from tests.support.points import parts


@pytest.mark.parametrize(
    ("point", "sampling"),
    [
        ("perf.type(1).config(0)", Sampling(1, 0, perf.COUNTS)),
        ("perf.type(0).config(5).sample(7)", Sampling(0, 5, 7)),
        ("perf.type(1).config(0).hz(97)", Sampling(1, 0, 97, hertz=True)),
    ],
)
def test_counters(point: str, sampling: Sampling) -> None:
    found = perf.place(parts(point), "x86_64")

    assert isinstance(found, Expansion)
    assert isinstance(found.attachment, MarkerAttachment)
    assert found.attachment.marker.sampling == sampling


@pytest.mark.parametrize("point", ["sample(0)", "hz(0)", "sample(-3)"])
def test_rates_are_positive(point: str) -> None:
    found = perf.place(parts(f"perf.type(1).config(0).{point}"), "")

    assert isinstance(found, NoMatch)
    assert found.message.startswith("invalid perf ")
