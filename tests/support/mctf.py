"""Traces as commented text -> CTF folders.

`--- name` starts a file; its lines up to the next one are its content. The metadata is text. In
a stream file each word is one piece of data: `u8 u16 u32 u64 s8 s16 s32 s64 f32 f64` with a
value after a colon, `be`/`le` for the byte order from there on, `"text"` with a NUL, `'text'`
without, `x:0a0b` raw bytes, `align:N` zeros up to N bytes, `pad:N` zeros up to N bytes from the
start of the packet. `packet` starts a packet, and `here` in a value is the packet's length in
bits up to the word `end`. `#` starts a comment.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from pathlib import Path

_WORD = re.compile(r"""\s*(?:#[^\n]*|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s#"']+))""")
_CODES = {
    "u8": "B",
    "u16": "H",
    "u32": "I",
    "u64": "Q",
    "s8": "b",
    "s16": "h",
    "s32": "i",
    "s64": "q",
    "f32": "f",
    "f64": "d",
}


@dataclass
class _Stream:
    done: bytes = b""
    packet: bytes = b""
    order: str = "<"
    holes: list[tuple[int, str, str]] = field(default_factory=list)
    content_bits: int | None = None

    def close(self) -> None:
        whole = len(self.packet) * 8
        known = {"content": whole if self.content_bits is None else self.content_bits}
        known["whole"] = whole
        packet = bytearray(self.packet)
        for at, code, name in self.holes:
            struct.pack_into(code, packet, at, known[name])
        self.done += bytes(packet)
        self.packet, self.holes, self.content_bits = b"", [], None

    def text(self, text: str, end: bytes) -> None:
        self.packet += text.encode().decode("unicode_escape").encode("latin-1") + end

    def word(self, word: str) -> None:
        name, _, value = word.partition(":")
        if name == "packet":
            self.close()
        elif name in ("le", "be"):
            self.order = "<" if name == "le" else ">"
        elif name == "end":
            self.content_bits = len(self.packet) * 8
        elif name == "x":
            self.packet += bytes.fromhex(value)
        elif name in ("align", "pad"):
            size = int(value)
            target = size if name == "pad" else -(-len(self.packet) // size) * size
            self.packet += bytes(target - len(self.packet))
        else:
            self.number(_CODES[name], value)

    def number(self, code: str, value: str) -> None:
        code = self.order + code
        if value in ("content", "whole"):
            self.holes.append((len(self.packet), code, value))
            value = "0"
        self.packet += struct.pack(code, float(value) if code[1] in "fd" else int(value, 0))


def stream_bytes(text: str) -> bytes:
    """The content of a stream file."""
    stream = _Stream()
    for match in _WORD.finditer(text):
        quoted, plain, word = match.groups()
        if word is not None:
            stream.word(word)
        elif quoted is not None:
            stream.text(quoted, b"\0")
        elif plain is not None:
            stream.text(plain, b"")
    stream.close()
    return stream.done


def compile_trace(text: str, folder: Path) -> Path:
    """Write the files of a trace; its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = re.split(r"^--- (\S+)\n", text, flags=re.MULTILINE)
    for name, content in zip(parts[1::2], parts[2::2], strict=True):
        if name == "metadata":
            # JSON: what starts with the line is a text of the sequence
            (folder / name).write_text(re.sub(r"^\{", "\x1e{", content, flags=re.MULTILINE))
        else:
            (folder / name).write_bytes(stream_bytes(content))
    return folder
