"""Facility -> a C header with genevent's functions `trace_<facility>_<event>(...)`.

Names, types and order of parameters are genevent's, so a program that was written for its
headers compiles with this one; each function is a marker that any tracer can listen to.
Enumerations, structs, unions and sequences are declared as genevent declared them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.facility import model
from bridge.facility.c_names import Declarations, identifier, with_name
from bridge.facility.writers.arguments import arguments, has_buffer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.facility.writers.arguments import CArgument

_BUFFER = ("char *buffer", "size_t reserve_size")


def _parameter(argument_type: str, kind: model.Type, name: str) -> str:
    by_pointer = isinstance(kind, model.Sequence | model.Compound)
    return with_name(f"{argument_type} *" if by_pointer else argument_type, name)


def _value(argument: CArgument) -> str:
    """What the marker is given of a parameter."""
    name = f"lttng_param_{identifier(argument.member.name)}"
    if isinstance(argument.type, model.Array):
        return f"&{name}[0]"
    parts = {"count": "->len", "elements": "->array"}
    return name + parts.get(argument.part, "")


def _comment(text: str) -> list[str]:
    words = " ".join(text.split()).replace("*/", "* /").replace("/*", "/ *")
    return [f"/* {words} */"] if words else []


def _function(
    facility: model.Facility, event: model.Event, declared: Declarations
) -> Iterator[str]:
    fac, name = identifier(facility.name), identifier(event.name)
    found = arguments(facility, event)
    parameters = []
    for member in event.members:
        field = identifier(member.name)
        type_ = declared.type(member.type, f"{fac}_{name}_{field}")
        kind = facility.resolve(member.type)
        parameters.append(_parameter(type_, kind, f"lttng_param_{field}"))
    function, values = f"trace_{fac}_{name}", [_value(argument) for argument in found]
    if has_buffer(event):
        function += "_param_buffer"
        parameters, values = list(_BUFFER), ["(const void *)buffer", "reserve_size"]
    quiet = "__attribute__((no_instrument_function)) "
    yield ""
    yield from _comment(event.description)
    yield f"static inline {quiet if event.has('no_instrument_function') else ''}int {function}("
    yield "\t\t" + ",\n\t\t".join(parameters or ["void"]) + ")"
    yield "{"
    yield f"\tMARKBRIDGE_MARK({', '.join((fac, name, *values))});"
    yield "\treturn 0;"
    yield "}"


def write(facility: model.Facility) -> str:
    """The header's text.

    Raises:
        TraceError: an event has more arguments than a marker can have.

    """
    declared = Declarations(facility)
    guard = f"_LTT_FACILITY_{identifier(facility.name).upper()}_H_"
    for name in facility.types:
        declared.type(model.Ref(name), identifier(name))
    functions = [
        line for event in facility.events for line in _function(facility, event, declared)
    ]
    lines = [
        f"/* The facility {facility.name}; made by markbridge facility. */",
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "#include <sys/types.h>",
        "#include <markbridge/marker.h>",
        "",
        *_comment(facility.description),
        *declared.lines,
        *functions,
        "",
        f"#endif /* {guard} */",
    ]
    return "\n".join([*lines, ""])


__all__ = ["write"]
