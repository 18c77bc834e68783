"""Package list and extension:

`grammars/` and `formats/` at the top are installed as `bridge.grammars` and `bridge.formats`.
"""

from setuptools import find_packages, setup

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
        "bridge": ["py.typed", "*.pyi"],
        "bridge.grammars": ["*.lark"],
        "bridge.tapset": ["*.stp", "*.stpm"],
    },
    cffi_modules=["csrc/build.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
