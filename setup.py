"""Package list and C library: `grammars/` and `formats/` are installed as `bridge.grammars` and
`bridge.formats`; `csrc/` becomes `bridge/_markbridge.abi3.so`.
"""

import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup

sys.path.insert(0, str(Path(__file__).resolve().parent / "csrc"))

import build as csrc

PACKAGES = find_packages(
    include=["bridge", "bridge.*"], exclude=["bridge.grammars", "bridge.formats"]
)

setup(
    packages=[*PACKAGES, "bridge.grammars", "bridge.formats"],
    package_dir={
        "bridge": "bridge",
        "bridge.grammars": "grammars",
        "bridge.formats": "formats",
    },
    package_data={
        "bridge": [
            "py.typed",
            "*.pyi",
            "tapset/*.stp",
            "tapset/*.stpm",
            "tapset/*/*.stp",
            "tapset/*/common/*.stp",
        ],
        "bridge.grammars": ["*.lark"],
    },
    cffi_modules=["csrc/build.py:ffibuilder"],
    ext_modules=[
        Extension(
            "bridge._markbridge",
            sources=csrc.SOURCES,
            depends=csrc.HEADERS,
            include_dirs=["csrc", "csrc/include"],
            libraries=["m"],
            extra_compile_args=[*csrc.FLAGS, *csrc.WARNINGS],
            py_limited_api=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
