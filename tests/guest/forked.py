"""In the guest: `python -m bridge ...` as a child of the process that has it loaded already.

The child is one as `subprocess` makes it (its outputs, its folder, its number, its signals),
only that it runs the command instead of executing Python anew.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMAND = [sys.executable, "-m", "bridge"]
FILES_MAX = 4096
SLOWNESS = 10
"""How much longer anything may take under emulation."""


def install() -> None:
    """From now on `subprocess` works so."""
    subprocess.Popen = ForkedPopen  # type: ignore[misc]


class ForkedPopen(subprocess.Popen[Any]):
    """A process that is the command, or any other."""

    def __init__(self, args: Any, *rest: Any, **options: Any) -> None:
        words = [os.fspath(word) for word in args] if isinstance(args, (list, tuple)) else []
        if words[:3] == COMMAND and not options.get("preexec_fn"):
            become = partial(
                _become, words[3:], options.get("env"), options.get("pass_fds", ())
            )
            options["preexec_fn"] = become
        super().__init__(args, *rest, **options)

    def wait(self, timeout: float | None = None) -> int:
        """As ever, with more patience."""
        return super().wait(_patient(timeout))

    def communicate(self, input: Any = None, timeout: float | None = None) -> Any:
        """As ever, with more patience."""
        return super().communicate(input, _patient(timeout))


def _patient(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * SLOWNESS


def _become(
    words: list[str], environment: Mapping[str, str] | None, kept: Sequence[int]
) -> None:
    """Run the command; never returns. The parent waits until the files above 2 are closed."""
    for number in set(range(3, FILES_MAX)) - set(kept):
        try:
            os.close(number)
        except OSError:
            continue
    if environment is not None:
        os.environ.clear()
        os.environ.update(environment)
    code = 1
    try:
        _begin_anew(words)
        from bridge.cli import main

        code = main(words)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - it must not come back to pytest
        sys.excepthook(*sys.exc_info())
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = code or 1
    os._exit(code)


def _begin_anew(words: list[str]) -> None:
    """What a fresh interpreter has."""
    sys.argv = ["markbridge", *words]
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", closefd=False)  # noqa: SIM115
    errors = open(2, "w", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = errors
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    warnings.resetwarnings()
    warnings.simplefilter("ignore", DeprecationWarning)
    _forget_the_machine()


def _forget_the_machine() -> None:
    """What the tests' own process has found out of it, or done once there."""
    for name, module in list(sys.modules.items()):
        if name.startswith("bridge.engine."):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
