"""Programs in files, without llvmlite: `compile`, `run FILE`, `save` and `load_program`."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

import bridge
from bridge.engine import program_file

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "cases"
SCRIPT = """
global n, sum, by
function twice(x) {{ return x * 2 }}
probe begin {{ printf("begin %d\\n", twice(21)) }}
probe process("{shop}").mark("order") {{
  n++
  sum <<< $arg1
  if (user_string($arg2) =~ "(te)a") println(matched(1), " ", $arg1)
}}
probe process("{shop}").function("main") {{ by[execname()] = $argc }}
probe end {{ foreach (k in by) println(k, by[k])
  println(n, " ", @sum(sum))
  print(@hist_log(sum)) }}
"""
CLOCK = """
global r, t
probe kernel.trace("sched_switch") { r[tid()]++ }
probe perf.type(1).config(0) { t <<< pid() }
probe timer.ms(200) { exit() }
probe end { foreach (x in r limit 3) c += r[x]; println(c > 0, @count(t) > 0) }
"""


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a host where llvmlite is not installed and nothing is kept."""
    folder = tmp_path_factory.mktemp("without")
    (folder / "llvmlite").mkdir()
    (folder / "llvmlite" / "__init__.py").write_text("raise ImportError('it is not here')")
    return {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}", "XDG_CACHE_HOME": str(folder / "c")}


def markbridge(*words: object, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "bridge", *map(str, words)],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
        env=env,
        cwd=ROOT,
        timeout=100,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop"
    include = str(ROOT / "csrc" / "include")
    source = str(ROOT / "examples" / "shop.c")
    subprocess.run(["gcc", "-g", "-I", include, "-o", str(path), source], check=True)
    return path


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "p.mbp"
    bridge.compile('probe begin { println("here") exit() }').save(path)
    return path


@pytest.mark.bpf
def test_without_llvmlite_a_program_does_what_its_script_does(
    shop: Path, tmp_path: Path, without: dict[str, str]
) -> None:
    script, file = tmp_path / "s.stp", tmp_path / "s.mbp"
    script.write_text(SCRIPT.format(shop=shop))

    assert markbridge("compile", script, "-o", file) == (0, "", "")
    of_script = markbridge("run", script, "-c", shop)
    of_file = markbridge("run", file, "-c", shop, env=without)

    assert of_file == of_script
    assert "begin 42" in of_file[1]
    assert "te " in of_file[1]
    assert markbridge("run", script, "-c", shop, env=without)[0] == 3, "it needs llvmlite"


@pytest.mark.bpf
def test_counting_in_the_kernel(tmp_path: Path, without: dict[str, str]) -> None:
    file = tmp_path / "k.mbp"
    markbridge("compile", "-e", CLOCK, "-o", file)

    assert markbridge("run", file, env=without) == (0, "11\n", "")


@pytest.mark.bpf
def test_hits_are_recorded(shop: Path, tmp_path: Path, without: dict[str, str]) -> None:
    file, trace = tmp_path / "r.mbp", tmp_path / "t"
    text = f'probe process("{shop}").mark("order") {{ }}'
    markbridge("compile", "--record", "-e", text, "-o", file)

    code, _, said = markbridge("run", file, "-c", f"{shop} 4", "--trace", trace, env=without)

    assert (code, said) == (0, "")
    with bridge.open_trace(trace) as reader:
        assert [event.fields["arg1"] for event in reader] == [1, 2, 3, 4]


@pytest.mark.parametrize("name", ["strings", "regex_groups", "syscall_names", "floats"])
def test_code_of_a_file_is_code_of_llvm(
    name: str, tmp_path: Path, without: dict[str, str]
) -> None:
    script, file = CASES / "functions" / f"{name}.stp", tmp_path / "f.mbp"

    assert markbridge("compile", script, "-o", file)[0] == 0
    assert markbridge("run", file, env=without)[:2] == markbridge("run", script)[:2]


@pytest.mark.bpf
def test_as_a_library(shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "l.mbp"
    text = f'probe process("{shop}").mark("order") {{ println($arg1) }}'
    bridge.compile(text).save(file)

    with bridge.load_program(file).attach([str(shop), "3"]) as session:
        assert [line.text for line in session if line.text.isdigit()] == ["1", "2", "3"]
    with pytest.raises(bridge.BridgeError, match="record=True"):
        bridge.load_program(file).attach(events=True)


# --- what is refused --------------------------------------------------------------------------


def head_and_body(path: Path) -> tuple[dict[str, object], bytes]:
    head, _, body = path.read_bytes().partition(b"\n")
    return json.loads(head), body


def write(path: Path, head: dict[str, object], body: bytes) -> None:
    path.write_bytes(json.dumps(head).encode() + b"\n" + body)


def test_each_damaged_byte_is_noticed(program: Path) -> None:
    whole = program.read_bytes()
    start = whole.index(b"\n") + 1
    for at in range(start, len(whole), 97):
        program.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(bridge.BridgeError, match="damaged"):
            bridge.load_program(program)


@pytest.mark.parametrize("kept", [40, -1, -200])
def test_a_file_that_was_cut(program: Path, kept: int) -> None:
    program.write_bytes(program.read_bytes()[:kept])

    with pytest.raises(bridge.BridgeError, match="damaged"):
        bridge.load_program(program)


def test_another_machine(program: Path) -> None:
    head, body = head_and_body(program)
    write(program, {**head, "machine": "s390x"}, body)

    code, _, said = markbridge("run", program)

    assert code == 1
    assert "was compiled for s390x" in said


def test_another_version(program: Path) -> None:
    head, body = head_and_body(program)
    write(program, {**head, "made_by": "9.9-0"}, body)

    code, _, said = markbridge("run", program)

    assert code == 1
    assert "another version of markbridge (9.9-0)" in said


def test_a_file_runs_nothing_of_its_own(program: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path}/owned",)

    body = pickle.dumps((Evil(), "name", {}))
    head, _ = head_and_body(program)
    write(program, {**head, "bytes": len(body), "digest": sha256(body).hexdigest()}, body)

    with pytest.raises(bridge.BridgeError, match="damaged"):
        bridge.load_program(program)
    assert not (tmp_path / "owned").exists()


def test_another_kernel_without_llvmlite(
    program: Path, tmp_path: Path, without: dict[str, str]
) -> None:
    """What the file does not have, because this machine would need other code."""
    stored = program_file.load(program)
    head, _ = head_and_body(program)
    body = pickle.dumps((stored.placed, stored.name, {"of another kernel": {"": b""}}))
    write(program, {**head, "bytes": len(body), "digest": sha256(body).hexdigest()}, body)

    code, _, said = markbridge("run", program, env=without)

    assert code == 3
    assert "a kernel with other features" in said


def test_what_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("probe begin { }")

    with pytest.raises(bridge.BridgeError, match="is no program"):
        bridge.load_program(tmp_path / "x")


@pytest.mark.parametrize("words", [["1"], ["-D", "MAXACTION=3"], ["-E", "probe end { }"]])
def test_options_of_the_compiler_come_too_late(program: Path, words: list[str]) -> None:
    code, _, said = markbridge("run", program, *words)

    assert code == 2
    assert "markbridge compile" in said


def test_hits_need_a_program_that_was_compiled_for_them(program: Path, tmp_path: Path) -> None:
    code, _, said = markbridge("run", program, "--trace", tmp_path / "t")

    assert code == 2
    assert "--record" in said
