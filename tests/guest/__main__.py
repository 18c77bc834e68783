"""`python -m tests.guest`: tests, or anything else, on Debian's kernels under an emulator.

    test [--kernel 6.1]... [PYTEST ARGUMENTS]   the live part of the suite, on all kernels
    run --kernel 6.1 COMMAND ARGUMENT...        a command
    markbridge --kernel 6.1 ARGUMENT...         `markbridge`, without starting Python for it
    examples [--kernel 6.12] [NAME]...          SystemTap's examples, and docs/examples.md
    lttng --kernel 6.1                          exports to LTTng, beside its own modules
    start | stop | fetch [--kernel 6.1]...

A guest is kept for ten minutes after its last use, and made anew when the sources change. What
stands behind the kernels belongs to pytest or to the command.
"""

from __future__ import annotations

import os
import sys

from tests.guest import examples, lttng, packages, suite
from tests.guest.machine import (
    FAILED,
    KERNELS,
    Bed,
    Guest,
    GuestError,
    NoGuestError,
    bed_folder,
)

ACTIONS = ("test", "examples", "lttng", "run", "markbridge", "start", "stop", "fetch")
LTTNG = "tests/e2e/test_export_lttng.py"
USAGE = 2
_CI = os.environ.get("CI")
"""Where it is set, tests that cannot run are failures."""
_SECONDS = float(os.environ.get("MARKBRIDGE_GUEST_SECONDS", "7200"))
"""For all tests of a kernel; what has not run by then fails."""
KEPT = ("CI", "HOME", "LANG", "PATH", "TERM", "USER")
"""What of our environment holds there, beside everything that is markbridge's own."""


def main() -> int:
    """The exit code of the last that failed."""
    action, *words = sys.argv[1:] or ["--help"]
    if action not in ACTIONS:
        sys.stderr.write(__doc__ or "")
        return USAGE
    kernels, words = _kernels(words)
    code = 0
    for kernel in kernels:
        guest = Guest(kernel, Bed(bed_folder()))
        try:
            code = _do(action, guest, words) or code
        except GuestError as error:
            skips = isinstance(error, NoGuestError) and action == "test" and not _CI
            sys.stderr.write(f"{'skipped: ' if skips else ''}{error}\n")
            code = code if skips else FAILED
    return code


def _kernels(words: list[str]) -> tuple[list[str], list[str]]:
    """The kernels that are named first, or all; and the rest."""
    named = []
    while words[:1] == ["--kernel"] and words[1:]:
        named.append(words[1])
        words = words[2:]
    unknown = set(named) - set(KERNELS)
    if unknown:
        sys.exit(f"no kernel {', '.join(unknown)}; there are {', '.join(KERNELS)}")
    return named or list(KERNELS), words[words[:1] == ["--"] :]


def _do(action: str, guest: Guest, words: list[str]) -> int:
    match action:
        case "fetch":
            guest.bed.fetch(guest.kernel)
        case "start":
            guest.start()
        case "stop":
            guest.stop()
        case "test":
            sys.stdout.write(f"--- Linux {guest.kernel}\n")
            return suite.run(guest, words, _environment(guest), _SECONDS)
        case "lttng":
            return _lttng(guest)
        case "examples":
            found = str(guest.bed.debug_information(guest.kernel))
            environment = _environment(guest) | {"SYSTEMTAP_DEBUGINFO_PATH": found}
            environment["MARKBRIDGE_MODULES"] = str(guest.bed.modules(guest.kernel))
            code = guest.ask(action, words, environment)
            examples.DOCUMENT.write_text(examples.document(guest.kernel))
            return code
        case _:
            return guest.ask(action, words, _environment(guest))
    return 0


def _lttng(guest: Guest) -> int:
    """The tests of what LTTng takes, with its modules for the guest's kernel."""
    guest.bed.fetch(guest.kernel)
    package = packages.kernel_package(KERNELS[guest.kernel])
    made = lttng.modules(guest.bed.folder, package)
    os.environ["MARKBRIDGE_LTTNG"] = str(made)
    return guest.ask("pytest", ["-q", "-p", "no:cacheprovider", LTTNG], _environment(guest))


def _environment(guest: Guest) -> dict[str, str]:
    """Parsers and scripts are kept in the checkout, where the guest may write."""
    own = [name for name in os.environ if name.startswith("MARKBRIDGE_")]
    kept = {name: os.environ[name] for name in (*KEPT, *own) if name in os.environ}
    return kept | {"MARKBRIDGE_GUEST": guest.kernel, "XDG_CACHE_HOME": str(guest.cache)}


if __name__ == "__main__":
    sys.exit(main())
