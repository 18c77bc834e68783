"""What is run of SystemTap's examples, and what is said of them."""

from __future__ import annotations

import pytest

from tests.guest.examples import Result, judged, translated


@pytest.mark.parametrize(
    ("words", "given", "last_pass"),
    [
        (["-p4", "x.stp"], ["--", "x.stp"], "4"),
        (["x.stp", "-T", "1"], ["-T", "1", "--", "x.stp"], ""),
        (["-gp4", "x.stp", "a"], ["-g", "--", "x.stp", "a"], "4"),
        (["-DMAXACTION=9", "-g", "x.stp"], ["-D", "MAXACTION=9", "-g", "--", "x.stp"], ""),
        (["x.stp", "--ldd", "-c", "ls -l"], ["-c", "ls -l", "--", "x.stp"], ""),
        (["-o", "/tmp/out", "-w", "x.stp"], ["-w", "--", "x.stp"], ""),
        (["-gp1", "x.stp"], ["-g", "--", "x.stp"], "1"),
        (["-e", "probe begin {}"], ["-e", "probe begin {}"], ""),
    ],
)  # fmt: skip
def test_options_of_stap(words: list[str], given: list[str], last_pass: str) -> None:
    assert translated(words) == (given, last_pass)


STARTED = "Pass 5: starting run.\n"


@pytest.mark.parametrize(
    ("code", "out", "err", "expected"),
    [
        (0, "a\nb\n", STARTED, Result("x", "runs", "", 2)),
        (0, "", f"warning[moved-name]: y\n{STARTED}", Result("x", "runs")),
        (1, "", "error[no-match]: no match: 'f'\n", Result("x", "refused", "no match: 'f'")),
        (1, "a\n", f"{STARTED}ERROR: y\n", Result("x", "failed", "ERROR: y", 1)),
        (1, "", f"{STARTED}Traceback\nTypeError: z\n", Result("x", "failed", "TypeError: z")),
        (3, "", "something else\n", Result("x", "refused", "ended with 3: something else")),
        (-9, "", STARTED, Result("x", "failed", "did not end (SIGKILL)")),
    ],
)  # fmt: skip
def test_what_is_said(code: int, out: str, err: str, expected: Result) -> None:
    assert judged("x", code, out.encode(), err.encode()) == expected
