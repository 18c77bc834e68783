"""The manual says what is true."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.manual.language import CONSTRUCTS, Construct, language_manual

PAGE = Path(__file__).resolve().parents[3] / "docs" / "language.md"


@pytest.mark.parametrize("construct", CONSTRUCTS, ids=lambda c: c.name)
def test_examples_are_accepted_or_refused_as_the_table_says(
    check, construct: Construct
) -> None:
    found = check(construct.example, guru=construct.guru)
    assert (found.typed is None) == bool(construct.missing), found.errors


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == language_manual()
