"""What the documents say of the sources: every file that they name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
]
NAMED = re.compile(r"`((?:[\w.*-]+/)+[\w.*-]+\.(?:py|pyi|c|h|lark|stp|toml|sh))`")
FOLDERS = ("", "bridge", "csrc", "docs")


def missing(text: str) -> list[str]:
    """The files that a text names and that nowhere exist; a `*` stands for any name."""
    return [
        name
        for name in NAMED.findall(text)
        if not any(any((ROOT / folder).glob(name)) for folder in FOLDERS)
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_files_that_a_document_names_exist(document: Path) -> None:
    assert missing(document.read_text("utf-8")) == []


def test_a_file_that_has_moved_is_noticed() -> None:
    text = "see `bridge/codegen/no_hold.py`, `csrc/*/hold.c`, `live/hold.c` and `api.py`"
    assert missing(text) == ["bridge/codegen/no_hold.py"]
