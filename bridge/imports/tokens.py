"""Text of a bpftrace program -> tokens for `grammars/bpftrace.lark`.

Probe points are read as a whole, a cast and the slashes around a filter are told from
parentheses and divisions here. The rule: every token knows its place in the text, so that what
cannot be translated is quoted as it was written. Source: bpftrace(8), src/lexer.l's language.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYWORDS = frozenset(
    {"if", "else", "unroll", "while", "for", "return", "break", "continue", "let", "macro"}
)
_SKIPPED = r"(?P<skip>[ \t\r\n\f\v]+|//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)"
_OUTSIDE = re.compile(
    _SKIPPED + r"|(?P<directive>\#(?:\\\n|[^\n])*)"
    r"|(?P<declaration>(?:struct|union|enum|typedef|config|import)\b)"
    r"|(?P<macro>macro\b)"
    r"|(?P<FILTER>/)|(?P<open>\{)|(?P<comma>,)"
    r"|(?P<POINT>(?:uprobe|uretprobe|usdt|watchpoint|asyncwatchpoint|ur|[uUw])(?::(?:[^\s,{\"]"
    r"|\"[^\"\n]*\")+)|[A-Za-z](?:[^\s,{/\"]|\"[^\"\n]*\")*)"
)
_TYPE = (
    r"(?:(?:const|volatile|unsigned|signed)\s+)*(?:(?:struct|union|enum)\s+\w+|u?int(?:8|16|32|64)"
    r"(?:_t)?|bool|void|char|short|int|long|size_t|uintptr_t|\w+_t)"
)
_INSIDE = re.compile(
    _SKIPPED + r"|(?P<FILTER_END>/(?=(?:\s|//[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/)*\{))"
    rf"|(?P<CAST>\(\s*(?:{_TYPE}[\s*]*|\w+\s*\*[\s*]*)(?:\[\d*\])?\s*\)(?=\s*[\w@$(&*\"~!-]))"
    r"|(?P<SIZEOF>(?:sizeof|offsetof)\s*\([^()]*\))"
    r"|(?P<MAP>@[A-Za-z_]\w*|@)|(?P<VARIABLE>\$[A-Za-z_]\w*)|(?P<PARAMETER>\$\d+|\$\#)"
    r"|(?P<NUMBER>0[xX][0-9a-fA-F_]+[uUlL]*|\d[\d_]*(?:e\d+|ns|us|ms|s|m|h|d)?[uUlL]*)"
    r"|(?P<NAME>[A-Za-z_]\w*)"
    r"|(?P<STRING>\"(?:\\.|[^\"\\])*\")"
    r"|(?P<ASSIGN>(?:<<|>>|[-+*/%&|^])=)"
    r"|(?P<sign>->|\+\+|--|&&|\|\||==|!=|<=|>=|<<|>>|[-{}()\[\],;:?.=<>!~*/%&|^+])",
    re.DOTALL,
)
_DEFINE = re.compile(r"#\s*define\s+(\w+)\s+(\S[^\n]*)")


class ImportFailure(BridgeError):
    """A program that cannot be read; the message names file and line."""


class BpftraceToken(NamedTuple):
    """A token; `type` is the grammar's literal or the name of its terminal."""

    type: str
    text: str
    start: int
    end: int


@dataclass(slots=True)
class BpftraceReader:
    """One text; `defines` and `declarations` fill up as its tokens are taken."""

    text: str
    file: str
    defines: dict[str, str] = field(default_factory=dict)
    declarations: list[str] = field(default_factory=list)
    at: int = 0

    def fail(self, at: int, message: str) -> ImportFailure:
        """The error at a place, to be raised."""
        line = self.text.count("\n", 0, at) + 1
        return ImportFailure(f"{self.file}:{line}: {message}")

    def tokens(self) -> Iterator[BpftraceToken]:
        """All tokens, `$END` last."""
        while self.at < len(self.text):
            match = _OUTSIDE.match(self.text, self.at)
            if match is None:
                raise self.fail(self.at, f"a probe cannot begin with {self.text[self.at]!r}")
            kind, start = str(match.lastgroup), self.at
            self.at = match.end()
            match kind:
                case "skip":
                    pass
                case "directive":
                    self._directive(match[0])
                case "declaration":
                    self._declaration(start)
                case "FILTER":
                    yield BpftraceToken("FILTER", "/", start, self.at)
                    yield from self._inside("FILTER_END")
                case "open" | "macro":
                    self.at = start
                    yield from self._inside("}")
                case _:
                    literal = {"comma": ","}.get(kind, kind)
                    yield BpftraceToken(literal, match[0], start, self.at)
        yield BpftraceToken("$END", "the end of the text", self.at, self.at)

    def _inside(self, last: str) -> Iterator[BpftraceToken]:
        """The tokens of a filter or of a block, to its end."""
        depth = 0
        while self.at < len(self.text):
            match = _INSIDE.match(self.text, self.at)
            if match is None:
                raise self.fail(self.at, f"unexpected {self.text[self.at]!r}")
            kind, start = str(match.lastgroup), self.at
            self.at = match.end()
            if kind == "skip":
                continue
            if kind == "FILTER_END" and last != "FILTER_END":
                kind = "sign"
            literal = match[0] if kind == "sign" or match[0] in KEYWORDS else kind
            yield BpftraceToken(literal, match[0], start, self.at)
            depth += (literal == "{") - (literal == "}")
            if literal == last and not depth:
                return

    def _directive(self, text: str) -> None:
        found = _DEFINE.match(text)
        if found is not None:
            value = re.sub(r"//.*|/\*.*?\*/", "", found[2]).strip()
            self.defines[found[1]] = value
        elif re.match(r"#\s*include", text):
            self.declarations.append(text)

    def _declaration(self, start: int) -> None:
        """A type of C, to its semicolon (`config = {}` has none)."""
        depth = 0
        for found in re.compile(r"[{};]").finditer(self.text, self.at):
            depth += {"{": 1, "}": -1}.get(found[0], 0)
            ends = found[0] == ";" or (
                found[0] == "}" and self.text.startswith("config", start)
            )
            if ends and not depth:
                self.at = found.end()
                self.declarations.append(self.text[start : self.at])
                return
        raise self.fail(start, "this declaration has no end")
