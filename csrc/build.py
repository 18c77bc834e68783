"""Describes the extension `bridge._native` to cffi:

all C files of this folder, and the declarations in its `*.cdef.h`.
"""

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
SOURCES = sorted(path for path in HERE.glob("*.c"))
WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wconversion",
    "-Wno-unused-parameter",
    "-Wno-sign-conversion",
]

ffibuilder = FFI()
for declarations in sorted(HERE.glob("*.cdef.h")):
    ffibuilder.cdef(declarations.read_text())
ffibuilder.set_source(
    "bridge._native",
    '#include "native.h"',
    sources=[f"csrc/{path.name}" for path in SOURCES],
    include_dirs=["csrc", "csrc/include"],
    depends=[f"csrc/{path.name}" for path in HERE.glob("*.h")],
    extra_compile_args=["-std=gnu11", "-O2", "-g", "-fno-semantic-interposition"],
    py_limited_api=True,
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
