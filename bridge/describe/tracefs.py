"""A tracefs `format` file -> a facility with one event.

The subsystem is the facility where the path tells it. The rule: what every record begins
"""

from __future__ import annotations

import re
from pathlib import PurePath

from bridge.errors import TraceError
from bridge.facility import model
from bridge.probes.tracepoints import FieldLayout, parse_format

_ARRAY = re.compile(r"(?P<type>.*?)\s*\b(?P<name>\w+)\s*\[(?P<length>\d+)\]$")
_LOCATED = re.compile(r"__(?:data_loc|rel_loc)\s+(?P<type>.*?)\s*\[\]\s*(?P<name>\w+)$")
_COMMON = "common_"


def _integer(size: int, *, signed: bool) -> model.Scalar:
    return model.Scalar("int_fixed" if signed else "uint_fixed", str(size))


def _located(element: str, field: FieldLayout) -> model.Type:
    """A dynamic array: a text of characters, else a sequence of its elements."""
    if element.replace("const", "").strip() == "char":
        return model.Scalar("string")
    size = _element_size(element)
    if size is None:
        raise TraceError(f"field {field.declaration}: the size of its elements is not known")
    return model.Sequence(model.Scalar("ushort"), _integer(size, signed=field.signed))


def _element_size(element: str) -> int | None:
    sizes = {"char": 1, "short": 2, "int": 4, "unsigned": 4, "long": 8, "unsigned long": 8}
    words = [word for word in element.split() if word != "const"]
    fixed = re.fullmatch(r"(?:__)?[usu]{1}(8|16|32|64)|u?int(8|16|32|64)_t", " ".join(words))
    if fixed:
        return int(fixed[1] or fixed[2]) // 8
    plain = " ".join(word for word in words if word not in ("signed",))
    return sizes.get(plain, sizes.get(plain.removeprefix("unsigned ")))


def _member(field: FieldLayout) -> model.Member:
    located = _LOCATED.match(field.declaration)
    if located:
        return model.Member(located["name"], _located(located["type"], field))
    array = _ARRAY.match(field.declaration)
    if array and int(array["length"]):
        length = int(array["length"])
        element = _integer(field.size // length, signed=field.signed)
        return model.Member(array["name"], model.Array(length, element))
    type_, _, name = field.declaration.rpartition(" ")
    name = name.lstrip("*")
    if "*" in field.declaration:
        return model.Member(name, model.Scalar("pointer"))
    if field.size not in (1, 2, 4, 8):
        raise TraceError(f"field {field.declaration}: {type_} is no number")
    return model.Member(name, _integer(field.size, signed=field.signed))


def facility(text: str, path: str) -> model.Facility:
    """The event of a `format` file, in a facility named after its subsystem.

    Raises:
        TraceError: the text is no `format` file, or a field has a size that no number has.

    """
    found = parse_format(text)
    if found is None:
        raise TraceError(f"{path}: no format file of tracefs")
    folders = PurePath(path).parts
    subsystem = folders[-3] if len(folders) > 3 and folders[-1] == "format" else "kernel"
    try:
        members = tuple(
            _member(field)
            for field in found.fields
            if not field.declaration.rpartition(" ")[2].startswith(_COMMON)
        )
    except TraceError as error:
        raise TraceError(f"{path}: {error}") from None
    return model.Facility(subsystem, (model.Event(found.name, members),))


__all__ = ["facility"]
