"""LKET: SystemTap's own binary trace (2006 - 2008). Layouts of records, packets and headers.

Everything is packed. Packets are many, so they are also here as `struct.Struct`; a test holds
the two equal.
"""

import struct

from construct import Byte, FormatField, Int8sb, Struct

MAGIC = 0xAEFCDB6B
TIMING_CYCLES, TIMING_GETTIMEOFDAY, TIMING_SCHED_CLOCK = 1, 2, 3
GROUP_REGISTER, GROUP_CPUFREQ = 1, 15
HOOK_SYSTEM, HOOK_USER, HOOK_DESCRIPTION = 1, 3, 5
HOOK_FREQUENCY = 1
SIZES_EXCLUDE = 4
SYSTEM_BYTES = 24
WIDTHS = {"INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8}


def _field(code: str, big: bool) -> FormatField:
    return FormatField(">" if big else "<", code)


def record_header(big: bool) -> Struct:
    """Before every record of a CPU's file."""
    return Struct("sequence" / _field("l", big), "length" / _field("l", big))


def trace_header(big: bool) -> Struct:
    """The first record of one of the files. `endian` was always 2; the magic is right."""
    return Struct(
        "magic" / _field("L", big),
        "header_length" / _field("h", big),
        "major" / Int8sb,
        "minor" / Int8sb,
        "endian" / Byte,
        "timing" / Int8sb,
        "bits" / Int8sb,
        "cpu_mhz" / _field("l", big),
    )


def packet(big: bool) -> Struct:
    """An event before its payload. Sizes do not count themselves."""
    return Struct(
        "total_size" / _field("h", big),
        "system_size" / _field("h", big),
        "time" / _field("q", big),
        "tid_pid" / _field("q", big),
        "aggregate" / _field("q", big),
    )


def fast_record(big: bool) -> struct.Struct:
    """`record_header` for speed."""
    return struct.Struct(">ll" if big else "<ll")


def fast_packet(big: bool) -> struct.Struct:
    """`packet` for speed."""
    return struct.Struct(">hhqqq" if big else "<hhqqq")
