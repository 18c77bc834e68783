"""The tables of names: tapset/moved.toml and tapset/tracepoints.toml -> lookups.

One rule: the tables say what may be there; whether it is there is asked of the running kernel.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TAPSET = Path(__file__).resolve().parents[2] / "tapset"


@dataclass(frozen=True, slots=True)
class TracepointPlace:
    """Tracepoints at the places of some functions; the fields are those of tracepoints.toml."""

    functions: tuple[str, ...]
    entered: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    but: str = ""
    only: tuple[str, int] | None = None
    """A way from a variable of the tracepoint, and what must be there."""


@cache
def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((_TAPSET / f"{name}.toml").read_text(encoding="utf-8"))


@cache
def places() -> Mapping[str, TracepointPlace]:
    """The tracepoints at functions, by the function's name."""
    found: dict[str, TracepointPlace] = {}
    for row in _table("tracepoints")["place"]:
        lists = {key: tuple(row.get(key, ())) for key in ("functions", "entered", "returned")}
        only = row.get("only")
        place = TracepointPlace(
            **lists,
            variables=row.get("variables", {}),
            but=row.get("but", ""),
            only=(only["way"], only["value"]) if only else None,
        )
        found.update(dict.fromkeys(place.functions, place))
    return found


def functions(name: str) -> Sequence[str]:
    """What a function of the kernel is called by now, the likeliest first."""
    return tuple(_table("moved")["functions"].get(name, ()))


def files(pattern: str) -> Sequence[str]:
    """Where the functions of a source file are by now; "" and `*/` in front of it stay."""
    for old, today in _table("moved")["files"].items():
        front = pattern.removesuffix(old)
        if front != pattern and (not front or front.endswith(("*", "/"))):
            return tuple(front + one for one in today)
    return ()


def gone(name: str) -> str:
    """What there is instead of a function that nothing took the place of."""
    return str(_table("moved")["gone"].get(name, ""))


@cache
def members() -> Mapping[str, Mapping[str, Sequence[tuple[str, ...]]]]:
    """Where members of structures are by now, as paths; what is gone has a reason in words."""
    table = _table("moved")
    found = {
        structure: {name: [tuple(p.split("->")) for p in paths] for name, paths in rows.items()}
        for structure, rows in table["members"].items()
    }
    for structure, rows in table["gone_members"].items():
        known = found.setdefault(structure, {})
        for name, reason in rows.items():
            known.setdefault(name, []).append((reason,))
    return found


def global_type(name: str) -> str:
    """The type of a global of the kernel, as C declares it; "" if it is not in the table."""
    return str(_table("globals")["types"].get(name, ""))


def parameters(function: str) -> Mapping[str, str]:
    """Ways to former parameters of a function."""
    return dict(_table("moved")["parameters"].get(function, {}))


def gone_parameters(function: str) -> Mapping[str, str]:
    """What there is instead of former parameters of a function."""
    return dict(_table("moved")["gone_parameters"].get(function, {}))


def tracepoint(event: str) -> str:
    """What a tracepoint is called by now; "" if it is not in the table."""
    return str(_table("moved")["tracepoints"].get(event, ""))


def arguments(event: str) -> Mapping[str, str]:
    """Ways to former arguments of a tracepoint."""
    return dict(_table("moved")["arguments"].get(event, {}))


def gone_arguments(event: str) -> Mapping[str, str]:
    """What there is instead of former arguments of a tracepoint."""
    return dict(_table("moved")["gone_arguments"].get(event, {}))
