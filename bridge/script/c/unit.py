"""The embedded C of one compilation: what its file level declares, and its functions.

In: the code of `%{ %}`. Out: text of a function body in the language, or `Unsupported`.
"""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING

from bridge.script.c import kernel
from bridge.script.c import tree as c
from bridge.script.c.expressions import CExpressions
from bridge.script.c.parse import Parser
from bridge.script.c.scope import RESULT, CScope
from bridge.script.c.statements import CStatements
from bridge.script.c.tokens import CPreprocessor
from bridge.script.c.values import CKind, CVariable, as_string, read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class EmbeddedUnit:
    """Everything that the embedded C of a script declares at the level of the file."""

    def __init__(
        self, texts: Sequence[str], version: tuple[int, int, int], longest_string: int
    ) -> None:
        self._preprocessor = CPreprocessor(version)
        self._preprocessor.tokens(kernel.PRELUDE)
        self._parser = Parser()
        self._limits = {"MAXSTRINGLEN": longest_string}
        self.functions: dict[str, tuple[int, c.Function]] = {}
        """Helper functions with the number of the text that they are in."""
        self.variables: dict[str, c.Declared] = {}
        self.used: dict[str, int] = {}
        """Those that bodies name, by their name in the language, with their first values."""
        self.refused: tuple[int, c.Unsupported] | None = None
        """The first text that is not understood, and why."""
        for index, text in enumerate(texts):
            try:
                self._file_level(index, text)
            except c.Unsupported as error:
                self.refused = self.refused or (index, error)

    def _file_level(self, index: int, text: str) -> None:
        unit = self._parser.parse("unit", self._preprocessor.tokens(text))
        for function in unit.functions:
            self.functions[function.name] = (index, function)
        self.variables.update({v.name: v for v in unit.variables})

    def body(self, code: str, parameters: Mapping[str, bool], result: str | None) -> str:
        """The body of a function of the script; `parameters` says which are strings."""
        tree = self._parser.parse("body", self._preprocessor.tokens(code))
        return self._translated(tree, parameters, result, ())

    def helper(self, function: c.Function) -> tuple[list[str], str | None, str]:
        """Names of the parameters, kind of result, and body of a helper function."""
        result = None if isinstance(function.result, c.Void) else "long"
        names = [f"_{p.name}" for p in function.parameters]
        return names, result, self._translated(function.body, {}, result, function.parameters)

    def expression(self, code: str) -> tuple[str, bool]:
        """One expression, and whether it is a string."""
        tree = self._parser.parse("value", self._preprocessor.tokens(code))
        expressions = CExpressions(self._scope({}, "long", {}))
        value = expressions.value(tree)
        if "/* string */" in code or value.kind is CKind.TEXT:
            return as_string(value, tree.at), True
        return read(value, tree.at), False

    def _scope(
        self, parameters: Mapping[str, bool], result: str | None, modes: Mapping[int, CVariable]
    ) -> CScope:
        functions = {name: function for name, (_, function) in self.functions.items()}
        return CScope(
            parameters,
            self._parser.layouts,
            ChainMap(self._limits, self._parser.enumerators),
            functions,
            result,
            self.variables,
            self.used,
            modes=modes,
        )

    def _translated(
        self,
        body: c.Block,
        parameters: Mapping[str, bool],
        result: str | None,
        own: Sequence[c.Declared],
    ) -> str:
        modes: Mapping[int, CVariable] = {}
        lines: list[str] = []
        for _ in range(2):
            scope = self._scope(parameters, result, modes)
            for parameter in own:
                scope.parameter(parameter)
            statements = CStatements(scope)
            statements.statement(body)
            modes, lines = scope.declared, statements.lines
        if result is None:
            return "\n".join(lines)
        nothing = '""' if result == "string" else "0"
        return "\n".join([f"{RESULT} = {nothing}", *lines, f"return {RESULT}"])
