"""What SystemTap's own front end does, by its markers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.stap_front_end import make_kernel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Runner

pytestmark = [pytest.mark.root, pytest.mark.bpf, pytest.mark.tools]

PASSES = """
global one
probe stap.pass0 { one = session println("0") }
probe stap.pass0.end { println("0 end ", session == one) }
probe stap.pass1a { println("1a ", session == one) }
probe stap.pass1b { println("1b ", session == one) }
probe stap.pass1.end { println("1 end ", session == one) }
probe stap.pass2, stap.pass2.end { println("2") }
probe stap.pass6 { println("6 ", session == one) }
probe stap.pass6.end { println("6 end ", session == one) }
probe stap.system { println("runs ", command =~ "^ *rm -rf") }
probe stap.system.spawn { println("spawned ", ret, " ", pid > 1) }
probe stap.system.return { println("ran ", ret) }
"""


def test_passes_of_the_front_end(run: Runner, tmp_path: Path) -> None:
    script = tmp_path / "other.stp"
    script.write_text("probe begin { exit() }")
    kernel = make_kernel(tmp_path / "kernel")
    done = run("run", "-e", PASSES, "-c", f"stap -p1 -r {kernel} {script}")
    hits = [line for line in done.out.splitlines() if line.split(" ")[0] in WORDS]
    passes = ["0", "0 end 1", "1a 1", "1b 1", "1 end 1", "6 1"]
    assert hits == [*passes, "6 end 1", "runs 1", "spawned 0 1", "ran 0"], done.err


WORDS = {"0", "1a", "1b", "1", "2", "6", "runs", "spawned", "ran"}
