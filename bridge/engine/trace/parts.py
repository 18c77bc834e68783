"""Fields of a recorded event -> variables of a script, and paths into them.

`$n`, `$list[2]`, `$point->x`, `$state$` (the label of an enumeration), `$list$`. A path is kept
as text (`list[2]`), which is the name of its variable. The rule: numbers are numbers, of floats
the bits of the double; everything else is text.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.markers import NoAccess, RecordedField, ValueType, Variable
from bridge.trace.model import (
    Enumeration,
    FixedArray,
    Float,
    Integer,
    Sequence,
    Struct,
    Text,
    is_text,
)

if TYPE_CHECKING:
    import collections.abc
    from collections.abc import Mapping

    from bridge.markers import Part, Result
    from bridge.trace.model import FieldType, Value

_NAME = re.compile(r"[A-Za-z_]\w*")
_STEP = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+)\]")
LABEL = "$"
"""What the path of a text of a whole value ends with."""
LENGTH = "_length"
"""Behind the name of a sequence: how many elements it has."""
_SIGN, _WORD = 1 << 63, 1 << 64


def identifier(name: str) -> str:
    """What a script can call a field: `rw` for `rw(SYNC,BARRIER)`; "" if nothing."""
    match = _NAME.match(name)
    return match[0] if match else ""


def by_name(struct: Struct) -> dict[str, tuple[str, FieldType]]:
    """The fields under the names that a script has for them: their own name and type."""
    found: dict[str, tuple[str, FieldType]] = {}
    for member in struct.fields:
        found.setdefault(identifier(member.name), (member.name, member.type))
    found.pop("", None)
    return found


def _is_letters(kind: FieldType) -> bool:
    """An array of characters is a text by itself."""
    if isinstance(kind, Integer):
        return bool(kind.encoding)
    return is_text(kind)


def is_plain_text(kind: FieldType) -> bool:
    """Whether a field is text."""
    match kind:
        case Text():
            return True
        case FixedArray(element=element) | Sequence(element=element):
            return _is_letters(element)
        case _:
            return False


def value_type(kind: FieldType) -> ValueType:
    """What a script sees of a field."""
    number = isinstance(kind, Integer | Enumeration | Float)
    return ValueType.LONG if number else ValueType.STRING


def variables(payload: Struct) -> tuple[Variable, ...]:
    """The variables of an event class; the length of a sequence is one that lists leave out."""
    names = by_name(payload)
    found = [
        Variable(name, value_type(kind), (RecordedField(name),), _ctype(kind))
        for name, (_, kind) in names.items()
    ]
    for name, (_, kind) in names.items():
        more = name + LENGTH
        if isinstance(kind, Sequence) and not is_plain_text(kind) and more not in names:
            found.append(Variable(more, ValueType.LONG, (RecordedField(more),), alias=True))
    return tuple(found)


def _ctype(kind: FieldType) -> str:
    return "double" if isinstance(kind, Float) else ""


# --- paths ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PartLocation:
    """Where in an event a variable's value lies: the steps there, and its type.

    `whole` if the text of the value is wanted, `length` if the number of its elements.
    """

    steps: tuple[str | int, ...]
    type: FieldType
    whole: bool = False
    length: bool = False

    @property
    def value_type(self) -> ValueType:
        """What a script sees there."""
        if self.length:
            return ValueType.LONG
        return ValueType.STRING if self.whole else value_type(self.type)


def place(payload: Struct, text: str) -> PartLocation | None:
    """The place of a path; None if there is none."""
    whole = text.endswith(LABEL)
    path = text.removesuffix(LABEL)
    names = by_name(payload)
    start = identifier(path)
    if start not in names:
        base = names.get(start.removesuffix(LENGTH)) if start == path else None
        if base is None or not start.endswith(LENGTH) or not isinstance(base[1], Sequence):
            return None
        return PartLocation((base[0],), base[1], length=True)
    name, kind = names[start]
    steps: list[str | int] = [name]
    at = len(start)
    while step := _STEP.match(path, at):
        found = _inner(kind, step[1] if step[1] else int(step[2]))
        if found is None:
            return None
        own, kind = found
        steps.append(own)
        at = step.end()
    return PartLocation(tuple(steps), kind, whole) if at == len(path) else None


def _inner(kind: FieldType, part: str | int) -> tuple[str | int, FieldType] | None:
    match kind, part:
        case Struct(), str():
            return by_name(kind).get(part)
        case FixedArray(element=element, length=length), int():
            return (part, element) if part < length else None
        case Sequence(element=element), int():
            return part, element
        case _:
            return None


@dataclass(frozen=True, slots=True)
class RecordedMembers:
    """Ways into the fields of an event class."""

    payload: Struct

    def access(
        self,
        name: str,
        path: collections.abc.Sequence[Part],
        *,
        address_of: bool = False,
        pretty: str = "",
    ) -> Result:
        """An element or a member as a variable of its own, or the text of a whole."""
        if address_of:
            return NoAccess(f"'${name}' has no address: this is a recording")
        if None in path:
            return NoAccess("an index into a recorded array has to be a constant", 0)
        steps = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
        text = name + "".join(steps) + (LABEL if pretty else "")
        found = place(self.payload, text)
        if found is None:
            return NoAccess(self._missing(name, text))
        return Variable(text, found.value_type, (RecordedField(text),))

    def _missing(self, name: str, text: str) -> str:
        names = by_name(self.payload)
        if name in names:
            return f"the recorded field '{name}' has no part '{text}'"
        known = " ".join(f"${one}" for one in names)
        more = f" (alternatives: {known})" if known else ""
        return f"unable to find target variable '${name}'{more}"


INT_BITS = 32


def marker_format(payload: Struct) -> str:
    """The format that a marker with these fields would have."""
    shown = (f"{name} {_conversion(kind)}" for name, kind in by_name(payload).values())
    return " ".join(shown) or " "


def _conversion(kind: FieldType) -> str:
    match kind:
        case Enumeration(container=container):
            return _conversion(container)
        case Integer(bits=bits, signed=signed):
            return f"%{'ll' if bits > INT_BITS else ''}{'d' if signed else 'u'}"
        case _:
            return "%s"


# --- values -----------------------------------------------------------------------------------


def follow(fields: Mapping[str, Value], steps: tuple[str | int, ...]) -> Value:
    """The value at a place; None beyond the end of a sequence."""
    value: Value = dict(fields)
    for step in steps:
        if isinstance(step, str) and isinstance(value, dict):
            value = value.get(step)
        elif isinstance(step, int) and isinstance(value, list) and step < len(value):
            value = value[step]
        elif isinstance(step, int) and isinstance(value, str):
            data = value.encode("utf8", "surrogateescape")
            value = data[step] if step < len(data) else 0
        else:
            return None
    return value


def word(value: Value) -> int | None:
    """A number as the 64 bits of a script's long; of a float, those of the double."""
    match value:
        case float():
            return array("q", array("d", [value]).tobytes())[0]
        case int():
            return (value + _SIGN) % _WORD - _SIGN
        case _:
            return None


def text_of(value: Value, kind: FieldType | None = None, *, inner: bool = False) -> str:
    """A value as text: labels of enumerations, `[1, 2]`, `{.x=1, .y="a"}`."""
    match value, kind:
        case int(), Enumeration(labels=labels):
            found = next((n for n, low, high in labels if low <= value <= high), None)
            return found if found is not None else str(value)
        case str(), _:
            return f'"{value}"' if inner else value
        case list(), FixedArray(element=element) | Sequence(element=element):
            return "[" + ", ".join(text_of(one, element, inner=True) for one in value) + "]"
        case list(), _:
            return "[" + ", ".join(text_of(one, inner=True) for one in value) + "]"
        case dict(), _:
            types = {m.name: m.type for m in kind.fields} if isinstance(kind, Struct) else {}
            shown = (
                f".{name}={text_of(one, types.get(name), inner=True)}"
                for name, one in value.items()
            )
            return "{" + ", ".join(shown) + "}"
        case bytes(), _:
            return value.decode("utf8", "surrogateescape")
        case None, _:
            return ""
        case _:
            return str(value)
