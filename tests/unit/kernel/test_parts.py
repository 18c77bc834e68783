"""Parts that need no kernel: commands, targets, BTF, signals, the front."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys

import pytest

from bridge._native import ffi, lib
from bridge.cli.run import Interruption
from bridge.engine import child
from bridge.engine.target import Target, threads
from bridge.errors import BridgeError

HEAVY = ("lark", "llvmlite", "elftools", "construct")


# --- commands ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("ls -l /tmp", ["ls", "-l", "/tmp"]),
        ("echo 'a b'", ["echo", "a b"]),
        ('python -c "f(1); g()"', ["python", "-c", "f(1); g()"]),
        ("ls /usr/include/std[i]o.h", ["ls", "/usr/include/stdio.h"]),
        ("ls *.nothing", ["ls", "*.nothing"]),
        ("ls >f 2>&1", ["/bin/sh", "-c", "ls >f 2>&1"]),
        ("echo $MARK '$MARK'", ["echo", "a", "b", "$MARK"]),
        (r'sh -c "kill -9 \$\$"', ["sh", "-c", "kill -9 $$"]),
        ("echo $(ls)", ["/bin/sh", "-c", "echo $(ls)"]),
        ("a | b", ["/bin/sh", "-c", "a | b"]),
        ("a=1 b", ["/bin/sh", "-c", "a=1 b"]),
    ],
)
def test_a_shell_is_used_only_where_one_is_needed(
    command: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARK", "a b")
    assert child.arguments(command) == words


def test_a_command_waits_to_be_released(tmp_path) -> None:
    made = tmp_path / "made"
    started = child.start(f"touch {made}")
    assert not made.exists()
    assert not started.ended()

    started.release()
    started.wait()

    assert made.exists()
    assert started.warning() == ""


def test_an_abandoned_command_never_runs(tmp_path) -> None:
    made = tmp_path / "made"
    started = child.start(f"touch {made}")

    started.abandon()

    assert started.ended()
    assert not made.exists()


def test_what_a_command_ended_with() -> None:
    failed, killed = child.start("exit 4;"), child.start("kill -9 $$;")
    for started in (failed, killed):
        started.release()
        started.wait()

    assert failed.warning() == "Child process exited with status 4"
    assert killed.warning() == "Child process exited with signal 9 (Killed)"


def test_a_command_that_cannot_be_executed(capfd: pytest.CaptureFixture[str]) -> None:
    started = child.start("/nonexistent/x y")
    started.release()
    started.wait()

    assert started.warning() == "Child process exited with status 1"
    assert capfd.readouterr().err == "/nonexistent/x: No such file or directory\n"


def test_an_empty_command() -> None:
    with pytest.raises(BridgeError, match="empty"):
        child.start("  ")


# --- targets ----------------------------------------------------------------------------------


def test_threads_of_a_process_and_its_children() -> None:
    with subprocess.Popen(["sleep", "30"]) as process:
        try:
            found = set(threads(os.getpid()))
            assert {os.getpid(), process.pid} <= found
            assert set(threads(process.pid)) == {process.pid}
        finally:
            process.kill()


def test_a_process_that_ended_is_not_one_that_took_its_number() -> None:
    process = subprocess.Popen(["sleep", "30"])
    target = Target.of_process(process.pid)
    assert not target.ended()
    process.kill()
    process.wait()

    assert target.ended()


def test_there_is_no_such_process() -> None:
    with pytest.raises(BridgeError, match="no process"):
        Target.of_process(2**22 - 1)


# --- BTF --------------------------------------------------------------------------------------


def _btf(strings: bytes, types: bytes) -> bytes:
    header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
    return header + types + strings


STRINGS = b"\0int\0point\0x\0y\0"
TYPES = (
    struct.pack("<IIII", 1, 1 << 24, 4, 32)
    + struct.pack("<III", 5, 4 << 24 | 2, 8)
    + struct.pack("<IIIIII", 11, 1, 0, 13, 1, 32)
)


def _member(data: bytes, structure: bytes, member: bytes) -> int:
    return lib.mb_btf_member(ffi.from_buffer("char[]", data), len(data), structure, member)


def test_the_offset_of_a_member() -> None:
    data = _btf(STRINGS, TYPES)

    assert (_member(data, b"point", b"x"), _member(data, b"point", b"y")) == (0, 4)
    assert _member(data, b"point", b"z") < 0
    assert _member(data, b"line", b"x") < 0


def test_broken_btf_is_refused() -> None:
    data = _btf(STRINGS, TYPES)

    for length in range(len(data)):
        assert _member(data[:length] or b"\0", b"point", b"y") < 0


# --- signals ----------------------------------------------------------------------------------


def test_the_first_signal_only_asks_for_the_end() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interruption() as interruption:
        assert not interruption()
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption()

    assert signal.getsignal(signal.SIGTERM) is before


# --- the front --------------------------------------------------------------------------------


def test_help_loads_nothing_heavy() -> None:
    """How long it takes is measured by `python -m bench start`."""
    code = (
        "import sys\n"
        "from bridge.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        f"print('heavy', [name for name in {HEAVY} if name in sys.modules])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "heavy []"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [([], 2), (["nonsense"], 2), (["run", "--nonsense"], 1), (["--version"], 0)],
)
def test_exit_codes_of_usage(arguments: list[str], code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bridge", *arguments], capture_output=True, check=False
    )

    assert done.returncode == code


def test_options_stand_before_or_after_the_script(tmp_path) -> None:
    script = tmp_path / "x.stp"
    script.write_text('probe begin { printf("%s %d\\n", @1, $2) exit() }')
    for words in (["-w", script, "-v", "a", "7"], [script, "a", "7", "-w"]):
        done = subprocess.run(
            [sys.executable, "-m", "bridge", "run", *words],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "a 7\n"), done.stderr


def test_output_goes_where_o_says(tmp_path) -> None:
    out = tmp_path / "out"

    done = subprocess.run(
        [
            *(sys.executable, "-m", "bridge", "run", "-o", out),
            *("-G", "x=42", "-e", "global x = 1 probe begin { println(x) exit() }"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, out.read_text()) == (0, "", "42\n"), done.stderr
