"""What is left of a handler that decides which memory it reads."""

from __future__ import annotations

import pytest

from bridge.deferred_reads import slice_at
from bridge.ir import ops
from bridge.ir.dominators import meeting_points, order, region
from bridge.ir.operands import successors
from bridge.ir.program import BasicBlock
from bridge.ir.slicing import Slice
from bridge.markers import Kind
from tests.support.scripts import compile_text

LEFT = {"Const", "Copy", "Arith", "Compare", "Capture", "CallBuiltin"}
ENDS = {"Jump", "Branch", "Return"}
LIST = "for (p = tid(); p; p = user_int64(p)) println(kernel_int(p), user_int32(p))"


def _slice(body: str, kind: Kind = Kind.TRACEPOINT) -> Slice:
    text = f'global a, g = 1 probe kernel.trace("switch") {{ {body} }} probe end {{ a[1] = g }}'
    program = compile_text(text).placed.program
    handler = next(h for h in program.handlers if "trace" in h.point)
    return slice_at(program, kind, handler)


def _reads(made: Slice) -> list[str]:
    found = [op for block in made.body.blocks for op in block.ops]
    return sorted(op.name for op in found if isinstance(op, ops.CallBuiltin))


def _targets(block: BasicBlock) -> list[int]:
    labels = successors(block.terminator)
    return [*map(int, labels), *([] if block.on_error is None else [int(block.on_error)])]


@pytest.mark.parametrize(
    ("body", "reads"),
    [
        (
            "for (p = tid(); p; p = kernel_long(p + 8)) println(kernel_int(p))",
            ["kernel_int", "kernel_long"],
        ),
        (
            "for (p = tid(); p; p = user_int64(p)) s .= user_string(p) println(s)",
            ["user_int64_error", "user_string"],
        ),
        ("for (p = tid(); p > 9; p /= 2) if (g) println(kernel_int(p))", ["kernel_int"]),
        ("for (p = pid(); p; p--) { s .= kernel_string_n(p, strlen(s)) g = p }",
         ["kernel_string_n"]),
        ("foreach (k in a) for (i = 0; i < 3; i++) println(kernel_int(i))", ["kernel_int"]),
    ],
)  # fmt: skip
def test_what_a_slice_reads(body: str, reads: list[str]) -> None:
    made = _slice(body)
    kept = {type(op).__name__ for block in made.body.blocks for op in block.ops}

    assert (_reads(made), dict(made.refused)) == (reads, {})
    assert kept <= LEFT
    assert {type(block.terminator).__name__ for block in made.body.blocks} <= ENDS


def test_a_step_has_no_loop() -> None:
    made = _slice(
        "for (p = tid(); p; p = kernel_long(p)) for (i = 0; i < p; i++) g = kernel_int(i)"
    )
    edges = [_targets(block) for block in made.body.blocks]

    assert len(made.heads) == 3
    for head in made.heads:
        places = order(edges, head)
        assert all(places[n] < places[t] for n in places for t in edges[n])


def test_a_held_process_has_its_own_memory() -> None:
    """The slice reads it only where addresses of the kernel come from it."""
    other = LIST.replace("p = user_int64(p)", "p = kernel_long(p)")

    assert _reads(_slice(other, Kind.FUNCTION)) == ["kernel_int", "kernel_long"]
    assert _reads(_slice(LIST, Kind.FUNCTION)) == ["kernel_int", "user_int64_error"]
    assert _reads(_slice(LIST)) == ["kernel_int", "user_int32_error", "user_int64_error"]


def test_where_ways_meet() -> None:
    """Of two ways, one with a loop; block 5 never gets to the end."""
    edges = [(1, 2), (3,), (3, 5), (4, 1), (), (5,)]

    assert meeting_points(edges, 4) == [3, 3, 3, 4, 4, 4]
    assert region(edges, 1, 4) == {1, 3}
    assert region(edges, 3, 3) == frozenset()
    assert order(edges)[0] == 0
