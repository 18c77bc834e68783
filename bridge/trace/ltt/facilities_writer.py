"""Events -> a facility trace 0.7 or 0.8: `cpu_<n>`, `control/facilities_0`, `eventdefs/*.xml`.

A channel becomes a facility, its classes the facility's events; every file of eventdefs holds
one document, whose checksum the facility_load event carries. The rule: facilities are described
when all their classes are known, mostly at the end; their loads have the time of the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from bridge._native import lib
from bridge.errors import TraceError
from bridge.facility import checksum
from bridge.facility import model as fac
from bridge.facility.writers import xml
from bridge.formats import ltt
from bridge.trace import model
from bridge.trace.ltt import facilities, facility_payload, payload
from bridge.trace.ltt.cursor import ClassEntry
from bridge.trace.ltt.files import places
from bridge.trace.ltt.write import TraceWriter, WriteOptions, split_name

if TYPE_CHECKING:
    from pathlib import Path

    from construct import Struct

CONTROL = "control/facilities_0"
_MOST_EVENTS = 256
_MOST_FACILITIES = 256
_HEARTBEAT = 2
_COUNT = model.Integer(32, signed=False)
"""Of sequences whose count is another field, which stays one."""


# --- types ------------------------------------------------------------------------------------


def _integer(kind: model.Integer, options: WriteOptions) -> fac.Scalar:
    if kind.bits not in (8, 16, 32, 64):
        raise TraceError(f"facilities know no integers of {kind.bits} bits")
    network = kind.big_endian and not options.big_endian and kind.bits > 8
    if (
        kind.base == 16
        and kind.bits == 8 * options.arch_size
        and not kind.signed
        and not network
    ):
        return fac.Scalar("pointer")
    word = "int_fixed" if kind.signed else "uint_fixed"
    return fac.Scalar(word, str(kind.bits // 8), network=network)


def type_of(kind: model.FieldType, options: WriteOptions) -> fac.Type:
    """The facility type of a field type."""
    match kind:
        case model.Integer():
            return _integer(kind, options)
        case model.Float():
            return fac.Scalar("float", str(kind.bits // 8))
        case model.Text():
            return fac.Scalar("string")
        case model.Enumeration():
            if kind.container.bits != 32 or not kind.container.signed:
                return _integer(kind.container, options)
            labels = tuple(fac.Label(_name(x), low, str(low)) for x, low, _ in kind.labels)
            return fac.Enum(labels)
        case model.FixedArray():
            return fac.Array(kind.length, type_of(kind.element, options))
        case model.Sequence():
            count = kind.count or _COUNT
            return fac.Sequence(_integer(count, options), type_of(kind.element, options))
        case model.Struct():
            members = tuple(
                fac.Member(_name(f.name), type_of(f.type, options)) for f in kind.fields
            )
            return fac.Compound("union" if kind.overlay else "struct", members)
        case model.Variant() | model.Optional():
            raise TraceError("facilities know no variants and no optional fields")
    assert_never(kind)


# --- names ---------------------------------------------------------------------------------


def _name(name: str) -> str:
    """A name as it may stand in quotes."""
    return "".join("_" if c in '"\\\n\0' else c for c in name) or "_"


# --- the writer -------------------------------------------------------------------------------


class FacilityWriter(TraceWriter):
    """A facility trace being written."""

    def __init__(self, path: Path, options: WriteOptions) -> None:
        super().__init__(path, options)
        self.version = (0, int(options.version[2:]))
        self._events: dict[str, list[fac.Event]] = {}
        self._numbers: dict[str, int] = {"core": 0}
        self._published = False
        word = options.arch_size
        self.sizes = facility_payload.FacilitySizes(
            4, word, word, word, options.alignment, options.big_endian
        )

    def layout(self) -> tuple[dict[str, int | float], Struct]:
        options = self.options
        struct = ltt.f_header(*self.version, "", options.big_endian)
        at = places(struct)
        return {
            "kind": lib.MB_LTT_F,
            "big": int(options.big_endian),
            "header_bytes": at["bytes"],
            "begin_at": at["begin"],
            "end_at": at["end"],
            "size_at": at["size"],
            "used_at": at["lost"],
            "used_is_lost": 1,
            "arch_align": options.pad(options.arch_size),
            "long_time": int(not options.heartbeat),
        }, struct

    def header(self, start_sec: int, start_usec: int, file: str) -> dict[str, int]:
        options = self.options
        hertz = options.frequency // options.divisor
        return {
            "magic": ltt.MAGIC,
            "arch_type": options.architecture,
            "float_word_order": 4321 if options.big_endian else 1234,
            "arch_size": options.arch_size,
            "major": self.version[0],
            "minor": self.version[1],
            "has_heartbeat": int(options.heartbeat),
            "has_alignment": options.alignment,
            "freq_scale": 1,
            "begin_freq": hertz,
            "end_freq": hertz,
            "start_freq": hertz,
            "start_tsc": options.start_tsc,
            "start_sec": start_sec,
            "start_usec": start_usec,
            "tscbits": 0,
        }

    def begin(self) -> None:
        core = facilities.core_facility(self.version)
        self.entries = facilities.facility_entries(core, 0, self.sizes)
        self._load(core)
        (self.path / "control").mkdir(exist_ok=True)

    def _load(self, facility: fac.Facility) -> None:
        self._write_document(facility)
        number = self._numbers[facility.name]
        fields: dict[str, model.Value] = {
            "name": facility.name,
            "checksum": checksum.checksum(facility),
            "id": number,
            "int_size": self.sizes.c_int,
            "long_size": self.sizes.long,
            "pointer_size": self.sizes.pointer,
            "size_t_size": self.sizes.size_t,
            "has_alignment": self.sizes.alignment,
        }
        control = self.output(CONTROL)
        flat = payload.flatten(self.entries[0].event_class.payload, fields)
        control.write(0, 0, control.last, flat)

    def _write_document(self, facility: fac.Facility) -> None:
        folder = self.path / "eventdefs"
        folder.mkdir(exist_ok=True)
        stem = facility.name
        if stem.endswith("_arch"):
            stem += f"_{ltt.ARCHITECTURES.get(self.options.architecture, 'i386')}"
        (folder / f"{stem}.xml").write_bytes(checksum.text_bytes(xml.write(facility)))

    def describe(self, event_class: model.EventClass) -> ClassEntry:
        channel, name = split_name(event_class)
        facility = self._facility(channel)
        members = tuple(self._member(event_class, f) for f in event_class.payload.fields)
        event = fac.Event(_name(name), members)
        position = len(self._events[facility])
        self._events[facility].append(event)
        whole = fac.Facility(facility, (event,))
        kind = facility_payload.event_payload(whole, event, self.sizes)
        number = self._numbers[facility] << 8 | position
        attributes = {"facility": facility}
        return ClassEntry(
            model.EventClass(event_class.name, number, kind, None, attributes),
            payload.compile_payload(kind, self.sizes.pad, self.sizes.big),
        )

    def _member(self, event_class: model.EventClass, member: model.Field) -> fac.Member:
        try:
            return fac.Member(_name(member.name), type_of(member.type, self.options))
        except TraceError as error:
            raise TraceError(f"{event_class.name}, field {member.name}: {error}") from None

    def _facility(self, channel: str) -> str:
        """The facility for a channel: the next one if this one is full."""
        base = "".join(c if c.isalnum() or c == "_" else "_" for c in channel)
        base = f"{base}_" if base == "core" else base
        name, count = base, 1
        while len(self._events.get(name, ())) >= _MOST_EVENTS:
            count += 1
            name = f"{base}_{count}"
        if name not in self._numbers:
            if len(self._numbers) >= _MOST_FACILITIES:
                raise TraceError(f"more than {_MOST_FACILITIES} facilities")
            self._numbers[name] = len(self._numbers)
            self._events[name] = []
        return name

    def announce(self, entry: ClassEntry) -> None:
        """Nothing: a facility is described as a whole, at the end."""

    def end(self) -> None:
        if not self._published:
            self._load_all()

    def _load_all(self) -> None:
        for name, events in self._events.items():
            self._load(fac.Facility(name, tuple(events)))

    def publish(self) -> None:
        self._load_all()
        self._published = True
        control = self.output(CONTROL)
        control.switch(control.last)

    def file_of(self, entry: ClassEntry, cpu: int) -> str:
        return f"cpu_{cpu}"
