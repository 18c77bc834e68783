"""What the command line says about a compilation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


NEWEST = "5.6"
"""The version of SystemTap whose language this is."""


@dataclass(frozen=True, slots=True)
class AnalyseOptions:
    """Options of the front end, by stap's letters.

    `arguments` are the script's `$1 @1`, `include` the `-I` folders, `defines` the `-D`
    limits and macros by name, `globals_` the `-G` values, `extra` further scripts (`-E`).
    `guru` is `-g`, `unoptimized` `-u`, and `compatible` the version of `--compatible`;
    `global_display` has globals that nobody reads printed at the end. `conditions` are the
    left sides of `%( … %)` by name (`arch`, `kernel_v`, `CONFIG_X`). `texts` are further files
    of the library, by name; without `own_tapset` there is no other. With `keep_idle` probes
    that do nothing stay, with `assume_types` what needs type information passes as a number
    (for checking only). `privilege` is what the left side of that name gives.
    """

    arguments: tuple[str, ...] = ()
    include: tuple[Path, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    defines: Mapping[str, str] = field(default_factory=dict)
    globals_: Mapping[str, str] = field(default_factory=dict)
    extra: tuple[str, ...] = ()
    guru: bool = False
    global_display: bool = True
    unoptimized: bool = False
    keep_idle: bool = False
    compatible: str = NEWEST
    privilege: str = "stapdev"
    conditions: Mapping[str, str] = field(default_factory=dict)
    own_tapset: bool = True
    assume_types: bool = False
