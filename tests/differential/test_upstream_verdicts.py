"""Recorded verdicts of SystemTap 5.6 on the scripts of its own test suite and library.

The verdicts are among the reference inputs, the scripts are not: `MARKBRIDGE_SYSTEMTAP` names
a checkout or a (bare) git directory of SystemTap's source.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bridge.script.options import AnalyseOptions
from tests.support.stap_front_end import RELEASE, Said, Verdict, analyse_here, parse_here
from tests.support.trees import prints_back

pytestmark = pytest.mark.shared

CONDITIONS = {
    "arch": "x86_64",
    "kernel_v": RELEASE.partition("-")[0],
    "kernel_vr": RELEASE,
    "CONFIG_HAVE_HW_BREAKPOINT": "y",
}
_AT = re.compile(r" at [^ ]*?:(\d+):(\d+)$")


@dataclass(frozen=True, eq=False)
class Case:
    """A script of the suite, and what SystemTap said about it in a pass."""

    name: str
    data: bytes
    options: AnalyseOptions
    expected: dict[str, Any]

    @property
    def error(self) -> Said | None:
        """The first error, where one was recorded."""
        if "message" not in self.expected:
            return None
        text = self.expected["message"]
        at = _AT.search(text)
        place = self.expected["place"] or (at and (int(at[1]), int(at[2])))
        return Said(_AT.sub("", text), tuple(place) if place else None)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of SystemTap's source."""
    named = os.environ.get("MARKBRIDGE_SYSTEMTAP")
    if not named:
        pytest.skip("MARKBRIDGE_SYSTEMTAP does not name SystemTap's source")
    source = Path(named)
    if (source / "testsuite").is_dir():
        return source
    folder = tmp_path_factory.mktemp("systemtap")
    command = ["git", f"--git-dir={source}", "archive", "HEAD", "testsuite", "tapset"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as archive:
        subprocess.run(["tar", "-x", "-C", str(folder)], stdin=archive.stdout, check=True)
    assert (folder / "testsuite").is_dir(), f"no test suite in {source}"
    return folder


@cache
def cases(suite: Path, reference: Path, stage: str) -> list[Case]:
    """The recorded verdicts of a pass whose scripts are there."""
    found, missing = [], []
    for line in (reference / "stap" / "upstream-verdicts.jsonl").read_text().splitlines():
        row = json.loads(line)
        path = suite / row["upstream_path"]
        if stage not in row:
            continue
        if not path.is_file():
            missing.append(row["id"])
        elif "-W" in row["options"] and "message" not in row[stage] and not row[stage]["ok"]:
            # refused for a warning about the recording machine: nothing about the script
            missing.append(f"{row['id']} (-W)")
        else:
            found.append(Case(row["id"], path.read_bytes(), options(row, suite), row[stage]))
    print(f"{stage}: {len(found)} cases; {len(missing)} left out: {', '.join(missing)}")
    assert len(missing) < 10
    return found


def options(row: dict[str, Any], suite: Path) -> AnalyseOptions:
    words = row["options"]
    versions = [w.partition("=")[2] for w in words if w.startswith("--compatible=")]
    return AnalyseOptions(
        arguments=tuple(row["arguments"]),
        include=(suite / "tapset",),
        guru="-g" in words,
        unoptimized="-u" in words,
        compatible=versions[0] if versions else "5.6",
        conditions=CONDITIONS,
        own_tapset=False,
    )


@cache
def parsed(case: Case) -> Any:
    return parse_here(
        case.data,
        *case.options.arguments,
        guru=case.options.guru,
        options=case.options,
        tokens=False,
    )


def count(cases: list[Case], verdicts: list[Verdict]) -> tuple[Counter[str], list[str]]:
    """How many verdicts, places and texts are the same, and what is not."""
    counts: Counter[str] = Counter()
    different = []
    for case, own in zip(cases, verdicts, strict=True):
        counts["cases"] += 1
        counts["verdicts"] += own.accepted == case.expected["ok"]
        same = own.accepted == case.expected["ok"]
        if same and case.error is not None:
            first = own.errors[0]
            counts["errors"] += 1
            counts["places"] += first.place == case.error.place
            counts["texts"] += first.message == case.error.message
            same = first == case.error
        if not same:
            different.append(f"{case.name}: {case.expected}, but {own}")
    print(dict(counts))
    return counts, different


def test_parsing(suite: Path, reference: Path) -> None:
    found = cases(suite, reference, "p1")
    counts, different = count(found, [parsed(case).verdict for case in found])
    print(*different, sep="\n")
    assert counts["cases"] > 1000
    assert counts["verdicts"] == counts["cases"]
    # SystemTap says `EOF` for the place of a wrong array size
    assert counts["places"] >= counts["errors"] - 1
    assert counts["texts"] == counts["errors"]


def test_what_is_parsed_prints_back(suite: Path, reference: Path) -> None:
    scripts = [
        (case, script)
        for case in cases(suite, reference, "p1")
        if (script := parsed(case).script) is not None
    ]
    print(f"{len(scripts)} scripts")
    assert len(scripts) > 800
    failed = [
        case.name
        for case, script in scripts
        if not prints_back(script, replace(case.options, guru=True))
    ]
    assert failed == []


def test_analysis(suite: Path, reference: Path) -> None:
    found = cases(suite, reference, "p2")
    verdicts = [
        analyse_here(case.data, replace(case.options, assume_types=True)) for case in found
    ]
    counts, different = count(found, verdicts)
    print(*different, sep="\n")
    assert counts["cases"] > 180
    assert counts["verdicts"] >= 0.97 * counts["cases"]
    assert counts["places"] >= 0.95 * counts["errors"]
    assert counts["texts"] >= 0.85 * counts["errors"]
