"""Traces of the first LTT (own numbers 2.2 and 2.3, 1999 - 2004) -> `LttReader`.

Events are fixed packed C structs; the first block starts with BufferStart and TraceStart. One
file per CPU, with a text file `.proc` about processes beside it. The rule: the trailing length
of an event is skipped, the description alone gives its size.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bridge._native import lib
from bridge.errors import TraceError
from bridge.formats import ltt
from bridge.trace import model
from bridge.trace.ltt import files, payload
from bridge.trace.ltt.cursor import ClassEntry, StreamFile, Tables
from bridge.trace.ltt.reader import LttReader

if TYPE_CHECKING:
    from pathlib import Path

_S390 = 4
_HEAD_BYTES = 128
_LEAST_BLOCK = 64
_PROC = re.compile(r"^(?:PID: (\d+); PPID: \d+|IRQ: (\d+)); NAME: (.*)$", re.MULTILINE)
_TIME = (("seconds", "u32"), ("microseconds", "u32"), ("tsc", "u32"))

# Fields by event id; "name" and "data" are bytes whose number earlier fields say.
EVENTS: dict[int, tuple[str, tuple[tuple[str, str], ...]]] = {
    1: ("syscall_entry", (("syscall_id", "u8"), ("address", "u32"))),
    2: ("syscall_exit", ()),
    3: ("trap_entry", (("trap_id", "u16"), ("address", "u32"))),
    4: ("trap_exit", ()),
    5: ("irq_entry", (("irq_id", "u8"), ("kernel", "u8"))),
    6: ("irq_exit", ()),
    7: ("schedchange", (("out", "u32"), ("in", "u32"), ("out_state", "u32"))),
    8: ("kernel_timer", ()),
    9: ("soft_irq", (("soft_irq_id", "u8"), ("data", "u32"))),
    10: ("process", (("sub_id", "u8"), ("data1", "u32"), ("data2", "u32"))),
    11: (
        "file_system",
        (
            ("sub_id", "u8"),
            ("data1", "u32"),
            ("data2", "u32"),
            ("address", "u32"),
            ("name", "name"),
        ),
    ),
    12: ("timer", (("sub_id", "u8"), ("sub_sub_id", "u8"), ("data1", "u32"), ("data2", "u32"))),
    13: ("memory", (("sub_id", "u8"), ("data", "u32"))),
    14: ("socket", (("sub_id", "u8"), ("data1", "u32"), ("data2", "u32"))),
    15: ("ipc", (("sub_id", "u8"), ("data1", "u32"), ("data2", "u32"))),
    16: ("network", (("sub_id", "u8"), ("data", "u32"))),
    17: ("buffer_start", (*_TIME, ("block_id", "u32"))),
    18: ("buffer_end", _TIME),
    19: (
        "new_event",
        (
            ("id", "u32"),
            ("type", "char20"),
            ("description", "char100"),
            ("format_type", "u32"),
            ("format", "char256"),
        ),
    ),
    20: ("custom", (("id", "u32"), ("size", "u32"), ("address", "u32"), ("data", "data"))),
    21: ("change_mask", (("mask", "u64"),)),
    22: ("heartbeat", ()),
}
_START = (
    ("magic", "u32"),
    ("arch_type", "u32"),
    ("arch_variant", "u32"),
    ("system_type", "u32"),
    ("major", "u8"),
    ("minor", "u8"),
    ("buffer_size", "u32"),
    ("event_mask", "u64"),
    ("details_mask", "u64"),
    ("log_cpu", "u8"),
    ("use_tsc", "u8"),
)


def _field(name: str, word: str, big: bool) -> model.Field:
    if word in ("name", "data"):
        return model.Field(name, model.Text())
    if word.startswith("char"):
        letter = model.Integer(8, signed=False, encoding="utf8")
        return model.Field(name, model.FixedArray(letter, int(word[4:])))
    return model.Field(name, model.Integer(int(word[1:]), signed=False, big_endian=big))


def _entry(number: int, name: str, parts: tuple[tuple[str, str], ...], big: bool) -> ClassEntry:
    kind = model.Struct(tuple(_field(n, word, big) for n, word in parts))
    layout = payload.compile_payload(kind, 1, big)
    blobs = {"name": (2, lib.MB_LTT_NAME), "data": (1, 0)}
    if parts and parts[-1][1] in blobs:
        slot, flags = blobs[parts[-1][1]]
        last = payload.LttOp(lib.MB_LTT_BLOB, flags=flags, count=slot)
        layout = replace(layout, ops=(*layout.ops[:-1], last))
    return ClassEntry(model.EventClass(f"core.{name}", number, kind), layout)


def _entries(header: files.Header, minor: int, big: bool) -> list[ClassEntry]:
    start = (*_START, ("flight_recorder", "u8")) if minor >= 3 else _START
    entries = [_entry(0, "start", start, big)]
    for number, (name, parts) in EVENTS.items():
        own = parts
        if name == "trap_entry" and header["arch_type"] == _S390:
            own = (("trap_id", "u64"), ("address", "u32"))
        entries.append(_entry(number, name, own, big))
    return entries


def k_header(path: Path) -> tuple[files.Header, int, bool] | None:
    """First two events, minor version by content, byte order; None: no such file."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return None
    if head[:1] != b"\x11":
        return None
    word = head[ltt.K_MAGIC_AT : ltt.K_MAGIC_AT + 4]
    for big in (False, True):
        if word != ltt.MAGIC.to_bytes(4, "big" if big else "little"):
            continue
        old = files.parse_header(ltt.k_start(2, big), head)
        new = files.parse_header(ltt.k_start(3, big), head)
        if old is None or new is None:
            return None
        # Some kernels wrote the content of 2.3 under the number 2.2: then no length follows.
        is_new = old["minor"] >= 3 or not _is_length(old["start_length"])
        return (new, 3, big) if is_new else (old, 2, big)
    return None


