"""SystemTap's own examples, each with the options of its `.meta` file, under a background load.

In the guest: `main` runs them and keeps what came of each in `build/examples.json`, so that a
run that was cut goes on where it stopped. On the host: `document` makes `docs/examples.md` of
that. One rule: an example that does not run is listed with its reason.
"""

from __future__ import annotations

import ctypes
import json
import lzma
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = Path("/usr/share/systemtap/examples")
RESULTS = ROOT / "build" / "examples.json"
DOCUMENT = ROOT / "docs" / "examples.md"
RUN_SECONDS, START_SECONDS, END_SECONDS = 5, 240, 60
STARTED = b"Pass 5: starting run."
WITH_VALUE, PASSED_ON, FLAGS = "eEIDGcxTodsrRSBm", "eEIDGcxTd", "gwu"
"""Options of stap: those with a value, those of them that we have, and those without."""
COMMANDS = ("test_installcheck", "test_check", "test_installcheck_bpf", "test_check_bpf")
"""The commands of a `.meta` file, the best first; those for BPF where there is no other."""
MODULES = ("autofs4", "nfs", "nfsd", "xfs", "sd_mod", "kvm", "dccp_ipv4")
"""Modules of the kernel that examples probe."""
CHECKED = frozenset({"compiled", "accepted"})
"""Outcomes of what was not tried in the guest."""
INIT_MODULE = 175
"""The number of the system call on x86-64, which the guests are."""
PARSING, ANALYSIS = "1", "2"
"""The passes after which `check` can stop as well."""
RECORDER = """#!/bin/sh
for word in "$@"; do printf '%s\\0' "$word"; done > "$RECORDED"
[ -p /dev/stdin ] && cat > "$RECORDED.in"
exit 0
"""
"""Stands for `stap` while a line of a `.meta` file is run: what the shell makes of it."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an example: `runs`, `refused` before it ran, or `failed` while it did.

    `compiled` or `accepted`: what `check` said on the files of the guest's kernel; not tried.
    """

    name: str
    outcome: str
    reason: str = ""
    lines: int = 0


# --- in the guest -----------------------------------------------------------------------------


def main(names: list[str]) -> int:
    """Run the examples that are named, or all that have not been run yet."""
    known = results()
    metas = sorted(EXAMPLES.glob("*/*.meta"))
    if not metas:
        sys.stderr.write(f"no examples in {EXAMPLES}: install systemtap-doc\n")
        return 1
    _load_modules()
    load = _start_load()
    try:
        for meta in metas:
            name = f"{meta.parent.name}/{meta.stem}"
            if (
                meta.stem in names
                or name in names
                or not (names or (name in known and known[name].outcome not in CHECKED))
            ):
                known[name] = _run(name, meta)
                _keep(known)
                result = known[name]
                print(f"{name}: {result.outcome} {result.reason}".rstrip(), flush=True)
    finally:
        os.kill(load, signal.SIGKILL)
        os.waitpid(load, 0)
    return 0


def results() -> dict[str, Result]:
    """What is known of earlier runs."""
    if not RESULTS.exists():
        return {}
    kept = json.loads(RESULTS.read_text())
    return {name: Result(**fields) for name, fields in kept.items()}


def _keep(known: dict[str, Result]) -> None:
    fields = {name: asdict(result) for name, result in sorted(known.items())}
    RESULTS.write_text(json.dumps(fields, indent=1))


def _run(name: str, meta: Path) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        words = _words_of(meta, Path(folder))
        if words is None:
            return Result(name, "refused", "its `.meta` file does not start stap")
        given, last_pass = translated(words)
        command = ["check"] if last_pass else ["run", "-v"]
        command += [f"-p{last_pass}"] if last_pass in (PARSING, ANALYSIS) else []
        return judged(name, *_watched([*command, *given], meta.parent, Path(folder)))


def _words_of(meta: Path, folder: Path) -> list[str] | None:
    """The words that stap gets, after the shell; None if it is not reached."""
    text = meta.read_text(errors="replace")
    for kind in COMMANDS:
        if line := re.search(rf"^{kind}:[ \t]*(\S.*)", text, re.MULTILINE):
            break
    else:
        return None
    (folder / "stap").write_text(RECORDER)
    (folder / "stap").chmod(0o755)
    recorded = folder / "words"
    environment = os.environ | {"RECORDED": str(recorded), "TMPDIR": str(folder)}
    environment["PATH"] = f"{folder}:{environment.get('PATH', os.defpath)}"
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(
            ["bash", "-c", line[1]],
            cwd=meta.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=START_SECONDS,
            check=False,
        )
    return recorded.read_text().split("\0")[:-1] if recorded.exists() else None


def translated(words: list[str]) -> tuple[list[str], str]:
    """Our options for stap's, and the pass after which it stops (`-p4`), "" where it runs."""
    options, rest, last_pass = [], [], ""
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "-" or not word.startswith("-"):
            rest.append(word)
        elif not word.startswith("--"):
            last_pass = _cluster(word[1:], left, options) or last_pass
    return ([*options, "--", *rest] if rest else options), last_pass


def _cluster(letters: str, left: list[str], options: list[str]) -> str:
    """The letters of one word (`-gp4`); the pass that `p` names in it."""
    for at, letter in enumerate(letters):
        if letter == "p":
            return letters[at + 1 :]
        if letter in WITH_VALUE:
            value = letters[at + 1 :] or (left.pop(0) if left else "")
            options += [f"-{letter}", value] if letter in PASSED_ON else []
            return ""
        options += [f"-{letter}"] if letter in FLAGS else []
    return ""


