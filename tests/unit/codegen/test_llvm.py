"""The lowering itself: text that verifies, views of strings, refusal of what a target lacks."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bridge.codegen.llvm import UnsupportedOperationError, lower_function, signed
from bridge.codegen.native.compile import compile_native, runtime
from bridge.codegen.native.frame import views
from bridge.declared import SIZES
from bridge.ir import ops
from bridge.ir.program import BasicBlock, Function, IrProgram, Reg, Value
from bridge.script.builtins import BUILTINS


def function(registers: list[Value], *operations: ops.Op, parameters: int = 0) -> Function:
    block = BasicBlock(list(operations), ops.Return())
    return Function("f", parameters, registers, None, [block])


@dataclass
class Bare:
    operations: dict = field(default_factory=dict)

    def signature(self, _e: object) -> str:
        return "void @f()"

    def prologue(self, _e: object) -> None:
        pass


def test_what_a_target_lacks_is_refused_before_llvm_sees_it() -> None:
    with pytest.raises(UnsupportedOperationError, match="Concat"):
        lower_function(function([], ops.Concat(Reg(0), ())), "f", Bare())


def test_every_operation_has_a_native_emitter() -> None:
    from bridge.codegen.llvm import Emitter
    from bridge.codegen.native import arrays as native_arrays
    from bridge.codegen.native import ops as native_ops

    known = {*native_ops.TABLE, *native_arrays.TABLE}
    shared = {ops.Const, ops.Arith, ops.Jump, ops.Branch}
    assert Emitter.lower is not None
    every = {*ops.Op.__args__, *ops.Terminator.__args__}
    assert every == known | shared


def test_every_builtin_has_a_native_implementation() -> None:
    missing = [
        f"{b.name}/{len(b.parameters)}"
        for b in BUILTINS.values()
        if not b.context and runtime.builtin_symbol(b) is None
    ]
    assert missing == []
    assert {b.context for b in BUILTINS.values() if b.context} <= set(runtime.CONTEXT_NUMBERS)


def test_every_runtime_function_is_in_the_library() -> None:
    sources = Path(runtime.__file__).parent.glob("*.py")
    called = {n for p in sources for n in re.findall(r'["@](mb_\w+)["(]', p.read_text())}
    missing = [n for n in called - set(SIZES) if runtime.address_of(n) is None]

    assert len(called) > 25
    assert missing == []
    assert runtime.signature("mb_print") == ("i32", ("ptr", "i32", "ptr", "i32"))
    assert runtime.signature("mb_stat_get") == (
        "i32",
        ("ptr", "i32", "ptr", "i32", "ptr", "i32"),
    )
    assert runtime.signature("mb_leave") == ("void", ("ptr", "ptr"))


def test_views_are_strings_that_only_ever_point_at_steady_text() -> None:
    strings = [Value.STRING] * 5
    found = views(
        function(
            strings,
            ops.ConstString(Reg(2), b"x"),
            ops.Copy(Reg(3), Reg(2)),
            ops.Copy(Reg(4), Reg(3)),
            ops.Concat(Reg(4), (Reg(2),)),
            ops.Copy(Reg(1), Reg(2)),
            parameters=2,
        )
    )
    assert found == {0, 2, 3}


def test_literals_wrap_to_64_bits() -> None:
    assert signed((1 << 64) - 1) == -1
    assert signed(1 << 63) == -(1 << 63)


def test_malformed_text_is_an_exception_not_the_end_of_the_process() -> None:
    broken = function([Value.LONG], ops.Const(Reg(7), 1))
    with pytest.raises(RuntimeError, match="undefined value"):
        compile_native(IrProgram(functions=[broken]))
