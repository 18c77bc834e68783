"""A kernel package -> what a guest boots: the kernel without compression, and a RAM disk.

Inflating is slow under emulation, so nothing that boots is compressed. The RAM disk has one
static program (`init.c`) and the modules that reach the host's files. Formats:
Documentation/arch/x86/boot.rst, Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

from tests.guest import packages

MODULES = (
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "fuse",
    "virtiofs",
)
UNCOMPRESSORS = {
    b"\x02\x21\x4c\x18": "lz4",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ": "xz",
    b"\x1f\x8b": "gzip",
}
SETUP_SECTORS, PAYLOAD = 0x1F1, struct.Struct("<II")
PAYLOAD_AT, SECTOR_BYTES = 0x248, 512
HERE = Path(__file__).parent


def make(package: Path, release: str, folder: Path) -> None:
    """Put `vmlinux` and `initrd` of one kernel into a folder."""
    tree = folder / "tree"
    wanted = ["./boot/vmlinuz-*", *(f"*/{module}.ko*" for module in MODULES)]
    packages.unpack(package, tree, wanted)
    kernel = (tree / "boot" / f"vmlinuz-{release}").read_bytes()
    (folder / "vmlinux").write_bytes(_uncompressed(kernel))
    modules = [found for name in MODULES for found in tree.rglob(f"{name}.ko")]
    (folder / "initrd").write_bytes(_ram_disk(folder, modules))


def _uncompressed(kernel: bytes) -> bytes:
    """The kernel inside a boot image; the image itself where no tool for it is there."""
    offset, length = PAYLOAD.unpack_from(kernel, PAYLOAD_AT)
    start = (kernel[SETUP_SECTORS] + 1) * SECTOR_BYTES + offset
    payload = kernel[start : start + length - 4]  # its size stands behind it
    for magic, tool in UNCOMPRESSORS.items():
        if payload.startswith(magic):
            try:
                done = subprocess.run(
                    [tool, "-dc"], input=payload, capture_output=True, check=False
                )
            except FileNotFoundError:
                break
            return done.stdout or kernel
    return kernel


def _ram_disk(folder: Path, modules: list[Path]) -> bytes:
    names = [f"/modules/{module.name}" for module in modules]
    listed = "".join(f'"{name}",' for name in names)
    init = folder / "init"
    flags = ["-O2", "-static", "-s", "-Wall", "-Wextra", "-Werror", f"-DMODULES={listed}"]
    subprocess.run(["gcc", *flags, "-o", init, HERE / "init.c"], check=True)
    archive = b"".join(
        _entry(name, 0o040755) for name in ("dev", "proc", "host", "root", "modules")
    )
    archive += _entry("dev/console", 0o020600, device=(5, 1))
    for name, module in zip(names, modules, strict=True):
        archive += _entry(name[1:], 0o100644, module.read_bytes())
    archive += _entry("init", 0o100755, init.read_bytes())
    return archive + _entry("TRAILER!!!", 0)


def _entry(name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """One file of a `newc` archive. Inode numbers matter for hard links only."""
    path = name.encode() + b"\0"
    words = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % word for word in words) + path
    return _padded(head) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
