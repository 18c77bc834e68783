"""The recorded cases that need a target or the command line, run as a user would.

Each runs in a folder with the reference programs, freshly compiled, by the installed command,
once with machine code and once in the reference interpreter.
What the target itself prints goes to the same place as the script's output, at a time that
depends on its buffers: it is taken out of both sides, and has to be in both or in neither.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.stap_runs import CASES, DIFFERENT, needs_target

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.shared, pytest.mark.bpf]

COMMAND = Path(sys.executable).with_name("markbridge")
ENGINES = ("native", "interpreter")
CANNOT = {
    "guest_k01_kprobe": "no kprobes in this kernel",
    "guest_k02_kprobe_ret": "no kprobes in this kernel",
}
"""Cases that this kernel stands against, and how."""

NOT_YET: dict[str, str] = {}
"""Cases that do not work yet; who makes one work takes it out of here."""

FLAGS = {"target2": "-no-pie -pthread", "u": "-O2", "v": "-O2", "w": "-O2"}
"""How the recorded programs were compiled, where it was not as most of them."""


@dataclass(frozen=True)
class Outcome:
    """What a run left, in lines; `own` is what the target alone prints."""

    stdout: str
    stderr: list[str]
    exit: int


# --- what may differ, because it is of the machine and not of the script ----------------------


def _addresses(text: str) -> str:
    """Addresses are random, offsets and sizes in the C library its own; all but zero."""
    text = re.sub(r"0x[0-9a-f]{9,16}", "ADDRESS", text)
    return re.sub(r"(libc\.so\.6)\+0x[0-9a-f]+/0x[0-9a-f]+", r"\1+OFFSET", text)


def _rows_of_cat(text: str) -> str:
    """Other processes of the machine execute programs, too."""
    return "".join(line for line in text.splitlines(keepends=True) if "/cat" in line)


def _numbers(text: str) -> str:
    """The first system calls of a command are those that its parent makes before the exec."""
    return re.sub(r"\d+", "N", text)


def _nothing(_text: str) -> str:
    """The version and the copyright are ours."""
    return ""


MACHINE: dict[str, Callable[[str], str]] = {
    "guest_c17_ubacktrace": _addresses,
    "guest_k05_trace_args": _rows_of_cat,
    "guest_k08_procsys": _numbers,
    "guest_q02_version": _nothing,
}
"""What to make of an output before it is compared."""


# --- running ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all programs, compiled."""
    folder = tmp_path_factory.mktemp("targets")
    for source in sorted((reference / "stap" / "targets").glob("*.c")):
        flags = FLAGS.get(source.stem, "-no-pie")
        (folder / source.name).write_bytes(source.read_bytes())
        command = ["gcc", "-g", "-O0", *flags.split(), source.name, "-o", source.stem]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def _words(name: str, known: dict[str, Any], folder: Path) -> list[str]:
    """The options, the script and its arguments."""
    line = known.get("command_line") or ""
    own, _, arguments = line.partition("ARGS:")
    # patterns of -l are recorded without the quotes around them
    quoted = [*own.split(maxsplit=1)] if own.startswith("-l") else shlex.split(own)
    options = [*quoted, *(known.get("options") or [])]
    given = [*shlex.split(arguments), *(known.get("arguments") or [])]
    if {"-l", "-L", "-V"} & {*options}:
        return options
    script = (folder / f"{name.removeprefix('guest_')}.stp").name
    return [*options, script, "--", *given] if given else [*options, script]


def _run(name: str, known: dict[str, Any], folder: Path, engine: str) -> Outcome:
    script = (reference_case(name).with_suffix(".stp")).read_bytes()
    if "kernel runtime" in known["made_by"]:
        script = b"\n" + script  # the recorded scripts had a line of comment in front
    (folder / f"{name.removeprefix('guest_')}.stp").write_bytes(script)
    done = subprocess.run(
        [COMMAND, "run", f"--engine={engine}", *_words(name, known, folder)],
        cwd=folder,
        capture_output=True,
        timeout=600,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    stdout, stderr = (
        text.decode(errors="surrogateescape").replace(f"{folder}/", "./")
        for text in (done.stdout, done.stderr)
    )
    return Outcome(stdout, stderr.splitlines(), done.returncode)


def reference_case(name: str) -> Path:
    """The record of a case."""
    root = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("MARKBRIDGE_REFERENCE", root))
    return folder / "stap" / "run" / f"{name}.json"


def _own_output(known: dict[str, Any], folder: Path) -> str:
    """What the command of -c prints without us."""
    words = shlex.split(known.get("command_line") or "") + (known.get("options") or [])
    if "-c" not in words:
        return ""
    command = shlex.split(words[words.index("-c") + 1])
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    except OSError:
        return ""
    return done.stdout.decode()


def _without(text: str, own: str) -> str:
    """A text without the last occurrence of what the target printed."""
    if not own:
        return text
    before, _, after = text.rpartition(own)
    return before + after


# --- comparing --------------------------------------------------------------------------------


def _messages(lines: list[str], made_by: str) -> list[str]:
    """The comparable messages: without addresses and places in the library.

    SystemTap 4.8 says where an error was only if it was no call of error().
    """
    found = []
    for line in lines:
        text = re.sub(r"0x[0-9a-f]{9,16}", "ADDRESS", line)
        text = re.sub(r"(/usr/share/systemtap/tapset|TAPSET)\S+", "TAPSET", text)
        if "4.8" in made_by:
            text = text.partition(" near identifier")[0]
        if text.startswith(("ERROR: ", "WARNING: Number of errors", "WARNING: Child")):
            found.append(text)
    return found


OWN = {"guest_c23_enabled_semaphore": "enabled\n"}
"""What a target prints that notices that it is traced."""


def _expected_own(name: str, own: str) -> str:
    """The recording machine's name was `vm`."""
    return "vm\n" if "_k0" in name else own


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", [name for name in CASES if needs_target(name)])
def test_same_as_systemtap(
    name: str, engine: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    if name in CANNOT:
        pytest.skip(CANNOT[name])
    if name in DIFFERENT:
        pytest.skip(DIFFERENT[name])
    if name in NOT_YET:
        request.applymarker(pytest.mark.xfail(reason=NOT_YET[name], strict=True))
    known = json.loads(reference_case(name).read_text())
    own = OWN.get(name) or _own_output(known, folder)

    done = _run(name, known, folder, engine)

    recorded = _expected_own(name, own)
    assert (own in done.stdout) == (recorded in known["stdout"])
    machine = MACHINE.get(name, str)
    expected = machine(_without(known["stdout"], recorded))
    assert machine(_without(done.stdout, own)) == expected, "\n".join(done.stderr)
    assert done.exit == known["exit"]
    recorded_messages = _messages(known["stderr"].splitlines(), known["made_by"])
    assert _messages(done.stderr, known["made_by"]) == recorded_messages
