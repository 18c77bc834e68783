"""Recordings without a kernel: records as the ring buffer would deliver them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

from bridge._native import ffi, lib
from bridge.artifact import FAULT, Hook, Placed, RecordLayout
from bridge.engine.trace.record import Recorder
from bridge.ir.program import Argument, Capture, Context, IrProgram, Load, Value
from bridge.markers import Kind, Marker, MarkerAttachment, Register, Site, ValueType, Variable

OFFSET_NS = 1_700_000_000_000_000_000
SHOP = "/usr/bin/shop"
NUMBER = Argument("arg1", Value.LONG)
NAME = Argument("arg2", Value.LONG)
TEXT = Load("user", Value.STRING, NAME)
CONTEXTS = tuple(
    Context(name) for name in ("pid", "tid", "ppid", "uid", "cpu", "execname", "realtime_ns")
)
TEXTS = {
    Context("execname"): b"shop",
    Context("pexecname"): b"mall",
    Context("command"): b"shop\037-v",
}


def usdt(name: str, path: str = SHOP) -> Marker:
    """A marker shop:NAME with a number and an address."""
    variables = (
        Variable("arg1", ValueType.LONG, (Register("rax", 4, signed=True),)),
        Variable("arg2", ValueType.LONG, (Register("rbx", 8, signed=False),)),
    )
    return Marker(Kind.USDT, "shop", name, (Site(path, 1, 1),), variables, "x86_64")


@dataclass
class Recording:
    """A recorder of some hooks, fed by hand."""

    folder: Path
    attachments: list[MarkerAttachment]
    captures: tuple[Capture, ...] = (NUMBER, NAME, TEXT, *CONTEXTS)
    packet_bytes: int = 4096
    start_ns: int = 0
    alive: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.layout = RecordLayout(self.captures)
        hooks = tuple(
            Hook(n, attachment, (), (), self.layout)
            for n, attachment in enumerate(self.attachments)
        )
        placed = Placed(IrProgram(), (), hooks, recorded=True)
        self.recorder = Recorder(placed, self.folder, OFFSET_NS, 7, self.packet_bytes)
        self.recorder.start(self.start_ns)

    def hit(
        self,
        time_ns: int,
        number: int = 0,
        text: bytes | None = b"tea",
        *,
        hook: int = 0,
        cpu: int = 0,
        pid: int = 100,
    ) -> int:
        """One record; text None could not be read. What the recorder returned."""
        values = {"pid": pid, "tid": pid, "ppid": 1, "uid": 1000, "cpu": cpu}
        start = 16 + 8 * self.layout.slot_count
        slots, tail = b"", b""
        for capture in self.layout.captures:
            content = {TEXT: text, **TEXTS}.get(capture)
            if capture == TEXT and text is None:
                slots += struct.pack("<II", 0, FAULT)
            elif content is not None:
                slots += struct.pack("<II", start + len(tail), len(content))
                tail += content + b"\0"
            elif isinstance(capture, Context):
                slots += struct.pack("<q", values.get(capture.name, time_ns + OFFSET_NS))
            else:
                slots += struct.pack("<q", number if capture == NUMBER else 0x7F00_0000_1000)
        tail += bytes(-len(tail) % 8)
        record = struct.pack("<IIQ", start + len(tail), hook, time_ns) + slots + tail
        words = ffi.new("uint64_t[]", len(record) // 8)
        ffi.memmove(words, record, len(record))
        self.alive.append(words)
        return lib.mb_recorder_write(
            self.recorder.handle, ffi.cast("struct mb_record *", words)
        )
