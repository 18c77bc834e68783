"""Facility -> a tracepoint provider header for lttng-ust 2.13.

The file includes itself, so its name is part of its text. Compile one C file with
`#define LTTNG_UST_TRACEPOINT_CREATE_PROBES`, one place with `LTTNG_UST_TRACEPOINT_DEFINE`. The
rule: what lttng-ust has no field for (structs, unions) is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.errors import TraceError
from bridge.facility import model
from bridge.facility.c_names import identifier, scalar

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_ARGUMENTS = 10
_ORDERED = "lttng_ust_field_integer_network"


class _Writer:
    def __init__(self, facility: model.Facility) -> None:
        self.facility = facility
        self.provider = identifier(facility.name)
        self.enums: list[str] = []

    def fail(self, event: model.Event, member: model.Member, what: str) -> TraceError:
        """The error for a field, to be raised."""
        return TraceError(f"event {event.name}, field {member.name}: {what}")

    def plain(self, event: model.Event, member: model.Member, kind: model.Type) -> str:
        """The C type of elements and counts."""
        kind = self.facility.resolve(kind)
        if isinstance(kind, model.Enum):
            return "int"
        if not isinstance(kind, model.Scalar) or kind.word in ("string", "float"):
            raise self.fail(event, member, "lttng-ust has arrays of integers only")
        return "uintptr_t" if kind.word == "pointer" else scalar(kind)

    def arguments(self, event: model.Event, member: model.Member) -> list[str]:
        """`type, name` of each argument."""
        kind, name = self.facility.resolve(member.type), identifier(member.name)
        match kind:
            case model.Scalar():
                return [f"{scalar(kind)}, {name}"]
            case model.Enum():
                return [f"int, {name}"]
            case model.Sequence():
                count = self.plain(event, member, kind.count)
                return [
                    f"{count}, {name}_len",
                    f"const {self.plain(event, member, kind.element)} *, {name}",
                ]
            case model.Array():
                return [f"const {self.plain(event, member, kind.element)} *, {name}"]
            case _:
                raise self.fail(event, member, "lttng-ust has no structs and unions")

    def field(self, event: model.Event, member: model.Member) -> str:
        """The line of the field."""
        kind, name = self.facility.resolve(member.type), identifier(member.name)
        match kind:
            case model.Scalar():
                return self.scalar(kind, name)
            case model.Enum():
                own = self.enum(event, name, kind)
                if not own:
                    return f"lttng_ust_field_integer(int, {name}, {name})"
                return f"lttng_ust_field_enum({self.provider}, {own}, int, {name}, {name})"
            case model.Sequence():
                element = self.plain(event, member, kind.element)
                count = self.plain(event, member, kind.count)
                if count.startswith(("int", "off")):
                    count = "uint64_t"
                return (
                    f"lttng_ust_field_sequence({element}, {name}, {name}, {count}, {name}_len)"
                )
            case model.Array():
                element = self.plain(event, member, kind.element)
                return f"lttng_ust_field_array({element}, {name}, {name}, {kind.length})"
            case _:
                raise self.fail(event, member, "lttng-ust has no structs and unions")

    def scalar(self, kind: model.Scalar, name: str) -> str:
        """A number, pointer or text."""
        if kind.word == "string":
            return f"lttng_ust_field_string({name}, {name})"
        if kind.word == "float":
            return f"lttng_ust_field_float({scalar(kind)}, {name}, {name})"
        if kind.word == "pointer":
            return f"lttng_ust_field_integer_hex(uintptr_t, {name}, (uintptr_t){name})"
        macro = _ORDERED if kind.network else "lttng_ust_field_integer"
        return f"{macro}({scalar(kind)}, {name}, {name})"

    def enum(self, event: model.Event, name: str, kind: model.Enum) -> str:
        """The name of the enumeration, which is declared; "" without labels."""
        if not kind.labels:
            return ""
        own = f"{identifier(event.name)}_{name}"
        values = "\n".join(
            f'\t\tlttng_ust_field_enum_value("{_escaped(label.name.strip())}", {label.value})'
            for label in kind.labels
        )
        self.enums.append(
            f"LTTNG_UST_TRACEPOINT_ENUM({self.provider}, {own},\n"
            f"\tLTTNG_UST_TP_ENUM_VALUES(\n{values}\n\t)\n)"
        )
        return own

    def event(self, event: model.Event) -> Iterator[str]:
        """The lines of an event."""
        found = [text for member in event.members for text in self.arguments(event, member)]
        if len(found) > MOST_ARGUMENTS:
            raise TraceError(
                f"event {event.name} needs {len(found)} arguments; lttng-ust has"
                f" {MOST_ARGUMENTS} at most"
            )
        fields = [self.field(event, member) for member in event.members]
        yield f"LTTNG_UST_TRACEPOINT_EVENT({self.provider}, {identifier(event.name)},"
        yield f"\tLTTNG_UST_TP_ARGS({', '.join(found) or 'void'}),"
        yield "\tLTTNG_UST_TP_FIELDS("
        yield from (f"\t\t{field}" for field in fields)
        yield "\t)"
        yield ")"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def write(facility: model.Facility, file: str = "") -> str:
    """The header's text; `file` is the name that it will have.

    Raises:
        TraceError: a field or an event that lttng-ust cannot have.

    """
    writer = _Writer(facility)
    events = [line for event in facility.events for line in ("", *writer.event(event))]
    file = file or f"{writer.provider}-tp.h"
    guard = f"MARKBRIDGE_{writer.provider.upper()}_TP_H"
    lines = [
        f"/* The facility {facility.name}; made by markbridge facility. */",
        "#undef LTTNG_UST_TRACEPOINT_PROVIDER",
        f"#define LTTNG_UST_TRACEPOINT_PROVIDER {writer.provider}",
        "#undef LTTNG_UST_TRACEPOINT_INCLUDE",
        f'#define LTTNG_UST_TRACEPOINT_INCLUDE "{_escaped(file)}"',
        f"#if !defined({guard}) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)",
        f"#define {guard}",
        "#include <stdint.h>",
        "#include <sys/types.h>",
        "#include <lttng/tracepoint.h>",
        *(f"\n{enum}" for enum in writer.enums),
        *events,
        "",
        f"#endif /* {guard} */",
        "#include <lttng/tracepoint-event.h>",
    ]
    return "\n".join([*lines, ""])


__all__ = ["MOST_ARGUMENTS", "write"]
