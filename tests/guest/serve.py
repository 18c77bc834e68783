"""In the guest: loads everything once, then serves each request in a child of its own.

Starting Python and loading a compiler takes a minute under emulation, a child a tenth of a
second. Comes in: the number of a request, on the second serial line; goes out: files.
"""

from __future__ import annotations

import gc
import json
import os
import select
import sys
import termios
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
IDLE_SECONDS = 600
"""A guest that nobody asks for so long ends."""
LINE = "/dev/ttyS1"
PRELOADED = (  # no plugins of pytest: it wants to load those itself
    "lark",
    "llvmlite.binding",
    "pytest",
    "bridge.cli.front",
    "bridge.cli.run",
    "bridge.cli.check",
    "bridge.cli.explain",
    "bridge.cli.list",
    "bridge.cli.read",
    "bridge.api",
    "bridge.pipeline",
)


WARMING = (
    ["check", "-e", "probe begin { exit() }"],
    ["run", "-e", "WORK"],
    ["run", "--engine=interpreter", "-e", "WORK"],
)
WORK = """
global count
probe begin { count[execname()] <<< 1; printf("%d %s\\n", @count(count[execname()]), pp()) }
probe kernel.function("vfs_read"), kernel.function("vfs_read").return { if (!pid()) next }
probe kernel.trace("sched_switch"), syscall.getpgid { if (pid() == target()) println($$vars) }
probe timer.ms(200) { exit() }
"""


def _preload() -> None:
    """What tests and the command load and look up; parsers from their kept tables."""
    from importlib import import_module, invalidate_caches

    invalidate_caches()
    for name in PRELOADED:
        import_module(name)
    from bridge.cli.front import dispatch

    kept, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    for words in WARMING:
        os.dup2(nothing, 1)
        code = dispatch([WORK if word == "WORK" else word for word in words])
        sys.stdout.flush()
        os.dup2(kept, 1)
        if code:
            sys.stdout.write(f"{words[:2]} ended with {code}\n")
    os.close(kept)
    os.close(nothing)
    gc.collect()
    gc.freeze()  # what is known is not looked through, and so copied, in each child


def _run(request: dict[str, object]) -> None:
    """Be the child of a request; never returns."""
    code = 126
    try:
        code = _serve(str(request["kind"]), [str(word) for word in request["words"]])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - it must not go on as the server
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _serve(kind: str, words: list[str]) -> int:
    match kind:
        case "pytest":
            import pytest

            from tests.guest import forked

            forked.install()
            return int(pytest.main(words))
        case "examples":
            from tests.guest import examples, forked

            forked.install()
            return examples.main(words)
        case "markbridge":
            from bridge.cli.front import dispatch

            return dispatch(words)
        case _:
            os.execvp(words[0], words)


def _become(job: Path, request: dict[str, object]) -> None:
    """Take on a request's outputs, folder and environment."""
    os.setsid()
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(job / name, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])


def _answer(job: Path) -> None:
    child = os.fork()
    if not child:
        request = json.loads((job / "request").read_text())
        _become(job, request)
        _run(request)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    (job / "code.new").write_text(str(code if code >= 0 else 128 - code))
    (job / "code.new").rename(job / "code")


def _open_line() -> int:
    line = os.open(LINE, os.O_RDWR | os.O_NOCTTY)
    settings = termios.tcgetattr(line)
    settings[0] = settings[1] = settings[3] = 0
    termios.tcsetattr(line, termios.TCSANOW, settings)
    return line


def main(run: Path) -> None:
    """Serve until nobody asks any more."""
    sys.path.insert(0, str(ROOT))
    os.environ["XDG_CACHE_HOME"] = str(run.parent / "cache")
    line = _open_line()
    _preload()
    (run / "up").touch()
    asked = b""
    while select.select([line], [], [], IDLE_SECONDS)[0]:
        asked += os.read(line, 4096)
        while b"\n" in asked:
            number, _, asked = asked.partition(b"\n")
            _answer(run / "jobs" / number.decode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
