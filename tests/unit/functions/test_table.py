"""The table of built-ins: every function runs where docs/functions.md says that it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

import bridge
from bridge.artifact import Where
from bridge.codegen.bpf.generate import generate
from bridge.ir.program import Context
from bridge.markers import MarkerAttachment
from bridge.script.analysis.types import Type
from bridge.script.builtins import BUILTINS, Builtin
from bridge.script.options import AnalyseOptions
from tests.support.functions import compiled, run
from tests.support.recordings import CONTEXTS, NAME, NUMBER, TEXT, Recording, usdt
from tests.support.scripts import compile_text
from tools.manual.functions import (
    INTERPRETER,
    KERNEL,
    NATIVE,
    REPLAY,
    LibraryFunction,
    engines,
    function_manual,
    library_functions,
)

PAGE = Path(__file__).resolve().parents[3] / "docs" / "functions.md"
TABLE = sorted(BUILTINS.values(), key=lambda b: (b.name, len(b.parameters)))
HARMLESS = {"raise": "0", "system": '"true"', "printk": '99, ""', "ftrace": '""'}
"""Arguments of functions that act."""
MODULES = {
    "nfs.stp": "nfs",
    "nfsd.stp": "nfsd",
    "scsi.stp": "scsi_mod",
    "sunrpc.stp": "sunrpc",
}
"""Files of the library, with the modules that they speak of."""
ALL = (
    NUMBER,
    NAME,
    TEXT,
    *CONTEXTS,
    *(Context(name) for name in ("euid", "gid", "egid", "pgrp", "sid", "task", "pexecname")),
    *(Context(name) for name in ("command", "user_mode", "ip")),
    *(Context(name) for name in ("rdi", "rsi", "rdx", "r10", "r8", "r9")),
)


def _call(builtin: Builtin) -> str:
    sample = {Type.LONG: "1", Type.STRING: '"1"'}
    arguments = ", ".join(sample[type_] for type_ in builtin.parameters)
    return f"{builtin.name}({HARMLESS.get(builtin.name, arguments)})"


def _statement(builtin: Builtin) -> str:
    """Call it, and say that we came by, whatever it did."""
    if builtin.name in {"exit", "abort"}:
        return f'println("{builtin.name}") {_call(builtin)}'
    call = _call(builtin) if builtin.result is Type.UNKNOWN else f"print({_call(builtin)})"
    return f'println("") try {{ {call} }} catch {{ }} println("\\n{builtin.name}")'


def _at(builtins: list[Builtin], engine: str) -> list[Builtin]:
    return [b for b in builtins if engine in engines(b)]


@pytest.mark.parametrize("builtin", TABLE, ids=lambda b: f"{b.name}_{len(b.parameters)}")
def test_in_the_interpreter(builtin: Builtin, tmp_path: Path) -> None:
    assert INTERPRETER in engines(builtin)
    script = f"probe begin {{ {_statement(builtin)} exit() }}"
    assert builtin.name.encode() in run("interpreter", script, tmp_path, guru=True).output


def test_natively(tmp_path: Path) -> None:
    expected = [b for b in _at(TABLE, NATIVE) if b.name != "abort"]
    statements = "\n".join(_statement(b) for b in expected)
    printed = run("native", f"probe begin {{ {statements} exit() }}", tmp_path, guru=True)
    lines = printed.output.decode("latin-1").splitlines()
    assert [b.name for b in expected if b.name not in lines] == []


def test_abort_ends_the_handler(tmp_path: Path) -> None:
    script = 'probe begin { println("before") abort() println("after") }'
    assert run("native", script, tmp_path).output == b"before\n"
    assert run("interpreter", script, tmp_path).output == b"before\n"


@pytest.mark.parametrize(
    "builtin", _at(TABLE, KERNEL), ids=lambda b: f"{b.name}_{len(b.parameters)}"
)
def test_in_the_kernel(builtin: Builtin) -> None:
    arguments = ", ".join(["$arg1", "7"][: len(builtin.parameters)])
    call = f"{builtin.name}({arguments})"
    if builtin.result is Type.STRING and not builtin.context:
        call = f"strlen({call})"  # longer than the kernel keeps, so it is captured only
    script = f'global n probe process("demo").mark("hit") {{ n[{call}] <<< 1 }}'
    placed = compile_text(script).placed
    (hook,) = placed.hooks
    short = builtin.context != "command" and not call.startswith("strlen")
    assert (placed.placements[0].where is Where.KERNEL) == short
    assert {*hook.layout.captures, *placed.program.handlers[0].captures}
    assert generate(placed, ring_bytes=1 << 16).programs


def test_in_a_replay(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "trace", [MarkerAttachment(usdt("order"))], ALL)
    recording.hit(1_000_000_000, 5)
    recording.recorder.close()
    expected = [b for b in _at(TABLE, REPLAY) if b.name != "abort" and not _recorded(b)]
    statements = "\n".join(_statement(b) for b in expected)
    script = (
        f'probe process("/usr/bin/shop").mark("order") {{ println(user_string($arg2))'
        f" {statements} }}"
    )
    program = bridge.Program(
        "test", script.encode(), AnalyseOptions(guru=True, defines={"MAXACTION": "10000"})
    )
    lines = program.replay(tmp_path / "trace").text.splitlines()
    assert lines[0] == "tea"
    assert [b.name for b in expected if b.name not in lines] == []


def _recorded(builtin: Builtin) -> bool:
    """Memory is there as far as it was recorded; that is another test's matter."""
    return builtin.effect.value == "memory"


def test_every_function_is_explained() -> None:
    assert [b.name for b in TABLE if not b.doc] == []
    assert [f.signature for f in library_functions() if not f.doc] == []


def _library_call(function: LibraryFunction) -> str:
    words = function.signature.partition("(")[2].rstrip(")").split(", ")
    sample = ['"1"' if word.endswith(":string") else "1" for word in words if word]
    return f"{function.name}({', '.join(sample)})"


def _has_types(function: LibraryFunction) -> bool:
    """Whether this kernel has what the function reads: modules are loaded where needed."""
    module = MODULES.get(function.file)
    return module is None or Path("/sys/kernel/btf", module).exists()


def test_library_functions_compile() -> None:
    calls = "\n".join(map(_library_call, filter(_has_types, library_functions())))
    compiled(f"probe begin {{ {calls} exit() }}", guru=True)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == function_manual()
