"""Each kind of malformed IR is refused, and says where."""

import pytest

from bridge.ir.read import read
from bridge.ir.verify import VerifyError, verify

HEAD = """
global 0 Scalar(name="n", type=Value.LONG, initial=0)
global 1 Array(name="a", keys=[Value.STRING, Value.LONG], value=Value.LONG, size=9)
global 2 Scalar(name="s", type=None, initial=None, stat=StatShape(parts=set{"sum"}))
format 0 Format(pieces=[Conversion(letter="d"), Conversion(letter="s", width="*")])
site 0 "here"
function 0 "f"
  signature 1 str
  registers %0:i64 %1:str
  b0:
    return %1
function 1 "g"
  signature 1 none
  registers %0:i64 %1:str %2:i64 %3:str
  b0:
"""


def _verify(body: str, tail: str = "    return _") -> None:
    verify(read(HEAD + "".join(f"    {line}\n" for line in body.split("; ") if line) + tail))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "%2 = const 1; %1 = call (f0) (%2) !0; print 0 (%0 %2 %1)",
        "array.set @a.1 (%1 %0) %2 !0; %2 = array.has @1 (* %0); delete @1 ()",
        "stat.add @2 () %0 !0; %2 = stat.get sum @2 () !0; delete @2 ()",
        "iterate 0 @1 key1- %0 (* %2); iterate.drop 0",
    ],
)
def test_well_formed(body: str) -> None:
    _verify(body)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("%9 = const 1", "no such register"),
        ("%1 = const 1", "wanted Value.LONG"),
        ("%2 = copy %1", "wanted Value.STRING"),
        ("%2 = compare %0 < %1", "wanted Value.STRING"),
        ("%2 = get @7", "no such global"),
        ("%1 = get @0", "wanted Value.LONG"),
        ("%2 = get @1", "wrong kind of global"),
        ("%2 = get @2", "a statistic has no value"),
        ("%2 = array.get @1 (%0 %0)", "wanted Value.STRING"),
        ("%2 = array.get @1 (%1)", "1 operands, wanted 2"),
        ("stat.add @1 (%1 %0) %2 !0", "not a statistic"),
        ("%2 = capture 0 !none", "no such capture"),
        ("%2 = arith %0 / %0 !5", "no such error site"),
        ("print 0 (%0)", "operands, wanted 3"),
        ("print 4 (%0)", "no such format"),
        ("%2 = call (f0) (%0) !0", "wanted Value.STRING"),
        ("%1 = call (f9) (%0) !0", "no such function"),
        ("_ = call () (%0) !0", "nothing to call"),
        ("iterate.drop 0", "no such iteration"),
        ("iterate 0 @1 key2+ _ ()", "sort key"),
        ("iterate 0 @1 value+ _ (); iterate 0 @1 value+ _ ()", "begun twice"),
    ],
)
def test_malformed(body: str, problem: str) -> None:
    with pytest.raises(VerifyError, match=problem):
        _verify(body)


@pytest.mark.parametrize(
    ("tail", "problem"),
    [("jump b7", "no block b7"), ("return %2", "result"), ("branch %1 b0 b0", "wanted")],
)
def test_malformed_ends(tail: str, problem: str) -> None:
    with pytest.raises(VerifyError, match=problem):
        _verify("", tail)
