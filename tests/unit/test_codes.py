"""The codes of diagnostics: a table, which the sources and the manual page agree with."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from bridge import codes
from bridge.diagnostics import Sink
from bridge.script.errors import Message
from bridge.script.syntax.parse import parse
from bridge.source import SourceMap
from bridge.trace.ctf.cursor import DAMAGE
from bridge.trace.lket import reader as lket_reader
from bridge.trace.ltt.reader import DAMAGE_CODES
from tools.manual.diagnostics import diagnostics_manual

ROOT = Path(__file__).resolve().parents[2]
MAKERS = {"Message", "Diagnostic", "_fault", "_warning", "_refuse"}
"""Functions whose argument, the first or that of `code`, is a code."""
SHAPE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)+|unreadable|unprintable")
PASSED_ON = {
    "bridge/deferred_reads.py",  # one of two literals, beside the call
    "bridge/probes/errors.py",
    "bridge/script/analysis/derive.py",  # that of a NoMatch
    "bridge/script/analysis/shapes.py",
    "bridge/script/errors.py",
    "bridge/trace/ctf/cursor.py",  # a table by the numbers of C
    "bridge/trace/lket/reader.py",
    "bridge/trace/ltt/facilities.py",
    "bridge/trace/ltt/generation_2003.py",
    "bridge/trace/ltt/markers.py",
    "bridge/trace/ltt/reader.py",  # a table by the numbers of C
}
"""Where a diagnostic is made with a code that somebody else names."""


def sources() -> list[Path]:
    left_out = {"_declarations.py", "declared.py", "codes.py"}
    return [p for p in sorted((ROOT / "bridge").rglob("*.py")) if p.name not in left_out]


def maker(call: ast.Call) -> str:
    return (
        call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    )


def is_code(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and bool(SHAPE.fullmatch(node.value))
    )


@cache
def literals(path: Path) -> set[str]:
    """Every text of the file that could be a code."""
    return {n.value for n in ast.walk(ast.parse(path.read_text())) if is_code(n)}


def named(path: Path) -> tuple[set[str], int]:
    """The codes that diagnostics of a file are made with, and how many have none in sight."""
    found, passed = set(), 0
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or maker(node) not in MAKERS | {"NoMatch"}:
            continue
        given = [k.value for k in node.keywords if k.arg == "code"]
        if maker(node) != "NoMatch":
            given = given or node.args[:1]
        found |= {n.value for n in given if is_code(n)}
        passed += maker(node) in {"Message", "Diagnostic"} and not any(map(is_code, given))
    return found, passed


def test_the_sources_name_codes_of_the_table() -> None:
    used = {path: named(path) for path in sources()}

    unknown = {
        f"{path.relative_to(ROOT)}: {code}"
        for path, (found, _) in used.items()
        for code in found - set(codes.TABLE)
    }
    passing = {str(path.relative_to(ROOT)) for path, (_, passed) in used.items() if passed}

    assert unknown == set()
    assert passing == PASSED_ON


def test_tables_of_damage_name_codes_of_the_table() -> None:
    lket = {code for code in literals(Path(lket_reader.__file__)) if code.startswith("lket-")}
    found = {code for code, _ in (*DAMAGE.values(), *DAMAGE_CODES.values())} | lket

    assert len(lket) > 3
    assert found - set(codes.TABLE) == set()


def test_every_code_of_the_table_is_used() -> None:
    known = set().union(*map(literals, sources()))

    assert set(codes.TABLE) - known == set()


def test_the_table_is_complete() -> None:
    for name, code in codes.TABLE.items():
        assert SHAPE.fullmatch(name), name
        assert code.severity in {"error", "warning", "note"}
        assert code.meaning
        assert code.remedy
        assert not code.meaning.endswith(".")
        assert not code.remedy.endswith(".")
    assert sum(map(len, codes.SECTIONS.values())) == len(codes.TABLE)


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "diagnostics.md").read_text() == diagnostics_manual()


def test_documents_that_the_table_names_are_there() -> None:
    names = set(re.findall(r"docs/\w+\.md", diagnostics_manual()))

    assert names
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_a_code_does_not_depend_on_the_script() -> None:
    def code(text: str) -> list[str]:
        sink, texts = Sink(), SourceMap()
        parse(texts.add("x.stp", text), texts, sink)
        return [d.code for d in sink.items]

    assert code("probe begin { a = 99999999999999999999 }") == ["number-out-of-range"]
    assert (
        code("probe begin { print( }") == code("probe end { x = = 1 }") == ["unexpected-token"]
    )
    assert code("@define m %( 1 %) @define m %( 2 %)")[0] == "macro-redefined"
    assert code("@define other %( 1 %) @define other %( 2 %)")[0] == "macro-redefined"


def test_a_message_keeps_its_code_when_it_is_filled_in() -> None:
    message = Message("unknown-operator", "unknown operator {}")

    assert message.format("@x") == "unknown operator @x"
    assert message.format("@x").code == "unknown-operator"
    assert message.with_end("!").code == "unknown-operator"
