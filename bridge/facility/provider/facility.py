"""Providers -> facilities, so that every writer of facilities takes a provider file, too.

A provider is a facility, a probe an event, an argument a field (`arg2` where it has no name).
The rule: a type is what C says it is on Linux, through the file's typedefs and simple defines;
a type that the file does not explain is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.facility import model
from bridge.facility.provider.tokens import ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.facility.provider.model import Provider, ProviderFile, ProviderProbe

_QUALIFIERS = frozenset(("const", "volatile", "restrict", "register", "signed"))
_CHARACTERS = frozenset(("char", "unsigned char", "signed char"))
_BASIC = {
    "char": "char",
    "unsigned char": "uchar",
    "short": "short",
    "unsigned short": "ushort",
    "int": "int",
    "": "int",
    "unsigned": "uint",
    "unsigned int": "uint",
    "long": "long",
    "unsigned long": "ulong",
    "size_t": "size_t",
    "ssize_t": "ssize_t",
    "off_t": "off_t",
    "intptr_t": "long",
    "uintptr_t": "ulong",
    "_Bool": "uchar",
    "bool": "uchar",
    "boolean_t": "int",
    "pid_t": "int",
    "uid_t": "uint",
    "gid_t": "uint",
    "mode_t": "uint",
    "time_t": "long",
    "string": "string",
}
_FIXED = {
    **{f"{prefix}int{8 * size}_t": (f"{prefix}int_fixed", size) for prefix in ("u", "")
       for size in (1, 2, 4, 8)},
    **{f"u_int{8 * size}_t": ("uint_fixed", size) for size in (1, 2, 4, 8)},
    "long long": ("int_fixed", 8),
    "unsigned long long": ("uint_fixed", 8),
}  # fmt: skip
_MOST_NAMES = 16
"""Of a chain of typedefs."""


def _basic(words: list[str]) -> str:
    """The words of a number in one order: `long unsigned int` is `unsigned long`."""
    longs = words.count("long")
    rest = [word for word in words if word not in ("long", "unsigned", "int")]
    base = " ".join(["long"] * longs + rest) or ("int" if not longs else "")
    return f"unsigned {base}".strip() if "unsigned" in words else base


def type_of(written: str, types: Mapping[str, str]) -> model.Type | None:
    """The facility type of a C type; None for one that is not known."""
    for _ in range(_MOST_NAMES):
        if "(" in written:
            return model.Scalar("pointer")
        if "*" in written or "[" in written:
            return _address(written, types)
        words = [word for word in written.split() if word not in _QUALIFIERS]
        name = _basic(words)
        if name in _BASIC:
            return model.Scalar(_BASIC[name])
        if name in _FIXED:
            word, size = _FIXED[name]
            return model.Scalar(word, str(size))
        if name in ("float", "double"):
            return model.Scalar("float", "8" if name == "double" else "4")
        if words[:1] == ["enum"]:
            return model.Scalar("int")
        if name not in types:
            return None
        written = types[name]
    return None


def _address(written: str, types: Mapping[str, str]) -> model.Type:
    """A pointer: to characters it is a text."""
    base = written.replace("[", "*").partition("*")
    words = " ".join(word for word in base[0].split() if word not in _QUALIFIERS)
    deeper = "*" in base[2] or "[" in base[2]
    explained = types.get(words, words)
    is_text = explained in _CHARACTERS and not deeper
    return model.Scalar("string" if is_text else "pointer")


def _event(probe: ProviderProbe, types: Mapping[str, str], file: str) -> model.Event:
    members = []
    for number, argument in enumerate(probe.arguments, 1):
        kind = type_of(argument.type, types)
        if kind is None:
            raise ProviderError(
                f"{probe.file or file}:{probe.line}: probe {probe.name}: the type"
                f" {argument.type} is not explained in the file"
            )
        members.append(model.Member(argument.name or f"arg{number}", kind, line=probe.line))
    return model.Event(probe.name, tuple(members), line=probe.line)


def _facility(provider: Provider, file: ProviderFile, name: str) -> model.Facility:
    events = tuple(_event(probe, file.types, name) for probe in provider.probes)
    return model.Facility(provider.name, events)


def facilities(file: ProviderFile, name: str) -> list[model.Facility]:
    """One facility per provider.

    Raises:
        ProviderError: a type is not known; the message names file and line.

    """
    return [_facility(provider, file, name) for provider in file.providers]


__all__ = ["facilities", "type_of"]
