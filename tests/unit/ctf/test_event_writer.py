"""Events that a program writes: fields typed by name; values that do not fit are refused."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import bridge
from bridge.cli import main
from bridge.trace.ctf.reader import CtfReader

if TYPE_CHECKING:
    from pathlib import Path

GOOD: dict[str, Any] = {
    "a": 1,
    "s": "y",
    "xs": [1, 2],
    "f": 1.5,
    "b": True,
    "r": b"\0\1\0",
    "p": {"q": [1, 2]},
}


def _shop(writer: bridge.CtfWriter) -> Any:
    types: dict[str, Any] = {"a": "u32", "s": "string", "xs": ["i16"], "f": "f32"}
    types |= {"b": "bool", "r": "bytes", "p": {"q": ["u8", 2]}}
    return writer.event_class("shop:tick", **types)


@pytest.mark.parametrize("version", [1, 2])
def test_what_is_written_is_read(version: int, tmp_path: Path) -> None:
    environment: dict[str, str | int] = {"domain": "ust", "round": 3}
    with bridge.CtfWriter(tmp_path / "t", environment, version=version) as writer:
        tick = _shop(writer)
        tick.at(5, GOOD)
        tick.at(7, {**GOOD, "a": 2**32 - 1, "xs": [], "b": False, "r": b""}, cpu=3)

    with CtfReader(tmp_path / "t") as reader:
        assert reader.environment == environment
        first, second = list(reader)

    assert (first.timestamp_ns, first.cpu, second.cpu) == (5, -1, 3)
    raw: Any = [0, 1, 0] if version == 1 else b"\0\1\0"
    assert first.fields == {**GOOD, "r": raw, "xs_length": 2, "r_length": 3}
    assert second.fields["a"] == 2**32 - 1
    assert second.fields["b"] in (False, 0)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"a": 2**32}, "`a`: 4294967296 does not fit 32 bits"),
        ({"s": "a\0b"}, "`s`: .*NUL"),
        ({"f": 1e300}, "`f`: 1e[+]300 does not fit a 32-bit number"),
        ({"xs": [1, 40000]}, r"`xs\[1\]`: 40000 does not fit"),
        ({"p": {"q": [1]}}, r"`p.q`: 1 elements where 2 belong"),
        ({"r": 7}, "`r`: 7 is no"),
        ({"other": 1}, "no field `other`"),
    ],
)
def test_refused(version: int, field: dict[str, Any], message: str, tmp_path: Path) -> None:
    with bridge.CtfWriter(tmp_path / "t", version=version) as writer:
        tick = _shop(writer)
        tick(**GOOD)
        with pytest.raises(bridge.TraceError, match=message):
            tick(**{**GOOD, **field})
        tick(**GOOD)

    with CtfReader(tmp_path / "t") as reader:
        assert [e.fields["a"] for e in reader] == [1, 1]
        assert reader.diagnostics == []


def test_types_have_names(tmp_path: Path) -> None:
    with bridge.CtfWriter(tmp_path / "t") as writer:
        for spec in ("u7", ["u8", 0], [], 3, {"x": "text"}):
            with pytest.raises(bridge.TraceError, match=r"field `a.*there are: u8"):
                writer.event_class("e", a=spec)  # type: ignore[arg-type]
    with pytest.raises(bridge.TraceError, match="CTF 3 cannot be written"):
        bridge.CtfWriter(tmp_path / "u", version=3)


# --- conversion -------------------------------------------------------------------------------

METADATA = """/* CTF 1.8 */
trace { major = 1; minor = 8; byte_order = le; };
env { hostname = "h"; vpid = 17; };
clock { name = "ticks"; freq = 1000; offset_s = 5; offset = 250; precision = 3;
	uuid = "00112233-4455-6677-8899-aabbccddeeff"; description = "of \\"the\\" wall"; };
typealias integer { size = 8; } := u8;
stream { event.header := struct { integer { size = 8; map = clock.ticks.value; } timestamp; };
	event.context := struct { enum : u8 { idle, busy = 1 ... 3 } state; }; };
event { name = "e"; loglevel = 4; model.emf.uri = "http://e";
	fields := struct { enum : u8 { _one = 1, _two = 2, one = 5 } tag;
		variant <tag> { u8 one; string two; } v; u8 n; u8 xs[n]; }; };
"""


def test_nothing_is_lost_between_the_versions(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "metadata").write_text(METADATA)
    (source / "s").write_bytes(bytes((1, 0, 1, 9, 1, 7, 2, 3, 2)) + b"x\0" + bytes((2, 5, 6)))
    shown = [_described(source)]
    for before, after in (("source", "ctf-2"), ("ctf-2", "ctf-1.8"), ("ctf-1.8", "last")):
        form = after if after != "last" else "ctf-2"
        words = ["convert", "--to", form, str(tmp_path / before), str(tmp_path / after)]
        assert main(words) == 0
        shown.append(_described(tmp_path / after))

    assert shown[0]["events"][0][1] == {"tag": 1, "v": 9, "n": 1, "xs": [7]}
    assert shown[1] == shown[0]
    assert shown[2] == shown[0]
    assert shown[3] == shown[0]
    fragments = [
        json.loads(t) for t in (tmp_path / "last" / "metadata").read_text().split("\x1e")[1:]
    ]
    attributes = fragments[-1]["attributes"]["babeltrace.org,2020"]
    assert attributes == {"log-level": "warning", "emf-uri": "http://e"}


def _described(folder: Path) -> dict[str, Any]:
    with CtfReader(folder) as reader:
        (clock,) = reader.plan.description.clocks.values()
        (event,) = reader.event_classes.values()
        assert event.context is not None
        state = event.context.fields[0].type
        return {
            "clock": (clock.name, clock.frequency, clock.offset_s, clock.offset),
            "about": (clock.description, clock.precision, clock.uuid or clock.uid),
            "environment": {n: reader.environment[n] for n in ("hostname", "vpid")},
            "attributes": dict(event.attributes),
            "labels": getattr(state, "labels", ()),
            "events": [(e.tsc, e.fields, e.context) for e in reader],
        }


@pytest.mark.tools
def test_babeltrace2_reads_what_was_converted_there_and_back(tmp_path: Path) -> None:
    with bridge.CtfWriter(tmp_path / "a", version=2) as writer:
        _shop(writer).at(5, GOOD)
    assert main(["convert", "--to", "ctf-1.8", str(tmp_path / "a"), str(tmp_path / "b")]) == 0

    done = subprocess.run(
        ["babeltrace2", "--clock-seconds", str(tmp_path / "b")],
        capture_output=True,
        check=True,
        text=True,
    )

    assert re.search(r"a = 1, s = \"y\".*r = \[ \[0\] = 0x0, \[1\] = 0x1", done.stdout)
