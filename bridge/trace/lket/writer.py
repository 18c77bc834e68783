"""Events -> an LKET trace: one file `stpd_cpuN` per CPU, times in nanoseconds (sched_clock).

Groups and hooks are given in order of appearance, from group 64 on so that none of SystemTap's
own is touched. The rule: LKET's integers are signed, so an unsigned one takes the next width.
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, BinaryIO

from bridge.errors import TraceError
from bridge.formats import lket
from bridge.handles import Closing, Opened
from bridge.trace import model
from bridge.trace.output import check_free, make_folder

if TYPE_CHECKING:
    from pathlib import Path

_FIRST_GROUP, _LAST_GROUP, _HOOKS = 64, 127, 127
_NAMES = {width: name for name, width in lket.WIDTHS.items()}
_LONGEST = 0x7FFF
Key = tuple[int, int]


def _kind(event_class: model.EventClass, member: model.Field) -> str:
    kind = member.type
    if isinstance(kind, model.Enumeration):
        kind = kind.container
    if isinstance(kind, model.Text):
        return "STRING"
    if not isinstance(kind, model.Integer) or kind.bits not in (8, 16, 32, 64):
        raise TraceError(
            f"{event_class.name}, field {member.name}: LKET knows only integers and strings"
        )
    width = kind.bits // 8
    return _NAMES[width if kind.signed else min(8, 2 * width)]


class LketWriter(Closing):
    """An LKET trace being written; see `bridge.trace.model.Writer`."""

    def __init__(self, path: Path, big_endian: bool = False) -> None:
        check_free(path)
        make_folder(path)
        self._path = path
        self._lock = RLock()
        self._opened = Opened(f"{path}: the trace")
        self._big = big_endian
        self._files: dict[int, BinaryIO] = {}
        self._sequence: dict[int, int] = {}
        self._keys: dict[model.EventClass, tuple[Key, list[str]]] = {}
        header = {
            "magic": lket.MAGIC,
            "header_length": 9,
            "major": 1,
            "minor": 1,
            "endian": 2,
            "timing": lket.TIMING_SCHED_CLOCK,
            "bits": 64,
            "cpu_mhz": 1000,
        }
        self._record(0, lket.trace_header(big_endian).build(header))

    def _record(self, cpu: int, data: bytes) -> None:
        if cpu not in self._files:
            self._files[cpu] = (self._path / f"stpd_cpu{cpu}").open("wb")
        sequence = self._sequence.get(cpu, 0)
        self._sequence[cpu] = sequence + 1
        self._files[cpu].write(lket.fast_record(self._big).pack(sequence, len(data)) + data)

    def _packet(self, key: Key, event: model.Event, data: bytes) -> None:
        size = lket.SYSTEM_BYTES + len(data)
        if size > _LONGEST:
            raise TraceError(f"{event.event_class.name}: longer than an LKET packet")
        cpu = max(event.cpu, 0)
        if cpu > 0xFF:
            raise TraceError(f"LKET knows no CPU {cpu}")

        def number(name: str) -> int:
            value = event.context.get(name, 0)
            return value & 0x7FFFFFFF if isinstance(value, int) else 0

        packed = lket.fast_packet(self._big).pack(
            size,
            size,
            event.timestamp_ns,
            number("tid") << 32 | number("pid"),
            number("ppid") << 32 | key[0] << 24 | key[1] << 16 | cpu << 8,
        )
        self._record(cpu, packed + data)

    def _register(self, event: model.Event) -> tuple[Key, list[str]]:
        kind = event.event_class
        number = len(self._keys)
        key = (_FIRST_GROUP + number // _HOOKS, 1 + number % _HOOKS)
        if key[0] > _LAST_GROUP:
            raise TraceError("more event classes than LKET has groups and hooks")
        words = [_kind(kind, member) for member in kind.payload.fields]
        names = [member.name.replace(":", "_") for member in kind.payload.fields]
        both = "\0".join((":".join(words), ":".join(names), "")).encode("latin-1", "replace")
        description = kind.name.encode("latin-1", "replace") + b"\0"
        for hook, text in ((lket.HOOK_SYSTEM, both), (lket.HOOK_DESCRIPTION, description)):
            self._packet((lket.GROUP_REGISTER, hook), event, bytes(key) + text)
        return key, words

    def write(self, event: model.Event) -> None:
        """Append one event."""
        with self._lock:
            self._opened.check()
            self._write(event)

    def _write(self, event: model.Event) -> None:
        known = self._keys.get(event.event_class)
        if known is None:
            known = self._keys[event.event_class] = self._register(event)
        key, words = known
        order = "big" if self._big else "little"
        data = b""
        for member, word in zip(event.event_class.payload.fields, words, strict=True):
            value = event.fields[member.name]
            if word == "STRING":
                data += str(value).encode("utf8", "surrogateescape") + b"\0"
            elif isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
                width = lket.WIDTHS[word]
                data += value.to_bytes(
                    width, "big" if order == "big" else "little", signed=True
                )
            else:
                raise TraceError(
                    f"{event.event_class.name}, field {member.name}: LKET cannot hold {value!r}"
                )
        self._packet(key, event, data)

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            self._opened.close()
            for file in self._files.values():
                file.close()
