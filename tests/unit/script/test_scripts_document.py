"""docs/scripts.md: each kind of script that does not run is refused as it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.errors import CompileError
from bridge.pipeline import compile_script
from bridge.probes.live import LiveTargets
from bridge.probes.machine import Options
from bridge.script.options import AnalyseOptions
from bridge.source import SourceMap
from bridge.world import LiveWorld

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.diagnostics import Diagnostic

PAGE = Path(__file__).parents[3] / "docs" / "scripts.md"
ROW = re.compile(r"^\| [^|`]+ \| `(?P<script>[^|]+)` \| (?P<code>[a-z-]+) \|", re.MULTILINE)
KINDS = {row["script"]: row["code"] for row in ROW.finditer(PAGE.read_text())}
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        not Path("/sys/kernel/btf/vmlinux").exists(),
        reason="the kernel does not tell its types",
    ),
]


def _codes(diagnostics: tuple[Diagnostic, ...]) -> Iterator[str]:
    for diagnostic in diagnostics:
        yield diagnostic.code
        yield from _codes(diagnostic.chain)


def test_all_rows_are_read() -> None:
    rows = PAGE.read_text().partition("\n## By what")[0].count("\n| ") - 1
    assert len(KINDS) == rows


@pytest.mark.parametrize("script", KINDS)
def test_a_kind_is_refused_with_its_code(script: str) -> None:
    sources = SourceMap()
    targets = LiveTargets(LiveWorld(), Options("/bin/true", reached=lambda: True))
    main = sources.add("a.stp", script)
    with pytest.raises(CompileError) as caught:
        compile_script(main, sources, targets, AnalyseOptions(guru=True))
    assert KINDS[script] in set(_codes(caught.value.diagnostics))
