"""LTT trace buffers of every generation: headers of sub-buffers, and of core events.

The reference for what `csrc/ltt_*.c` reads and writes. Every function takes the byte order.
Generations: K (LTT 2.2, 2.3 of 1999-2004), X (first LTTV, 2003-2005), F (facilities 0.3-0.8),
M1 (markers 1.0), M2 (markers 2.0-2.6).
"""

from construct import (
    Byte,
    Bytes,
    Const,
    CString,
    FormatField,
    If,
    Struct,
)

MAGIC = 0x00D6B7ED
MAGIC_PLACES = (0x10, 0x28, 0x38, 0x48)
UNCLOSED = 0xFFFFFFFF

M2_TSC_BITS = 27
M2_FULL, M2_SIZED, M2_EXTENDED = 29, 30, 31
SIZE_ESCAPE = 0xFFFF


def integer(size: int, big: bool) -> FormatField:
    """An unsigned integer of `size` bytes."""
    return FormatField(">" if big else "<", {1: "B", 2: "H", 4: "L", 8: "Q"}[size])


# --- M2: 2.0 - 2.6 ----------------------------------------------------------------------------


def m2_header(minor: int, arch_size: int, big: bool) -> Struct:
    """The header of a sub-buffer. 2.0 of 64-bit tracers has the tail padding of a struct."""
    u32, u64 = integer(4, big), integer(8, big)
    fields = [
        "begin" / u64,
        "end" / u64,
        "magic" / u32,
        "major" / Byte,
        "minor" / Byte,
        "arch_size" / Byte,
        "alignment" / Byte,
        "start_sec" / u64,
        "start_usec" / u64,
        "start_freq" / u64,
        "freq_scale" / u32,
        "used" / u32,
        "size" / u32,
    ]
    if minor >= 2:
        fields += ["events_lost" / u32, "subbuf_corrupt" / u32]
    elif minor == 0 and arch_size == 8:
        fields += ["tail" / u32]
    return Struct(*fields)


def m2_marker_id(channels: bool, pad: bool, big: bool) -> Struct:
    """core_marker_id: a number for a marker, and the sizes of C types where it was compiled."""
    return Struct(
        "channel" / If(channels, CString("utf8")),
        "name" / CString("utf8"),
        "pad"
        / If(
            pad,
            Bytes(
                lambda here: (
                    (len(here.name) + 1 + (len(here.channel) + 1 if channels else 0)) % 2
                )
            ),
        ),
        "id" / integer(2, big),
        "int" / Byte,
        "long" / Byte,
        "pointer" / Byte,
        "size_t" / Byte,
        "alignment" / Byte,
    )


# --- F: 0.3 - 0.8, and M1: 1.0 ----------------------------------------------------------------


def _moment(name: str, kind: str, big: bool) -> list[Struct]:
    """A time: two native longs, two u64, u64 nanoseconds, or none."""
    size = {"timeval32": 4, "timeval64": 8, "u64": 8}.get(kind)
    if kind == "ns":
        return [f"{name}_ns" / integer(8, big)]
    if size is None:
        return []
    return [f"{name}_sec" / integer(size, big), f"{name}_usec" / integer(size, big)]


def f_header(major: int, minor: int, time: str, big: bool) -> Struct:
    """Header of a sub-buffer: its block part, then its trace part; all packed.

    `time` is how 0.3 - 0.6 keep times: timeval32, timeval64, u64 or ns.
    """
    u32, u64 = integer(4, big), integer(8, big)
    old = (major, minor) < (0, 7)
    freq = (major, minor) >= (0, 4)
    fields = []
    for part in ("begin", "end"):
        fields += _moment(part, time if old else "", big)
        fields += [part / u64] + ([f"{part}_freq" / u64] if freq else [])
    fields += ["lost" / u32, "size" / u32]
    fields += [
        "magic" / u32,
        "arch_type" / u32,
        "arch_variant" / u32,
        "float_word_order" / u32,
        "arch_size" / Byte,
        "major" / Byte,
        "minor" / Byte,
        "flight_recorder" / Byte,
        "has_heartbeat" / Byte,
        "has_alignment" / Byte,
    ]
    if old:
        fields += ["has_tsc" / Byte]
    else:
        if (major, minor) >= (0, 8):
            fields += ["tsc_lsb_truncate" / Byte, "tscbits" / Byte]
        if major == 1:
            fields += ["compact_data_shift" / Byte]
        fields += ["freq_scale" / u32]
    if freq:
        fields += ["start_freq" / u64, "start_tsc" / u64, "start_monotonic" / u64]
        fields += _moment(
            "start", ("timeval32" if time == "ns" else time) if old else "u64", big
        )
    return Struct(*fields)


ARCHITECTURES = {
    1: "i386",
    2: "ppc",
    3: "sh",
    4: "s390",
    5: "mips",
    6: "arm",
    7: "ppc64",
    8: "x86_64",
    9: "c2",
    10: "powerpc",
}

FACILITY_LOAD = (
    "checksum",
    "id",
    "int_size",
    "long_size",
    "pointer_size",
    "size_t_size",
    "alignment",
)

# --- X: 2003 - 2005 ---------------------------------------------------------------------------


def x_block_event(big: bool) -> Struct:
    """block_start and block_end: event header and payload."""
    u32 = integer(4, big)
    return Struct(
        "id" / integer(2, big),
        "tsc" / u32,
        "seconds" / u32,
        "nanoseconds" / u32,
        "cycle_count" / integer(8, big),
        "block_id" / u32,
    )


X_BLOCK_START, X_BLOCK_END, X_HEARTBEAT = 17, 18, 19

# --- K: 2.2, 2.3 ------------------------------------------------------------------------------


def k_start(minor: int, big: bool) -> Struct:
    """The first two events of the first block: BufferStart and TraceStart."""
    u16, u32, u64 = integer(2, big), integer(4, big), integer(8, big)
    return Struct(
        "id" / Const(b"\x11"),
        "time" / u32,
        "seconds" / u32,
        "microseconds" / u32,
        "tsc" / u32,
        "block_id" / u32,
        "length" / u16,
        "start_id" / Const(b"\x00"),
        "start_time" / u32,
        "magic" / u32,
        "arch_type" / u32,
        "arch_variant" / u32,
        "system_type" / u32,
        "major" / Byte,
        "minor" / Byte,
        "buffer_size" / u32,
        "event_mask" / u64,
        "details_mask" / u64,
        "log_cpu" / Byte,
        "use_tsc" / Byte,
        "flight_recorder" / If(minor >= 3, Byte),
        "start_length" / u16,
    )


K_MAGIC_AT = 0x1C
K_BUFFER_START, K_BUFFER_END, K_CUSTOM, K_NEW_EVENT = 17, 18, 20, 19
