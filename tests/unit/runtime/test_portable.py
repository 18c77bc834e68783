"""The C library runs with every glibc since 2.17, and names errors as the kernel does."""

from __future__ import annotations

import errno
import platform
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

import bridge
from bridge.cli import main

LIBRARY = Path(bridge.__file__).with_name("_markbridge.abi3.so")
ALIASES = {"ENOTSUP": "EOPNOTSUPP", "EWOULDBLOCK": "EAGAIN", "EDEADLOCK": "EDEADLK"}


def needed_versions() -> dict[str, list[str]]:
    with LIBRARY.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".gnu.version_r")
        return {
            needed.name: [entry.name for entry in entries]
            for needed, entries in section.iter_versions()
        }


@pytest.mark.skipif(
    tuple(map(int, platform.libc_ver()[1].split("."))) >= (2, 38),
    reason="this C library gives strtol() and its like a version of their own to new programs",
)
def test_no_symbol_is_younger_than_glibc_2_17() -> None:
    needed = needed_versions()
    assert any(name.startswith("libc.so") for name in needed)
    glibc = [
        tuple(map(int, version.removeprefix("GLIBC_").split(".")))
        for versions in needed.values()
        for version in versions
        if version.startswith("GLIBC_")
    ]
    assert max(glibc) <= (2, 17)


def test_it_needs_the_c_library_only() -> None:
    with LIBRARY.open("rb") as file:
        dynamic = ELFFile(file).get_section_by_name(".dynamic")
        needed = {tag.needed for tag in dynamic.iter_tags() if tag.entry.d_tag == "DT_NEEDED"}
    sanitizers = {name for name in needed if name.startswith(("libasan", "libubsan"))}
    assert needed - sanitizers <= {"libc.so.6", "libm.so.6", "libpthread.so.0"}


def test_errors_have_their_names(capfd: pytest.CaptureFixture[str]) -> None:
    script = "probe begin { for (n = -140; n <= 140; n++) println(errno_str(n)) exit() }"
    assert main(["run", "-e", script]) == 0
    named = [ALIASES.get(name, name) for name in map(errno.errorcode.get, range(1, 132))]
    expected = [name or "" for name in named]

    lines = capfd.readouterr().out.split("\n")

    assert lines[141:272] == expected
    assert lines[139:8:-1] == expected
    assert set(lines[:9] + lines[272:] + [lines[140]]) == {""}
