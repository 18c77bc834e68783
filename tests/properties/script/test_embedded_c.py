"""Random functions in C: translated to the language they give what gcc's code gives.

Signed numbers wrap (`-fwrapv`), counts of shifts and divisors are kept in range, so that C says
what each function is.
"""

from __future__ import annotations

import ctypes
import os
import random
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.functions import ENGINES, run

if TYPE_CHECKING:
    from pathlib import Path

FUNCTIONS = int(os.environ.get("MARKBRIDGE_C_FUNCTIONS", "40"))
TYPES = ("int", "unsigned int", "long", "unsigned long", "short", "u8", "s8", "u16", "bool")
VALUES = (
    0,
    1,
    -1,
    2,
    7,
    255,
    256,
    -129,
    65535,
    2**31 - 1,
    -(2**31),
    2**32,
    -(2**63),
    2**63 - 1,
)
_ARITHMETIC = ("+", "-", "*", "&", "|", "^")
_OPERATORS = (*_ARITHMETIC, "<", ">", "<=", ">=", "==", "!=")
_KINDS = ("two", "two", "two", "shift", "divide", "one", "cast", "choice", "logic")
HEAD = """
typedef unsigned char u8; typedef signed char s8; typedef unsigned short u16;
typedef _Bool bool;
"""


class Generator:
    """Makes the text of one function after the other."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._names: list[str] = []
        self._loops = 0
        self._jumps = False
        """Whether there are labels: one behind the declarations, one in front of the end."""

    def function(self) -> str:
        """The body of a function of two arguments."""
        choose = self._random.choice
        self._names = ["x", "y"]
        self._jumps = choose((False, True))
        lines = [
            f"{choose(TYPES)} x = STAP_ARG_x;",
            f"{choose(TYPES)} y = STAP_ARG_y;",
        ]
        for index in range(self._random.randrange(1, 4)):
            lines.append(f"{choose(TYPES)} v{index} = {self._expression(2)};")
            self._names.append(f"v{index}")
        lines += ["int turns = 0;", "again:"] if self._jumps else []
        lines += [self._statement(2) for _ in range(self._random.randrange(1, 5))]
        if self._jumps:
            lines += [f"if ({self._expression(1)} && turns++ < 3) goto again;", "out:"]
        return "\n".join([*lines, f"STAP_RETURN({self._expression(3)});"])

    def _statement(self, depth: int) -> str:
        choose, name = self._random.choice, self._random.choice(self._names)
        if self._jumps and not self._random.randrange(8):
            to = choose(("out", "again"))
            bound = " && turns++ < 3" if to == "again" else ""
            return f"if ({self._expression(1)}{bound}) goto {to};"
        kind = choose(
            ("=", "op", "if", "loop", "switch", "step") if depth else ("=", "op", "step")
        )
        match kind:
            case "=":
                return f"{name} = {self._expression(3)};"
            case "op":
                return f"{name} {choose(_ARITHMETIC)}= {self._expression(2)};"
            case "step":
                return choose((f"{name}++;", f"--{name};", f"x = {name}++;", f"y = --{name};"))
            case "if":
                no = f" else {{ {self._statement(depth - 1)} }}" if choose((0, 1)) else ""
                return f"if ({self._expression(2)}) {{ {self._statement(depth - 1)} }}{no}"
            case "loop":
                return self._loop(depth)
        cases = " ".join(
            f"case {n}: {self._statement(depth - 1)} {choose(('break;', ''))}"
            for n in (0, 1, 2)
        )
        default = choose(("", f"default: {self._statement(0)}"))
        return f"switch ({self._expression(1)} & 3) {{ {cases} {default} }}"

    def _loop(self, depth: int) -> str:
        self._loops += 1
        i, inner = f"i{self._loops}", self._statement(depth - 1)
        leave = self._random.choice(("", f"if ({i} == 2) continue;", f"if (x == {i}) break;"))
        return self._random.choice(
            (
                f"for (int {i} = 0; {i} < 4; {i}++) {{ {leave} {inner} }}",
                f"{{ int {i} = 3; while ({i}--) {{ {leave} {inner} }} }}",
                f"{{ int {i} = 0; do {{ {leave} {inner} }} while (++{i} < 3); }}",
            )
        )

    def _expression(self, depth: int) -> str:
        choose = self._random.choice
        if depth == 0 or choose((0, 0, 0, 1)):
            literals = ("0", "1", "-3", "17u", "0x80000000", "5L", "0xfffffffffUL", "'a'")
            return choose((*self._names, *self._names, *literals))
        left, right = self._expression(depth - 1), self._expression(depth - 1)
        match choose(
            ("two", "two", "two", "shift", "divide", "one", "cast", "choice", "logic")
        ):
            case "two":
                return f"({left} {choose(_OPERATORS)} {right})"
            case "shift":
                return f"({left} {choose(('<<', '>>'))} ({right} & 15))"
            case "divide":
                return f"({left} {choose('/%')} {choose((3, 7, 10, 1000))})"
            case "one":
                return f"({choose(('-', '~', '!'))} {left})"
            case "cast":
                return f"(({choose(TYPES)}) {left})"
            case "choice":
                return f"({left} ? {right} : {self._expression(depth - 1)})"
        return f"({left} {choose(('&&', '||'))} {right})"


def _by_gcc(bodies: list[str], folder: Path) -> ctypes.CDLL:
    source = folder / "functions.c"
    text = [HEAD, "#define STAP_RETURN(value) return (value)"]
    for index, body in enumerate(bodies):
        own = body.replace("STAP_ARG_x", "a").replace("STAP_ARG_y", "b")
        text.append(f"long f{index}(long a, long b) {{\n{own}\n}}")
    source.write_text("\n".join(text))
    library = folder / "functions.so"
    flags = ["-O1", "-fwrapv", "-w", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", library, source], check=True)
    return ctypes.CDLL(str(library))


def _script(bodies: list[str], pairs: list[tuple[int, int]]) -> str:
    lines = []
    for index, body in enumerate(bodies):
        lines.append(f"function f{index}:long(x:long, y:long) %{{\n{body}\n%}}")
    lines.append("probe begin {")
    for index in range(len(bodies)):
        lines += [f"println(f{index}({a}, {b}))" for a, b in pairs]
    return "\n".join([*lines, "exit() }"])


@pytest.mark.tools
@pytest.mark.parametrize("engine", ENGINES)
def test_random_functions_give_what_gcc_gives(engine: str, tmp_path: Path) -> None:
    generator = Generator(20261130)
    bodies = [generator.function() for _ in range(FUNCTIONS)]
    chosen = random.Random(7)
    pairs = [(chosen.choice(VALUES), chosen.choice(VALUES)) for _ in range(8)]
    limits = {"MAXACTION": "100000000"}
    printed = run(engine, _script(bodies, pairs), tmp_path, guru=True, defines=limits)
    library = _by_gcc(bodies, tmp_path)
    expected = []
    for index in range(len(bodies)):
        function = library[f"f{index}"]
        function.restype, function.argtypes = ctypes.c_long, [ctypes.c_long, ctypes.c_long]
        expected += [function(a, b) for a, b in pairs]
    assert printed.messages == ()
    found = [int(line) for line in printed.output.split()]
    wrong = [i for i, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b]
    shown = [(bodies[i // 8], pairs[i % 8], found[i], expected[i]) for i in wrong[:1]]
    assert not wrong, f"{len(wrong)} differ: {shown}"