def _is_length(length: int) -> bool:
    """Whether this is the length of a TraceStart of 2.2: its payload, or all of it."""
    own = sum(int(word[1:]) // 8 for _, word in _START)
    return own <= length <= own + 8


def is_k(path: Path) -> bool:
    """Whether the file is such a trace."""
    return path.is_file() and k_header(path) is not None


def _processes(path: Path) -> dict[str, str]:
    """What the `.proc` file beside the trace says."""
    found = {}
    beside = path.with_name(path.name + ".proc")
    beside = beside if beside.is_file() else path.with_suffix(".proc")
    if beside.is_file() and beside != path:
        text = beside.read_bytes().decode("latin-1")
        for pid, irq, name in _PROC.findall(text):
            found[f"process.{pid}" if pid else f"irq.{irq}"] = name
    return found


def _cpu(path: Path) -> int:
    digits = re.search(r"(\d+)$", path.name)
    return int(digits.group(1)) if digits else -1


def open_k(paths: list[Path]) -> LttReader:
    """Open the files of a trace, one per CPU."""
    streams: list[StreamFile] = []
    classes: list[ClassEntry] = []
    attributes: dict[str, str] = {}
    for path in paths:
        header = k_header(path)
        if header is None:
            continue
        values, minor, big = header
        if not _LEAST_BLOCK <= values["buffer_size"] < 1 << 31:
            raise TraceError(
                f"{path}: buffers of {values['buffer_size']} bytes are not supported"
            )
        base = len(classes)
        classes += _entries(values, minor, big)
        ids = {e.event_class.id: base + at for at, e in enumerate(classes[base:])}
        layout: dict[str, int | float] = {
            "kind": lib.MB_LTT_K,
            "big": int(big),
            "block_bytes": values["buffer_size"],
            "time_mode": lib.MB_LTT_TIME_INTERPOLATE,
            "time_bytes": 4,
            "log_cpu": int(bool(values["log_cpu"])),
            "use_tsc": int(bool(values["use_tsc"])),
        }
        streams.append(StreamFile(path, path.name, path.name, _cpu(path), layout, ids))
        attributes |= {"version": f"{values['major']}.{minor}"} | _processes(path)
        attributes["architecture"] = ltt.ARCHITECTURES.get(values["arch_type"], "unknown")
    if not streams:
        raise TraceError("no trace of the first LTT")
    return LttReader("ltt-k", Tables(streams, classes), attributes, [])
