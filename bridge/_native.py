"""The C side, loaded: `ffi` and `lib`. `_native.pyi` is its typed face.

MARKBRIDGE_LIBRARY names another build of it, as the tests under sanitizers use.
"""

import os
from pathlib import Path

from bridge._declarations import ffi

_BUILT = Path(__file__).resolve().with_name("_markbridge.abi3.so")

lib = ffi.dlopen(os.environ.get("MARKBRIDGE_LIBRARY") or str(_BUILT))
