"""bpftrace's own tools as Debian has them, imported: both see the same of one load.

The tools are not ours and not part of the repository; where they are not installed, there is
nothing to compare with.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bridge
from bridge.cli.imports import fields_of
from bridge.imports.bpftrace import translate
from tests.support.beside import beside

if TYPE_CHECKING:
    from tests.support.command import Compiler, Runner

TOOLS = Path("/usr/sbin")
LOAD = (Path(__file__).resolve().parent.parent / "support" / "load.c").read_text()
LIVE = {
    "bashreadline": r"echo marked",
    "bitesize": r"^@\[load\]",
    "execsnoop": r"/bin/true x|/nonexistent",
    **dict.fromkeys(
        (
            "gethostlatency",
            "killsnoop",
            "naptime",
            "opensnoop",
            "setuids",
            "statsnoop",
            "syncsnoop",
        ),
        r"(?<!/)\bload\b",
    ),
}
"""Ten that see the same whatever else the machine does, and which of their lines."""
ACCEPTED = frozenset({
    "bashreadline", "biolatency", "biosnoop", "bitesize", "capable", "cpuwalk", "dcsnoop",
    "execsnoop", "gethostlatency", "killsnoop", "loads", "mdflush", "naptime", "opensnoop",
    "pidpersec", "runqlat", "setuids", "ssllatency", "sslsnoop", "statsnoop", "swapin",
    "syncsnoop", "syscount", "tcpaccept", "tcpdrop", "tcpsynbl", "threadsnoop", "undump",
    "vfscount", "vfsstat", "writeback", "xfsdist",
})  # fmt: skip
"""Those whose scripts are right on a machine without kprobes, too."""
TIME = re.compile(r"^\d\d:\d\d:\d\d +|^\d+ +(?=\d+ +/)")

pytestmark = [pytest.mark.bpf, pytest.mark.tools]


@pytest.mark.parametrize("path", sorted(TOOLS.glob("*.bt")), ids=lambda path: path.stem)
def test_what_is_made_of_it_is_right(path: Path, run: Runner, tmp_path: Path) -> None:
    made = run("import", "bpftrace", path)
    assert made.code == 0, made.err
    script = tmp_path / "made.stp"
    script.write_text(made.out)

    checked = run("check", script)

    if path.stem in ACCEPTED:
        assert checked.code == 0, checked.err
    codes = set(re.findall(r"^error\[([\w-]+)\]", checked.err, re.MULTILINE))
    # functions of the kernel need kprobes, and members are those of this kernel
    assert codes <= {"unresolved-function", "unresolved-target", "no-match"}


def _chosen(lines: list[str], wanted: str) -> list[str]:
    found = (
        TIME.sub("", line.partition("process name:")[2] or line).rstrip() for line in lines
    )
    return sorted(line for line in found if re.search(wanted, line) and " sh " not in line)


@pytest.mark.parametrize("tool", LIVE)
def test_it_sees_what_bpftrace_sees(tool: str, compile_c: Compiler, tmp_path: Path) -> None:
    path = TOOLS / f"{tool}.bt"
    command = [str(compile_c("load", LOAD, "-g", "-pthread"))]
    if tool == "bashreadline":
        typed = "for i in 1 2 3; do echo echo marked $i; sleep 0.1; done; echo exit"
        command = ["/bin/sh", "-c", f"({typed}) | script -qc 'bash --norc -i' /dev/null"]
    script = translate(path.read_text(), str(path), fields_of).text

    other = ["bpftrace", path, "-c", "COMMAND"]
    ours, shown = beside(other, bridge.compile(script), command, tmp_path)

    theirs = _chosen(shown.splitlines(), LIVE[tool])
    assert theirs
    assert _chosen(list(ours.lines), LIVE[tool]) == theirs
