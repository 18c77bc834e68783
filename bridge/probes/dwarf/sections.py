"""`ElfFile` -> the bytes of its sections of debug information, decompressed.

Both ways of compressing are read: SHF_COMPRESSED with zlib or zstd (gABI, "Section
Compression"), and the older `.zdebug_*`. What is damaged raises `DebugError`.
"""

from __future__ import annotations

import zlib
from ctypes import CDLL, c_char, c_size_t, c_uint, c_ulonglong
from functools import cache
from typing import TYPE_CHECKING

from bridge.formats import elf_notes as layout
from bridge.probes.dwarf.relocation import relocated

if TYPE_CHECKING:
    from bridge.probes.elf import ElfFile, Section

ZSTD = "libzstd.so.1"
MOST_BYTES = 1 << 33
"""What a section may have decompressed."""
_ZLIB_RATIO = 1040
"""How much zlib can make of a byte at most (RFC 1951: a bit for 258 bytes, less headers)."""


class DebugError(ValueError):
    """Debug information contradicts its format."""


def find(elf: ElfFile, name: str) -> Section | None:
    """A section of debug information under either of its names."""
    for candidate in (name, f".z{name[1:]}"):
        section = elf.section(candidate)
        if section is not None and len(elf.content(section)):
            return section
    return None


def content(elf: ElfFile, name: str) -> memoryview:
    """The bytes of a section; empty if it is not there."""
    section = find(elf, name)
    if section is None:
        return memoryview(b"")
    data = elf.content(section)
    if section.name != name:
        data = _old(name, data)
    elif section.header.flags & layout.SHF_COMPRESSED:
        data = _compressed(name, data, elf.order)
    return relocated(elf, name, data)


def _old(name: str, data: memoryview) -> memoryview:
    """`ZLIB`, the size as eight bytes, most significant first, then the stream."""
    if bytes(data[:4]) != b"ZLIB":
        return data
    return _zlib(name, data[12:], int.from_bytes(data[4:12], "big"))


def _compressed(name: str, data: memoryview, order: str) -> memoryview:
    form = layout.CHDR.struct(order)
    if len(data) < form.size:
        raise DebugError(f"the compressed section {name} is cut off")
    kind, _, size, _ = form.unpack_from(data)
    body = data[form.size :]
    if kind == layout.ELFCOMPRESS_ZLIB:
        return _zlib(name, body, size)
    if kind == layout.ELFCOMPRESS_ZSTD:
        return _zstd(name, body, size)
    raise DebugError(f"the section {name} is compressed in an unknown way ({kind})")


def _zlib(name: str, data: memoryview, size: int) -> memoryview:
    if size > min(MOST_BYTES, _ZLIB_RATIO * len(data)):
        raise DebugError(f"the compressed section {name} claims to have {size} bytes")
    try:
        found = zlib.decompressobj().decompress(data, size)
    except zlib.error as error:
        raise DebugError(f"the section {name} cannot be decompressed: {error}") from error
    return _checked(name, found, len(found), size)


def _zstd(name: str, data: memoryview, size: int) -> memoryview:
    if size > MOST_BYTES:
        raise DebugError(f"the compressed section {name} claims to have {size} bytes")
    library = _zstd_library()
    if library is None:
        raise DebugError(f"the section {name} is compressed with zstd, and there is no {ZSTD}")
    source, found = bytes(data), bytearray(size)
    if library.ZSTD_getFrameContentSize(source, c_size_t(len(source))) != size:
        raise DebugError(f"the compressed section {name} has another size than it says")
    room = (c_char * size).from_buffer(found)
    done = library.ZSTD_decompress(room, c_size_t(size), source, c_size_t(len(source)))
    if library.ZSTD_isError(c_size_t(done)):
        raise DebugError(f"the section {name} cannot be decompressed: damaged zstd stream")
    return _checked(name, found, int(done), size)


@cache
def _zstd_library() -> CDLL | None:
    """The library of zstd, which Python has only since 3.14; None where it is missing."""
    try:
        library = CDLL(ZSTD)
    except OSError:
        return None
    library.ZSTD_getFrameContentSize.restype = c_ulonglong
    library.ZSTD_decompress.restype = c_size_t
    library.ZSTD_isError.restype = c_uint
    return library


def _checked(name: str, found: bytes | bytearray, got: int, size: int) -> memoryview:
    if got != size:
        raise DebugError(f"the section {name} has {got} bytes and claims {size}")
    return memoryview(found)
