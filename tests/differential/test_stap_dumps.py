"""`--dump-functions`, `--dump-aliases`, `--dump-probe-types` beside stap's."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.support.stap_front_end import LIBRARY, Stap, library_without, make_kernel

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = [pytest.mark.tools, pytest.mark.xdist_group("lists of stap")]

_FUNCTION = re.compile(r"(\w+):(\w+) \((.*?)\)")
NEWER = frozenset(
    [
        *(f"kernel_{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
        "NFS_CLIENT",
        "NFS_FH",
        "cmd_request_timer_pending",
        "get_scsi_request",
        "inet_get_dest_port",
        "inet_get_ip_dest",
        "scsi_cmd_to_rq",
        "task_exe_file",
        "user_uint",
    ]
)
"""Functions that SystemTap has privately, in other versions, or by another name."""


@pytest.fixture(scope="module")
def stap(tmp_path_factory: pytest.TempPathFactory) -> Stap:
    return Stap(make_kernel(tmp_path_factory.mktemp("kernel")), LIBRARY)


@pytest.fixture(scope="module")
def listed_functions(stap: Stap, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What stap lists; most of its time goes into files that only have system calls."""
    library = library_without(r"sysc_", tmp_path_factory.mktemp("library"))
    return replace(stap, tapset=library).run("--dump-functions").stdout


@cache
def ours(option: str) -> list[str]:
    command = [sys.executable, "-m", "bridge", "check", option]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )


def functions(lines: list[str]) -> dict[tuple[str, int], tuple[str, list[tuple[str, str]]]]:
    """Result and parameters (name, type) by name and number of parameters."""
    found = {}
    for line in filter(None, lines):
        name, result, text = _FUNCTION.match(line).groups()
        pairs = [tuple(p.split(":")) for p in text.split(", ")] if text else []
        found[name, len(pairs)] = result, pairs
    return found


def test_functions_have_the_signatures_of_stap(listed_functions: str) -> None:
    known = functions(listed_functions.splitlines())
    own = functions(ours("--dump-functions"))
    both = known.keys() & own.keys()
    print(f"{len(own)} of ours, {len(known)} of stap's, {len(both)} of both")

    assert len(both) > 350
    different = []
    for key in both:
        (result, parameters), (here, own_parameters) = known[key], own[key]
        types = [(result, here), *zip(parameters, own_parameters, strict=True)]
        # SystemTap does not infer types in a list; the names are the same in any case
        same = all(
            a == b or (a[-1] == "unknown" and a[:-1] == b[:-1])
            if isinstance(a, tuple)
            else a in (b, "unknown")
            for a, b in types
        )
        if not same:
            different.append((key, known[key], own[key]))
    assert different == []
    more = {name for name, _ in own.keys() - known.keys()} - {name for name, _ in known}
    assert {name for name in more if not name.startswith("_")} == NEWER


def test_functions_are_listed_in_the_order_of_stap(listed_functions: str) -> None:
    listed = [line.partition(" /*")[0] for line in listed_functions.splitlines()]
    own = ours("--dump-functions")
    both = set(listed) & set(own)
    assert len(both) > 330

    # the order of overloads is that of the files they are in
    assert _names(x for x in own if x in both) == _names(x for x in listed if x in both)


def _names(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(line.partition(":")[0] for line in lines))


def test_aliases_have_the_names_of_stap(stap: Stap) -> None:
    def names(lines: list[str]) -> set[str]:
        return {re.split(r" \+?= ", line)[0] for line in lines if line}

    lines = [line.rstrip() for line in stap.run("--dump-probe-aliases").stdout.splitlines()]
    own = ours("--dump-aliases")
    # the library stands on tracepoints, so what an alias stands for is another matter
    print(f"{len(set(lines) & set(own))} lines are equal")

    assert "init = begin(-9223372036854775808)" in set(lines) & set(own)
    assert len(names(lines) & names(own)) > 100
    strange = {name for name in names(own) - names(lines) if not name.startswith("__")}
    strange = {name for name in strange if not name.startswith("nd_syscall.")}
    # a point of SystemTap's own, and an alias that it has with --compatible=2.0
    assert strange == {"timer.profile.tick", "signal.send.return"}


def test_probe_types_are_among_those_of_stap(stap: Stap) -> None:
    known = {line.rstrip() for line in stap.run("--dump-probe-types").stdout.splitlines()}
    own = set(ours("--dump-probe-types")) - {""}
    more = re.compile(
        r"process\(number\)\.library\(string\)\..*"
        r"|process(\(\w+\))?(\.library\(string\))?\.function\(number\)\.inline"
    )

    assert len(known & own) > 100
    assert {point for point in own - known if not more.fullmatch(point)} == set()
    missing = re.compile(
        r"(java|kernel|kprobe|module|netfilter|perf|procfs|timer|python|process)\b.*"
    )
    assert {point for point in known - own if not missing.fullmatch(point)} == set()
