"""A grammar by name -> a parser that takes our own tokens.

Lark turns the grammar into LALR tables; they are kept as a file of plain data, and where that
file is there, Lark is not even loaded (building takes a second, loading a few milliseconds).
Tokens never come from Lark: each front end has its own lexer and feeds the parser one token at
a time, so that it can look at the parser's state (`Feeder.accepts`).

For messages the tables also say what each state is in the middle of (`Feeder.positions`), and
what it would be reduced by if the rule at its end were all that mattered (`Feeder.settle`):
a parser of recursive descent returns from a rule whatever comes next, and its caller complains.
"""

from __future__ import annotations

import marshal
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge import grammars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_FORMAT = 2
"""Of the kept tables; to be raised when their layout changes."""


_FOREIGN_RIGHTS = 0o022

Position = tuple[str, str, str]
"""Where in a rule a parser is: the rule's method, the symbol before, the symbol behind."""


class FedTokens:
    """Stands where Lark wants a lexer class: all tokens are fed."""

    def __init__(self, _conf: object) -> None:
        pass

    def lex(self, _text: object, _state: object) -> Iterator[object]:
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


def private_folder(name: str) -> Path | None:
    """A folder there that belongs to this user alone: what is read from it is our own."""
    folder = cache_folder()
    if folder is None:
        return None
    folder /= name
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.stat()
    except OSError:
        return None
    if status.st_uid != os.geteuid() or status.st_mode & _FOREIGN_RIGHTS:
        return None
    return folder


def grammar_text(name: str) -> str:
    """The text of `grammars/NAME.lark`."""
    # `importlib.resources` takes longer to load than a grammar
    return (Path(grammars.__file__).parent / f"{name}.lark").read_text("utf-8")


def load(name: str, builder: object) -> Grammar:
    """The grammar `name`, whose reductions are methods of `builder`."""
    text, folder = grammar_text(name), cache_folder()
    key = f"{_FORMAT}|{text}|{sys.version}"
    from hashlib import sha256  # costs a start more than most traces need

    digest = sha256(key.encode()).hexdigest()[:16]
    kept = None if folder is None else folder / f"{name}-{digest}.tables"
    tables = None if kept is None else _kept(kept)
    if tables is None:
        tables = _build(text)
        if kept is not None:
            _keep(kept, tables)
    return Grammar(tables, builder)


def _kept(path: Path) -> dict[str, Any] | None:
    try:
        tables = marshal.loads(path.read_bytes())  # noqa: S302 - our own file of plain data
    except (OSError, ValueError, EOFError, TypeError):
        return None
    return tables if isinstance(tables, dict) else None


def _keep(path: Path, tables: dict[str, Any]) -> None:
    """Write the file whole or not at all."""
    part = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        part.write_bytes(marshal.dumps(tables))
        part.replace(path)


def _build(text: str) -> dict[str, Any]:
    """Lark's tables as plain data.

    An action is the state to shift to, or -1 - the number of the rule to reduce by.
    """
    import lark
    from lark.lexer import Lexer

    Lexer.register(FedTokens)
    # with `debug`, states are sets of items
    parser = lark.Lark(text, parser="lalr", lexer=FedTokens, keep_all_tokens=True, debug=True)
    table: Any = parser.parse_interactive("").parser_state.parse_conf
    literals = {t.name: str(t.pattern.value) for t in parser.terminals if t.pattern}
    states = {items: number for number, items in enumerate(table.states)}
    rules: dict[Any, int] = {}

    def action(kind: object, argument: Any) -> int:  # noqa: ANN401 - Lark's
        if str(kind) == "Shift":
            return states[argument]
        return -1 - rules.setdefault(argument, len(rules))

    actions = {
        states[items]: {symbol: action(*entry) for symbol, entry in entries.items()}
        for items, entries in table.states.items()
    }
    return {
        "states": actions,
        "settled": {
            states[items]: rules[rule] for items in states if (rule := _complete(items, rules))
        },
        "positions": {states[items]: _positions(items, literals) for items in states},
        "start": states[table.start_state],
        "end": states[table.end_state],
        "rules": [_rule(rule) for rule in rules],
        "terminals": {literal: name for name, literal in literals.items()},
    }


def _complete(items: Any, rules: Mapping[Any, int]) -> Any:  # noqa: ANN401 - Lark's
    """The rule at whose end the state is, by priority; not the start rule."""
    done = [
        item.rule
        for item in items
        if item.index == len(item.rule.expansion)
        and item.rule in rules
        and item.rule.origin.name != "start"
    ]
    return max(done, key=lambda rule: rule.options.priority or 0, default=None)


