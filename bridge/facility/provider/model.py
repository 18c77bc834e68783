"""What a provider file says: providers with their probes, names of types, remarks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_ARGUMENTS = 12
"""Of a probe: <sys/sdt.h> has macros for so many."""


@dataclass(frozen=True, slots=True)
class ProviderArgument:
    """An argument: a C type as written, one blank between words, and a name ("" without)."""

    type: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class ProviderProbe:
    """A probe; `name` as written, `__` for a dash."""

    name: str
    arguments: tuple[ProviderArgument, ...] = ()
    line: int = field(default=0, compare=False)
    file: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider and its probes in the file's order."""

    name: str
    probes: tuple[ProviderProbe, ...] = ()
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ProviderFile:
    """A whole file.

    `types` are the names that typedefs and simple `#define`s give to other types; `notes` say
    what was passed over, each with file and line.
    """

    providers: tuple[Provider, ...]
    types: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


__all__ = ["MOST_ARGUMENTS", "Provider", "ProviderArgument", "ProviderFile", "ProviderProbe"]
