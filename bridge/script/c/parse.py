"""Tokens of embedded C -> its syntax tree, by `grammars/c_subset.lark`.

Rule: the builder makes nodes and resolves the names of types; what a node means is said later.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from bridge import parsing
from bridge.script.c import kernel
from bridge.script.c import tree as c
from bridge.script.c.tokens import CToken, number
from bridge.script.c.types import TYPES, constant, integer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ITERATORS = frozenset(
    {
        "list_for_each_entry",
        "list_for_each_entry_rcu",
        "list_for_each_entry_safe",
        "list_for_each",
        "hlist_for_each_entry",
        "hlist_for_each_entry_rcu",
        "for_each_process",
        "for_each_thread",
        *kernel.MASKS,
    }
)
"""Macros that head a loop."""
Parts = list[Any]


class _Pointer(NamedTuple):
    at: int


class _Direct(NamedTuple):
    name: str
    at: int
    suffixes: tuple[Any, ...]


class _Specified(NamedTuple):
    type: c.CType
    at: int
    typedef: bool


class Parser:
    """Parses the texts of one script; types and constants of one are known to the next."""

    def __init__(self) -> None:
        self.types: dict[str, c.CType] = {}
        self.layouts: dict[str, c.Layout] = {}
        self.enumerators: dict[str, int] = {}
        self._anonymous = 0

    def parse(self, kind: str, tokens: Sequence[CToken]) -> Any:  # noqa: ANN401 - by kind
        """The tree of a `unit`, a `body` or a `value`."""
        feeder = _grammar().feeder()
        builder = _ACTIVE
        builder.parser = self
        terminals = _grammar().terminals
        feeder.feed(CToken(terminals[f"<{kind}>"], "", 0))
        typedefs = _typedefs(tokens)
        declared = set(self.types)
        last = CToken("", "", 0)
        for index, token in enumerate(tokens):
            last = token
            if not feeder.feed(_typed(token, terminals, declared)):
                raise c.Unsupported(f"`{token.text}` is not understood here", token.at)
            if index in typedefs:
                declared.add(token.text)
        done, found = feeder.finish(CToken("$END", "", last.at))
        if not done:
            raise c.Unsupported("the C code ends in the middle of a statement", last.at)
        return found

    def anonymous(self) -> str:
        """A name for a structure that has none."""
        self._anonymous += 1
        return f"<structure {self._anonymous}>"


def _typed(token: CToken, terminals: Mapping[str, str], declared: set[str]) -> CToken:
    """The token with its terminal; names of types are told apart here."""
    kind = token.type
    if kind != "NAME":
        kind = terminals.get(kind, kind)
    elif token.text in terminals:
        kind = terminals[token.text]
    elif token.text in ITERATORS:
        kind = "ITERATOR"
    elif token.text in TYPES or token.text in declared:
        kind = "TYPE"
    return CToken(kind, token.text, token.at)


def _typedefs(tokens: Sequence[CToken]) -> frozenset[int]:
    """Which tokens are names that `typedef` declares: types from the next token on."""
    found = set()
    for start, first in enumerate(tokens):
        if first.text != "typedef":
            continue
        depth, name = 0, -1
        for index in range(start + 1, len(tokens)):
            token = tokens[index]
            depth += (token.text == "{") - (token.text == "}")
            if depth == 0 and token.text == ";":
                break
            wrapped = tokens[index - 1].text == "*" and tokens[index - 2].text == "("
            if depth == 0 and token.type == "NAME":
                name = index
                if wrapped:
                    break
        found.add(name)
    return frozenset(found)


class _Builder:
    """Reductions of the grammar; methods are named after its rules."""

    parser: Parser

    # --- file level

    def unit(self, parts: Parts) -> c.Unit:
        functions = tuple(p for p in parts if isinstance(p, c.Function))
        declared = [v for p in parts if isinstance(p, c.Declaration) for v in p.variables]
        parser = self.parser
        return c.Unit(
            functions,
            tuple(declared),
            tuple(parser.layouts.values()),
            tuple(parser.types.items()),
            tuple(parser.enumerators.items()),
        )

    def body(self, parts: Parts) -> c.Block:
        return c.Block(0, tuple(parts[1:]))

    def value(self, parts: Parts) -> c.Expr:
        found: c.Expr = parts[1]
        return found

    def external(self, parts: Parts) -> Any:  # noqa: ANN401
        return parts[0]

    def function(self, parts: Parts) -> c.Function:
        specified, (pointers, direct), block = parts
        type_ = _pointed(specified.type, pointers)
        calls = [s for s in direct.suffixes if isinstance(s, tuple) and s[0] == "call"]
        if not calls:
            raise c.Unsupported(f"`{direct.name}` is no function", direct.at)
        return c.Function(direct.at, direct.name, type_, calls[0][1], block)

    # --- declarations

    def specifiers(self, parts: Parts) -> _Specified:
        at = next((p.at for p in parts if isinstance(p, CToken)), 0)
        words = [p.text for p in parts if isinstance(p, CToken)]
        types = [p for p in parts if not isinstance(p, CToken)]
        type_ = types[0] if types else self._named(words, at)
        return _Specified(type_, at, "typedef" in words)

    def _named(self, words: Sequence[str], at: int) -> c.CType:
        known = [w for w in words if w in self.parser.types]
        if known:
            return self.parser.types[known[0]]
        found = integer(words)
        if found is None:
            raise c.Unsupported(f"the type `{' '.join(words)}` is not known", at)
        return found

    def type_of(self, parts: Parts) -> c.TypeOf:
        return c.TypeOf(parts[2])

    def specifier(self, parts: Parts) -> Any:  # noqa: ANN401
        return parts[0]

    def tag(self, parts: Parts) -> CToken:
        found: CToken = parts[0]
        return found

    def structure(self, parts: Parts) -> c.CType:
        union, name = parts[0].text == "union", parts[1].text
        if len(parts) > 2:
            self.parser.layouts[name] = c.Layout(name, parts[2], union)
        return c.Struct(name, union)

    def anonymous_structure(self, parts: Parts) -> c.CType:
        union, name = parts[0].text == "union", self.parser.anonymous()
        self.parser.layouts[name] = c.Layout(name, parts[1], union)
        return c.Struct(name, union)

    def enumeration(self, _parts: Parts) -> c.CType:
        return c.Int(4, False)

    anonymous_enumeration = enumeration

    def enumerators(self, parts: Parts) -> Parts:
        following = 0
        for name, value in (
            p for p in parts if isinstance(p, tuple) and not hasattr(p, "type")
        ):
            following = following if value is None else constant(value, self.parser.enumerators)
            self.parser.enumerators[name] = following
            following += 1
        return parts

    def enumerator(self, parts: Parts) -> tuple[str, None]:
        return (parts[0].text, None)

    def valued_enumerator(self, parts: Parts) -> tuple[str, c.Expr]:
        return (parts[0].text, parts[2])

    def fields(self, parts: Parts) -> tuple[c.Declared, ...]:
        return tuple(field for p in parts if isinstance(p, list) for field in p)

    def field(self, parts: Parts) -> list[c.Declared]:
        return [self._declared(parts[0], d, None) for d in parts[1]]

    def field_declarator(self, parts: Parts) -> Any:  # noqa: ANN401
        return parts[0]

    def bit_field(self, parts: Parts) -> Any:  # noqa: ANN401
        raise c.Unsupported("bit-fields of a structure of one's own", parts[1].at)

    def listed(self, parts: Parts) -> Parts:
        return [p for p in parts if not (isinstance(p, CToken) and p.text in {",", "..."})]

    def declarator(self, parts: Parts) -> tuple[int, _Direct]:
        return (len(parts) - 1, parts[-1])

    def direct_name(self, parts: Parts) -> _Direct:
        return _Direct(parts[0].text, parts[0].at, ())

    def array(self, parts: Parts) -> _Direct:
        direct = parts[0]
        count = constant(parts[2], self.parser.enumerators) if len(parts) > 3 else 0
        return direct._replace(suffixes=(*direct.suffixes, ("array", count)))  # type: ignore[no-any-return]

    def called(self, parts: Parts) -> _Direct:
        direct = parts[0]
        parameters = parts[2] if len(parts) > 3 else ()
        return direct._replace(suffixes=(*direct.suffixes, ("call", parameters)))  # type: ignore[no-any-return]

    def function_pointer(self, parts: Parts) -> _Direct:
        name = next(p for p in parts if isinstance(p, CToken) and p.type == "NAME")
        return _Direct(name.text, name.at, (("pointer", ()),))

    def pointer(self, parts: Parts) -> _Pointer:
        return _Pointer(parts[0].at)

    def parameters(self, parts: Parts) -> tuple[c.Declared, ...]:
        return tuple(p for p in parts if isinstance(p, c.Declared) and p.type != c.VOID)

    def parameter(self, parts: Parts) -> c.Declared:
        return self._declared(parts[0], parts[1], None)

    def unnamed_parameter(self, parts: Parts) -> c.Declared:
        return c.Declared("", _pointed(parts[0].type, len(parts) - 1), parts[0].at)

    def type_name(self, parts: Parts) -> c.TypeArgument:
        return c.TypeArgument(parts[0].at, _pointed(parts[0].type, len(parts) - 1))

    def bare_declaration(self, parts: Parts) -> c.Declaration:
        return c.Declaration(parts[0].at, ())

    def declared(self, parts: Parts) -> c.Declaration:
        specified = parts[0]
        found = [self._declared(specified, d, value) for d, value in parts[1]]
        if specified.typedef:
            self.parser.types.update({d.name: d.type for d in found})
            found = []
        return c.Declaration(specified.at, tuple(found))

    def uninitialized(self, parts: Parts) -> tuple[Any, None]:
        return (parts[0], None)

    def initialized(self, parts: Parts) -> tuple[Any, Any]:
        return (parts[0], parts[2])

    def braces(self, parts: Parts) -> tuple[object, ...]:
        return tuple(item for p in parts if isinstance(p, list) for item in p)

    def _declared(self, specified: _Specified, declarator: Any, value: Any) -> c.Declared:  # noqa: ANN401
        pointers, direct = declarator
        type_ = _pointed(specified.type, pointers)
        for kind, detail in reversed(direct.suffixes):
            type_ = c.Array(type_, detail) if kind == "array" else c.Pointer(c.VOID)
        return c.Declared(direct.name, type_, direct.at, value)

    # --- statements

    def block(self, parts: Parts) -> c.Block:
        return c.Block(parts[0].at, tuple(parts[1:-1]))

    def nothing(self, parts: Parts) -> c.Block:
        return c.Block(parts[0].at, ())

    def expression_statement(self, parts: Parts) -> c.Evaluate:
        return c.Evaluate(parts[0].at, parts[0])

    def if_(self, parts: Parts) -> c.If:
        return c.If(parts[0].at, parts[2], parts[4], parts[6] if len(parts) > 5 else None)

    def while_(self, parts: Parts) -> c.Loop:
        return c.Loop(parts[0].at, None, parts[2], None, parts[4])

    def do_(self, parts: Parts) -> c.Loop:
        return c.Loop(parts[0].at, None, parts[4], None, parts[1], first=True)

    def for_(self, parts: Parts) -> c.Loop:
        start, rest = parts[2], parts[3:-2]
        semicolon = next(i for i, p in enumerate(rest) if _is(p, ";"))
        condition = rest[0] if semicolon else None
        step = rest[semicolon + 1] if len(rest) > semicolon + 1 else None
        return c.Loop(parts[0].at, start, condition, step, parts[-1])

    def for_start(self, parts: Parts) -> c.Declaration:
        found: c.Declaration = parts[0]
        return found

    def for_expression(self, parts: Parts) -> c.Evaluate | None:
        return c.Evaluate(parts[0].at, parts[0]) if len(parts) > 1 else None

    def switch(self, parts: Parts) -> c.Switch:
        return c.Switch(parts[0].at, parts[2], parts[4].items)

    def case(self, parts: Parts) -> c.Case:
        return c.Case(parts[0].at, parts[1])

    def default(self, parts: Parts) -> c.Case:
        return c.Case(parts[0].at, None)

    def return_(self, parts: Parts) -> c.Return:
        return c.Return(parts[0].at, parts[1] if len(parts) > 2 else None)

    def break_(self, parts: Parts) -> c.Leave:
        return c.Leave(parts[0].at, parts[0].text)

    continue_ = break_

    def goto(self, parts: Parts) -> c.Goto:
        return c.Goto(parts[0].at, parts[1].text)

    def label(self, parts: Parts) -> c.Label:
        return c.Label(parts[0].at, parts[0].text)

    def iterator(self, parts: Parts) -> c.Iterate:
        return c.Iterate(parts[0].at, parts[0].text, tuple(parts[2]), parts[4])

    # --- expressions

    def comma(self, parts: Parts) -> c.Binary:
        return c.Binary(parts[1].at, ",", parts[0], parts[2])

    def assign(self, parts: Parts) -> c.Assign:
        return c.Assign(parts[0].at, parts[1].text.removesuffix("=") or "=", parts[0], parts[2])

    def assign_op(self, parts: Parts) -> CToken:
        found: CToken = parts[0]
        return found

    def ternary(self, parts: Parts) -> c.Ternary:
        return c.Ternary(parts[0].at, parts[0], parts[2], parts[4])

    def binary(self, parts: Parts) -> c.Binary:
        return c.Binary(parts[1].at, parts[1].text, parts[0], parts[2])

    def cast(self, parts: Parts) -> c.Cast:
        return c.Cast(parts[0].at, parts[1].type, parts[3])

    def prefix(self, parts: Parts) -> c.Unary:
        return c.Unary(parts[0].at, parts[0].text, parts[1])

    def sizeof_value(self, parts: Parts) -> c.SizeOf:
        return c.SizeOf(parts[0].at, parts[1])

    def sizeof_type(self, parts: Parts) -> c.SizeOf:
        return c.SizeOf(parts[0].at, parts[2].type)

    def index(self, parts: Parts) -> c.Index:
        return c.Index(parts[0].at, parts[0], parts[2])

    def call(self, parts: Parts) -> c.Call:
        if not isinstance(parts[0], c.Name):
            raise c.Unsupported("a call through a pointer", parts[0].at)
        arguments = parts[2] if len(parts) > 3 else []
        return c.Call(parts[0].at, parts[0].name, tuple(arguments))

    def member(self, parts: Parts) -> c.Member:
        return c.Member(parts[1].at, parts[0], parts[2].text, parts[1].text == "->")

    def postfix(self, parts: Parts) -> c.Unary:
        return c.Unary(parts[1].at, parts[1].text, parts[0], post=True)

    def primary(self, parts: Parts) -> Any:  # noqa: ANN401
        return parts[0]

    def name(self, parts: Parts) -> c.Name:
        return c.Name(parts[0].at, parts[0].text)

    def number(self, parts: Parts) -> c.Number:
        token = parts[0]
        value, suffix = number(token.text), token.text.lower()
        if value >= 1 << 64:
            raise c.Unsupported("the number is too large", token.at)
        return c.Number(token.at, value, _literal_type(value, suffix))

    def character(self, parts: Parts) -> c.Number:
        raw = parts[0].text[1:-1]
        value = ord(raw) if len(raw) == 1 else _escape(raw, parts[0].at)
        return c.Number(parts[0].at, value, c.INT)

    def text(self, parts: Parts) -> c.Text:
        return c.Text(parts[0].at, '"' + "".join(p.text[1:-1] for p in parts) + '"')

    def group(self, parts: Parts) -> Any:  # noqa: ANN401
        return parts[1]


_ESCAPES = {
    "n": 10,
    "t": 9,
    "r": 13,
    "a": 7,
    "b": 8,
    "f": 12,
    "v": 11,
    "\\": 92,
    "'": 39,
    '"': 34,
}


def _escape(raw: str, at: int) -> int:
    if raw[0] != "\\" or len(raw) < 2:
        raise c.Unsupported(f"the character '{raw}' is not understood", at)
    if raw[1:] in _ESCAPES:
        return _ESCAPES[raw[1:]]
    digits, base = (raw[2:], 16) if raw[1] == "x" else (raw[1:], 8)
    try:
        value = int(digits, base)
    except ValueError:
        raise c.Unsupported(f"the character '{raw}' is not understood", at) from None
    return value - 256 if value > 127 else value


def _literal_type(value: int, text: str) -> c.Int:
    """C11, 6.4.4.1: the first type that holds the value."""
    hexadecimal = text.startswith("0")
    suffix = text[len(text.rstrip("ul")) :]
    for size in (4, 8):
        if size == 4 and "l" in suffix:
            continue
        if "u" not in suffix and value < 1 << (8 * size - 1):
            return c.Int(size)
        if ("u" in suffix or hexadecimal) and value < 1 << (8 * size):
            return c.Int(size, False)
    return c.ULONG


def _is(part: object, text: str) -> bool:
    return isinstance(part, CToken) and part.text == text


def _pointed(type_: c.CType, pointers: int) -> c.CType:
    for _ in range(pointers):
        type_ = c.Pointer(type_)
    return type_


_ACTIVE = _Builder()


@cache
def _grammar() -> parsing.Grammar:
    return parsing.load("c_subset", _ACTIVE)
