"""Files `stpd_cpuN` -> events in order of time.

Events register themselves: a group and hook get field types, names and a description by records
of group 1, in any of the files. The rule: a record whose packets do not fit is reported once
and skipped, because the record's own length leads to the next.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.diagnostics import Diagnostic, FileOffset, Severity
from bridge.errors import TraceError
from bridge.formats import lket
from bridge.handles import Closing, Opened
from bridge.trace import model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from construct import Container

_NS_PER_US = 1000
_LONGEST = 1 << 24
Key = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet before its fields are made."""

    time: int
    tid: int
    pid: int
    ppid: int
    group: int
    hook: int
    cpu: int
    system: bytes
    user: bytes


@dataclass(slots=True)
class Registry:
    """What records of group 1 said about each (group, hook)."""

    system: dict[Key, tuple[model.Field, ...]] = field(default_factory=dict)
    user: dict[Key, tuple[model.Field, ...]] = field(default_factory=dict)
    names: dict[Key, str] = field(default_factory=dict)

    def learn(self, packet: Packet, big: bool) -> None:
        """Take in a record of group 1."""
        data = packet.system
        if len(data) < 3:
            return
        key = (data[0], data[1])
        texts = [piece.decode("latin-1") for piece in data[2:].split(b"\0")]
        if packet.hook == lket.HOOK_DESCRIPTION:
            self.names[key] = texts[0]
            return
        kinds = [k for k in texts[0].split(":") if k]
        labels = [n for n in (texts[1] if len(texts) > 1 else "").split(":") if n]
        labels += [f"field {n}" for n in range(len(labels) + 1, len(kinds) + 1)]
        fields = tuple(
            model.Field(label, _type(kind, big))
            for label, kind in zip(labels, kinds, strict=False)
        )
        target = self.user if packet.hook == lket.HOOK_USER else self.system
        target[key] = fields

    def event_class(self, key: Key) -> model.EventClass:
        """The class of a (group, hook)."""
        name = self.names.get(key, f"group{key[0]}.hook{key[1]}")
        fields = self.system.get(key, ()) + self.user.get(key, ())
        return model.EventClass(name, key[0] << 8 | key[1], model.Struct(fields))


def _type(kind: str, big: bool) -> model.Integer | model.Text:
    if kind == "STRING":
        return model.Text()
    if kind not in lket.WIDTHS:
        raise TraceError(f"LKET knows no field type {kind}")
    return model.Integer(8 * lket.WIDTHS[kind], signed=True, big_endian=big)


def _decode(
    fields: tuple[model.Field, ...], data: bytes, big: bool
) -> dict[str, model.Value] | None:
    """The fields of one part of a payload; None if the data ends too early."""
    values: dict[str, model.Value] = {}
    at = 0
    for member in fields:
        if isinstance(member.type, model.Integer):
            end = at + member.type.bits // 8
            if end > len(data):
                return None
            values[member.name] = int.from_bytes(
                data[at:end], "big" if big else "little", signed=True
            )
        else:
            end = data.find(b"\0", at) + 1
            if not end:
                return None
            values[member.name] = data[at : end - 1].decode("utf8", "surrogateescape")
        at = end
    return values


# --- files ------------------------------------------------------------------------------------


def _files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        return []
    found = [p for p in folder.glob("stpd_cpu*") if p.is_file()]
    return sorted(found, key=lambda p: (len(p.name), p.name))


def find_header(path: Path) -> tuple[Container, bool] | None:
    """The trace's header and byte order; None if no file has one."""
    for file in _files(path):
        with file.open("rb") as stream:
            head = stream.read(64)
        for big in (False, True):
            start = lket.record_header(big).sizeof()
            layout = lket.trace_header(big)
            if len(head) >= start + layout.sizeof():
                header = layout.parse(head[start:])
                if header.magic == lket.MAGIC:
                    return header, big
    return None


class _Clock:
    """Clock values of one CPU -> nanoseconds."""

    def __init__(self, timing: int, mhz: int) -> None:
        self.timing = timing
        self.mhz = max(mhz, 1)
        self.last_cycles: int | None = None
        self.last_ns = 0

    def ns(self, time: int) -> int:
        if self.timing == lket.TIMING_GETTIMEOFDAY:
            return time * _NS_PER_US
        if self.timing == lket.TIMING_SCHED_CLOCK:
            return time
        if self.last_cycles is None:
            self.last_cycles = time
        return self.last_ns + (time - self.last_cycles) * _NS_PER_US // self.mhz

    def frequency(self, time: int, mhz: int) -> None:
        """From `time` on the CPU runs at another speed."""
        self.last_ns, self.last_cycles, self.mhz = self.ns(time), time, max(mhz, 1)


