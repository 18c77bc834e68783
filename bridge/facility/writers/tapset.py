"""Facility -> a tapset: for each event an alias with one variable for each field.

`probe <facility>.<event> = process.mark(...)`; the alias reads texts, names enumerations
(`<field>_name`) and gives a sequence as `<field>_len` and the address of its elements. The
rule: the program is the target (`-c`, `-x`), or the one that is named.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.facility import model
from bridge.facility.c_names import identifier
from bridge.facility.layout import is_signed, layout
from bridge.facility.writers.arguments import arguments, has_buffer

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORDS = frozenset(
    """
    probe global private function if else for foreach in limit return delete while break
    continue next string long try catch name kernel process module
    """.split()  # noqa: SIM905 - a line per word would be long
)


def word(name: str) -> str:
    """A name of the script language."""
    found = re.sub(r"[^A-Za-z0-9_]", "_", name.strip(), flags=re.ASCII) or "_"
    return f"{found}_" if found in _WORDS or found[0].isdigit() else found


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'


def _enum_name(variable: str, kind: model.Enum) -> Iterator[str]:
    yield f"\t{variable}_name = "
    for label in kind.labels:
        yield f"\t\t{variable} == {label.value} ? {_text(label.name.strip())} :"
    yield '\t\t""'


def _variable(number: int, argument_type: model.Type, part: str, name: str) -> Iterator[str]:
    variable = word(name)
    if part == "count":
        yield f"\t{variable}_len = $arg{number}"
        return
    if isinstance(argument_type, model.Scalar) and argument_type.word == "string":
        yield f"\t{variable} = user_string($arg{number})"
        return
    yield f"\t{variable} = $arg{number}"
    if isinstance(argument_type, model.Enum) and argument_type.labels:
        yield from _enum_name(variable, argument_type)


def _of_buffer(facility: model.Facility, event: model.Event) -> Iterator[str]:
    """Fields of what the program serialised: numbers, and the first text, which ends that.

    The program is of 64 bits, as those are whose buffers lie at an address of this kernel.
    """
    at = 0
    for member in event.members:
        kind, variable = facility.resolve(member.type), word(member.name)
        if isinstance(kind, model.Scalar) and kind.word == "string":
            yield f"\t{variable} = user_string($arg1 + {at})"
            return
        if not isinstance(kind, model.Scalar | model.Enum) or _is_float(kind):
            return
        size = layout(facility, kind, 8).size
        at += -at % size
        signed = isinstance(kind, model.Enum) or is_signed(kind)
        yield f"\t{variable} = user_{'' if signed else 'u'}int{8 * size}($arg1 + {at})"
        at += size


def _is_float(kind: model.Type) -> bool:
    return isinstance(kind, model.Scalar) and kind.word == "float"


def _alias(facility: model.Facility, event: model.Event, program: str) -> Iterator[str]:
    provider, mark = identifier(facility.name), identifier(event.name)
    target = f"process({_text(program)})" if program else "process"
    yield ""
    for line in filter(None, " ".join(event.description.split()).split("\n")):
        yield f"# {line}"
    yield f"probe {word(facility.name)}.{word(event.name)} ="
    yield f"\t{target}.provider({_text(provider)}).mark({_text(mark)})"
    yield "{"
    yield f"\tname = {_text(event.name)}"
    if has_buffer(event):
        yield "\tbuffer = $arg1"
        yield "\tbuffer_len = $arg2"
        yield from _of_buffer(facility, event)
    else:
        for number, argument in enumerate(arguments(facility, event), 1):
            yield from _variable(number, argument.type, argument.part, argument.member.name)
    yield "}"


def write(facility: model.Facility, program: str = "") -> str:
    """The tapset's text; `program` is the file whose markers are meant.

    Raises:
        TraceError: an event has more arguments than a marker can have.

    """
    lines = [f"# The facility {facility.name}; made by markbridge facility."]
    for event in facility.events:
        lines += _alias(facility, event, program)
    return "\n".join([*lines, ""])


__all__ = ["word", "write"]
