"""Field types and event classes -> CTF 1.8 metadata text (TSDL), in LTTng's manner.

Field names carry a leading underscore, which readers drop, so that no name is a keyword.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, assert_never

from bridge.trace.ctf.layout import CtfScope, LayoutError, alignment
from bridge.trace.model import (
    Enumeration,
    Field,
    FieldType,
    FixedArray,
    Float,
    Integer,
    Optional,
    Sequence,
    Struct,
    Text,
    Variant,
    names_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bridge.trace.ctf.description import Clock
    from bridge.trace.model import EventClass

SIGNATURE = "/* CTF 1.8 */\n"
MANTISSA = {32: 24, 64: 53}

PREAMBLE = """
typealias integer { size = 8; align = 8; signed = false; } := uint8_t;
typealias integer { size = 16; align = 8; signed = false; } := uint16_t;
typealias integer { size = 32; align = 8; signed = false; } := uint32_t;
typealias integer { size = 64; align = 8; signed = false; } := uint64_t;
"""

STREAM = """
stream {{
	id = {id};
	packet.context := struct {{
		uint64_clock_t timestamp_begin;
		uint64_clock_t timestamp_end;
		uint64_t content_size;
		uint64_t packet_size;
		uint64_t packet_seq_num;
		uint64_t events_discarded;{cpu}
	}};
	event.header := struct {{
		enum : uint16_t {{ compact = 0 ... 65534, extended = 65535 }} id;
		variant <id> {{
			struct {{
				uint32_clock_t timestamp;
			}} compact;
			struct {{
				uint32_t id;
				uint64_clock_t timestamp;
			}} extended;
		}} v;
	}};{context}
}};
"""


_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def quoted(text: str) -> str:
    """A string literal: bytes of UTF-8, control characters escaped."""
    shown = "".join(_escaped(byte) for byte in text.encode("utf-8", "surrogateescape"))
    return f'"{shown}"'


def _escaped(byte: int) -> str:
    if byte in b'\\"':
        return "\\" + chr(byte)
    return chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}"


def identifier(name: str) -> str:
    """A name as an identifier: what is no letter, digit or underscore becomes an underscore."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


def field_names(fields: Iterable[Field]) -> list[str]:
    """The identifiers of the fields, different from each other."""
    taken: set[str] = set()
    names = []
    for member in fields:
        name = base = "_" + identifier(member.name)
        number = 2
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        names.append(name)
    return names


def _integer(type_: Integer, default_big: bool) -> str:
    parts = [
        f"size = {type_.bits};",
        f"align = {type_.align_bits};",
        f"signed = {'true' if type_.signed else 'false'};",
    ]
    if type_.big_endian != default_big and (type_.bits > 8 or type_.bits % 8 or default_big):
        parts.append(f"byte_order = {'be' if type_.big_endian else 'le'};")
    if type_.base != 10:
        parts.append(f"base = {type_.base};")
    if type_.encoding:
        parts.append(f"encoding = {_encoding(type_.encoding)};")
    if type_.clock:
        parts.append(f"map = clock.{type_.clock}.value;")
    return f"integer {{ {' '.join(parts)} }}"


def _encoding(encoding: str) -> str:
    return "ASCII" if encoding.lower() == "ascii" else "UTF8"


def _float(type_: Float) -> str:
    mantissa = MANTISSA[type_.bits]
    order = " byte_order = be;" if type_.big_endian else ""
    return (
        f"floating_point {{ exp_dig = {type_.bits - mantissa}; mant_dig = {mantissa}; "
        f"align = {type_.align_bits};{order} }}"
    )


def _bounds(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} ... {high}"


def _path(path: str) -> str:
    """A path with our underscores; the scope that it may start at has none."""
    for scope in CtfScope:
        if path.startswith(f"{scope.value}."):
            return f"{scope.value}.{_path(path[len(scope.value) + 1 :])}"
    return ".".join("_" + identifier(name) for name in names_of(path))


def _specifier(type_: FieldType, indent: str) -> str:
    match type_:
        case Integer():
            return _integer(type_, default_big=False)
        case Float():
            return _float(type_)
        case Text(encoding=encoding):
            return "string" if encoding != "ascii" else "string { encoding = ASCII; }"
        case Enumeration(container=container, labels=labels):
            rows = ", ".join(f"{quoted(n)} = {_bounds(lo, hi)}" for n, lo, hi in labels)
            return f"enum : {_integer(container, default_big=False)} {{ {rows} }}"
        case Struct():
            return struct(type_, indent)
        case Variant(tag=tag, options=options):
            return f"variant <{_path(tag)}> {_braces(options, indent, _option_names(options))}"
        case Optional():
            raise LayoutError("CTF 1.8 has no optional fields")
        case FixedArray() | Sequence():
            raise AssertionError(type_)
        case _:
            assert_never(type_)


