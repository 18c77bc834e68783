"""Random handlers that run in the kernel: made in batches, run live, compared.

A batch is one script: every program has a handler of its own and globals of its own, whose
names end in its number. A small victim fires two markers with given arguments. What the globals
hold afterwards, and every error on the way, must be what the interpreter says.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import bridge
from bridge.interpreter.interpret import HandlerHit, Interpreter
from bridge.ir.arithmetic import calculate
from bridge.ir.program import Argument, Computed, Context, Literal
from bridge.markers import MarkerAttachment
from bridge.pipeline import compile_script
from bridge.placement import place
from bridge.probes.live import LiveTargets
from bridge.script.builtins import CONTEXTS
from bridge.script.options import AnalyseOptions
from bridge.source import SourceMap
from bridge.world import LiveWorld
from tests.support.random_programs.generate import ARITHMETIC, COMPARISONS, LEAST, LONGS, MOST

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bridge.artifact import Placed
    from bridge.ir.program import Capture

VICTIM = """
#include <markbridge/marker.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		long a = strtol(argv[i], 0, 0), b = strtol(argv[i + 1], 0, 0);
		MARKBRIDGE_MARK(demo, hit, a, b);
		MARKBRIDGE_MARK(demo, small, (int)a, (unsigned char)b);
	}
	return 0;
}
"""
ARGUMENTS = (0, 1, -1, 2, 7, 63, 64, 255, 256, -300, 2**31, -(2**31), 2**63 - 1, -(2**63))
HITS = 12
OPTIONS = AnalyseOptions(defines={"MAXERRORS": "1000000", "MAXMAPENTRIES": "100"})
GLOBALS = "global n#, a#, b#[5], s#, t#, r#, d#[4]"
TYPES = """probe begin { if (target() == -1) {
  n#++ a#[1]++ b#["", 1]++ s# <<< 1 t#[1] <<< 1 r#[1, 1] = 1 d#[1, 1]++
} }"""
"""Every global has a type, whatever the handler uses."""
SHOWN = """printf("#: %d\\n", n#)
foreach (k in a#) printf(" a %d %d\\n", k, a#[k])
foreach ([z, y] in b#) printf(" b %s %d %d\\n", z, y, b#[z, y])
printf(" s %d %d\\n", @count(s#), @sum(s#))
if (@count(s#)) { printf(" s %d %d %d\\n", @min(s#), @max(s#), @avg(s#)) print(@hist_log(s#)) }
foreach (k+ in t#) printf(" t %d %d %d\\n", k, @count(t#[k]), @sum(t#[k]))
foreach ([x, y] in r#) printf(" r %d %d\\n", y, r#[x, y])
foreach ([x, y] in d#) printf(" d %d %d\\n", y, d#[x, y])
"""
NAMES = ("hit", "small")


@dataclass
class Handlers:
    """The handlers of one batch in the making."""

    seed: int
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def script(self, victim: Path, programs: int) -> str:
        """The script of so many programs."""
        parts = []
        for number in range(programs):
            marker = self.random.choice(NAMES)
            body = "\n".join(self._statement(2) for _ in range(self.random.randint(1, 4)))
            probe = f'probe process("{victim}").mark("{marker}") {{ l0 = 1 l1 = 2\n{body}\n}}'
            parts.append(
                f"{GLOBALS}\n{TYPES}\n{probe}\nprobe end {{ {SHOWN}}}".replace("#", str(number))
            )
        return "\n".join(parts)

    def _pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def _long(self, depth: int) -> str:
        if depth <= 0:
            return self._pick("$arg1", "$arg2", "$arg1", "l0", "l1", "uid()", *LONGS[:12])
        one, two = self._long(depth - 1), self._long(depth - 1)
        operator = self._pick(*ARITHMETIC, *COMPARISONS)
        return self._pick(
            f"({one if operator != '>>>' else '$arg1'} {operator} {two})",
            f"({one} ? {two} : $arg2)", f"({one} && {two})", f"({one} || {two})",
            f"(-({one}))", f"(!({one}))", f"(~({one}))", f"r#[tid(), {self._key()}]",
            f"([tid(), {self._key()}] in d#)",
            f'(execname() {self._pick(*COMPARISONS)} "{self._text()}")',
        )  # fmt: skip

    def _key(self) -> str:
        return self._pick(f"(({self._long(0)}) & 7)", "$arg2", LEAST, MOST, "0")

    def _text(self) -> str:
        return self._pick("", "a", "victim", "victim2", "x" * 63, "\\200")

    def _statement(self, depth: int) -> str:
        value = self._long(2)
        plain = (
            f"n# += {value};", "n#++;", "n#--;", f"a#[{self._key()}] += {value};",
            f"a#[{value}]++;", f'b#["{self._text()}", {self._key()}] += {value};',
            f"b#[execname(), {self._key()}]++;", f"s# <<< {value};",
            f"t#[{self._key()}] <<< {value};", f"l0 = {value};", f"l1 += {value};",
            f"r#[tid(), {self._key()}] = {value};", f"d#[tid(), {self._key()}]++;",
            f"d#[tid(), {self._key()}] = {value};", f"delete d#[tid(), {self._key()}];",
        )  # fmt: skip
        if depth <= 0 or self.random.random() < 0.6:
            return self._pick(*plain)
        then, orelse = self._statement(depth - 1), self._statement(depth - 1)
        return self._pick(
            f"if ({value}) {{ {then} }}", f"if ({value}) {{ {then} }} else {{ {orelse} }}",
            f"if ({self._long(1)}) next; {then}",
        )  # fmt: skip


@dataclass(frozen=True)
class Batch:
    """A script, where its handlers run, and the arguments of the hits."""

    script: str
    placed: Placed
    arguments: tuple[int, ...]

    @property
    def in_kernel(self) -> int:
        """How many handlers the kernel runs."""
        return sum(len(set(hook.handlers) - set(hook.user)) for hook in self.placed.hooks)


def make_batch(seed: int, victim: Path, programs: int) -> Batch:
    """The batch of a seed."""
    chance = random.Random(~seed)
    arguments = tuple(chance.choice(ARGUMENTS) for _ in range(2 * HITS))
    script = Handlers(seed).script(victim, programs)
    sources = SourceMap()
    main = sources.add("<input>", script)
    placed = compile_script(main, sources, LiveTargets(LiveWorld()), OPTIONS).placed
    return Batch(script, placed, arguments)


def run_kernel(batch: Batch, victim: Path) -> tuple[str, list[str]]:
    """What a live run prints, and its errors."""
    program = bridge.compile(batch.script, OPTIONS)
    command = [str(victim), *map(str, batch.arguments)]
    with program.attach(command) as session:
        text = "".join(f"{record.text}\n" for record in session)
    return text, _errors(session.messages.splitlines())


def run_interpreted(batch: Batch, victim: Path) -> tuple[str, list[str]]:
    """What the interpreter prints for the same hits."""
    placed = place(batch.placed.program, kernel=False)
    pairs = zip(batch.arguments[::2], batch.arguments[1::2], strict=True)
    hits = [
        hit for pair in pairs for name in NAMES for hit in _hits(placed, name, pair, victim)
    ]
    outcome = Interpreter(placed.program, CONTEXTS).run_session(hits=hits)
    return outcome.output.decode("latin-1"), _errors(list(outcome.messages))


def _errors(lines: Sequence[str]) -> list[str]:
    """In any order: those of the kernel come with its records."""
    return sorted(line for line in lines if line.startswith("ERROR"))


def _hits(placed: Placed, name: str, pair: tuple[int, int], victim: Path) -> list[HandlerHit]:
    first, second = pair
    if name == "small":
        first, second = (first + (1 << 31)) % (1 << 32) - (1 << 31), second & 255
    known = {
        "arg1": first,
        "arg2": second,
        "uid": 0,
        "tid": 77,
        "execname": victim.name.encode(),
    }
    return [
        HandlerHit(number, [_value(capture, known) for capture in handler.captures], known)
        for number, handler in enumerate(placed.program.handlers)
        if isinstance(attachment := handler.expansion.attachment, MarkerAttachment)
        and attachment.marker.name == name
    ]


def _value(capture: Capture, known: dict[str, int | bytes]) -> int | bytes:
    match capture:
        case Argument(name=name) | Context(name=name):
            return known[name]
        case Literal(value=value):
            return value
        case Computed(op=op, left=left, right=right):
            one, two = _value(left, known), _value(right, known)
            assert isinstance(one, int)
            assert isinstance(two, int)
            result = calculate(op, one, two)
            assert result is not None
            return result
        case _:
            raise AssertionError(capture)
