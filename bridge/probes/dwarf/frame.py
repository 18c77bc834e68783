"""Call frame information: where the canonical frame address is at an instruction.

Source: DWARF 5, section 6.4. The program's .eh_frame comes first, then .debug_frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from elftools.dwarf.callframe import FDE

from bridge.probes.dwarf.die import FAULTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.probes.dwarf.image import Image


def frame_address(image: Image, address: int) -> tuple[int, int] | None:
    """The CFA at an address, as DWARF register number and offset; None if it is not told so."""
    for entry in _entries(image):
        start = entry.header["initial_location"]
        if start <= address < start + entry.header["address_range"]:
            return _rule(entry, address)
    return None


def _entries(image: Image) -> Iterator[Any]:
    for info, has, read in (
        (image.frames, "has_EH_CFI", "EH_CFI_entries"),
        (image.info, "has_CFI", "CFI_entries"),
    ):
        try:
            found = getattr(info, read)() if getattr(info, has)() else ()
        except FAULTS:
            continue
        yield from (entry for entry in found if isinstance(entry, FDE))


def _rule(entry: Any, address: int) -> tuple[int, int] | None:  # noqa: ANN401 - of pyelftools
    rule = None
    for line in entry.get_decoded().table:
        if line["pc"] > address:
            break
        rule = line["cfa"]
    if rule is None or rule.reg is None:
        return None
    return rule.reg, rule.offset
