"""JSON that strict parsers take, whatever is in a trace or a script."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest

from bridge.cli.front import dispatch
from bridge.json_text import dumps
from bridge.trace import model
from tests.support.library_traces import write_ctf

if TYPE_CHECKING:
    from pathlib import Path


def _strict(text: str) -> object:
    """What a strict parser makes of it: no constants that JSON has not, no lone surrogates."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    value = json.loads(text, parse_constant=refuse)
    json.dumps(value, ensure_ascii=False).encode()
    return value


CASES: dict[str, tuple[object, object]] = {
    "not a number": (math.nan, "NaN"),
    "infinity": (math.inf, "Infinity"),
    "negative infinity": ([-math.inf], ["-Infinity"]),
    "a byte that is no UTF-8": ("a\udcff", {"bytes": "61ff"}),
    "half a pair": ({"x": "\ud83d"}, {"x": {"bytes": "eda0bd"}}),
    "a whole pair": ("\U0001f600", "\U0001f600"),
    "a backslash before it": ("\\ud83d \\", "\\ud83d \\"),
    "bytes": (b"\0\xff", {"bytes": "00ff"}),
    "a name": ({"k\udcff": 1}, {"k\\xff": 1}),
    "controls": ("\0\n\x7f", "\0\n\x7f"),
    "large": ((1 << 64) - 1, (1 << 64) - 1),
}


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    value, expected = CASES[name]

    assert _strict(dumps(value)) == expected
    assert "\n" not in dumps(value)


def test_a_trace_of_them(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fields = (model.Field("f", model.Float(64)), model.Field("s", model.Text()))
    kind = model.EventClass("a:b", 0, model.Struct(fields))
    rows = [(math.nan, "x"), (math.inf, "\udcff"), (-math.inf, "é\udcc3"), (0.5, "\U0001f600")]
    events = [
        model.Event(kind, n, n, 0, "s", {"f": number, "s": text}, {"procname": text})
        for n, (number, text) in enumerate(rows)
    ]
    write_ctf(tmp_path / "t", events)

    assert dispatch(["read", str(tmp_path / "t"), "--format", "json"]) == 0

    found = [_strict(line) for line in capfd.readouterr().out.splitlines()]
    assert [row["fields"] for row in found] == [
        {"f": "NaN", "s": "x"},
        {"f": "Infinity", "s": {"bytes": "ff"}},
        {"f": "-Infinity", "s": {"bytes": "c3a9c3"}},
        {"f": 0.5, "s": "\U0001f600"},
    ]
    assert found[1]["context"]["procname"] == {"bytes": "ff"}


def test_diagnostics_of_a_script(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "x.stp"
    script.write_bytes(b'probe begin { println("\xff" + nosuch\xff) }')

    assert dispatch(["check", "--format", "json", str(script)]) == 1

    assert _strict(capfd.readouterr().out)
