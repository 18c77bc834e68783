"""Debian's source of LTTng's kernel modules -> the modules of a guest's kernel.

Only the parts that the tests use are compiled, which takes two minutes. Nothing is installed:
packages are unpacked in the folder of the guests, and a guest finds the modules there.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.guest import packages

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "lttng-modules-dkms"
PROBES = ("probe-sched", "probe-sock", "probe-signal", "kprobes", "kretprobes", "uprobes")
"""Of all its probes: these tracepoints, and what is defined at run time."""
KBUILD = """TOP_LTTNG_MODULES_DIR := $(shell dirname $(lastword $(MAKEFILE_LIST)))/../..
include $(TOP_LTTNG_MODULES_DIR)/src/Kbuild.common
ccflags-y += -I$(TOP_LTTNG_MODULES_DIR)/include
"""


def modules(folder: Path, kernel_package: str) -> Path:
    """The folder of modules of a kernel, as `/lib/modules/RELEASE` would be."""
    release = kernel_package.removeprefix("linux-image-")
    root = folder / "lttng" / release
    made = root / "lib" / "modules" / release
    if not (made / "modules.dep.bin").exists():
        shutil.rmtree(root, ignore_errors=True)
        for package in packages.download(_wanted(release), folder / "packages"):
            packages.unpack(package, root)
        _compile(root, release)
        _index(root, release)
    return made


def _wanted(release: str) -> list[str]:
    headers = f"linux-headers-{release}"
    shown = subprocess.run(
        ["apt-cache", "depends", headers], capture_output=True, text=True, check=True
    ).stdout
    needed = re.findall(r"Depends: (linux-(?:headers|kbuild)-\S+)", shown)
    return [SOURCE, "kmod", headers, *needed]


def _compile(root: Path, release: str) -> None:
    headers = root / "usr" / "src" / f"linux-headers-{release}"
    # it names the folder where the package would be installed
    makefile = headers / "Makefile"
    makefile.write_text(
        re.sub(r"(?<=include )/usr/src", f"{root}/usr/src", makefile.read_text())
    )
    (source,) = (root / "usr" / "src").glob("lttng-modules-*")
    chosen = "".join(f"obj-$(CONFIG_LTTNG) += lttng-{probe}.o\n" for probe in PROBES)
    (source / "src" / "probes" / "Kbuild").write_text(KBUILD + chosen)
    command = ["make", "-C", str(source), f"KERNELDIR={headers}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    folder = root / "lib" / "modules" / release / "extra"
    folder.mkdir(parents=True)
    for module in (source / "src").rglob("*.ko"):
        if module.parent.name != "tests":
            shutil.copy(module, folder)


def _index(root: Path, release: str) -> None:
    """What loads modules looks them up in tables."""
    for name in ("modules.builtin", "modules.order"):
        (root / "lib" / "modules" / release / name).touch()
    program = root / "depmod"
    program.symlink_to(next(root.glob("**/bin/kmod")))
    subprocess.run([program, "-b", root, release], check=True)
