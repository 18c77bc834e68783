"""What a program decides about a hit before it stops the process."""

from __future__ import annotations

import operator
from functools import partial
from typing import Any

import pytest

from bridge.codegen.bpf.gate import Wanted, gate
from bridge.deferred_reads import needs_hold
from bridge.ir import ops
from bridge.ir.program import Argument, Context, Handler
from tests.support.scripts import compile_text

HIT = 'process("demo").mark("hit")'
TARGET, OTHER = 77, 5
NOTHING, RECORD, HOLD = Wanted.NOTHING, Wanted.RECORD, Wanted.HOLD
TESTS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "&": operator.and_,
    "+": operator.add,
}


def _gate(body: str, before: str = "", **options: object) -> Handler:
    text = f"{before}\nprobe {HIT} {{ {body} }}"
    program = compile_text(text, **options).placed.program
    constants = {"target": TARGET, "stp_pid": 1}
    return gate(program, program.handlers[0], constants, partial(needs_hold, program))


def _run(made: Handler, hit: dict[str, Any]) -> int:
    """Just enough of an interpreter: a gate has few operations, and no loops."""
    registers: dict[int, Any] = {}
    number = 0
    for _ in range(1000):
        block = made.body.blocks[number]
        for op in block.ops:
            match op:
                case ops.Const(dest, value) | ops.ConstString(dest, value):
                    registers[dest] = value
                case ops.Copy(dest, source):
                    registers[dest] = registers[source]
                case ops.Compare(dest, name, left, right) | ops.Arith(dest, name, left, right):
                    registers[dest] = int(TESTS[name](registers[left], registers[right]))
                case ops.Capture(dest, index):
                    capture = made.captures[index]
                    assert isinstance(capture, Argument | Context)
                    registers[dest] = hit[capture.name]
                case _:
                    pytest.fail(f"a gate does not {op}")
        match block.terminator:
            case ops.Return(value):
                return 0 if value is None else int(registers.get(value, 0))
            case ops.Jump(target):
                number = int(target)
            case ops.Branch(condition, then, orelse):
                number = int(then if registers[condition] else orelse)
    return pytest.fail("a gate loops")


STACK = "print_ubacktrace()"


@pytest.mark.parametrize(
    ("body", "target", "other"),
    [
        (STACK, HOLD, HOLD),
        (f"if (pid() == target()) {STACK}", HOLD, NOTHING),
        (f"if (pid() != target()) next; {STACK}", HOLD, NOTHING),
        (f"if (target() == pid() && $arg1 > 9) {STACK}", HOLD, NOTHING),
        (f'if (execname() != "demo") next; {STACK}', HOLD, NOTHING),
        (f"if (stp_pid() == pid()) {STACK}", NOTHING, NOTHING),
        (f'if (pid() == target()) {STACK} else println("no")', HOLD, RECORD),
        (f"n++; if (pid() != target()) next; {STACK}", HOLD, RECORD),
        (f"x = n; if (pid() != target()) next; {STACK}; print(x)", HOLD, NOTHING),
        (f"if (n > 3) {STACK}", HOLD, HOLD),
        (f"x = n; if (x) next; if (pid() == target()) {STACK}", HOLD, HOLD),
        (f"for (i = 0; i < 3; i++) if (pid() == target()) {STACK}", HOLD, HOLD),
        (f'if (user_string($arg1) == "a") {STACK}', HOLD, HOLD),
        (f"if (mine()) {STACK}", HOLD, NOTHING),
        (f"try {{ if (pid() == target()) {STACK} }} catch {{ }}", HOLD, NOTHING),
        (f"try {{ error(execname()) }} catch {{ {STACK} }}", HOLD, HOLD),
        (f"if (tid() & 1) {{ if (pid() == target()) {STACK} }}", HOLD, NOTHING),
        ('if (pid() == target()) println("yes")', RECORD, NOTHING),
        (f"if (user_int32($arg1 + n)) next; {STACK}", HOLD, HOLD),
        ("show(pid() == target())", HOLD, HOLD),
    ],
)  # fmt: skip
def test_what_a_hit_is_to_a_handler(body: str, target: Wanted, other: Wanted) -> None:
    before = "global n probe begin { n = 1 } probe timer.s(9) { n++ }"
    before += " function mine() { return pid() == target() }"
    before += ' function show(yes) { if (yes) print_ubacktrace() else println("no") show(0) }'
    text = f"{before} probe {HIT} {{ {body} }}"
    program = compile_text(text).placed.program
    at = next(n for n, h in enumerate(program.handlers) if h.point.startswith("process"))
    constants = {"target": TARGET, "stp_pid": 1}
    made = gate(program, program.handlers[at], constants, partial(needs_hold, program))
    hit = {"execname": b"demo", "arg1": 10, "tid": 7}

    assert _run(made, hit | {"pid": TARGET}) == target
    assert _run(made, hit | {"pid": OTHER, "execname": b"other"}) == other


def test_a_gate_captures_only_what_it_looks_at() -> None:
    made = _gate(f'if (pid() != target()) next; printf("%s %d", execname(), $arg1); {STACK}')

    assert made.captures == (Context("pid"),)


def test_short_strings_limit_what_a_gate_compares() -> None:
    made = _gate(f'if (execname() != "demo") next; {STACK}', defines={"MAXSTRINGLEN": "32"})

    assert made.captures == ()
    assert _run(made, {}) == HOLD