def _positions(items: Any, literals: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:  # noqa: ANN401 - Lark's
    """The rules that the state is in the middle of: method, symbol before, symbol behind.

    Literal terminals stand in quotes; a repetition that Lark made a rule of is `*`.
    """

    def name(symbol: Any) -> str:  # noqa: ANN401 - Lark's
        if symbol.name in literals:
            return f"'{literals[symbol.name]}'"
        return "*" if symbol.name.startswith("__") else str(symbol.name)

    found = set()
    for item in items:
        rule, at = item.rule, item.index
        if at == len(rule.expansion) or not (at or rule.origin.name.startswith("$")):
            continue
        before = name(rule.expansion[at - 1]) if at else ""
        found.add((_method(rule), before, name(rule.expansion[at])))
    return tuple(sorted(found))


def _method(rule: Any) -> str:  # noqa: ANN401 - Lark's
    return str(rule.alias or rule.options.template_source or rule.origin.name)


def _rule(rule: Any) -> tuple[str, int, str, bool, tuple[int, ...]]:  # noqa: ANN401 - Lark's
    """Name, length, method, whether one child stands for itself, children to flatten."""
    flat = tuple(
        at
        for at, symbol in enumerate(rule.expansion)
        if not symbol.is_term and symbol.name.startswith("_")
    )
    name = str(rule.origin.name)
    single = bool(rule.options.expand1 and not rule.alias)
    return name, len(rule.expansion), _method(rule), single, flat


def _children(children: list[Any]) -> list[Any]:
    return children


class Grammar:
    """A loaded grammar. `terminals` maps the literal of a terminal to its name."""

    def __init__(self, tables: Mapping[str, Any], builder: object) -> None:
        self.terminals: Mapping[str, str] = tables["terminals"]
        self.states: Mapping[int, Mapping[str, int]] = tables["states"]
        self.settled: Mapping[int, int] = tables["settled"]
        self.positions: Mapping[int, tuple[Position, ...]] = tables["positions"]
        self.start: int = tables["start"]
        self.end: int = tables["end"]
        self.rules = [
            (name, size, self._method(builder, method), single, flat)
            for name, size, method, single, flat in tables["rules"]
        ]

    @staticmethod
    def _method(builder: object, name: str) -> Callable[[list[Any]], Any]:
        found: Callable[[list[Any]], Any] = getattr(builder, name, _children)
        return found

    def feeder(self) -> Feeder:
        """A parser at its start."""
        return Feeder(self)


class Feeder:
    """A running parser. Any object with a `type` (the terminal's name) is a token."""

    def __init__(self, grammar: Grammar) -> None:
        self._actions = grammar.states
        self._settled = grammar.settled
        self._positions = grammar.positions
        self._rules = grammar.rules
        self._end = grammar.end
        self._states = [grammar.start]
        self._values: list[Any] = []

    def accepts(self, terminal: str) -> bool:
        """Whether the parser has an action for the terminal in its state."""
        return terminal in self._actions[self._states[-1]]

    def fits(self, terminal: str) -> bool:
        """Whether a token of the terminal would be taken, after all reductions before it."""
        depth, above = len(self._states), [self._states[-1]]
        while (action := self._actions[above[-1]].get(terminal)) is not None and action < 0:
            name, size, *_ = self._rules[-1 - action]
            # the states that the reductions would have pushed, over those that they leave
            while size and len(above) > 1:
                above.pop()
                size -= 1
            if size:
                depth -= size
                above[0] = self._states[depth - 1]
            above.append(self._actions[above[-1]][name])
        return action is not None

    def positions(self) -> tuple[Position, ...]:
        """The rules that the parser is in the middle of."""
        return self._positions[self._states[-1]]

    def settles(self) -> bool:
        """Whether the state is at the end of a rule (not of the start rule)."""
        return self._states[-1] in self._settled

    def settle(self) -> bool:
        """Reduce by the rule that the state is at the end of, whatever comes; False if none."""
        number = self._settled.get(self._states[-1])
        if number is None:
            return False
        self._reduce(number)
        return True

    def feed(self, token: Any) -> bool:  # noqa: ANN401 - see the class
        """Take a token; False where it does not fit."""
        terminal = token.type
        while True:
            action = self._actions[self._states[-1]].get(terminal)
            if action is None:
                return False
            if action >= 0:
                self._states.append(action)
                self._values.append(token)
                return True
            self._reduce(-1 - action)

    def finish(self, token: Any) -> tuple[bool, Any]:  # noqa: ANN401 - see the class
        """End the text with a token of type `$END`; the result of the start rule."""
        while self._states[-1] != self._end:
            action = self._actions[self._states[-1]].get(token.type)
            if action is None or action >= 0:
                return False, None
            self._reduce(-1 - action)
        return True, self._values[-1]

    def _reduce(self, number: int) -> None:
        name, size, method, single, flat = self._rules[number]
        states, values = self._states, self._values
        children: list[Any] = []
        if size:
            children = values[-size:]
            del states[-size:]
            del values[-size:]
        if flat == (0,):  # what a repetition has so far is its own, so it grows in place
            first = children[0]
            first += children[1:]
            children = first
        else:
            for at in reversed(flat):
                children[at : at + 1] = children[at]
        values.append(children[0] if single and len(children) == 1 else method(children))
        states.append(self._actions[states[-1]][name])


__all__ = [
    "Feeder",
    "Grammar",
    "Position",
    "cache_folder",
    "grammar_text",
    "load",
    "private_folder",
]