def _watched(words: list[str], cwd: Path, folder: Path) -> tuple[int, bytes, bytes]:
    """The command's exit code and outputs; Ctrl-C when it has run for long enough."""
    out, err = folder / "out", folder / "err"
    script_input = Path(f"{folder}/words.in")
    with out.open("wb") as one, err.open("wb") as two:
        source = script_input.open("rb") if script_input.exists() else None
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge", *words],
            cwd=cwd,
            stdin=source or subprocess.DEVNULL,
            stdout=one,
            stderr=two,
        )
    _until(process, START_SECONDS, lambda: STARTED in err.read_bytes())
    _until(process, RUN_SECONDS, lambda: False)
    for number in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(number)
            _until(process, END_SECONDS, lambda: False)
    return process.wait(), out.read_bytes(), err.read_bytes()


def _until(process: subprocess.Popen[bytes], seconds: float, holds: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end and not holds():
        time.sleep(0.1)


def judged(name: str, code: int, out: bytes, err: bytes) -> Result:
    """What is said of an example that ended with a code and two outputs."""
    text, lines = err.decode(errors="replace"), out.count(b"\n")
    wrong = _what_is_wrong(code, text.splitlines())
    if not wrong:
        return Result(name, "runs", "", lines)
    outcome = "failed" if STARTED.decode() in text else "refused"
    return Result(name, outcome, re.sub(r"^error\[[\w-]+\]: ", "", wrong), lines)


def _what_is_wrong(code: int, said: list[str]) -> str:
    """The first error, the end of a traceback, or how it ended; "" where all is well."""
    wrong = [line for line in said if re.match(r"(?:error\b|ERROR:|Traceback)", line)]
    if wrong:
        return said[-1] if wrong[0].startswith("Traceback") else wrong[0]
    if code < 0:
        return f"did not end ({signal.Signals(-code).name})"
    return f"ended with {code}: {said[-1] if said else ''}" if code else ""


def _load_modules() -> None:
    """What the examples are about and no device of the guest asks for."""
    folder = os.environ.get("MARKBRIDGE_MODULES")
    found = Path(folder or "/none").rglob("*.ko*")
    files = {path.name.partition(".")[0].replace("-", "_"): path for path in found}
    for module in MODULES:
        _load_module(module, files)


def _load_module(name: str, files: dict[str, Path]) -> None:
    """The module and those that it needs; what is built in has no file."""
    path = files.pop(name, None)
    if path is None:
        return
    code = path.read_bytes()
    code = lzma.decompress(code) if path.suffix == ".xz" else code
    needed = re.search(rb"\0depends=([^\0]*)", code)
    for other in needed[1].decode().split(",") if needed else ():
        _load_module(other.replace("-", "_"), files)
    # init_module(2); one that is there already is refused
    ctypes.CDLL(None).syscall(INIT_MODULE, code, ctypes.c_ulong(len(code)), b"")


# --- the load ---------------------------------------------------------------------------------


def _start_load() -> int:
    """A process that opens files, sends over sockets and forks, a few times in a second."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    with tempfile.TemporaryDirectory() as folder, suppress(KeyboardInterrupt):
        server = socket.create_server(("127.0.0.1", 0))
        while True:
            _work(Path(folder), server)
            time.sleep(0.2)
    os._exit(0)


def _work(folder: Path, server: socket.socket) -> None:
    path = folder / "file"
    with path.open("wb") as file:
        file.write(b"x" * 10000)
        os.fsync(file.fileno())
    path.read_bytes()
    with suppress(OSError):
        (folder / "none").stat()
    (folder / "other").write_text("x")
    path.rename(folder / "moved")
    (folder / "moved").unlink()
    with (
        socket.create_connection(server.getsockname()) as client,
        server.accept()[0] as served,
    ):
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        served.recv(100)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.sendto(b"y" * 100, server.getsockname())
    child = os.fork()
    if not child:
        os.execv("/bin/true", ["true"])
    os.waitpid(child, 0)


# --- on the host ------------------------------------------------------------------------------

HEAD = """# SystemTap's examples

What becomes of the examples of Debian's systemtap-doc that have a `.meta` file, each with its
own options from there, in a guest with Linux {kernel} under a background load. Made by
`make examples`; `make examples EXAMPLES="io/iotop memory/pfaults"` runs some anew. The kernel's
debug information is there. Where an example's own options stop after a pass (`-p1` of the
band-aids for security, `-p4` of the games) it is looked at up to there.

Of {all} that were run there {runs} attach, run and end without an error{missing}. Those with
`check` were refused by `markbridge check` on the symbols, types and tracepoints of that kernel,
and not tried there. A row says what was so when the example was run last. The others:

| example | what happens | reason |
|---|---|---|
"""


def document(kernel: str) -> str:
    """The page of `docs/examples.md`."""
    known = list(results().values())
    tried = [one for one in known if one.outcome not in CHECKED]
    wrong = (one for one in known if one.outcome not in ("runs", "accepted"))
    others = sorted(wrong, key=lambda one: one.name)
    accepted = sum(one.outcome == "accepted" for one in known)
    left = len(list(EXAMPLES.glob("*/*.meta"))) - len(known)
    head = HEAD.format(
        kernel=kernel,
        runs=sum(one.outcome == "runs" for one in known),
        all=len(tried),
        missing="".join(
            f"; {count} {what}"
            for count, what in (
                (accepted, "more are accepted by `check` and have not been run yet"),
                (left, "have not been looked at"),
            )
            if count > 0
        ),
    )
    said = {"compiled": "check"}
    return head + "".join(
        f"| `{one.name}` | {said.get(one.outcome, one.outcome)} | {_cell(one.reason)} |\n"
        for one in others
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
