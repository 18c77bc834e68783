"""Lowering in detail: limits, paths of members, long chains."""

import pytest

from bridge.interpreter.interpret import Interpreter
from bridge.ir.program import Argument, Computed, IrProgram, Limits, Literal, Load, Value
from bridge.lower.builder import describe
from bridge.lower.targets import access_capture
from bridge.markers import Access, RawArgument, ValueType, Variable
from bridge.script.builtins import CONTEXTS
from tests.support.scripts import compile_text


def _program(text: str, **options: object) -> IrProgram:
    return compile_text(text, **options).placed.program


def _limits(text: str, **defines: str) -> Limits:
    return _program(text, defines=defines).limits


@pytest.mark.parametrize(
    ("functions", "depth"),
    [
        ("", 1),
        ("function f(x) { return x + n }", 2),
        ("function g(x) { return x + n } function f(x) { return g(x) + g(x + 1) }", 3),
        ("function f(x) { return x ? f(x - 1) : n }", 13),
        ("function g(x) { return f(x) } function f(x) { return x ? g(x - 1) : n }", 14),
    ],
)
def test_nesting_follows_the_calls(functions: str, depth: int) -> None:
    call = "f(1)" if functions else "1"
    text = f"global n {functions} probe begin {{ n = 1 println({call}) }}"
    assert _limits(text).maxnesting == depth


def test_limits_are_set_by_name() -> None:
    limits = _limits("probe begin { println(1) }", MAXACTION="7", MAXSTRINGLEN="64")
    assert (limits.maxaction, limits.maxaction_interruptible) == (7, 70)
    assert limits.maxstringlen == 64
    limits = _limits("probe begin { println(1) }", MAXACTION="7", MAXACTION_INTERRUPTIBLE="9")
    assert limits.maxaction_interruptible == 9


def test_the_size_of_arrays() -> None:
    text = "global a[5], b%, c probe begin { a[1] = b[1] = c[1] = 1 println(a[1] b[1] c[1]) }"
    text = text.replace("a[1] b[1] c[1]", "a[1], b[1], c[1]")
    declarations = _program(text, defines={"MAXMAPENTRIES": "10"}).globals
    shapes = {d.name: (d.size, d.sized, d.wrap) for d in declarations}  # type: ignore[union-attr]
    assert shapes == {"a": (5, True, False), "b": (10, False, True), "c": (10, False, False)}


TASK = Variable("next", ValueType.LONG, (RawArgument(1),))
NEXT = Argument("next", Value.LONG)


def test_paths_become_loads() -> None:
    access = Access(TASK, (8, 0, 16), 4, True, "kernel")
    first = Load("kernel", Value.LONG, Computed("+", NEXT, Literal(8)), signed=False)
    second = Load("kernel", Value.LONG, first, signed=False)
    address = Computed("+", second, Literal(16))
    assert access_capture(access) == Load("kernel", Value.LONG, address, size=4)


def test_an_array_or_struct_is_its_address() -> None:
    access = Access(TASK, (24,), 0, False, "kernel")
    assert access_capture(access) == Computed("+", NEXT, Literal(24))
    assert access_capture(Access(TASK, (), 0, False, "kernel")) == NEXT


@pytest.mark.parametrize(("signed", "right"), [(True, ">>"), (False, ">>>")])
def test_bit_fields_are_shifted_out(signed: bool, right: str) -> None:
    access = Access(TASK, (4,), 4, signed, "kernel", shift=3, bits=2)
    word = Load("kernel", Value.LONG, Computed("+", NEXT, Literal(4)), size=4, signed=signed)
    up = Computed("<<", word, Literal(59))
    assert access_capture(access) == Computed(right, up, Literal(62))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x", "identifier 'x'"),
        ("$arg1", "identifier '$arg1'"),
        ("@count", "operator '@count'"),
        ("<<<", "operator '<<<'"),
        ("12", "number '12'"),
        ('"a b"', "string 'a b'"),
        ("if", "keyword"),
    ],
)
def test_tokens_are_named_as_in_messages(text: str, words: str) -> None:
    assert describe(text) == words


def test_long_chains_are_no_danger() -> None:
    sums = " + ".join(["x"] * 400)
    texts = " . ".join(["s"] * 400)
    program = _program(
        f'probe begin {{ x = 1 s = "a" println({sums}, strlen({texts})) exit() }}'
    )
    assert Interpreter(program, CONTEXTS).run_session().output == b"400400\n"


def test_equal_formats_and_sites_are_one() -> None:
    program = _program("probe begin { println(1) println(2) } probe end { println(3) }")
    assert len(program.formats) == 1
