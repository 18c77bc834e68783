"""How a recorded event class remembers where it came from: text in the trace's environment.

One entry `markbridge_class_N` per event class number N, a JSON object: which marker it was, and
which capture of the script's language each field holds
(`{"arg2_string": "user_string($arg2)"}`). A replay binds probe points and captures by it;
other readers just see the fields.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "markbridge_class_"


@dataclass(frozen=True)
class Origin:
    """Where an event class came from.

    `kind` is that of the marker, `path` its program ("" for the kernel), `fields` the capture
    that each field holds, `variables` the marker's variables (name, type) in order, `strings`
    what the place offers by name. `pid` and `follow_target` are the restriction under which the
    hits were recorded.
    """

    kind: str
    provider: str
    name: str
    path: str = ""
    pid: int = 0
    follow_target: bool = False
    points: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    variables: tuple[tuple[str, str], ...] = ()
    strings: Mapping[str, str] = field(default_factory=dict)
    faults: bool = False
    """Whether this is the class for hits where something could not be read."""
    aliases: tuple[str, ...] = ()
    """Those of the variables that are second names, which lists of all leave out."""

    def entry(self) -> str:
        """As the text of an environment entry."""
        return json.dumps(asdict(self), separators=(",", ":"))


def parse(text: str) -> Origin | None:
    """The origin in an entry's text; None if it is not one of ours."""
    try:
        raw: Any = json.loads(text)
        return Origin(
            kind=str(raw["kind"]),
            provider=str(raw["provider"]),
            name=str(raw["name"]),
            path=str(raw["path"]),
            pid=int(raw["pid"]),
            follow_target=bool(raw["follow_target"]),
            points=tuple(map(str, raw["points"])),
            fields={str(k): str(v) for k, v in raw["fields"].items()},
            variables=tuple((str(n), str(t)) for n, t in raw["variables"]),
            strings={str(k): str(v) for k, v in raw["strings"].items()},
            faults=bool(raw["faults"]),
            aliases=tuple(map(str, raw.get("aliases", ()))),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
