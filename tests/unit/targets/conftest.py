"""A recorded machine made for a test: files at paths, tracefs, BTF-less."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

import pytest

from bridge.world import RecordedWorld

if TYPE_CHECKING:
    from pathlib import Path


class Recorder(Protocol):
    """`recorded({"/usr/bin/app": b"..."}, release="6.1.0")` gives the world."""

    def __call__(
        self,
        files: dict[str, bytes | str],
        *,
        release: str = "6.18.1",
        env: dict[str, str] | None = None,
    ) -> RecordedWorld: ...


@pytest.fixture
def recorded(tmp_path: Path) -> Recorder:
    """Makes recorded machines."""

    def make(
        files: dict[str, bytes | str],
        *,
        release: str = "6.18.1",
        env: dict[str, str] | None = None,
    ) -> RecordedWorld:
        folder = tmp_path / "world"
        facts = {"release": release, "machine": "x86_64", "hz": 100, "env": env or {}}
        for path, content in files.items():
            here = folder / "root" / path.lstrip("/")
            here.parent.mkdir(parents=True, exist_ok=True)
            data = content.encode() if isinstance(content, str) else content
            here.write_bytes(data)
        folder.mkdir(exist_ok=True)
        (folder / "world.json").write_text(json.dumps(facts))
        return RecordedWorld(folder)

    return make
