"""Provider files: what is read, what is refused and where, what is made of them."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from bridge.cli.front import dispatch
from bridge.diagnostics import Sink
from bridge.errors import TraceError
from bridge.facility.provider import header
from bridge.facility.provider import object as object_file
from bridge.facility.provider.machines import named, of_compiler, of_object
from bridge.facility.provider.parse import ProviderError, parse
from bridge.formats.elf_object import MACHINES
from bridge.probes.elf import open_elf
from bridge.probes.sdt import read_argument_names
from bridge.world import LiveWorld
from tests.support.providers import BEYOND, SERVER

ROOT = Path(__file__).parents[3]


def arguments(text: str) -> dict[str, tuple[tuple[str, str], ...]]:
    return {
        probe.name: tuple((a.type, a.name) for a in probe.arguments)
        for provider in parse(text, "f.d").providers
        for probe in provider.probes
    }


def test_types_and_names() -> None:
    assert arguments(SERVER) == {
        "query__start": (("const char *", "sql"), ("int", "id")),
        "query__done": (("const char *", "sql"), ("row_t", "rows"), ("char", "failed")),
        "lock__wait__start": (
            ("unsigned int", ""),
            ("unsigned int", ""),
            ("Number", ""),
            ("Number", "mode"),
        ),
        "idle": (),
        "io": (
            ("struct buffer *", "b"),
            ("unsigned long long", "at"),
            ("const void *const", "data"),
        ),
        "one__two__three__four": (("signed char", ""),),
        "many": tuple(("int", name) for name in "abcdefghij"),
        "Mixed__Case": (("uint64_t", "size"),),
        "_start": (("char **", "argv"),),
    }
    types = parse(SERVER, "f.d").types
    assert types == {"Number": "unsigned int", "row_t": "unsigned long long"}


def test_forms_that_systemtap_fails_on() -> None:
    assert arguments(BEYOND) == {
        "b": (("struct foo *", "p"), ("int", "x")),
        "io": (("struct foo *", "p"), ("int", "fd")),
        "none": (),
        "call": (("void (*)(int, char *)", "done"), ("int", "count")),
        "line": (("char [80]", "buffer"), ("int", "provider")),
        "bare": (),
    }


def test_what_the_preprocessor_would_do_is_noted() -> None:
    text = "#include <a.h>\n#if A\nprovider p { probe x(int); };\n#endif\n#include <b.h>\n"
    file = parse(text, "f.d")
    assert file.notes == (
        "f.d:1: #include is passed over; -C runs the preprocessor",
        "f.d:2: #if is passed over; -C runs the preprocessor",
    )
    assert [p.name for p in file.providers] == ["p"]


def test_places_after_the_preprocessor() -> None:
    text = '# 1 "<built-in>"\n# 7 "own.d" 2\nprovider p {\n  probe x(int);\n  prob y();\n};\n'
    with pytest.raises(ProviderError, match=r"^own\.d:9: expected probe or '}', not 'prob'"):
        parse(text, "cpp")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("provider {", "1: expected a name"),
        ("provider p {\n probe (int);\n};", "2: expected a name"),
        ("provider p {\n probe a(int b;\n};", "2: expected"),
        ("provider p {\n probe a(int);\n", "3: expected probe or '}', not the end of the file"),
        ("provider p {\n\n probe a(int,);\n};", "3: expected"),
        ("provider p { probe a-b(); };", "1: expected"),
        ("/* \nprovider p { };", "1: the comment has no end"),
        ("provider p { probe a(int \x01); };", "1: unexpected character"),
        ("int x = 3; #include", "1: '#' stands at the start of a line only"),
        (
            "provider p {\n probe a(" + ", ".join(["int"] * 13) + ");\n};",
            "2: probe a has more than 12 arguments",
        ),
    ],
)
def test_errors_name_the_line(text: str, message: str) -> None:
    with pytest.raises(ProviderError) as refused:
        parse(text, "f.d")
    assert str(refused.value).startswith(f"f.d:{message}")


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_objects_are_what_linkers_read(machine: object, tmp_path: Path) -> None:
    """By pyelftools, and linked by lld."""
    assert isinstance(machine, type(MACHINES[0]))
    content = object_file.write(parse(SERVER, "f.d").providers, machine)
    elf = ELFFile(io.BytesIO(content))
    assert (elf.header.e_type, elf.elfclass) == ("ET_REL", 64 if machine.wide else 32)
    assert elf.header.e_flags == machine.flags
    probes = elf.get_section_by_name(".probes")
    assert probes.data() == bytes(2 * 9)
    assert probes["sh_flags"] == 3
    assert elf.get_section_by_name(".note.GNU-stack")["sh_flags"] == 0
    symbols = list(elf.get_section_by_name(".symtab").iter_symbols())[1:]
    assert [s.name for s in symbols][:2] == [
        "server_query__start_semaphore",
        "server_query__done_semaphore",
    ]
    assert {s["st_other"]["visibility"] for s in symbols} == {"STV_HIDDEN"}
    assert [s["st_value"] for s in symbols] == list(range(0, 18, 2))
    if machine.features:
        (note,) = elf.get_section_by_name(".note.gnu.property").iter_notes()
        assert note["n_type"] == "NT_GNU_PROPERTY_TYPE_0"


@pytest.mark.tools
@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_objects_are_linked(machine: object, tmp_path: Path) -> None:
    assert isinstance(machine, type(MACHINES[0]))
    (tmp_path / "a.o").write_bytes(object_file.write(parse(SERVER, "f.d").providers, machine))
    command = ["ld.lld", "-shared", "a.o", "-o", "a.so"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = subprocess.run(
        ["readelf", "-lW", "a.so"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert "RWE" not in shown


def test_names_of_arguments_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "a.o"
    path.write_bytes(object_file.write(parse(SERVER, "f.d").providers, named("x86_64")))
    sink = Sink()
    elf = open_elf(str(path), LiveWorld(), sink)
    assert elf is not None
    names = read_argument_names(elf, sink)
    assert names["server", "query__start"] == (("sql", "const char *"), ("id", "int"))
    assert ("server", "idle") not in names
    assert not sink.items


def test_corrupt_names_of_arguments_are_told(tmp_path: Path) -> None:
    """A length too large, a note that is cut, one without texts: said once, no crash."""
    content = bytearray(object_file.write(parse(SERVER, "f.d").providers, named("x86_64")))
    at = content.index(b"markbridge\0") - 12
    for value in (0xFFFFFFFF, 0, 1):
        content[at + 4 : at + 8] = value.to_bytes(4, "little")
        path = tmp_path / "a.o"
        path.write_bytes(content)
        sink = Sink()
        elf = open_elf(str(path), LiveWorld(), sink)
        assert elf is not None
        read_argument_names(elf, sink)
        assert len(sink.items) == 1


def test_machines_of_a_build() -> None:
    heads = {m.name: object_file.write((), m)[:20] for m in MACHINES}
    for name, head in heads.items():
        found = of_object(head)
        assert found is not None
        assert found.name == name
    assert of_object(b"# a libtool object\n\n") is None
    assert of_compiler(["gcc"], [], "x86_64").name == "x86_64"
    assert of_compiler(["gcc"], ["-O2", "-m32"], "x86_64").name == "i386"
    assert of_compiler(["/usr/bin/aarch64-linux-gnu-gcc-12"], [], "x86_64").name == "aarch64"
    assert of_compiler(["clang", "--target=armv7-linux-gnueabihf"], [], "x86_64").name == "arm"
    with pytest.raises(TraceError, match="riscv64; known machines are x86_64"):
        of_compiler(["cc"], [], "riscv64")


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its options are dtrace(1)'s; files go where it puts them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CFLAGS", "-O2")
    Path("in").mkdir()
    Path("in/a.d").write_text("#define T int\nprovider p { probe x(T number); };\n")
    assert dispatch(["dtrace", "-h", "-s", "in/a.d"]) == 0
    assert "#define P_X(arg1)" in Path("a.h").read_text()
    Path("aarch64.o").write_bytes(object_file.write((), named("aarch64")))
    build = ["dtrace", "-G", "-64", "-fPIC", "-xnolibs", "--types", "-s", "in/a.d", "aarch64.o"]
    assert dispatch(build) == 0
    found = of_object(Path("a.o").read_bytes())
    assert found is not None
    assert found.name == "aarch64"
    assert dispatch(["dtrace", "-G", "--machine", "i386", "-s", "in/a.d", "-o", "b"]) == 0
    assert Path("b").read_bytes()[18] == 3


@pytest.mark.tools
def test_the_preprocessor(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "a.d", tmp_path / "a.h"
    (tmp_path / "b.h").write_text("#define TYPE long\n")
    source.write_text(
        '#include "b.h"\nprovider p {\n#ifdef MORE\n  probe x(TYPE value);\n#endif\n};\n'
    )
    options = ["-C", f"-I{tmp_path}", "-DMORE", "-s", str(source), "-o", str(out)]
    assert dispatch(["dtrace", "-h", *options]) == 0
    assert "/* P_X(long value) */" in out.read_text()
    assert "passed over" not in capfd.readouterr().err
    assert dispatch(["dtrace", "-h", "-C", "-s", str(source), "-o", str(out)]) == 0
    assert "P_X" not in out.read_text()


def test_nothing_is_written_of_a_broken_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "a.d", tmp_path / "a.h"
    source.write_text("provider p {\n  probe x(;\n};\n")
    assert dispatch(["dtrace", "-h", "-s", str(source), "-o", str(out)]) == 1
    assert f"error: {source}:2: expected" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.tools
@pytest.mark.parametrize("compiler", ["gcc -std=gnu11", "clang -std=c17", "g++ -std=c++17"])
def test_headers_without_sys_sdt(compiler: str, tmp_path: Path) -> None:
    """Over our own marker.h the notes have the same names, sizes and semaphores."""
    providers = parse(SERVER, "f.d").providers
    (tmp_path / "probes.h").write_text(header.write(providers))
    (tmp_path / "probes.o").write_bytes(object_file.write(providers, named("x86_64")))
    (tmp_path / "main.c").write_text(
        '#include "probes.h"\nint main(int count, char **words) {\n'
        'if (SERVER_QUERY_START_ENABLED()) SERVER_QUERY_START("select", count);\n'
        "SERVER_IDLE(); OTHER__START(words); SERVER_QUERY_DONE((char *)0, 7ULL, 'x');\n"
        "return 0; }\n"
    )
    flags = ["-DMARKBRIDGE_IS_SDT", "-Wall", "-Wextra", "-Werror", "-O2"]
    include = f"-I{ROOT}/csrc/include"
    command = [*compiler.split(), *flags, include, "main.c", "probes.o", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    shown = subprocess.run(
        ["readelf", "-nW", "main"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    for name in ("query__start", "idle", "_start", "query__done"):
        assert f"Name: {name}\n" in shown
    assert "Semaphore: 0x0000000000000000" not in shown


@pytest.mark.tools
@pytest.mark.parametrize("compiler", ["gcc", "g++", "clang"])
def test_a_header_that_finds_neither_says_what_to_give_the_compiler(
    compiler: str, tmp_path: Path
) -> None:
    """GCC 12 passes over an #include of what __has_include has not found."""
    (tmp_path / "probes.h").write_text(header.write(parse(SERVER, "f.d").providers))
    (tmp_path / "main.c").write_text('#include "probes.h"\n')

    def compiled(*flags: str) -> subprocess.CompletedProcess[str]:
        command = [compiler, "-nostdinc", f"-I{tmp_path}", *flags, "-E", "main.c"]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False
        )

    alone, with_ours = compiled(), compiled(f"-I{ROOT}/csrc/include")

    assert alone.returncode != 0
    assert "give the compiler $(markbridge --cflags)" in alone.stderr
    assert "--cflags" not in with_ours.stderr
