"""LLVM, loaded when something has to be compiled; all else works where it is not installed.

One rule: llvmlite is imported here only. Its wheel is most of an installation, and reading
traces, converting them, listing markers and checking scripts need none of it.
"""

from __future__ import annotations

import sys
from typing import Any

from bridge.codegen import kept
from bridge.errors import HostError


def llvm() -> Any:  # noqa: ANN401 - llvmlite has no types
    """The module `llvmlite.binding`; HostError, if it is not there or cannot be loaded."""
    try:
        import llvmlite.binding
    except (ImportError, OSError) as error:
        if kept.has_brought():
            raise HostError(
                "the program was compiled for a kernel with other features than this one has,"
                f" and llvmlite, which would compile it anew, cannot be loaded: {error}",
                "compile the script on this machine, or on one with the same kernel",
            ) from error
        raise HostError(
            f"a script is compiled with llvmlite, which cannot be loaded: {error}",
            "install it into the Python of markbridge: "
            f"{sys.executable} -m pip install llvmlite",
        ) from error
    return llvmlite.binding


def version() -> str:
    """Which one it is; "" where there is none."""
    try:
        import llvmlite  # importlib.metadata costs more than all of this
    except (ImportError, OSError):
        return ""
    return str(llvmlite.__version__)
