"""Token* -> Token*: macros (`@define`, `@name`) and conditionals (`%( … %? … %: … %)`).

Rule: both work on tokens, never on text. A macro's tokens keep the place of its definition and
remember the invocations that they came through. Spec: systemtap-language section 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.script import errors
from bridge.script.syntax import conditions
from bridge.script.syntax.tokens import AT_WORDS, IDENTIFIER, OPERATOR, Token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.diagnostics import Sink
    from bridge.script.options import AnalyseOptions
    from bridge.script.syntax.lex import Lexer

_INCOMPLETE = errors.Message("incomplete-macro", "incomplete macro definition - missing '%)'")
MAX_EXPANSIONS = 50_000
MAX_ACTIVE = 200
MAX_EXPANDED_TOKENS = 400_000


def _conditional(text: str) -> errors.Message:
    return errors.Message("bad-conditional", text)


def _invocation(text: str) -> errors.Message:
    return errors.Message("macro-arguments", text)


@dataclass(slots=True, eq=False)
class Macro:
    """A macro, or (with `closure` set) an argument of an invocation under its name.

    An argument is expanded with the parameters of the place where it was written.
    """

    token: Token
    parameters: list[str] = field(default_factory=list)
    body: list[Token] = field(default_factory=list)
    library: bool = False
    closure: Mapping[str, Macro] | None = None


@dataclass(slots=True, eq=False)
class _Activation:
    call: Token
    macro: Macro
    arguments: Mapping[str, Macro] = field(default_factory=dict)
    at: int = 0


def _no_macros() -> Mapping[str, Macro]:
    return {}


class Preprocessor:
    """The preprocessed tokens of one text, one at a time; raises `errors.Refused`."""

    def __init__(
        self,
        lexer: Lexer,
        options: AnalyseOptions,
        sink: Sink,
        library: Callable[[], Mapping[str, Macro]] = _no_macros,
    ) -> None:
        self.macros: dict[str, Macro] = {}
        self._lexer = lexer
        self._options = options
        self._sink = sink
        self._library = library
        self._stack: list[_Activation] = []
        self._expansions = 0
        self._expanded = 0
        self._spent = False
        # open conditionals: their "%(" and whether we are in the "else" part / skipping
        self._open: list[tuple[Token, bool, bool]] = []

    # --- conditionals

    def next(self) -> Token | None:
        """The next token; None at the end of the text."""
        while True:
            skipping = bool(self._open) and self._open[-1][2]
            token = self._skip() if skipping else self._expand()
            if token is None:
                if self._open:
                    message = _conditional("incomplete conditional at end of file")
                    raise self._refused(message, self._open.pop()[0])
                return None
            if token.kind != OPERATOR or token.text not in {"%(", "%?", "%:", "%)"}:
                return token
            self._directive(token)

    def pass_over(self) -> None:
        """Leave out what begins no definition and means nothing to a preprocessor."""
        if not self._stack:
            self._lexer.pass_over(self._means)

    def _directive(self, token: Token) -> None:
        if token.text == "%(":
            self._condition(token)
            return
        if token.text == "%?" or not self._open:
            raise self._refused(_conditional("incomplete conditional - missing '%('"), token)
        opening, in_else, skipping = self._open.pop()
        if token.text == "%:":
            if in_else:
                self._open.append((opening, in_else, skipping))
                raise self._refused(_conditional("invalid conditional - duplicate '%:'"), token)
            self._open.append((opening, True, not skipping))

    def _condition(self, opening: Token) -> None:
        result, conjunction = False, True
        while True:
            left, op, right = self._expand(), self._expand(), self._expand()
            if left is None or op is None or right is None:
                raise self._refused(_conditional("incomplete condition after '%('"), opening)
            conjunction &= conditions.evaluate(left, op, right, self._options)
            after = self._expand()
            if after is not None and after.is_operator("&&"):
                continue
            result |= conjunction
            conjunction = True
            if after is None or not after.is_operator("||"):
                break
        if after is None or not after.is_operator("%?"):
            raise self._refused(_conditional("expected '%?' marker for conditional"), opening)
        self._open.append((opening, False, not result))

    def _skip(self) -> Token | None:
        """Skip over tokens and errors to the directive that ends this part."""
        nesting = 0
        while True:
            self.pass_over()
            try:
                token = self._expand(define=False)
            except errors.Refused:
                if self._spent:
                    raise
                continue
            if token is None:
                return None
            if token.kind != OPERATOR:
                continue
            if token.text == "%(":
                nesting += 1
            elif nesting and token.text == "%)":
                nesting -= 1
            elif not nesting and token.text in {"%:", "%?", "%)"}:
                return token

    # --- macros

    def _expand(self, define: bool = True) -> Token | None:
        while True:
            token = self._raw()
            if token is None:
                if not self._stack:
                    return None
                self._stack.pop()
            elif token.kind != OPERATOR or token.text[0] != "@":
                return token
            elif token.text == "@define" and define:
                self._define(token)
            else:
                macro = self._lookup(token.text[1:])
                if macro is None:
                    return token
                self._invoke(token, macro)

    def _raw(self) -> Token | None:
        """The next token of the innermost macro body, or of the text; None at its end."""
        if not self._stack:
            return self._lexer.next()
        top = self._stack[-1]
        if top.at == len(top.macro.body):
            return None
        token = top.macro.body[top.at]
        top.at += 1
        self._expanded += 1
        if self._expanded > MAX_EXPANDED_TOKENS:
            raise self._too_much(top.call)
        # SystemTap asks how the text was read last, which is the invocation
        return token.called(top.call, glued=self._lexer.glued)

    def _lookup(self, name: str) -> Macro | None:
        top = self._stack[-1] if self._stack else None
        if top is not None and name in top.arguments:
            return top.arguments[name]
        if not (top is not None and top.macro.library) and name in self.macros:
            return self.macros[name]
        if name in AT_WORDS:
            return None
        return self._library().get(name)

    def _means(self, name: str) -> bool:
        """Whether `@name` in the text is more than an operator."""
        return name == "define" or self._lookup(name) is not None

    def _too_much(self, token: Token) -> errors.Refused:
        self._spent = True
        self._stack.clear()
        self._open.clear()
        self._lexer.stop()
        return self._refused(errors.TOO_MANY_ACTIONS, token)

    def _invoke(self, call: Token, macro: Macro) -> None:
        self._expansions += 1
        if len(self._stack) >= MAX_ACTIVE or self._expansions > MAX_EXPANSIONS:
            raise self._too_much(call)
        activation = _Activation(call, macro)
        if macro.closure is not None:
            activation.arguments = macro.closure
        elif macro.parameters:
            activation.arguments = self._arguments(call, macro)
        self._stack.append(activation)

    def _arguments(self, call: Token, macro: Macro) -> Mapping[str, Macro]:
        count, name = len(macro.parameters), call.text
        token = self._raw()
        if token is None or not token.is_operator("("):
            plural = "" if count == 1 else "s"
            message = (
                f"expected '(' in invocation of macro '{name}' taking {count} parameter{plural}"
            )
            raise self._refused(_invocation(message), token)
        outer = self._stack[-1].arguments if self._stack else {}
        library = bool(self._stack) and self._stack[-1].macro.library
        arguments: dict[str, Macro] = {}
        for at, parameter in enumerate(macro.parameters):
            argument = Macro(call, library=library, closure=outer)
            arguments[parameter] = argument
            token = self._argument(argument.body)
            if token is None:
                raise self._refused(_invocation("could not find end of macro invocation"), call)
            last = at + 1 == count
            if last != token.is_operator(")"):
                few = "too many" if last else "too few"
                message = f"{few} parameters for macro '{name}' (expected {count})"
                raise self._refused(_invocation(message), token)
        return arguments

    def _argument(self, body: list[Token]) -> Token | None:
        """Collect tokens up to the unbracketed `,` or `)` that is returned."""
        nesting = 0
        while (token := self._raw()) is not None:
            if token.kind == OPERATOR:
                if token.text in {"(", "["}:
                    nesting += 1
                elif nesting and token.text in {")", "]"}:
                    nesting -= 1
                elif not nesting and token.text in {")", ","}:
                    return token
            body.append(token)
        return None

    # --- definitions

    def _define(self, token: Token) -> None:
        if self._stack:
            raise self._refused(
                errors.Message("define-inside-macro", "'@define' forbidden inside macro body"),
                token,
            )
        name = self._lexer.next()
        if name is None or name.kind != IDENTIFIER:
            raise self._refused(errors.unexpected("expected identifier"), name)
        if name.text in self.macros:
            raise self._redefined(name, self.macros[name.text].token)
        if name.text == "define":
            raise self._refused(
                errors.Message("macro-redefined", "attempt to redefine '@define'"), name
            )
        if name.text in AT_WORDS:
            message = errors.Message(
                "macro-hides-operator", f"macro redefines built-in operator '@{name.text}'"
            )
            self._sink.report(errors.warning(message, name.span, name.describe()))
        macro = self.macros[name.text] = Macro(name)
        opening = self._parameters(macro)
        if opening is None or not opening.is_operator("%("):
            expected = "expected '%('" if macro.parameters else "expected '%(' or '('"
            raise self._refused(errors.unexpected(expected), opening)
        self._body(macro)

    def _redefined(self, name: Token, first: Token) -> errors.Refused:
        message = errors.Message(
            "macro-redefined", f"attempt to redefine macro '@{name.text}' in the same file"
        )
        here = errors.Message("first-here", f"macro '@{name.text}' first defined here")
        before = errors.parse(here, first)
        return errors.Refused(errors.chained(errors.parse(message, name), [before]))

    def _parameters(self, macro: Macro) -> Token | None:
        """Read `(a, b)` if it is there; the token after it."""
        token = self._lexer.next()
        if token is None or not token.is_operator("("):
            return token
        while True:
            token = self._lexer.next()
            if token is None or token.kind != IDENTIFIER:
                raise self._refused(errors.unexpected("expected identifier"), token)
            macro.parameters.append(token.text)
            token = self._lexer.next()
            if token is not None and token.is_operator(")"):
                return self._lexer.next()
            if token is None or not token.is_operator(","):
                raise self._refused(errors.unexpected("expected ',' or ')'"), token)

    def _body(self, macro: Macro) -> None:
        nesting = 0
        while (token := self._lexer.next()) is not None:
            if token.is_operator("%("):
                nesting += 1
            elif token.is_operator("%)"):
                if not nesting:
                    return
                nesting -= 1
            macro.body.append(token)
        raise self._refused(_INCOMPLETE, macro.token)

    def _refused(self, message: errors.Message, token: Token | None) -> errors.Refused:
        if token is None:
            return errors.RefusedAhead(message)
        return errors.Refused(errors.parse(message, token))
