"""The quick `dataclass` behaves as the standard one where values are compared and shown."""

from __future__ import annotations

import dataclasses
import pickle

from bridge.ir import ops
from bridge.ir.program import Argument, Context, Format, Literal, Load, Reg, Value


def test_equal_values_are_equal_and_hash_alike() -> None:
    one, other = ops.Const(Reg(1), 5), ops.Const(Reg(1), 5)

    assert one == other
    assert hash(one) == hash(other)
    assert one != ops.Const(Reg(1), 6)
    assert ops.Const(Reg(1), 5) != ops.Copy(Reg(1), Reg(5))
    assert Literal(1) != 1


def test_values_nest_in_sets() -> None:
    load = Load("user", Value.STRING, Argument("arg1", Value.LONG))

    assert (
        len({load, Load("user", Value.STRING, Argument("arg1", Value.LONG)), Literal(1)}) == 2
    )


def test_values_are_shown_as_they_are_written() -> None:
    assert repr(Context("pid")) == "Context(name='pid')"


def test_values_are_copied_matched_and_kept() -> None:
    value = ops.Const(Reg(1), 5)

    assert dataclasses.replace(value, value=6) == ops.Const(Reg(1), 6)
    assert pickle.loads(pickle.dumps(value)) == value
    assert pickle.loads(pickle.dumps(Format((b"a",)))) == Format((b"a",))
    match value:
        case ops.Const(dest, number):
            assert (dest, number) == (1, 5)
        case _:
            raise AssertionError(value)
