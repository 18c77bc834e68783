"""Embedded C: text -> tokens, after its preprocessor lines.

`#define` (with and without parameters), `#undef`, `#include` of kernel headers (nothing to do)
and `#if` over LINUX_VERSION_CODE are understood. Source: C11, sections 6.4 and 6.10.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge.script.c.tree import Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

KINDS = {"name": "NAME", "number": "NUMBER", "character": "CHARACTER", "string": "STRING"}
HEADERS = re.compile(
    r"(?:linux|asm|asm-generic|net|uapi|scsi|trace|crypto|acpi|drm|rdma|sound|video|xen|misc|media)/"
    r"|(?:stdint|stddef|stdbool|string|stdarg)\.h$"
)
"""Headers that declare what is known here from the kernel's types, or nothing that matters."""
ANNOTATIONS = frozenset({"__user", "__iomem", "__rcu", "__percpu", "__force", "__kernel"})
"""Words that only checkers of kernel code look at."""
MOST_TOKENS = 100_000
DEEPEST_MACRO = 64
_TOKEN = re.compile(
    r"""
    (?P<space>(?:[ \t\r\f\v]|\\\r?\n|/\*.*?\*/|//[^\n]*)+)
  | (?P<line>\n)
  | (?P<number>(?:0[xX][0-9a-fA-F]+|\d+)[uUlL]*(?![\w.]))
  | (?P<name>[A-Za-z_]\w*)
  | (?P<string>"(?:[^"\\\n]|\\.)*")
  | (?P<character>'(?:[^'\\\n]|\\.[0-9a-fA-F]*)')
  | (?P<operator><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|\#\#
      |[-+*/%&|^~!=<>?:;,.(){}\[\]\#])
    """,
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class CToken:
    """A piece of the text; `type` is its terminal in the grammar, `at` its offset."""

    type: str
    text: str
    at: int
    first: bool = False
    """Whether nothing but space stands before it on its line."""


@dataclass(frozen=True, slots=True)
class CMacro:
    """What `#define` says; `parameters` None for a macro without parentheses."""

    parameters: tuple[str, ...] | None
    body: tuple[CToken, ...]


@dataclass(slots=True)
class CPreprocessor:
    """The macros of a script's embedded C; `version` is the kernel's (6, 1, 0)."""

    version: tuple[int, int, int] = (6, 1, 0)
    macros: dict[str, CMacro] = field(default_factory=dict)

    def tokens(self, text: str) -> list[CToken]:
        """The tokens of a text without its preprocessor lines, macros expanded."""
        found: list[CToken] = []
        active = [True]
        lines = list(_lines(_scan(text)))
        plain: list[CToken] = []
        for line in lines:
            if line and line[0].text == "#" and line[0].first:
                found += self._expand(plain)
                plain = []
                self._directive(line, active)
            elif all(active):
                plain += line
        found += self._expand(plain)
        if len(active) > 1:
            raise Unsupported("#if without #endif", 0)
        return found

    # --- lines with #

    def _directive(self, line: Sequence[CToken], active: list[bool]) -> None:
        word = line[1].text if len(line) > 1 else ""
        rest = line[2:]
        if word in {"if", "ifdef", "ifndef"}:
            active.append(all(active) and self._condition(word, rest, line[0].at))
        elif word in {"else", "elif", "endif"}:
            self._turn(word, rest, active, line[0].at)
        elif all(active):
            self._plain_directive(word, rest, line[0].at)

    def _turn(self, word: str, rest: Sequence[CToken], active: list[bool], at: int) -> None:
        if len(active) == 1:
            raise Unsupported(f"#{word} without #if", at)
        was = active.pop()
        if word == "else":
            active.append(not was)
        elif word == "elif":
            active.append(not was and self._condition("if", rest, at))

    def _plain_directive(self, word: str, rest: Sequence[CToken], at: int) -> None:
        match word:
            case "define" if rest and rest[0].type == "NAME":
                self._define(rest)
            case "undef" if rest:
                self.macros.pop(rest[0].text, None)
            case "include":
                self._include("".join(token.text for token in rest), at)
            case "pragma" | "":
                pass
            case _:
                raise Unsupported(f"the preprocessor line #{word} is not understood", at)

    @staticmethod
    def _include(text: str, at: int) -> None:
        name = text.strip('"<> ')
        if not HEADERS.match(name):
            raise Unsupported(f"the header {name} is not one of the kernel's", at)

    def _define(self, rest: Sequence[CToken]) -> None:
        name, body = rest[0], rest[1:]
        glued = body and body[0].text == "(" and body[0].at == name.at + len(name.text)
        parameters = None
        if glued:
            end = next((i for i, token in enumerate(body) if token.text == ")"), None)
            if end is None:
                raise Unsupported(f"the macro {name.text} has no closing parenthesis", name.at)
            parameters = tuple(t.text for t in body[1:end] if t.text != ",")
            body = body[end + 1 :]
        self.macros[name.text] = CMacro(parameters, tuple(body))

    def _condition(self, word: str, rest: Sequence[CToken], at: int) -> bool:
        if word != "if":
            known = bool(rest) and rest[0].text in self.macros
            return known is (word == "ifdef")
        defined = self._defined(rest)
        expanded = self._expand(defined)
        return bool(_Condition(expanded, self.version, at).value())

    def _defined(self, rest: Sequence[CToken]) -> list[CToken]:
        found, at = [], 0
        while at < len(rest):
            token = rest[at]
            if token.text == "defined":
                names = [t for t in rest[at + 1 : at + 4] if t.type == "NAME"]
                known = bool(names) and names[0].text in self.macros
                found.append(replace(token, type="NUMBER", text=str(int(known))))
                wrapped = at + 1 < len(rest) and rest[at + 1].text == "("
                at += 4 if wrapped else 2
            else:
                found.append(token)
                at += 1
        return found

    # --- macros

    def _expand(
        self, tokens: Sequence[CToken], hidden: frozenset[str] = frozenset()
    ) -> list[CToken]:
        if len(hidden) > DEEPEST_MACRO:
            raise Unsupported("macros are nested too deeply", tokens[0].at)
        found: list[CToken] = []
        at = 0
        while at < len(tokens):
            token = tokens[at]
            macro = self.macros.get(token.text) if token.type == "NAME" else None
            if macro is None or token.text in hidden:
                found.append(token)
                at += 1
                continue
            arguments, end = (
                _arguments(tokens, at + 1) if macro.parameters is not None else ([], at + 1)
            )
            if arguments is None:
                found.append(token)
                at += 1
                continue
            found += self._expansion(token, macro, arguments, hidden)
            at = end
            if len(found) > MOST_TOKENS:
                raise Unsupported("the macros expand to too much", token.at)
        return found

    @staticmethod
    def _called(
        macro: CMacro, tokens: Sequence[CToken], at: int
    ) -> tuple[list[list[CToken]] | None, int]:
        return ([], at) if macro.parameters is None else _arguments(tokens, at)

    def _expansion(
        self,
        token: CToken,
        macro: CMacro,
        arguments: list[list[CToken]],
        hidden: frozenset[str],
    ) -> list[CToken]:
        names = macro.parameters or ()
        if len(names) != len(arguments) and not (not names and arguments == [[]]):
            raise Unsupported(f"the macro {token.text} takes {len(names)} arguments", token.at)
        values = {
            name: self._expand(value, hidden)
            for name, value in zip(names, arguments, strict=False)
        }
        plain = dict(zip(names, arguments, strict=False))
        return self._expand(_body(token, macro, values, plain), hidden | {token.text})


def _body(
    token: CToken,
    macro: CMacro,
    values: Mapping[str, list[CToken]],
    plain: Mapping[str, list[CToken]],
) -> list[CToken]:
    """The body of a macro with its arguments; `#` makes a text, `##` one token of two."""
    found: list[CToken] = []
    at = 0
    while at < len(macro.body):
        piece = macro.body[at]
        behind = macro.body[at + 1] if at + 1 < len(macro.body) else None
        if piece.text == "#" and behind is not None and behind.text in plain:
            words = " ".join(t.text for t in plain[behind.text]).replace('"', '\\"')
            found.append(CToken("STRING", f'"{words}"', token.at))
            at += 2
        elif piece.text == "##" and behind is not None and found:
            right = plain.get(behind.text, [behind])
            joined = found.pop().text + "".join(t.text for t in right)
            found.append(CToken(next(_scan(joined)).type, joined, token.at))
            at += 2
        else:
            pasted = behind is not None and behind.text == "##"
            table = plain if pasted else values
            found += table.get(piece.text, [replace(piece, at=token.at)])
            at += 1
    return found


def _arguments(tokens: Sequence[CToken], start: int) -> tuple[list[list[CToken]] | None, int]:
    """The arguments of a macro and where they end; None where no parenthesis follows."""
    if start >= len(tokens) or tokens[start].text != "(":
        return None, start
    found: list[list[CToken]] = [[]]
    depth = 0
    for at in range(start, len(tokens)):
        token = tokens[at]
        depth += (token.text in "([{") - (token.text in ")]}")
        if depth == 0:
            return found, at + 1
        if token.text == "," and depth == 1:
            found.append([])
        elif at > start:
            found[-1].append(token)
    raise Unsupported("a macro's arguments have no end", tokens[start].at)


def _scan(text: str) -> Iterator[CToken]:
    at, first = 0, True
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Unsupported(f"unexpected character {text[at]!r}", at)
        kind, piece = match.lastgroup or "", match[0]
        if kind == "line":
            yield CToken("LINE", piece, at)
            first = True
        elif kind != "space" and piece not in ANNOTATIONS:
            yield CToken(KINDS.get(kind, piece), piece, at, first)
            first = False
        at = match.end()


def _lines(tokens: Iterable[CToken]) -> Iterator[list[CToken]]:
    line: list[CToken] = []
    for token in tokens:
        if token.type == "LINE":
            yield line
            line = []
        else:
            line.append(token)
    yield line


def number(text: str) -> int:
    """The value of a literal without its suffix."""
    digits = text.rstrip("uUlL")
    octal = digits.startswith("0") and digits.isdigit()
    return int(digits, 8) if octal else int(digits, 0)


class _Condition:
    """`#if`: numbers, LINUX_VERSION_CODE, KERNEL_VERSION, comparisons, `&& || !`."""

    def __init__(self, tokens: list[CToken], version: tuple[int, int, int], at: int) -> None:
        self._tokens = tokens
        self._version = version
        self._at = at
        self._next = 0

    def value(self) -> int:
        found = self._or()
        if self._next != len(self._tokens):
            self._refuse()
        return found

    def _refuse(self) -> None:
        raise Unsupported("this #if condition is not understood", self._at)

    def _take(self, *texts: str) -> str:
        if self._next < len(self._tokens) and self._tokens[self._next].text in texts:
            self._next += 1
            return self._tokens[self._next - 1].text
        return ""

    def _or(self) -> int:
        left = self._and()
        while self._take("||"):
            right = self._and()
            left = int(bool(left) or bool(right))
        return left

    def _and(self) -> int:
        left = self._compared()
        while self._take("&&"):
            right = self._compared()
            left = int(bool(left) and bool(right))
        return left

    def _compared(self) -> int:
        left = self._operand()
        while op := self._take("<", ">", "<=", ">=", "==", "!="):
            right = self._operand()
            results = {
                "<": left < right,
                ">": left > right,
                "<=": left <= right,
                ">=": left >= right,
                "==": left == right,
                "!=": left != right,
            }
            left = int(results[op])
        return left

    def _operand(self) -> int:
        if self._take("!"):
            return int(not self._operand())
        if self._take("("):
            found = self._or()
            if not self._take(")"):
                self._refuse()
            return found
        if self._next >= len(self._tokens):
            self._refuse()
        token = self._tokens[self._next]
        self._next += 1
        if token.type == "NUMBER":
            return number(token.text)
        if token.text == "LINUX_VERSION_CODE":
            return _version_code(*self._version)
        if token.text == "KERNEL_VERSION":
            return self._version_call()
        # a name that is not defined is 0 (C11, 6.10.1); CONFIG_* of the kernel are not known
        if token.type != "NAME" or token.text.startswith("CONFIG_"):
            self._refuse()
        return 0

    def _version_call(self) -> int:
        arguments, end = _arguments(self._tokens, self._next)
        if arguments is None or len(arguments) != 3:
            self._refuse()
        self._next = end
        parts = [
            _Condition(piece, self._version, self._at).value() for piece in arguments or []
        ]
        return _version_code(*parts)


def _version_code(major: int, minor: int, patch: int) -> int:
    return (major << 16) + (minor << 8) + min(patch, 255)
