"""`procfs("name").read`, `.write`, `.umask(N)`, `.maxsize(N)`: files that the session serves.

The handler of a reader makes what is read, in `$value`; that of a writer finds there what was
written. Where the files are: bridge.engine.served_files. Shapes and messages are SystemTap's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.markers import Expansion, NoMatch, ServedFile
from bridge.probes.families import Family

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.markers import PointPart
    from bridge.probes.families import Places
    from bridge.probes.recorded import RecordedTargets

NAME = "command"
"""The file that is meant where none is named."""
UMASK = 0o077
PERMISSIONS = 0o777


def _expand(parts: Sequence[PointPart], _: object) -> Places:
    arguments = {part.name: part.argument for part in parts}
    name = arguments["procfs"] or NAME
    umask, most = arguments.get("umask", UMASK), arguments.get("maxsize", 0)
    assert isinstance(name, str)
    assert isinstance(umask, int)
    assert isinstance(most, int)
    if name.startswith("/") or any(word in ("", ".", "..") for word in name.split("/")):
        return NoMatch(0, f"invalid procfs path '{name}'", code="invalid-file-name")
    if not 0 <= umask <= PERMISSIONS:
        return NoMatch(1, "procfs umask parameter must be 0..0777", code="invalid-umask")
    if "maxsize" in arguments and most <= 0:
        return NoMatch(
            len(parts) - 1, "maxsize must be greater than 0", code="invalid-file-size"
        )
    writes = "write" in arguments
    permissions = (0o222 if writes else 0o444) & ~umask
    return (Expansion(ServedFile(name, writes, permissions, most), _text(parts)),)


def _text(parts: Sequence[PointPart]) -> str:
    def word(part: PointPart) -> str:
        match part.argument:
            case None:
                return part.name
            case int(number):
                return f"{part.name}({number})"
            case text:
                return f'{part.name}("{text}")'

    return ".".join(map(word, parts))


def _recorded(_parts: Sequence[PointPart], _trace: RecordedTargets) -> Places:
    return NoMatch(
        0, "a recorded trace has nobody who reads files of its session", code="live-only"
    )


def _shapes() -> frozenset[str]:
    found = set()
    for first in ("procfs", "procfs S"):
        for start in (first, f"{first}/umask N"):
            found |= {f"{start}/read", f"{start}/write", f"{start}/read/maxsize N"}
    return frozenset(found)


FAMILY = Family(_shapes(), _expand, _recorded)
