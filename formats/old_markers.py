"""Structures of kernel markers and of LTTng-UST's tracepoints: offsets, no logic.

Sources: include/linux/marker.h of Linux 2.6.24, 2.6.25, 2.6.30, of LTTng's patches and those
before 2.6.24; lttng/tracepoint-types.h of LTTng-UST 2.0 and 2.13. Offsets were compiled.
"""

from __future__ import annotations

from dataclasses import dataclass

SECTION, DATA_SECTION = "__markers", "__markers_data"
BY_SYMBOL = "Markers 0.2-0.3 (symbol)"
BY_SYMBOL_KPROBE = "Markers 0.4-0.7 (symbol for kprobes)"
BY_LOADER = "Markers 0.4-0.7 (dynamic probe loader)"


@dataclass(frozen=True, slots=True)
class MarkerLayout:
    """`struct marker` of some versions: its size and offsets with words of 8 and of 4 bytes."""

    kind: str
    section: str
    sizes: tuple[int, int]
    wide: dict[str, int]
    narrow: dict[str, int]
    most_state: int = 1

    def size(self, word: int) -> int:
        """Bytes from one to the next."""
        return self.sizes[word == 4]

    def offsets(self, word: int) -> dict[str, int]:
        """The offsets of its members."""
        return self.narrow if word == 4 else self.wide


_PLAIN = {"name": 0, "format": 8, "state": 16}
_PLAIN_32 = {"name": 0, "format": 4, "state": 8}

LAYOUTS = (
    MarkerLayout(
        "LTTng patches",
        SECTION,
        (128, 128),
        {"channel": 0, "name": 8, "format": 16, "state": 24},
        {"channel": 0, "name": 4, "format": 8, "state": 12},
    ),
    MarkerLayout("Linux 2.6.29-2.6.31", SECTION, (72, 40), _PLAIN, _PLAIN_32),
    MarkerLayout("Linux 2.6.25-2.6.28", SECTION, (56, 32), _PLAIN, _PLAIN_32),
    MarkerLayout("Linux 2.6.24", SECTION, (40, 24), _PLAIN, _PLAIN_32),
    MarkerLayout(
        "patches before 2.6.24", DATA_SECTION, (36, 20), _PLAIN, _PLAIN_32, most_state=7
    ),
)
"""In the order in which they are tried; every structure of a section has to fit."""


@dataclass(frozen=True, slots=True)
class UstLayout:
    """`struct tracepoint` of LTTng-UST: members by their number of words; who lists them."""

    kind: str
    pointers: str
    words: dict[str, int]
    function: str


UST = (
    UstLayout(
        "LTTng-UST 2.13",
        "lttng_ust_tracepoints_ptrs",
        {"provider": 1, "name": 2, "signature": 6},
        "lttng_ust__event_probe__{provider}___{name}",
    ),
    UstLayout(
        "LTTng-UST 2.0-2.12",
        "__tracepoints_ptrs",
        {"name": 0, "signature": 4},
        "__event_probe__{provider}___{name}",
    ),
)
