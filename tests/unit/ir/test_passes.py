"""What the passes do to small scripts, seen in their IR."""

from bridge.ir import ops
from bridge.ir.kernel import operations
from bridge.ir.passes import dead, fold, run, shape
from bridge.ir.program import Handler, capture_text
from bridge.ir.read import read
from tests.support.scripts import compile_text

HIT = 'probe process("demo").mark("hit")'


def _handler(text: str, number: int = 0, **options: object) -> Handler:
    return compile_text(text, **options).placed.program.handlers[number]


def _captures(text: str, **options: object) -> list[str]:
    return [capture_text(capture) for capture in _handler(text, **options).captures]


def _kinds(handler: Handler) -> set[type]:
    return {type(op) for op in operations(handler.body)}


def test_a_string_behind_a_function_is_captured() -> None:
    text = "function f(p) { return user_string(p + 4 * 2) }" + HIT + "{ println(f($arg1)) }"
    assert _captures(text) == ["user_string(($arg1 + 8))"]


def test_the_chain_of_calls_stays_in_the_error_site() -> None:
    compiled = compile_text(
        "function g(x) { return 1 / x }\nfunction f(x) { return g(x) }\n"
        + HIT
        + "{ println(f($arg1)) }"
    )
    texts = [site.text for site in compiled.placed.program.sites]
    assert (
        "operator '/' at a.stp:1:26 (called from identifier 'g' at a.stp:2:24)"
        " (called from identifier 'f' at a.stp:3:44)"
    ) in texts
    assert ops.Call not in _kinds(compiled.placed.program.handlers[0])


def test_recursion_is_not_inlined() -> None:
    text = "function f(n) { return n < 2 ? 1 : n * f(n - 1) }" + HIT + "{ println(f($arg1)) }"
    assert ops.Call in _kinds(_handler(text))


def test_nothing_is_inlined_below_the_depth_of_calls() -> None:
    text = "function f(n) { return n + 1 } function g(n) { return f(n) }"
    text += HIT + "{ println(g($arg1)) }"
    assert ops.Call in _kinds(_handler(text, defines={"MAXNESTING": "1"}))
    assert ops.Call not in _kinds(_handler(text))


def test_locals_of_an_inlined_function_start_anew_in_a_loop() -> None:
    text = "function f() { s = t; t = 5; return s }\n"
    text += HIT + "{ for (i = 0; i < 2; i++) println(f()) }"
    consts = [op for op in operations(_handler(text).body) if isinstance(op, ops.Const)]
    assert [op.value for op in consts].count(0) >= 2


def test_an_address_that_depends_on_the_way_is_not_captured() -> None:
    text = HIT + "{ if ($arg1) p = $arg1; else p = $arg2; println(user_string(p)) }"
    assert _captures(text) == ["$arg1", "$arg2"]


def test_an_address_in_a_variable_is_captured() -> None:
    assert "user_string($arg1)" in _captures(HIT + "{ p = $arg1; println(user_string(p), p) }")


def test_functions_ask_the_run_time() -> None:
    program = compile_text(
        "function f(n) { return n < 1 ? pid() : f(n - 1) }" + HIT + "{ println(f($arg1)) }"
    ).placed
    names = {op.name for op in operations(program.program.functions[0]) if hasattr(op, "name")}
    assert names == {"pid"}
    assert "pid()" in program.hooks[0].layout.slots


FOLDABLE = """
function 0 "f"
  signature 0 i64
  registers %0:i64 %1:i64 %2:i64
  b0:
    %0 = const 6
    %1 = const 7
    %2 = arith %0 * %1 !none
    branch %2 b1 b2
  b1:
    return %2
  b2:
    return %0
"""


def test_known_values_fold_and_dead_ones_go() -> None:
    function = run(read(FOLDABLE), (fold.run, shape.run, dead.run)).functions[0]
    assert len(function.blocks) == 1
    assert [op for block in function.blocks for op in block.ops] == [ops.Const(0, 42)]
    assert len(function.registers) == 1


def test_a_division_by_zero_is_not_folded() -> None:
    text = FOLDABLE.replace("const 7", "const 0").replace("* %1 !none", "/ %1 !0")
    program = read('site 0 "x"\n' + text)
    function = run(program, (fold.run, dead.run)).functions[0]
    assert any(isinstance(op, ops.Arith) for op in operations(function))