def _option_names(options: tuple[Field, ...]) -> list[str]:
    return [option.name for option in options]


def declaration(name: str, type_: FieldType, indent: str) -> str:
    """`type name[length]` with its hidden length field before it, where it has one."""
    dimensions: list[str] = []
    while isinstance(type_, FixedArray | Sequence):
        if isinstance(type_, FixedArray):
            dimensions.append(f"[{type_.length}]")
        else:
            dimensions.append(f"[{_path(type_.length)}]")
        type_ = type_.element
    return f"{indent}{_specifier(type_, indent)} {name}{''.join(dimensions)};\n"


def _braces(fields: tuple[Field, ...], indent: str, names: list[str]) -> str:
    inner = indent + "\t"
    rows = [
        declaration(name, member.type, inner)
        for name, member in zip(names, fields, strict=True)
    ]
    return f"{{\n{''.join(rows)}{indent}}}"


def struct(type_: Struct, indent: str) -> str:
    """A structure with its fields."""
    align = alignment(type_)
    names = field_names(type_.fields)
    suffix = f" align({align})" if align > 1 else ""
    return f"struct {_braces(type_.fields, indent, names)}{suffix}"


def header(uuid: str, environment: Mapping[str, str | int]) -> str:
    """The trace block, and what describes its origin."""
    rows = "".join(
        f"\t{name} = {value if isinstance(value, int) else quoted(value)};\n"
        for name, value in environment.items()
    )
    return (
        f"{SIGNATURE}{PREAMBLE}\ntrace {{\n\tmajor = 1;\n\tminor = 8;\n"
        f'\tuuid = "{uuid}";\n\tbyte_order = le;\n'
        "\tpacket.header := struct {\n\t\tuint32_t magic;\n\t\tuint8_t uuid[16];\n"
        "\t\tuint32_t stream_id;\n\t\tuint64_t stream_instance_id;\n\t};\n};\n"
        f"\nenv {{\n{rows}}};\n"
    )


def clock(found: Clock) -> str:
    """The clock, and the types that hold it."""
    name = identifier(found.name)
    mapped = f"signed = false; map = clock.{name}.value;"
    uuid = found.uuid or (found.uid if _UUID.fullmatch(found.uid) else "")
    rows = f"\tuuid = {quoted(uuid)};\n" if uuid else ""
    rows += "\tabsolute = true;\n" if found.absolute else ""
    rows += f"\tprecision = {found.precision};\n" if found.precision is not None else ""
    return (
        f'\nclock {{\n\tname = "{name}";\n\tdescription = {quoted(found.description)};\n'
        f"\tfreq = {found.frequency};\n\toffset_s = {found.offset_s};\n"
        f"\toffset = {found.offset};\n{rows}}};\n\n"
        f"typealias integer {{ size = 32; align = 8; {mapped} }} := uint32_clock_t;\n"
        f"typealias integer {{ size = 64; align = 8; {mapped} }} := uint64_clock_t;\n"
    )


def stream(number: int, context: Struct | None, *, with_cpu: bool) -> str:
    """A stream class."""
    return STREAM.format(
        id=number,
        cpu="\n\t\tuint32_t cpu_id;" if with_cpu else "",
        context=f"\n\tevent.context := {struct(context, chr(9))};" if context else "",
    )


def event(
    event_class: EventClass,
    number: int,
    stream_number: int,
    context: Struct | None,
    payload: Struct,
) -> str:
    """An event class."""
    inner = f"\n\tcontext := {struct(context, chr(9))};" if context else ""
    kept = event_class.attributes
    level, uri = kept.get("loglevel", ""), kept.get("model.emf.uri")
    rows = [f"\n\tloglevel = {level};"] if level.isdecimal() else []
    rows += [f"\n\tmodel.emf.uri = {quoted(uri)};"] if uri is not None else []
    return (
        f"\nevent {{\n\tname = {quoted(event_class.name)};\n\tid = {number};\n"
        f"\tstream_id = {stream_number};{''.join(rows)}{inner}\n"
        f"\tfields := {struct(payload, chr(9))};\n}};\n"
    )
