"""Package list and C library: `grammars/` and `formats/` are installed as `bridge.grammars` and
`bridge.formats`; `csrc/` becomes `bridge/_markbridge.abi3.so`.

With MARKBRIDGE_DEVELOP=1, as `make test` sets it, a warning of the compiler is an error and the
library keeps its debug information. A user's compiler may be younger and warn of more.
"""

import os
import shutil
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, ExecError, PlatformError

sys.path.insert(0, str(Path(__file__).resolve().parent / "csrc"))

import build as csrc

DEVELOP = os.environ.get("MARKBRIDGE_DEVELOP") == "1"
STRIPPED = not DEVELOP and "CFLAGS" not in os.environ
"""Who sets CFLAGS, for sanitizers or a debugger, wants the names as well."""
PACKAGES = find_packages(
    include=["bridge", "bridge.*"], exclude=["bridge.grammars", "bridge.formats"]
)
NEEDED = """
markbridge cannot be built here: {problem}.
It needs a C compiler and the headers of the C library. Install them:
    Debian, Ubuntu:  apt-get install gcc libc6-dev
    Fedora, RHEL:    dnf install gcc glibc-devel
or install a wheel that was built elsewhere: python3 -m pip install markbridge-*.whl
"""


class BuildLibrary(build_ext):
    """Compiles the C library; says what is missing where that cannot be done."""

    def build_extensions(self) -> None:
        """Compile, or end with a remedy in the last lines that pip shows."""
        compiler = self.compiler.compiler_so[0]
        if shutil.which(compiler) is None:
            sys.exit(NEEDED.format(problem=f"there is no C compiler ({compiler})"))
        self.force = self.force or DEVELOP
        try:
            super().build_extensions()
        except (CCompilerError, ExecError, PlatformError) as error:
            sys.exit(NEEDED.format(problem=f"the C compiler failed ({error})"))


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
            "tapset/*.toml",
            "tapset/**/*.stp",
            "include/ltt/*.h",
            "include/markbridge/*.h",
            "include/pkgconfig/*.pc",
            "examples/*.stp",
            "examples/*.c",
            "examples/*.py",
            "examples/orders.trace/*",
        ],
        "bridge.grammars": ["*.lark"],
    },
    cmdclass={"build_ext": BuildLibrary},
    cffi_modules=["csrc/build.py:ffibuilder"],
    ext_modules=[
        Extension(
            "bridge._markbridge",
            sources=csrc.SOURCES,
            depends=csrc.HEADERS,
            include_dirs=["csrc", "csrc/include"],
            define_macros=[("MB_DECLARATIONS", str(csrc.NUMBER))],
            libraries=["m"],
            extra_compile_args=[*csrc.FLAGS, *csrc.warnings(develop=DEVELOP)],
            extra_link_args=["-Wl,--strip-all"] if STRIPPED else [],
            py_limited_api=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
