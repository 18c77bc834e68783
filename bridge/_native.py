"""The C side, loaded: `ffi` and `lib`. `_native.pyi` is its typed face.

MARKBRIDGE_LIBRARY names another build of it, as the tests under sanitizers use. A library that
was built with other declarations is refused: its structures and functions would not fit.
"""

import os
from pathlib import Path

from bridge._declarations import ffi
from bridge.errors import HostError

_BUILT = Path(__file__).resolve().with_name("_markbridge.abi3.so")


def _load(path: str):  # noqa: ANN202 - the type is in _native.pyi
    library = ffi.dlopen(path)
    try:
        number = library.mb_declarations()
    except AttributeError:
        number = None
    if number != library.MB_DECLARATIONS:
        raise HostError(
            f"{path} is of another version than this markbridge",
            "install markbridge again (in a checkout: make .venv/.dev)",
        )
    return library


lib = _load(os.environ.get("MARKBRIDGE_LIBRARY") or str(_BUILT))
