"""Layout of the index of debug information, as `csrc/dwarf/index.h` makes it; no logic.

The head, then the arrays in this order, then slots (u32: a hash table of texts), then the
texts, each with a NUL. A text is named by where it begins there; 0 is the empty one.
"""

from __future__ import annotations

from bridge.formats.elf_notes import Layout

HEAD = Layout(
    "debug index",
    (
        ("magic", "u64"),
        *(
            (name, "u32")
            for name in (
                *("version", "units", "functions", "ranges"),
                *("names", "imports", "slots", "texts"),
            )
        ),
    ),
)
UNIT = Layout(
    "unit",
    (
        ("start", "u64"),
        *((n, "u32") for n in ("name", "folder", "function", "functions", "flags", "spare")),
    ),
)
FUNCTION = Layout(
    "function",
    (
        ("ref", "u64"),
        ("entry", "u64"),
        *(
            (n, "u32")
            for n in ("unit", "name", "scope", "file", "line", "range", "ranges", "flags")
        ),
        ("outer", "s32"),
        ("prologue", "u32"),
    ),
)
RANGE = Layout("range", (("low", "u64"), ("high", "u64")))
NAME = Layout(
    "name",
    (
        ("ref", "u64"),
        ("name", "u32"),
        ("unit", "u32"),
        ("number", "u32"),
        ("kind", "u16"),
        ("tag", "u16"),
    ),
)
IMPORT = Layout("import", (("unit", "u32"), ("target", "u32")))
ROW = Layout(
    "row",
    (("address", "u64"), *((n, "u32") for n in ("file", "line", "flags", "order"))),
)
"""A row of a line table (`struct mb_debug_row`)."""
SLOT = Layout("slot", (("text", "u32"),))

VERSION = 2
"""Of the layout and of what is put into it (MB_INDEX_VERSION)."""
UNIT_OPTIMISED, UNIT_PARTIAL, UNIT_SPLIT = 1, 2, 4
FUNCTION_INLINED, FUNCTION_EXTERNAL = 1, 2
NAME_FUNCTION, NAME_VARIABLE, NAME_TYPE = 1, 2, 3
HASH_START, HASH_FACTOR = 0x811C9DC5, 0x01000193
"""Of FNV-1a with 32 bits, by which the slots are found."""
