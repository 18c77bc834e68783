"""Reductions of the grammar -> nodes of the tree: one method per rule or alternative.

Each method gets the children of its alternative, tokens included, in order. It may raise
`Refused` (`RefusedAhead`: at the token that comes next) for what the grammar cannot say.
Rule: nothing but the tree is known here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from bridge.script import errors
from bridge.script.errors import Refused, RefusedAhead
from bridge.script.syntax import ast
from bridge.script.syntax.format import format_problem
from bridge.script.syntax.lex import evaluate
from bridge.script.syntax.tokens import IDENTIFIER, KEYWORD, KEYWORDS, NUMBER, OPERATOR, Token

if TYPE_CHECKING:
    from bridge.source import Span

Children = list[Any]  # what Lark hands over: tokens, nodes, lists of nodes


def number(token: Token, negative: bool = False) -> int:
    """The value of a number token, wrapped to 64 bits; refused if it is none."""
    text = token.text.lower()
    try:
        octal = text[0] == "0" and len(text) > 1 and text[1] in "01234567"
        value = int(text, 8) if octal else int(text, 0)
    except ValueError:
        value = 1 << 64
    if "b" in text[:2] or "o" in text[:2] or "_" in text:
        value = 1 << 64
    if value >= 1 << 64 or (negative and value > 1 << 63):
        raise Refused(errors.parse(errors.NUMBER_RANGE, token))
    value = -value if negative else value
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def text_of(token: Token) -> str:
    """The evaluated text of a string token."""
    return evaluate(token.text).split("\0", 1)[0]


def _string(token: Token) -> ast.String:
    return ast.String(text_of(token), token.text, span=token.span, token=token.span)


def _over(first: Any, last: Any) -> Span:  # noqa: ANN401 - what Lark hands over
    while isinstance(first, list):
        first = first[0]
    while isinstance(last, list):
        last = last[-1]
    start: Span = first.span
    return start.to(last.span)


def _grown(c: Children) -> Children:
    """A list, begun or with one more item at its end; nobody else has the list."""
    if len(c) == 1:
        return c
    items: Children = c[0]
    items.append(c[-1])
    return items


def _nodes(c: Children) -> Children:
    return [x for x in c if not isinstance(x, Token)]


class Expressions:
    """Expression rules."""

    def assign(self, c: Children) -> ast.Expr:
        left, op, right = c
        return ast.Assign(op.text, left, right, span=_over(left, right), token=op.span)

    def conditional(self, c: Children) -> ast.Expr:
        return ast.Ternary(c[0], c[2], c[4], span=_over(c[0], c[4]), token=c[1].span)

    def binary(self, c: Children) -> ast.Expr:
        left, op, right = c
        return ast.Binary(op.text, left, right, span=_over(left, right), token=op.span)

    def in_one(self, c: Children) -> ast.Expr:
        return ast.In((c[0],), c[2], span=_over(c[0], c[2]), token=c[1].span)

    def in_many(self, c: Children) -> ast.Expr:
        return ast.In(tuple(c[1]), c[4], span=_over(c[0], c[4]), token=c[3].span)

    def bracketed(self, c: Children) -> ast.Expr:
        if len(c[1]) != 1:
            raise RefusedAhead(errors.EXPRESSION_LIST)
        return cast("ast.Expr", c[1][0])

    def wildcard(self, _c: Children) -> None:
        return None

    def slices(self, c: Children) -> Children:
        return _grown(c)

    keys = slices
    arguments = slices

    def regex_query(self, c: Children) -> ast.Expr:
        pattern = _string(c[2])
        return ast.Regex(c[1].text, c[0], pattern, span=_over(c[0], c[2]), token=c[1].span)

    def unary(self, c: Children) -> ast.Expr:
        return ast.Unary(c[0].text, c[1], span=_over(c[0], c[1]), token=c[0].span)

    def prefix(self, c: Children) -> ast.Expr:
        return ast.Step(c[0].text, c[1], True, span=_over(c[0], c[1]), token=c[0].span)

    def postfix(self, c: Children) -> ast.Expr:
        return ast.Step(c[1].text, c[0], False, span=_over(c[0], c[1]), token=c[1].span)

    # --- values

    def parenthesized(self, c: Children) -> ast.Expr:
        return cast("ast.Expr", c[1])

    def number(self, c: Children) -> ast.Expr:
        return ast.Number(number(c[0]), span=c[0].span, token=c[0].span)

    def string(self, c: Children) -> ast.Expr:
        return _string(c[0])

    def embedded_expr(self, c: Children) -> ast.Expr:
        return ast.EmbeddedExpr(c[0].text, span=c[0].span, token=c[0].span)

    def name(self, c: Children) -> ast.Name:
        return ast.Name(c[0].text, span=c[0].span, token=c[0].span)

    def indexable(self, c: Children) -> ast.Indexable:
        return cast("ast.Indexable", c[0])

    def index(self, c: Children) -> ast.Expr:
        base = self.name(c) if isinstance(c[0], Token) else c[0]
        return ast.Index(base, tuple(c[2]), span=_over(c[0], c[3]), token=base.token)

    def call(self, c: Children) -> ast.Expr:
        arguments = tuple(c[2]) if len(c) > 3 else ()
        return ast.Call(c[0].text, arguments, span=_over(c[0], c[-1]), token=c[0].span)

    def bare_histogram(self, c: Children) -> ast.Expr:
        word = Token(OPERATOR, f"@hist_{c[0].kind}", c[0].token)
        raise Refused(errors.parse(errors.BARE_HISTOGRAM, word))

    def histogram(self, c: Children) -> ast.Expr:
        parameters = tuple(x.value for x in c[3:] if isinstance(x, ast.Number))
        kind = c[0].text.removeprefix("@hist_")
        return ast.Histogram(kind, c[2], parameters, span=_over(c[0], c[-1]), token=c[0].span)

    def stat_op(self, c: Children) -> ast.Expr:
        parameters = tuple(x.value for x in c[3:] if isinstance(x, ast.Number))
        return ast.StatOp(
            c[0].text[1:], c[2], parameters, span=_over(c[0], c[-1]), token=c[0].span
        )

    # --- target variables

    def target(self, c: Children) -> ast.Expr:
        name, dollars = _split_dollars(c[0].text)
        return ast.Target(name, (), dollars, span=c[0].span, token=c[0].span)

    def filled(self, c: Children) -> Token:
        if not c[0].text:
            raise RefusedAhead(errors.EMPTY_STRING)
        return cast("Token", c[0])

    def negative(self, c: Children) -> ast.Expr:
        value = number(c[1], negative=True)
        return ast.Number(value, span=_over(c[0], c[1]), token=c[1].span)

    def cast(self, c: Children) -> ast.Expr:
        module = text_of(c[6]) if len(c) > 6 else None
        return ast.Cast(c[2], text_of(c[4]), module, span=_over(c[0], c[-1]), token=c[0].span)

    def at_var(self, c: Children) -> ast.Expr:
        module = text_of(c[4]) if len(c) > 4 else None
        return ast.AtVar(text_of(c[2]), module, span=_over(c[0], c[-1]), token=c[0].span)

    def members(self, c: Children) -> Children:
        return _grown(c)

    def member(self, c: Children) -> Children:
        return c

    def element(self, c: Children) -> ast.Node:
        return ast.Element(c[1], span=_over(c[0], c[2]), token=c[0].span)

    def path(self, c: Children) -> tuple[tuple[ast.Component, ...], str, Token | ast.Node]:
        """The components and the pretty-printing suffix; refused where both meet."""
        components: list[ast.Component] = []
        pretty = ""
        last: Any = c[-1]
        for piece in c[0] if isinstance(c[0], list) else []:
            if pretty:
                raise Refused(errors.parse(errors.PRETTY_PATH, _first(piece)))
            if isinstance(piece, list):
                name, pretty = _split_dollars(piece[1].text)
                span, last = _over(piece[0], piece[1]), piece[1]
                if name:
                    components.append(ast.Member(name, span=span, token=piece[0].span))
            else:
                components.append(piece)
                last = piece
        if isinstance(c[-1], Token):
            pretty, last = c[-1].text, c[-1]
        return tuple(components), pretty, last

    def target_path(self, c: Children) -> ast.Expr:
        return _with_path(c[0], c[1], c[0].span, address=False)

    def autocast(self, c: Children) -> ast.Expr:
        (path, pretty, last) = c[1]
        token = path[0].token if path else last.span
        return ast.Cast(c[0], None, None, path, pretty, span=_over(c[0], last), token=token)

    def address(self, c: Children) -> ast.Expr:
        return self.address_path([c[0], c[1], ((), "", c[1])])

    def address_path(self, c: Children) -> ast.Expr:
        sign, value, path = c
        if isinstance(value, ast.Target | ast.Cast | ast.AtVar):
            if value.address_of:
                raise Refused(errors.parse(errors.ADDRESS_TWICE, sign))
            return _with_path(value, path, sign.span, address=True)
        return ast.Cast(
            value,
            None,
            None,
            path[0],
            path[1],
            True,
            span=_over(sign, path[2]),
            token=sign.span,
        )

    # --- other @ operators

    def at_expr(self, c: Children) -> ast.Expr:
        literals = tuple(text_of(x) for x in c[4::2])
        return ast.AtOperator(
            c[0].text[1:], c[2], literals, span=_over(c[0], c[-1]), token=c[0].span
        )

    def at_name(self, c: Children) -> ast.Expr:
        operand = ast.Name(c[2].text, span=c[2].span, token=c[2].span)
        return ast.AtOperator(c[0].text[1:], operand, span=_over(c[0], c[3]), token=c[0].span)

    def at_literal(self, c: Children) -> ast.Expr:
        return ast.AtLiteral(
            c[0].text[1:], (text_of(c[2]),), span=_over(c[0], c[3]), token=c[0].span
        )

    at_const = at_literal

    def at_register(self, c: Children) -> ast.Expr:
        return ast.AtRegister(c[0].text[1:], (c[2],), span=_over(c[0], c[3]), token=c[0].span)

    def at_deref(self, c: Children) -> ast.Expr:
        return ast.AtRegister(
            c[0].text[1:], (c[2], c[4]), span=_over(c[0], c[5]), token=c[0].span
        )

    # --- the print family

    def print_plain(self, c: Children) -> ast.Expr:
        arguments = tuple(c[2]) if len(c) > 3 else ()
        return ast.Print(c[0].text, arguments, span=_over(c[0], c[-1]), token=c[0].span)

    def print_histogram(self, c: Children) -> ast.Expr:
        return ast.Print(c[0].text, (c[2],), span=_over(c[0], c[-1]), token=c[0].span)

    def shown_element(self, c: Children) -> ast.Expr:
        return ast.Index(c[0], (c[2],), span=_over(c[0], c[3]), token=c[0].token)

    def print_element(self, c: Children) -> ast.Expr:
        span = _over(c[0], c[-1])
        return ast.Print(c[0].text, tuple(_nodes(c)), span=span, token=c[0].span)

    def format(self, c: Children) -> Token:
        if problem := format_problem(c[0].text):
            raise RefusedAhead(errors.Message("bad-format", problem))
        return cast("Token", c[0])

    def print_format(self, c: Children) -> ast.Expr:
        return ast.Print(
            c[0].text,
            tuple(_nodes(c)),
            format=_string(c[2]),
            span=_over(c[0], c[-1]),
            token=c[0].span,
        )

    def print_delimited(self, c: Children) -> ast.Expr:
        return ast.Print(
            c[0].text,
            tuple(_nodes(c)),
            delimiter=_string(c[2]),
            span=_over(c[0], c[-1]),
            token=c[0].span,
        )

    # --- literals

    def delimited(self, c: Children) -> Token:
        return cast("Token", c[0])

    def integer(self, c: Children) -> ast.Expr:
        value = number(c[-1], negative=len(c) > 1)
        return ast.Number(value, span=_over(c[0], c[-1]), token=c[-1].span)


def _first(piece: Any) -> Any:  # noqa: ANN401 - what Lark hands over
    return piece[0] if isinstance(piece, list) else piece


def _split_dollars(text: str) -> tuple[str, str]:
    """`$x$$` -> (`$x`, `$$`); a name of dollars only has no suffix."""
    name = text.rstrip("$")
    return name, text[len(name) :]


def _with_path(
    base: ast.Target | ast.Cast | ast.AtVar,
    path: Any,  # noqa: ANN401 - what Lark hands over
    start: Span,
    address: bool,
) -> ast.Expr:
    components, pretty, last = path
    if base.pretty and (components or pretty):
        raise Refused(errors.parse(errors.PRETTY_PATH, components[0] if components else last))
    span = start.to(last.span)
    pretty = pretty or base.pretty
    match base:
        case ast.Target(name=name):
            return ast.Target(name, components, pretty, address, span=span, token=base.token)
        case ast.Cast(value=value, type=type_, module=module):
            path = (*base.path, *components)
            return ast.Cast(
                value, type_, module, path, pretty, address, span=span, token=base.token
            )
        case ast.AtVar(name=name, module=module):
            return ast.AtVar(
                name, module, components, pretty, address, span=span, token=base.token
            )


class _Keys:
    """The keys of a foreach as they are read, its value, and the one thing it is sorted by."""

    def __init__(self, value: Children | None) -> None:
        self.value = value
        self.keys: list[Children] = []
        self.order: ast.Sort | None = None
        if value and len(value) > 1:
            self.sort(value[1], "value")

    def add(self, key: Children) -> _Keys:
        """One more key, with its sign."""
        self.keys.append(key)
        if len(key) > 1:
            self.sort(key[1], "key", len(self.keys) - 1)
        return self

    def sort(self, sign: Token, by: str, key: int = 0) -> None:
        """A sign; refused if there was one before."""
        if self.order is not None:
            raise Refused(errors.parse(errors.MULTIPLE_SORTS, sign))
        self.order = ast.Sort(by, sign.text == "-", key, span=sign.span, token=sign.span)


@dataclass(frozen=True, slots=True)
class _Foreach:
    """The head of a foreach."""

    word: Token
    keys: _Keys
    array: ast.Indexable
    slice: tuple[ast.Expr | None, ...]


class Statements(Expressions):
    """Statement rules."""

    def null(self, c: Children) -> ast.Stmt:
        return ast.Null(span=c[0].span, token=c[0].span)

    def terminated(self, c: Children) -> ast.Stmt:
        return cast("ast.Stmt", c[0])

    def block(self, c: Children) -> ast.Block:
        return ast.Block(tuple(c[1]), span=_over(c[0], c[2]), token=c[0].span)

    def statements(self, c: Children) -> Children:
        return _grown(c) if c else []

    def expr_statement(self, c: Children) -> ast.Stmt:
        return ast.ExprStmt(c[0], span=c[0].span, token=c[0].token)

    def if_(self, c: Children) -> ast.Stmt:
        orelse = c[6] if len(c) > 5 else None
        return ast.If(c[2], c[4], orelse, span=_over(c[0], c[-1]), token=c[0].span)

    def while_(self, c: Children) -> ast.Stmt:
        return ast.While(c[2], c[4], span=_over(c[0], c[4]), token=c[0].span)

    def for_(self, c: Children) -> ast.Stmt:
        parts: list[ast.Expr | None] = [None, None, None]
        at = 0
        for child in c[2:-2]:
            if not isinstance(child, Token):
                parts[at] = child
            elif child.text == ";":
                at += 1
        init, condition, step = parts
        return ast.For(init, condition, step, c[-1], span=_over(c[0], c[-1]), token=c[0].span)

    def foreach_key(self, c: Children) -> Children:
        return c

    def foreach_one(self, c: Children) -> _Keys:
        return _Keys(c[0] if len(c) > 1 else None).add(c[-1])

    def foreach_value(self, c: Children) -> Children:
        return cast("Children", c[0])

    def foreach_open(self, c: Children) -> _Keys:
        return _Keys(c[0] if len(c) > 1 else None)

    def foreach_list(self, c: Children) -> _Keys:
        keys: _Keys = c[0]
        return keys.add(c[-1])

    def foreach_many(self, c: Children) -> _Keys:
        return cast("_Keys", c[0])

    def foreach_slice(self, c: Children) -> tuple[ast.Expr | None, ...]:
        return tuple(c[1])

    def foreach_head(self, c: Children) -> _Foreach:
        return _Foreach(c[0], c[2], c[4], c[5] if len(c) > 5 else ())

    def foreach_sort(self, c: Children) -> tuple[Token, str]:
        return c[-1], c[0].text[1:] if len(c) > 1 else "value"

    def foreach_order(self, c: Children) -> _Foreach:
        head: _Foreach = c[0]
        if len(c) > 1:
            head.keys.sort(*c[1])
        return head

    def foreach_limit(self, c: Children) -> ast.Expr:
        return cast("ast.Expr", c[1])

    def foreach(self, c: Children) -> ast.Stmt:
        head: _Foreach = c[0]
        value = head.keys.value
        return ast.Foreach(
            tuple(self.name(key) for key in head.keys.keys),
            self.name(value) if value else None,
            head.array,
            head.slice,
            head.keys.order,
            c[1] if len(c) > 3 else None,
            c[-1],
            span=_over(head.word, c[-1]),
            token=head.word.span,
        )

    def catch_variable(self, c: Children) -> ast.Name:
        return self.name([c[1]])

    def try_(self, c: Children) -> ast.Stmt:
        variable = c[3] if len(c) > 4 else None
        return ast.Try(c[1], variable, c[-1], span=_over(c[0], c[-1]), token=c[0].span)

    def return_value(self, c: Children) -> ast.Stmt:
        return ast.Return(c[1], span=_over(c[0], c[1]), token=c[0].span)

    def return_void(self, c: Children) -> ast.Stmt:
        return ast.Return(None, span=c[0].span, token=c[0].span)

    def delete(self, c: Children) -> ast.Stmt:
        return ast.Delete(c[1], span=_over(c[0], c[1]), token=c[0].span)

    def break_(self, c: Children) -> ast.Stmt:
        return ast.Break(span=c[0].span, token=c[0].span)

    def continue_(self, c: Children) -> ast.Stmt:
        return ast.Continue(span=c[0].span, token=c[0].span)

    def next_(self, c: Children) -> ast.Stmt:
        return ast.Next(span=c[0].span, token=c[0].span)


@dataclass(frozen=True, slots=True)
class _Parameters:
    """Parameters as they are read, with the names that are taken."""

    items: list[ast.Parameter]
    names: set[str]


class TreeBuilder(Statements):
    """Top-level rules; the start rule yields the list of definitions."""

    def start(self, c: Children) -> Children:
        return [x for part in c for x in (part if isinstance(part, list) else [part])]

    # --- probe points

    def alias_op(self, c: Children) -> Token:
        return cast("Token", c[0])

    def alias_name(self, c: Children) -> ast.ProbePoint:
        points: list[ast.ProbePoint] = c[0]
        if len(points) != 1:
            raise RefusedAhead(errors.PROBE_POINT_SPECIFIER)
        if points[0].optional:
            raise Refused(errors.parse(errors.ALIAS_SUFFIX, _first_word(points[0])))
        return points[0]

    def alias_names(self, c: Children) -> Children:
        names: Children = c[0] if len(c) > 2 else []
        names.append((c[-2], c[-1]))
        return names

    def points(self, c: Children) -> Children:
        points: Children = c[0]
        if len(c) > 1:
            points += c[2]
        if len(points) > MAX_POINTS:
            raise Refused(errors.parse(errors.TOO_MANY_POINTS, c[1]))
        return points

    def component_name(self, c: Children) -> Children:
        return [_point((ast.PointComponent(c[0].text, span=c[0].span, token=c[0].span),))]

    def component_call(self, c: Children) -> Children:
        argument = c[2].value
        span = _over(c[0], c[3])
        return [_point((ast.PointComponent(c[0].text, argument, span=span, token=c[0].span),))]

    def component_braces(self, c: Children) -> Children:
        return cast("Children", c[1])

    def components(self, c: Children) -> Children:
        if len(c) == 1:
            return cast("Children", c[0])
        product = []
        for left in c[0]:
            if left.optional or left.condition is not None:
                raise Refused(errors.parse(errors.SUFFIX_ONLY, _first_word(left)))
            product += [_joined(left, right) for right in c[2]]
            if len(product) > MAX_POINTS:
                raise Refused(errors.parse(errors.TOO_MANY_POINTS, c[1]))
        return product

    def suffixed(self, c: Children) -> Children:
        points: Children = c[0]
        return [_suffixed(point, c[1]) for point in points] if len(c) > 1 else points

    def conditioned(self, c: Children) -> Children:
        if any(point.condition is not None for point in c[0]):
            raise RefusedAhead(errors.CONDITION_TWICE)
        return [replace(point, condition=c[3], span=_over(point, c[3])) for point in c[0]]

    def point(self, c: Children) -> Children:
        points: Children = c[0]
        if len(c) > 1:
            points = [replace(point, span=_over(point, c[1])) for point in points]
        return points

    # --- definitions

    def probe(self, c: Children) -> ast.Probe:
        return ast.Probe(tuple(c[1]), c[2], span=_over(c[0], c[2]), token=c[0].span)

    def alias(self, c: Children) -> ast.Alias:
        names, points, body = c[1], c[2], c[3]
        epilogue = any(op.text == "+=" for _, op in names)
        return ast.Alias(
            tuple(point for point, _ in names),
            tuple(points),
            None if epilogue else body,
            body if epilogue else None,
            span=_over(c[0], c[-1]),
            token=c[0].span,
        )

    def alias_comma(self, c: Children) -> ast.Alias:
        alias: ast.Alias = c[0]
        if alias.epilogue is not None:
            raise Refused(errors.parse(errors.COMBINED_EPILOGUE, c[1]))
        return alias

    def alias_pair(self, c: Children) -> ast.Alias:
        alias: ast.Alias = c[0]
        return replace(alias, epilogue=c[1], span=_over(alias, c[1]))

    def gvars(self, c: Children) -> Children:
        return _grown(c)

    def gcount(self, c: Children) -> ast.Number:
        size: ast.Number = c[0]
        if not 0 < size.value < 1 << 31:
            raise Refused(errors.parse(errors.ARRAY_SIZE, size))
        return size

    def gwrap(self, c: Children) -> Token:
        return cast("Token", c[0])

    def gsize(self, c: Children) -> Children:
        return c

    def gname(self, c: Children) -> ast.Global:
        size = c[-1] if isinstance(c[-1], list) else None
        wrap = len(c) > 1 and isinstance(c[1], Token)
        return ast.Global(
            c[0].text,
            False,
            wrap,
            size[1].value if size else None,
            None,
            span=_over(c[0], c[-1]),
            token=c[0].span,
        )

    def gset(self, c: Children) -> ast.Global:
        declared: ast.Global = c[0]
        if declared.size is not None:
            raise Refused(errors.parse(errors.INITIAL_SCALAR, c[1]))
        return replace(declared, assigned=c[1].span)

    def gvar(self, c: Children) -> ast.Global:
        declared: ast.Global = c[0]
        if len(c) == 1:
            return declared
        return replace(declared, initial=c[1], span=_over(declared, c[1]))

    def globals_(self, c: Children) -> Children:
        return cast("Children", c[1])

    def private_globals(self, c: Children) -> Children:
        declared: Children = next(x for x in c if isinstance(x, list))
        return [replace(g, private=True) for g in declared]

    def fname(self, c: Children) -> Token:
        return cast("Token", c[0])

    def ftype(self, c: Children) -> str:
        return str(c[1].text)

    def parameter_names(self, c: Children) -> _Parameters:
        declared = c[0] if len(c) > 1 else _Parameters([], set())
        name: Token = c[-1]
        if name.text in declared.names:
            raise Refused(errors.parse(errors.DUPLICATE_PARAMETER, name))
        declared.names.add(name.text)
        declared.items.append(ast.Parameter(name.text, None, span=name.span, token=name.span))
        return declared

    def parameters(self, c: Children) -> _Parameters:
        declared: _Parameters = c[0]
        if len(c) > 1:
            declared.items[-1] = replace(declared.items[-1], type=c[1])
        return declared

    def priority(self, c: Children) -> ast.Number:
        if not isinstance(c[1], ast.Number):
            raise RefusedAhead(errors.LITERAL_NUMBER)
        if c[1].value < 1:
            digits = Token(NUMBER, str(abs(c[1].value)), c[1].token)
            raise Refused(errors.parse(errors.PRIORITY, digits))
        return c[1]

    def signature(self, c: Children) -> ast.Function:
        body = c[-1]
        embedded = isinstance(body, Token)
        parameters = next((x.items for x in c if isinstance(x, _Parameters)), [])
        priority = next((x.value for x in c if isinstance(x, ast.Number)), None)
        return ast.Function(
            c[0].text,
            False,
            next((x for x in c if isinstance(x, str)), None),
            tuple(parameters),
            priority,
            None if embedded else body,
            body.text if embedded else None,
            span=_over(c[0], body),
            token=c[0].span,
        )

    def function(self, c: Children) -> ast.Function:
        return cast("ast.Function", c[1])

    def private_function(self, c: Children) -> ast.Function:
        f: ast.Function = c[2]
        return ast.Function(
            f.name,
            True,
            f.result,
            f.parameters,
            f.priority,
            f.body,
            f.code,
            span=f.span,
            token=f.token,
        )

    def embedded(self, c: Children) -> ast.Embedded:
        return ast.Embedded(c[0].text, span=c[0].span, token=c[0].span)


MAX_POINTS = 100_000


def _point(components: tuple[ast.PointComponent, ...]) -> ast.ProbePoint:
    return ast.ProbePoint(
        components, span=_over(components[0], components[-1]), token=components[0].token
    )


def _first_word(point: ast.ProbePoint) -> Token:
    """The token that a point begins with."""
    name = point.components[0].name
    kind = KEYWORD if name in KEYWORDS else OPERATOR if name[0] == "*" else IDENTIFIER
    return Token(kind, name, point.components[0].token)


def _joined(left: ast.ProbePoint, right: ast.ProbePoint) -> ast.ProbePoint:
    return ast.ProbePoint(
        left.components + right.components,
        right.optional,
        right.sufficient,
        right.condition,
        span=left.span.to(right.span),
        token=left.token,
    )


def _suffixed(point: ast.ProbePoint, suffix: Token) -> ast.ProbePoint:
    if point.optional:
        raise Refused(errors.parse(errors.SUFFIX_TWICE, suffix))
    span = point.span.to(suffix.span)
    return replace(point, optional=True, sufficient=suffix.text == "!", span=span)
