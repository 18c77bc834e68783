"""BTF, the BPF Type Format: header, type records and their members.

Source: Documentation/bpf/btf.rst of the kernel. `*_FAST` are the same layouts for hot loops;
the tests hold them equal to the construct declarations. All numbers are little endian here: the
format is in the byte order of the kernel, and both supported machines are little endian.
"""

from __future__ import annotations

from struct import Struct as Fast

from construct import Const, Int8ul, Int16ul, Int32ul, Struct

MAGIC = 0xEB9F

HEADER = Struct(
    "magic" / Const(MAGIC, Int16ul),
    "version" / Int8ul,
    "flags" / Int8ul,
    "hdr_len" / Int32ul,
    "type_off" / Int32ul,
    "type_len" / Int32ul,
    "str_off" / Int32ul,
    "str_len" / Int32ul,
)

TYPE = Struct("name_off" / Int32ul, "info" / Int32ul, "size_or_type" / Int32ul)
TYPE_FAST = Fast("<III")

MEMBER = Struct("name_off" / Int32ul, "type" / Int32ul, "offset" / Int32ul)
MEMBER_FAST = Fast("<III")

PARAMETER = Struct("name_off" / Int32ul, "type" / Int32ul)
PARAMETER_FAST = Fast("<II")

ARRAY = Struct("type" / Int32ul, "index_type" / Int32ul, "nelems" / Int32ul)
ARRAY_FAST = Fast("<III")

ENUM_FAST, SIGNED_ENUM_FAST = Fast("<II"), Fast("<Ii")
ENUM64_FAST, SIGNED_ENUM64_FAST = Fast("<III"), Fast("<IIi")
"""A constant: name and value; of 64 bits the low half, then the high one."""

WORD_FAST = Fast("<I")
"""The extra word of an integer: encoding in bits 24..27, bit offset in 16..23, bits in 0..7."""

TRAILER_BYTES = {
    1: (4, 0),  # INT
    2: (0, 0),  # PTR
    3: (12, 0),  # ARRAY
    4: (0, 12),  # STRUCT
    5: (0, 12),  # UNION
    6: (0, 8),  # ENUM
    7: (0, 0),  # FWD
    8: (0, 0),  # TYPEDEF
    9: (0, 0),  # VOLATILE
    10: (0, 0),  # CONST
    11: (0, 0),  # RESTRICT
    12: (0, 0),  # FUNC
    13: (0, 8),  # FUNC_PROTO
    14: (4, 0),  # VAR
    15: (0, 12),  # DATASEC
    16: (0, 0),  # FLOAT
    17: (4, 0),  # DECL_TAG
    18: (0, 0),  # TYPE_TAG
    19: (0, 12),  # ENUM64
}
"""Bytes after the record of each kind: a fixed part, and a part per element (`vlen`)."""
