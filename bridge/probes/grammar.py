"""A small grammar by name -> a Lark parser of text, its tables cached as a file.

Unlike the front end's grammars, these read characters: their texts are a line or a small file.
"""

from __future__ import annotations

import sys
from hashlib import sha256
from typing import TYPE_CHECKING

import lark

from bridge.parsing import cache_folder, grammar_text

if TYPE_CHECKING:
    from collections.abc import Sequence


def load(name: str, transformer: object, starts: Sequence[str] = ("start",)) -> lark.Lark:
    """The grammar `name`, whose reductions are the methods of `transformer`."""
    text, folder = grammar_text(name), cache_folder()
    key = sha256(f"{text}|{lark.__version__}|{sys.version}".encode()).hexdigest()[:16]
    return lark.Lark(
        text,
        parser="lalr",
        start=list(starts),
        maybe_placeholders=True,
        transformer=transformer,
        cache=str(folder / f"{name}-{key}.lark") if folder is not None else False,
    )
