"""The header of a packet of CTF metadata, read without construct, which takes long to load.

The layout is that of `formats.ctf`, which a test holds it to.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

MAGIC = 0x75D11D57
MAGICS = (MAGIC.to_bytes(4, "little"), MAGIC.to_bytes(4, "big"))
LITTLE, BIG = struct.Struct("<I16sIIIBBBBB"), struct.Struct(">I16sIIIBBBBB")
SEPARATOR = b"\x1e"
"""Begins each fragment of CTF 2."""
HEADER_BYTES = LITTLE.size


class MetadataHeader(NamedTuple):
    """One header; sizes are in bits."""

    magic: int
    uuid: bytes
    checksum: int
    content_size: int
    packet_size: int
    compression_scheme: int
    encryption_scheme: int
    checksum_scheme: int
    major: int
    minor: int


def metadata_header(raw: bytes, at: int) -> MetadataHeader:
    """The header at a place, in the byte order of the first packet's magic number."""
    layout = LITTLE if raw[:4] == MAGICS[0] else BIG
    return MetadataHeader._make(layout.unpack_from(raw, at))
