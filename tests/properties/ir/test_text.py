"""`read(dump(p)) == p`, for programs of the generator and for single values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ir.dump import dump
from bridge.ir.optext import TEMPLATES, Naming, read_op, show_op
from bridge.ir.program import Conversion, Format, Limits, Literal, Load, StatShape, Value
from bridge.ir.read import ReadError, read
from bridge.ir.terms import TermError, parse_term, term
from tests.support.random_programs.generate import script
from tests.support.scripts import compile_text


@pytest.mark.parametrize("seed", range(20))
def test_programs_survive(seed: int) -> None:
    program = compile_text(script(1000 + seed)).placed.program
    text = dump(program)
    assert read(text) == program
    assert dump(read(text)) == text


VALUES = st.recursive(
    st.integers()
    | st.text()
    | st.binary()
    | st.none()
    | st.booleans()
    | st.sampled_from(Value),
    lambda inner: st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(VALUES)
def test_terms_survive(value: object) -> None:
    assert parse_term(term(value)) == value


@given(st.frozensets(st.text(max_size=3)), st.integers(), st.binary(), st.integers())
def test_objects_survive(parts: frozenset[str], bits: int, text: bytes, number: int) -> None:
    load = Load("user", Value.LONG, Literal(number), size=bits)
    for value in (
        StatShape(parts, bits),
        Format((text, Conversion("d", width="*", precision=bits))),
        Limits(maxaction=number),
        load,
    ):
        assert parse_term(term(value)) == value


@pytest.mark.parametrize(
    "text", ["Argument(", "Unknown(1)", "[1 2]", '"open', "Value.NEITHER", "set{1", "1 2", "@"]
)
def test_what_is_no_term_is_refused(text: str) -> None:
    with pytest.raises((TermError, KeyError, IndexError, TypeError)):
        parse_term(text)


@pytest.mark.parametrize("line", ["%0 = const x", "%0 = nothing", "jump 3", "tick 1", ""])
def test_what_is_no_operation_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not an operation"):
        read_op(line)


def test_a_bad_line_is_named() -> None:
    with pytest.raises(ReadError, match="line 2"):
        read('function 0 "f"\n  b0 b1\n')


def test_every_operation_has_a_template() -> None:
    from bridge.ir import ops

    every = {*ops.Op.__args__, *ops.Terminator.__args__}  # type: ignore[attr-defined]
    assert set(TEMPLATES) == every


def test_names_are_for_the_reader_only() -> None:
    op = read_op("%7 = get @2")
    shown = show_op(op, Naming({7: "x"}, {2: "total"}))
    assert shown == "%x.7 = get @total.2"
    assert read_op(shown) == op
