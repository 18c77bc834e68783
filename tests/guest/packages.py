"""Names of Debian packages -> files unpacked in a folder. One rule: nothing is installed."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

EMULATOR = ("qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios")
UNWANTED = ("ipxe-qemu",)
"""What the emulator depends on, and a guest without a network card never opens."""


def _told(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def kernel_package(meta: str) -> str:
    """The image that a meta package stands for now."""
    found = re.search(r"Depends: (linux-image-\S+)", _told("apt-cache", "depends", meta))
    assert found is not None, f"{meta} stands for nothing; run `apt-get update`"
    return found[1]


def emulator_packages() -> list[str]:
    """The emulator, with the libraries that this machine does not have."""
    install = ("apt-get", "install", "-s", "--no-install-recommends", EMULATOR[0])
    needed = re.findall(r"^Inst (\S+)", _told(*install), re.MULTILINE)
    return sorted({*EMULATOR, *needed} - set(UNWANTED))


def download(names: Iterable[str], folder: Path) -> list[Path]:
    """The package files, downloaded where they are not there yet."""
    wanted = list(names)
    folder.mkdir(parents=True, exist_ok=True)
    listed = _told("apt-get", "download", "--print-uris", *wanted)
    files = re.findall(r"^'[^']+' (\S+\.deb) ", listed, re.MULTILINE)
    assert len(files) == len(wanted), f"apt offers {files} for {wanted}"
    missing = [name for name, file in zip(wanted, files, strict=True) if not _has(folder, file)]
    if missing:
        subprocess.run(["apt-get", "download", "-q=2", *missing], cwd=folder, check=True)
    return [folder / file for file in files]


def _has(folder: Path, file: str) -> bool:
    return (folder / file).exists()


def unpack(package: Path, folder: Path, patterns: Sequence[str] = ()) -> None:
    """All of a package, or the files that match."""
    folder.mkdir(parents=True, exist_ok=True)
    if not patterns:
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
        return
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE
    ) as archive:
        tar = ["tar", "-x", "-C", str(folder), "--wildcards", *patterns]
        # a pattern that nothing matches is of a module that this kernel has built in
        subprocess.run(tar, stdin=archive.stdout, stderr=subprocess.DEVNULL, check=False)
