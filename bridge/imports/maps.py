"""What a program does with its maps -> what the script's globals are.

`count()` and its kin become `++`, `+=` and `<<<`; which keys are texts need not be known, as
the script finds out itself. The rule: one map is one thing; where it is two, it is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.imports.tree import BpftraceNode

_WHOLE = frozenset({"print", "clear", "zero", "len", "delete", "has_key"})
"""Functions that take a map by itself."""
COLLECTING = frozenset({"count", "sum", "avg", "min", "max", "stats", "hist", "lhist"})


@dataclass(slots=True)
class Map:
    """A map: `keys` is how many its entries have (0: none), `how` what collects its values."""

    name: str
    keys: int = -1
    how: str = ""
    bounds: tuple[str, ...] = ()
    """Of a linear histogram: its low end, its high end and its step, as written."""
    held: set[str] = field(default_factory=set)
    """Spaces of the pointers that it holds, which are read as texts later."""
    structure: str = ""
    """The type of C that its pointers have."""
    text: bool = False
    """Whether it holds texts."""
    problem: str = ""

    @property
    def is_statistic(self) -> bool:
        """Whether it is one of the script's statistics."""
        return self.how not in ("", "count", "sum")


def map_of(node: BpftraceNode) -> BpftraceNode | None:
    """The MAP of `@x` or `@x[...]`."""
    if node.kind == "group":
        return map_of(node.parts[1])
    if node.kind == "index":
        node = node.parts[0]
    return node if node.kind == "MAP" else None


def called(node: BpftraceNode) -> str:
    """The name of the function that is called; "" of anything else."""
    return node.parts[0].text if node.kind == "call" else ""


def arguments(call: BpftraceNode) -> tuple[BpftraceNode, ...]:
    """What a function is called with."""
    return call.rest()[1:]


def keys_of(node: BpftraceNode) -> tuple[BpftraceNode, ...]:
    """The keys of `@x[a, b]`, also of `@x[(a, b)]`; none of a map by itself."""
    if node.kind != "index":
        return ()
    keys = node.rest()[1:]
    if len(keys) == 1 and keys[0].kind == "tuple":
        return keys[0].rest()
    return keys


def find_maps(program: BpftraceNode) -> dict[str, Map]:
    """All maps, by their names with the @."""
    maps: dict[str, Map] = {}
    for node in program.walk():
        if node.kind == "MAP":
            maps.setdefault(node.text, Map(node.text))
    for node in program.walk():
        for note in (_note_uses, _note_value, _note_printed, _note_compared):
            note(maps, node)
    return maps


def _note_uses(maps: dict[str, Map], node: BpftraceNode) -> None:
    """How many keys there are, and what is read as a text."""
    name = called(node)
    if node.kind == "index" and node.parts[0].kind == "MAP":
        _note_keys(maps[node.parts[0].text], len(keys_of(node)))
    elif name == "str":
        for one in filter(None, map(map_of, arguments(node)[:1])):
            maps[one.text].held.add("?")
    if node.kind not in ("index", "for") and name not in _WHOLE:
        # a map without keys where a value is asked for is a scalar
        for part in node.parts:
            if part.kind == "MAP":
                _note_keys(maps[part.text], 0)


def _note_keys(found: Map, count: int) -> None:
    if found.keys not in (-1, count):
        found.problem = f"{found.name} has different numbers of keys"
    found.keys = max(found.keys, count)


def _note_value(maps: dict[str, Map], node: BpftraceNode) -> None:
    if node.kind != "assign":
        return
    target, *_, value = node.parts
    found = map_of(target)
    if found is None:
        return
    kept = maps[found.text]
    how = called(value)
    if how in COLLECTING:
        bounds = tuple(one.text or "?" for one in arguments(value)[1:])
        if kept.how not in ("", how) or (kept.bounds and kept.bounds != bounds):
            kept.problem = f"{kept.name} is filled in different ways"
        kept.how, kept.bounds = how, bounds
    if how in ("str", "ntop", "strftime", "ksym", "usym", "kstack", "ustack", "join"):
        kept.text = True
    if value.kind == "STRING" or value.text in ("comm", "func", "probe", "kstack", "ustack"):
        kept.text = True
    if value.kind == "cast" and ("struct" in value.parts[0].text):
        kept.structure = structure_of(value.parts[0].text)


def structure_of(cast: str) -> str:
    """The name of the type in `(struct x *)`; "" where it is no pointer to a structure."""
    inner = cast.strip("()").strip()
    if not inner.endswith("*") or inner.count("*") > 1:
        return ""
    words = inner.rstrip("*").split()
    words = [word for word in words if word not in ("const", "volatile")]
    return words[-1] if words[0] in ("struct", "union") and len(words) > 1 else ""


def _note_printed(maps: dict[str, Map], node: BpftraceNode) -> None:
    if called(node) not in ("printf", "strftime"):
        return
    form, *given = arguments(node)
    letters = re.findall(
        r"%[-+ #0]*\d*(?:\.\d+)?[hlqjzt]*([a-zA-Z])", form.text.replace("%%", "")
    )
    for letter, one in zip(letters, given, strict=False):
        found = map_of(one)
        if found is not None and letter == "s":
            maps[found.text].text = True


def _note_compared(maps: dict[str, Map], node: BpftraceNode) -> None:
    if node.kind != "binary" or node.operator() not in ("==", "!="):
        return
    left, right = node.parts[0], node.parts[-1]
    for one, other in ((left, right), (right, left)):
        found = map_of(one)
        if found is not None and (other.kind == "STRING" or other.text == "comm"):
            maps[found.text].text = True
