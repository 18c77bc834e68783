"""BTF images made for a test, type by type."""

from __future__ import annotations

from bridge.formats import btf as layout
from bridge.probes.btf import BtfKind


class Image:
    """Builds a BTF image type by type."""

    def __init__(self) -> None:
        self.strings, self.types, self.count = b"\0", b"", 0

    def name(self, text: str) -> int:
        if not text:
            return 0
        self.strings += text.encode() + b"\0"
        return len(self.strings) - len(text) - 1

    def add(
        self,
        kind: BtfKind,
        name: str = "",
        value: int = 0,
        *,
        count: int = 0,
        flag: int = 0,
        tail: bytes = b"",
    ) -> int:
        info = flag << 31 | kind << 24 | count
        self.types += layout.TYPE.build(
            {"name_off": self.name(name), "info": info, "size_or_type": value}
        )
        self.types += tail
        self.count += 1
        return self.count

    def integer(self, name: str, size: int, *, signed: bool) -> int:
        word = (1 << 24 if signed else 0) | size * 8
        return self.add(BtfKind.INT, name, size, tail=layout.WORD_FAST.pack(word))

    def struct(
        self,
        name: str,
        size: int,
        *members: tuple[str, int, int],
        flag: int = 0,
        kind: BtfKind = BtfKind.STRUCT,
    ) -> int:
        tail = b"".join(
            layout.MEMBER.build({"name_off": self.name(n), "type": t, "offset": o})
            for n, t, o in members
        )
        return self.add(kind, name, size, count=len(members), flag=flag, tail=tail)

    def prototype(self, *parameters: tuple[str, int]) -> int:
        tail = b"".join(
            layout.PARAMETER.build({"name_off": self.name(n), "type": t}) for n, t in parameters
        )
        return self.add(BtfKind.FUNC_PROTO, count=len(parameters), tail=tail)

    def array(self, element: int, count: int) -> int:
        tail = layout.ARRAY.build({"type": element, "index_type": 1, "nelems": count})
        return self.add(BtfKind.ARRAY, tail=tail)

    def build(self) -> bytes:
        header = {
            "version": 1,
            "flags": 0,
            "hdr_len": 24,
            "type_off": 0,
            "type_len": len(self.types),
            "str_off": len(self.types),
            "str_len": len(self.strings),
        }
        return layout.HEADER.build(header) + self.types + self.strings
