"""CTF 1.8: layouts of packets as the specification gives them, and as our writer writes them.

The C side reads and writes streams by the metadata; these are what tests hold it against.
"""

from construct import (
    Bytes,
    Const,
    Construct,
    GreedyBytes,
    If,
    Int8ul,
    Int16ul,
    Int32ub,
    Int32ul,
    Int64ul,
    Struct,
    this,
)

MAGIC = 0xC1FC1FC1
METADATA_MAGIC = 0x75D11D57
METADATA_HEADER_BYTES = 37


def _metadata_header(int32: Construct) -> Struct:
    return Struct(
        "magic" / int32,
        "uuid" / Bytes(16),
        "checksum" / int32,
        "content_size" / int32,  # bits
        "packet_size" / int32,  # bits
        "compression_scheme" / Int8ul,
        "encryption_scheme" / Int8ul,
        "checksum_scheme" / Int8ul,
        "major" / Int8ul,
        "minor" / Int8ul,
    )


MetadataHeaderLe = _metadata_header(Int32ul)
MetadataHeaderBe = _metadata_header(Int32ub)


def packet(*, with_cpu: bool) -> Struct:
    """A packet of our writer; `events` are the bytes of its events."""
    return Struct(
        "magic" / Const(MAGIC, Int32ul),
        "uuid" / Bytes(16),
        "stream_id" / Int32ul,
        "stream_instance_id" / Int64ul,
        "timestamp_begin" / Int64ul,
        "timestamp_end" / Int64ul,
        "content_size" / Int64ul,  # bits
        "packet_size" / Int64ul,  # bits
        "packet_seq_num" / Int64ul,
        "events_discarded" / Int64ul,
        "cpu_id" / If(with_cpu, Int32ul),
        "events" / GreedyBytes,
    )


EXTENDED = 65535

EventHeader = Struct(
    "id" / Int16ul,
    "timestamp" / If(this.id != EXTENDED, Int32ul),
    "extended_id" / If(this.id == EXTENDED, Int32ul),
    "extended_timestamp" / If(this.id == EXTENDED, Int64ul),
)