class LketReader(Closing):
    """An open LKET trace."""

    def __init__(self, path: Path) -> None:
        found = find_header(path)
        if found is None:
            raise TraceError(f"{path}: no file stpd_cpuN with LKET's header")
        self._header, self._big = found
        self._files = _files(path)
        self.format = "lket"
        self.diagnostics: list[Diagnostic] = []
        self._reported: set[tuple[str, int]] = set()
        self._opened = Opened(f"{path}: the trace")
        self.attributes: Mapping[str, str] = {
            "version": f"{self._header.major}.{self._header.minor}",
            "timing": str(self._header.timing),
            "cpu_mhz": str(self._header.cpu_mhz),
            "word_bits": str(self._header.bits),
        }
        self._registry = Registry()
        for file in self._files:
            for packet in self._packets(file):
                if packet.group == lket.GROUP_REGISTER:
                    self._registry.learn(packet, self._big)
        keys = {*self._registry.system, *self._registry.user, *self._registry.names}
        self._classes = {key: self._registry.event_class(key) for key in sorted(keys)}
        self.event_classes: Mapping[str, model.EventClass] = {
            c.name: c for c in self._classes.values()
        }

    # --- packets ---

    def _report(self, file: Path, at: int, code: str, message: str) -> None:
        if (str(file), at) in self._reported:
            return
        self._reported.add((str(file), at))
        self.diagnostics.append(
            Diagnostic(
                code,
                message,
                severity=Severity.WARNING,
                phase="trace",
                file=FileOffset(str(file), at),
            )
        )

    def _packets(self, file: Path) -> Iterator[Packet]:
        record = lket.fast_record(self._big)
        with file.open("rb") as stream:
            at = 0
            while head := stream.read(record.size):
                length = record.unpack(head)[1] if len(head) == record.size else -1
                if not 0 <= length <= _LONGEST:
                    self._report(file, at, "lket-bad-record", "no record starts here")
                    return
                data = stream.read(length)
                if len(data) < length:
                    self._report(file, at, "lket-truncated", "the file ends inside a record")
                yield from self._in_record(file, at, data)
                at += record.size + length

    def _in_record(self, file: Path, at: int, data: bytes) -> Iterator[Packet]:
        layout = lket.fast_packet(self._big)
        order = "big" if self._big else "little"
        here = 0
        if data[:4] == lket.MAGIC.to_bytes(4, "big" if order == "big" else "little"):
            return
        while here < len(data):
            if here + layout.size > len(data):
                self._report(file, at, "lket-bad-packet", "a packet is cut off")
                return
            total, system, time, who, aggregate = layout.unpack_from(data, here)
            end = here + lket.SIZES_EXCLUDE + total
            if not lket.SYSTEM_BYTES <= system <= total or end > len(data):
                self._report(file, at, "lket-bad-packet", "impossible sizes of a packet")
                return
            middle = here + lket.SIZES_EXCLUDE + system
            yield Packet(
                time,
                who >> 32,
                who & 0xFFFFFFFF,
                aggregate >> 32,
                aggregate >> 24 & 0xFF,
                aggregate >> 16 & 0xFF,
                aggregate >> 8 & 0xFF,
                data[here + layout.size : middle],
                data[middle:end],
            )
            here = end

    # --- events ---

    def _events(self, file: Path) -> Iterator[model.Event]:
        clocks: dict[int, _Clock] = {}
        for packet in self._packets(file):
            clock = clocks.setdefault(
                packet.cpu, _Clock(self._header.timing, self._header.cpu_mhz)
            )
            time_ns = clock.ns(packet.time)
            key = (packet.group, packet.hook)
            if packet.group == lket.GROUP_REGISTER:
                continue
            if key == (lket.GROUP_CPUFREQ, lket.HOOK_FREQUENCY) and len(packet.system) >= 8:
                order = "big" if self._big else "little"
                mhz = int.from_bytes(packet.system[:8], "big" if order == "big" else "little")
                clock.frequency(packet.time, mhz & 0x7FFFFFFF)
            event = self._event(file, packet, key, time_ns)
            if event is not None:
                yield event

    def _event(self, file: Path, packet: Packet, key: Key, time_ns: int) -> model.Event | None:
        if key not in self._classes:
            self._classes[key] = self._registry.event_class(key)
        own = _decode(self._registry.system.get(key, ()), packet.system, self._big)
        more = _decode(self._registry.user.get(key, ()), packet.user, self._big)
        if own is None or more is None:
            name = self._classes[key].name
            self._report(file, 0, "lket-short-event", f"{name} is shorter than its description")
            return None
        context: dict[str, model.Value] = {
            "tid": packet.tid,
            "pid": packet.pid,
            "ppid": packet.ppid,
        }
        return model.Event(
            self._classes[key],
            time_ns,
            packet.time,
            packet.cpu,
            f"cpu_{packet.cpu}",
            own | more,
            context,
        )

    def __iter__(self) -> Iterator[model.Event]:
        streams = [self._events(file) for file in self._files]
        return self._opened.guard(heapq.merge(*streams, key=lambda event: event.timestamp_ns))

    def statistics(self) -> dict[str, model.StreamStatistics]:
        """Totals per CPU, by a full pass."""
        from bridge.trace.select import tally

        return tally(self)

    def close(self) -> None:
        """Give nothing more. Files are open only while they are read."""
        self._opened.close()
