"""The C side, loaded: `ffi` and `lib`. `_native.pyi` is its typed face."""

from pathlib import Path

from bridge._declarations import ffi

lib = ffi.dlopen(str(Path(__file__).resolve().with_name("_markbridge.abi3.so")))
