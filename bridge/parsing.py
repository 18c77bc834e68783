"""A grammar by name -> a parser that takes our own tokens.

Lark builds the LALR tables; they are cached as a file, because building takes ten times as long
as loading. Tokens never come from Lark: each front end has its own lexer and feeds the parser
one token at a time, so that it can look at the parser's state (`Feeder.accepts`).
"""

from __future__ import annotations

import os
import sys
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lark
from lark.exceptions import UnexpectedToken
from lark.lexer import Lexer

if TYPE_CHECKING:
    from collections.abc import Iterator


class FedTokens(Lexer):
    """Stands where Lark wants a lexer class: all tokens are fed."""

    def __init__(self, _conf: object) -> None:
        pass

    def lex(self, _text: object, _state: object) -> Iterator[object]:  # type: ignore[override] # yields our tokens, never Lark's
        """No token: they are fed."""
        return iter(())


def cache_folder() -> Path | None:
    """Where grammar tables are kept: $XDG_CACHE_HOME/markbridge; None where nothing may be."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    folder = Path(base) / "markbridge"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder if os.access(folder, os.W_OK) else None


def grammar_text(name: str) -> str:
    """The text of `grammars/NAME.lark`."""
    return resources.files("bridge.grammars").joinpath(f"{name}.lark").read_text("utf-8")


def load(name: str, builder: object) -> Grammar:
    """The grammar `name`, whose reductions are methods of `builder`."""
    return Grammar(_lark(name, builder), builder)


def _lark(name: str, builder: object) -> lark.Lark:
    text, folder = grammar_text(name), cache_folder()
    options: dict[str, Any] = {
        "parser": "lalr",
        "lexer": FedTokens,
        "transformer": builder,
        "keep_all_tokens": True,
        "maybe_placeholders": False,
    }
    if folder is not None:
        key = sha256(f"{text}|{lark.__version__}|{sys.version}".encode()).hexdigest()[:16]
        options["cache"] = str(folder / f"{name}-{key}.lark")
    return lark.Lark(text, **options)


class Grammar:
    """A loaded grammar. `terminals` maps the literal of a terminal to its name."""

    def __init__(self, tables: lark.Lark, builder: object) -> None:
        self.builder = builder
        self._lark: Any = tables
        self.terminals: dict[str, str] = {
            str(t.pattern.value): t.name for t in tables.terminals if t.pattern is not None
        }

    def feeder(self) -> Feeder:
        """A parser at its start."""
        return Feeder(self._lark)


class Feeder:
    """A running parser. Any object with a `type` (the terminal's name) is a token."""

    def __init__(self, tables: Any) -> None:  # noqa: ANN401 - what Lark hands over
        self._state: Any = tables.parse_interactive("").parser_state
        self._tables: Any = self._state.parse_conf.states
        self._callbacks: Any = self._state.parse_conf.callbacks

    def accepts(self, terminal: str) -> bool:
        """Whether the parser has an action for the terminal in its state."""
        return terminal in self._tables[self._state.state_stack[-1]]

    def expected(self) -> frozenset[str]:
        """The terminals that the state has actions for."""
        actions = self._tables[self._state.state_stack[-1]]
        # rules are in lower case
        return frozenset(name for name in actions if not name.islower())

    def feed(self, token: object) -> bool:
        """Take a token; False (and no change of meaning) where it does not fit."""
        try:
            self._state.feed_token(token)
        except UnexpectedToken:
            return False
        return True

    def finish(self, token: object) -> tuple[bool, object]:
        """End the text with a token of type `$END`; the result of the start rule."""
        try:
            return True, self._state.feed_token(token, is_end=True)
        except UnexpectedToken:
            return False, None


__all__ = ["Feeder", "Grammar", "cache_folder", "grammar_text", "load"]
