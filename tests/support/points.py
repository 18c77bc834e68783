"""Probe points as text -> the parts that `Targets.expand` takes."""

from __future__ import annotations

import re

from bridge.markers import PointPart

_PART = re.compile(
    r'(?P<name>[\w*]+)(?:\((?:"(?P<text>[^"]*)"|(?P<number>0x[0-9a-f]+|-?\d+))\))?(?:\.|$)'
)


def parts(point: str) -> list[PointPart]:
    """`process("x").mark("y")` as parts."""
    found, at = [], 0
    while at < len(point):
        match = _PART.match(point, at)
        assert match is not None, point[at:]
        number, text = match["number"], match["text"]
        found.append(PointPart(match["name"], text if number is None else int(number, 0)))
        at = match.end()
    return found
