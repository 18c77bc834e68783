"""Facility -> a C header with genevent's functions `trace_<facility>_<event>(...)`.

Names, types and order of parameters are genevent's, so a program that was written for its
headers compiles with this one; each function is a marker that any tracer can listen to.
Enumerations, structs, unions and sequences are declared as genevent declared them. In a
folder (`files`) are the headers that old programs include beside it, too, and its loader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.facility import checksum, model
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
        "#include <ltt/ltt-usertrace.h>",
        "#include <markbridge/marker.h>",
        "",
        *_comment(facility.description),
        *declared.lines,
        *functions,
        "",
        f"#endif /* {guard} */",
    ]
    return "\n".join([*lines, ""])


def _guarded(guard: str, facility: model.Facility, *lines: str) -> str:
    start = (
        f"/* The facility {facility.name}; made by markbridge facility. */",
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
        "#include <ltt/ltt-usertrace.h>",
        "",
    )
    return "\n".join([*start, *lines, "", f"#endif /* {guard} */", ""])


def _ids(facility: model.Facility, handles: tuple[str, str]) -> str:
    """The facility's handles and the numbers of its events."""
    name = identifier(facility.name)
    events = [f"\tevent_{name}_{identifier(event.name)}," for event in facility.events]
    return _guarded(
        f"_LTT_FACILITY_ID_{name.upper()}_H_",
        facility,
        *(f"extern ltt_facility_t {handle};" for handle in handles),
        "",
        f"enum {name}_event {{",
        *events,
        f"\tfacility_{name}_num_events",
        "};",
    )


def _loader(facility: model.Facility, ids: str, handles: tuple[str, str]) -> str:
    """What a loader registers; markers need none, but programs name its macros."""
    name = identifier(facility.name)
    return _guarded(
        f"_LTT_FACILITY_LOADER_{name.upper()}_H_",
        facility,
        f"#include <ltt/{ids}>",
        "",
        f"#define LTT_FACILITY_SYMBOL {handles[0]}",
        f"#define LTT_FACILITY_CHECKSUM_SYMBOL {handles[1]}",
        f"#define LTT_FACILITY_CHECKSUM 0x{checksum.checksum(facility):X}",
        f'#define LTT_FACILITY_NAME "{facility.name}"',
        f"#define LTT_FACILITY_NUM_EVENTS facility_{name}_num_events",
        f"#define LTT_FACILITY_ALIGNMENT {facility.align or 1}",
    )


def files(facility: model.Facility) -> dict[str, str]:
    """The header and what genevent wrote beside it, by file name.

    Raises:
        TraceError: an event has more arguments than a marker can have.

    """
    name = identifier(facility.name)
    stem = f"{name}_{facility.arch}" if facility.arch else name
    handle = f"ltt_facility_{name}"
    handles = (handle, f"{handle}_{checksum.checksum(facility):X}")
    ids, loader = f"ltt-facility-id-{stem}.h", f"ltt-facility-loader-{stem}"
    source = [f'#include "{loader}.h"', "", *(f"ltt_facility_t {one};" for one in handles), ""]
    return {
        f"ltt-facility-{stem}.h": write(facility).replace(
            "#include <ltt/ltt-usertrace.h>\n",
            f"#include <ltt/ltt-usertrace.h>\n#include <ltt/{ids}>\n",
        ),
        ids: _ids(facility, handles),
        f"{loader}.h": _loader(facility, ids, handles),
        f"{loader}.c": "\n".join(source),
    }


__all__ = ["files", "write"]
