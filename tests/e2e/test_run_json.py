"""`--format=json`: sessions and lists for tools, beside what the text form says."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Compiler, Runner

VICTIM = """
#include <markbridge/marker.h>
int main(void)
{
	for (long i = 0; i < 20; i++)
		MARKBRIDGE_MARK(shop, order, i, i & 1 ? "odd" : "\\xff");
	return 3;
}
"""
SCRIPT = """global n, s, last = "none"
probe process("VICTIM").mark("order") {
    n[user_string($arg2), pid() > 0]++; s <<< $arg1; last = user_string($arg2)
    if ($arg1 == 19) warn("nearly done")
    println($arg1)
}
probe end { println(@avg(s), last) }"""

pytestmark = [pytest.mark.bpf, pytest.mark.needs("sleepable")]


@pytest.fixture
def victim(compile_c: Compiler) -> Path:
    return compile_c("victim", VICTIM)


def _objects(text: str, kind: str) -> list[dict[str, object]]:
    found = [json.loads(line) for line in text.splitlines()]
    return [one for one in found if one["type"] == kind]


def test_a_session_is_objects(victim: Path, run: Runner) -> None:
    script = SCRIPT.replace("VICTIM", str(victim))
    shown = run("run", "--format=json", "-c", victim, "-e", script)
    plain = run("run", "-c", victim, "-e", script)

    events = _objects(shown.out, "event")
    assert [event["name"] for event in events] == ["shop:order"] * 20
    assert [event["arguments"]["arg1"] for event in events] == list(range(20))
    assert events[0]["arguments"]["arg2_string"] == {"bytes": "ff"}
    assert events[1]["arguments"]["arg2_string"] == "odd"
    lines = [line["text"] for line in _objects(shown.out, "line")]
    whole = [text for text in plain.out.splitlines() if text.isascii()]
    assert [text for text in lines if isinstance(text, str)] == whole
    (odd,) = [text for text in lines if not isinstance(text, str)]
    assert bytes.fromhex(odd["bytes"]).decode(errors="surrogateescape") in plain.out
    (values,) = (one["values"] for one in _objects(shown.out, "globals"))
    assert values["n"] == [
        {"keys": [{"bytes": "ff"}, 1], "value": 10},
        {"keys": ["odd", 1], "value": 10},
    ]
    assert values["s"]["sum"] == sum(range(20))
    assert values["last"] == "odd"
    messages = [message["text"] for message in _objects(shown.out, "message")]
    assert messages == plain.err.splitlines()
    (end,) = _objects(shown.out, "end")
    assert (end["command_status"], end["lost"], end["unread"]) == (3, 0, 0)
    assert shown.code == end["exit_code"] == plain.code == 1


def test_a_signal_ends_it_with_all_that_belongs_there() -> None:
    script = 'global n probe timer.ms(5) { println(n++) } probe end { println("bye") }'
    command = [sys.executable, "-m", "bridge", "run", "--format=json", "-e", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()

    assert json.loads(first) == {"type": "line", "text": "0"}
    assert _objects(rest, "line")[-1]["text"] == "bye"
    assert len(_objects(rest, "globals")) == len(_objects(rest, "end")) == 1
    assert process.returncode == 0


@pytest.mark.parametrize("option", [("-o", "x"), ("--engine=interpreter",), ("--replay", "x")])
def test_what_it_does_not_go_with_is_refused(option: tuple[str, ...], run: Runner) -> None:
    refused = run("run", "--format=json", *option, "-e", "probe begin { exit() }")

    assert refused.code == 2
    assert "--format=json takes neither" in refused.err


def test_a_list_is_an_object(victim: Path, run: Runner) -> None:
    shown = run("list", "--format=json", f'process("{victim}").mark("*")')
    missing = run("list", "--format=json", f'process("{victim}").mark("zzz")')

    assert json.loads(shown.out)["points"] == [
        {
            "point": f'process("{victim}").mark("order")',
            "variables": {"arg1": "long", "arg2": "long"},
        }
    ]
    assert missing.code == 1
    (wrong,) = json.loads(missing.out)["diagnostics"]
    assert wrong["severity"] == "error"
