"""Describes the C side to setuptools and cffi: a plain shared library, and its declarations.

The library uses nothing of Python, so building it needs no Python headers; cffi's ABI mode
loads it (`bridge/_native.py`). All C files of the folders here go in; `*.cdef.h` are the
declarations that Python sees, and must give structures and constants in full (no `...`).
"""

import sys
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import number  # noqa: E402 - beside this file

SOURCES = [f"csrc/{path.relative_to(HERE)}" for path in sorted(HERE.glob("*/*.c"))]
HEADERS = [f"csrc/{path.relative_to(HERE)}" for path in sorted(HERE.glob("*/*.h"))]
FLAGS = ["-std=gnu11", "-O2", "-g", "-fno-semantic-interposition", "-fvisibility=default"]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion"]


def warnings(*, develop: bool) -> list[str]:
    """The compiler's options about warnings; they are errors for who works on markbridge."""
    return [*WARNINGS, "-Werror"] if develop else WARNINGS


NUMBER = number.number_of()
ffibuilder = FFI()
for declarations in number.declarations():
    ffibuilder.cdef(declarations.read_text())
ffibuilder.cdef(f"enum {{ MB_DECLARATIONS = {NUMBER} }};")
ffibuilder.set_source("bridge._declarations", None)
