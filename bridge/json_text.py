"""Plain data -> JSON that every parser takes (RFC 8259).

What JSON cannot say: numbers that are none become the strings "NaN", "Infinity", "-Infinity";
bytes, and text that is not valid UTF-8, become {"bytes": "<hexadecimal>"}; such names of
members get backslashes. The rule: nothing is lost, and one object is one line.
"""

from __future__ import annotations

import json
import math


def dumps(value: object, *, indent: int | None = None) -> str:
    """JSON text of a value of dicts, lists, text, bytes and numbers."""
    try:
        text = json.dumps(value, allow_nan=False, indent=indent)
        if "\\ud" in text:  # surrogates: half of a pair alone is no character
            json.dumps(value, ensure_ascii=False).encode()
    except (TypeError, ValueError):
        return json.dumps(_valid(value), allow_nan=False, indent=indent)
    return text


def _valid(value: object) -> object:
    match value:
        case float():
            return value if math.isfinite(value) else _unbounded(value)
        case str():
            return _text(value)
        case bytes():
            return {"bytes": value.hex()}
        case dict():
            return {_name(name): _valid(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_valid(inner) for inner in value]
        case _:
            return value


def _unbounded(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _text(text: str) -> object:
    try:
        text.encode()
    except UnicodeEncodeError:
        return {"bytes": _bytes(text).hex()}
    return text


def _bytes(text: str) -> bytes:
    """What the text was decoded from; or, for surrogates that no decoding gives, themselves."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _name(name: object) -> object:
    if not isinstance(name, str):
        return name
    return _bytes(name).decode("utf-8", "backslashreplace")
