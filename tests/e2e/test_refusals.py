"""What cannot be read where a script reads it: check, explain and run say the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Runner

pytestmark = pytest.mark.bpf


BY_GLOBAL = "global a probe process.begin { println(user_int8(a)) a++ }"


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (BY_GLOBAL, "computed-address"),
        (
            "probe process.begin { for (i = 0; i < 9; i++) s += user_int8(i) }"
            " global s probe end { println(s) }",
            "computed-address",
        ),
    ],
)
def test_check_explain_and_run_say_the_same(run: Runner, script: str, code: str) -> None:
    said = [run(command, "-e", script) for command in ("check", "explain", "run")]

    assert [done.code for done in said] == [1, 1, 1]
    assert said[0].err == said[1].err == said[2].err
    assert f"error[{code}]: " in said[0].err
    assert "\n --> " in said[0].err


def test_the_place_is_told_to_tools_too(run: Runner) -> None:
    done = run("check", "--format=json", "-e", BY_GLOBAL)

    [told] = json.loads(done.out)
    assert (done.code, told["code"]) == (1, "computed-address")


def test_what_can_be_read_is_accepted(run: Runner) -> None:
    script = "probe timer.profile { println(execname(), pid()) }"

    assert run("check", "-e", script).code == 0


def test_stap_p2_says_nothing_of_it(run: Runner) -> None:
    """As SystemTap, which can read there."""
    done = run("check", "-p2", "-e", BY_GLOBAL)

    assert (done.code, done.err) == (0, "")
