"""Debug information of programs that are compiled here: places, variables, types, damage."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from bridge.diagnostics import Sink
from bridge.markers import (
    Access,
    Enumerator,
    GlobalAccess,
    MarkerAttachment,
    NoAccess,
    NoMatch,
    PointPart,
    Pretty,
    Shown,
)
from bridge.probes.dwarf.image import open_image
from bridge.probes.dwarf.probe_addresses import parse_spec
from bridge.probes.elf import open_elf
from bridge.probes.live import LiveTargets
from bridge.world import LiveWorld

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.markers import Expansion, Scope

SOURCE = """
enum color { RED, GREEN = 5 };
struct inner { int a; short b; };
struct node { int val; const char *name; struct node *next; struct inner in; int arr[4];
  unsigned bits:3; unsigned rest:13; union { int i; char c[4]; }; double d; char ch; };
int total = 42;
static struct node list[2] = { { .val = 1, .name = "first" }, { .val = 2 } };
__attribute__((noinline)) int add(int a, int b)
{
  int sum = a + b;
  return sum;
}
static inline __attribute__((always_inline)) int twice(int q) { return q * 2; }
__attribute__((noinline)) long walk(struct node *n, enum color how)
{
  long t = how;
  for (; n; n = n->next) { int inside = n->val; t += inside; }
  return t;
}
int main(int argc, char **argv)
{
  list[0].next = &list[1];
  return add(argc, 2) + twice(argc) + walk(list, GREEN) > 100 && argv;
}
"""
CPLUS = """
namespace space { struct base { int one; }; struct shape : base { int sides;
  __attribute__((noinline)) int count(int more) { return sides + more; } };
  __attribute__((noinline)) int f(shape &s) { return s.count(3); } }
int main() { space::shape s; s.one = 1; s.sides = 4; return space::f(s); }
"""


@pytest.fixture
def build(tmp_path: Path):
    def compile_(*flags: str, text: str = SOURCE, name: str = "prog.c") -> Path:
        source, program = tmp_path / name, tmp_path / "prog"
        source.write_text(text)
        compiler = "g++" if name.endswith(".cc") else "gcc"
        command = [compiler, "-g", *flags, source.name, "-o", program.name]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        return program

    return compile_


def expand(program: Path, *parts: tuple[str, str | int | None]) -> tuple[Expansion, ...]:
    first = PointPart("process", str(program))
    found = LiveTargets(LiveWorld()).expand([first, *(PointPart(*part) for part in parts)])
    assert not isinstance(found, NoMatch), found
    return found


def scope_of(program: Path, function: str) -> Scope:
    (found,) = expand(program, ("function", function))
    assert found.scope is not None
    return found.scope


def address(found: Expansion) -> int:
    assert isinstance(found.attachment, MarkerAttachment)
    return found.attachment.marker.sites[0].address


BUILDS = [
    ["-O0"],
    ["-O0", "-gdwarf-4"],
    ["-O0", "-gdwarf-5", "-no-pie"],
    ["-O2"],
    ["-O2", "-gdwarf-4"],
    ["-O0", "-static"],
    ["-O1", "-gz", "-fdebug-types-section", "-gdwarf-4"],
]


@pytest.mark.parametrize("flags", BUILDS, ids=" ".join)
def test_members_of_a_parameter(build, flags: list[str]) -> None:
    scope = scope_of(build(*flags), "walk")

    found = scope.access("n", ["next", "in", "b"])
    assert isinstance(found, Access)
    assert (found.offsets[-2:], found.size, found.signed) == ((16, 28), 2, True)
    bits = scope.access("n", ["rest"])
    assert isinstance(bits, Access)
    assert (bits.offsets[-1], bits.size, bits.shift, bits.bits) == (48, 4, 3, 13)
    unnamed = scope.access("n", ["c", 2])
    assert isinstance(unnamed, Access)
    assert unnamed.offsets[-1] == 54
    computed = scope.access("n", ["arr", None])
    assert isinstance(computed, Access)
    assert [(i.number, i.scale) for i in computed.indices] == [(0, 4)]
    if "-fdebug-types-section" not in flags:  # there the source file does not name it
        assert scope.enumerator("GREEN") == Enumerator(5)


@pytest.mark.parametrize("flags", BUILDS, ids=" ".join)
def test_globals_by_address(build, flags: list[str]) -> None:
    program = build(*flags)
    symbols = subprocess.run(["nm", program], capture_output=True, text=True, check=True)
    places = {
        line.split()[2]: int(line.split()[0], 16)
        for line in symbols.stdout.splitlines()
        if len(line.split()) == 3
    }
    scope = scope_of(program, "add")

    found = scope.static(GlobalAccess("total", "prog.c"))
    assert isinstance(found, Access)
    assert (found.offsets, found.size) == ((places["total"],), 4)
    inner = scope.static(GlobalAccess("list", path=(1, "val")))
    assert isinstance(inner, Access)
    assert inner.offsets == (places["list"] + 72,)


def test_words_for_what_is_not_there(build) -> None:
    scope = scope_of(build("-O0"), "walk")

    def message(found: object) -> str:
        assert isinstance(found, NoAccess)
        return found.message

    missing = message(scope.access("zzz", ()))
    assert missing.startswith("unable to find local 'zzz', [man error::dwarf] dieoffset 0x")
    assert missing.endswith("in walk prog.c (alternatives: $n, $t, $how))")
    assert message(scope.access("n", ["zork"])).startswith(
        "unable to find member 'zork' for struct node (alternatives: "
    )
    assert "is being accessed instead of a member such as '->a'" in message(
        scope.access("n", ["in"])
    )
    assert message(scope.access("how", ["x"])) == "invalid access '->x' vs. enum color"
    assert message(scope.access("n", ["bits"], address_of=True)) == (
        "cannot take the address of a bit field"
    )
    assert message(scope.structure("nodx", "")).startswith("type definition 'nodx' not found")
    assert message(scope.enumerator("GREAN")) == (
        "enumeration constant 'GREAN' not found (did you mean GREEN, RED?)"
    )


def test_what_is_optimised_out_is_said_at_its_use(build) -> None:
    scope = scope_of(build("-O2"), "add")

    assert [one.name for one in scope.listed()] == ["a", "b", "sum"]
    assert isinstance(scope.access("a", ()), Access)
    assert isinstance(scope.access("sum", ()), NoAccess)


def test_a_pretty_print(build) -> None:
    scope = scope_of(build("-O0"), "walk")

    def shown(found: object) -> str:
        assert isinstance(found, Pretty)
        return "".join(p if isinstance(p, str) else f"<{p.form}>" for p in found.pieces)

    assert shown(scope.access("n", (), pretty="$")) == (
        "{.val=<d>, .name=<text>, .next=<x>, .in={...}, .arr=[...], .bits=<u>, .rest=<u>,"
        " <union>={...}, .d=?, .ch='<c>'}"
    )
    assert ".in={.a=<d>, .b=<d>}, .arr=[<d>, ...]" in shown(scope.access("n", (), pretty="$$"))
    assert any(isinstance(p, Shown) for p in scope.access("n", ["in"], pretty="$").pieces)


# --- places -----------------------------------------------------------------------------------


def test_a_function_is_probed_behind_its_prologue(build) -> None:
    program = build("-O0", "-no-pie")
    (start,) = expand(program, ("function", "add"))
    (first,) = expand(program, ("statement", "add@prog.c:10"))
    (entry,) = expand(program, ("statement", "add@prog.c:9"))

    assert address(start) == address(first) > address(entry)
    assert start.point == f'process("{program}").function("add@{program}.c:8")'
    (returned,) = expand(program, ("function", "add"), ("return", None))
    assert address(returned) == address(entry)
    assert returned.entry is not None
    assert address(returned.entry) == address(start)


def test_ways_to_name_places(build) -> None:
    program = build("-O0", "-no-pie")

    def lines(text: str, *more: tuple[str, str | None]) -> list[str]:
        found = expand(program, ("statement", text), *more)
        return [one.point.rpartition(":")[2].split('"')[0] for one in found]

    assert lines("add@prog.c:*") == ["9", "10", "11", "12"]
    assert lines("add@prog.c:10-11") == ["10", "11"]
    assert lines("add@prog.c:10,12") == ["10", "12"]
    assert lines("add@prog.c+2") == ["10"]
    assert lines("add@*:14", ("nearest", None)) == ["12"]
    assert [address(x) for x in expand(program, ("function", "add"))] == [
        address(x) for x in expand(program, ("function", "a*@*prog.c"), ("call", None))
    ]
    (inline,) = expand(program, ("function", "twice"), ("inline", None))
    (main,) = expand(program, ("function", "main"))
    assert address(inline) > address(main)
    (same,) = expand(program, ("statement", address(main)))
    assert same.scope is not None
    assert [one.name for one in same.scope.listed()] == ["argc", "argv"]


def test_what_names_no_place(build) -> None:
    program = build("-O0", "-no-pie")

    def refused(*parts: tuple[str, str | int | None]) -> NoMatch:
        first = PointPart("process", str(program))
        found = LiveTargets(LiveWorld()).expand([first, *(PointPart(*part) for part in parts)])
        assert isinstance(found, NoMatch)
        return found

    assert (
        "no line records for prog.c:99"
        in refused(("statement", "add@prog.c:99")).reasons[0].message
    )
    (start,) = expand(program, ("statement", "add@prog.c:10"))
    inside = refused(("statement", address(start) + 1))
    assert inside.reasons[0].code == "not-a-statement"
    near = refused(("function", "ad")).near
    assert near is not None
    assert "similar functions: add" in near()
    assert refused(("function", "add@nofile.c")).reasons == ()
    assert refused(("statement", "add@prog.c:x")).reasons[0].code == "bad-specification"


@pytest.mark.parametrize("text", ["", "@f.c", "f@f.c:", "f@f.c:1-", "f@f.c:+1"])
def test_no_specification(text: str) -> None:
    assert parse_spec(text) is None


def test_inner_blocks_are_seen_where_they_are(build) -> None:
    program = build("-O0")
    (inside,) = expand(program, ("statement", "walk@prog.c:17"))
    (outside,) = expand(program, ("statement", "walk@prog.c:18"))

    assert inside.scope is not None and outside.scope is not None  # noqa: PT018
    assert "inside" not in {one.name for one in outside.scope.listed()}


def test_cplusplus(build) -> None:
    program = build("-O0", text=CPLUS, name="prog.cc")
    for name in ("count", "space::shape::count"):
        scope = scope_of(program, name)
        found = scope.access("this", ["sides"])
        assert isinstance(found, Access)
        assert found.offsets[-1] == 4
        inherited = scope.access("this", ["one"])
        assert isinstance(inherited, Access)
        assert inherited.offsets[-1] == 0
    reference = scope_of(program, "space::f").access("s", ["sides"])
    assert isinstance(reference, Access)
    assert reference.offsets[-1] == 4


# --- other files ------------------------------------------------------------------------------


def test_a_separate_file(build, tmp_path: Path) -> None:
    program = build("-O0")
    for command in (
        ["objcopy", "--only-keep-debug", "prog", "prog.debug"],
        ["strip", "prog"],
        ["objcopy", "--add-gnu-debuglink=prog.debug", "prog"],
    ):
        subprocess.run(command, cwd=tmp_path, check=True)

    assert isinstance(scope_of(program, "add").access("a", ()), Access)

    damaged = bytearray((tmp_path / "prog.debug").read_bytes())
    damaged[-1] ^= 255  # the checksum does not fit any more
    (tmp_path / "prog.debug").write_bytes(damaged)
    first = PointPart("process", str(program))
    assert isinstance(
        LiveTargets(LiveWorld()).expand([first, PointPart("function", "add")]), NoMatch
    )


def test_without_debug_information_functions_are_found_by_symbol(build) -> None:
    program = build("-O0", "-g0")
    (found,) = expand(program, ("function", "add"))

    assert found.scope is None
    assert [v.name for v in found.variables][:2] == ["arg1", "arg2"]
    first = PointPart("process", str(program))
    refused = LiveTargets(LiveWorld()).expand([first, PointPart("statement", "add@prog.c:10")])
    assert isinstance(refused, NoMatch)
    assert refused.reasons[0].code == "needs-debug-information"


@pytest.mark.parametrize("section", [".debug_info", ".debug_abbrev", ".debug_line"])
@pytest.mark.parametrize("value", [0, 0x41, 0xFF])
def test_damage_is_a_diagnostic(build, section: str, value: int) -> None:
    program = build("-O0")
    sink = Sink()
    elf = open_elf(str(program), LiveWorld(), sink)
    assert elf is not None
    found = elf.section(section)
    assert found is not None
    head = found.header
    for start in range(0, head.size, max(1, head.size // 12)):
        data = bytearray(program.read_bytes())
        at = head.offset + start
        end = min(head.offset + head.size, at + 16)
        data[at:end] = bytes([value]) * (end - at)
        program.write_bytes(data)
        binder = LiveTargets(LiveWorld())
        first = PointPart("process", str(program))
        for name in ("add", "*@prog.c"):
            answer = binder.expand([first, PointPart("function", name)])
            for one in answer if isinstance(answer, tuple) else ():
                for listed in one.scope.listed() if one.scope is not None else ():
                    one.scope.access(listed.name, (), pretty="$$")  # type: ignore[union-attr]
        open_image(elf, LiveWorld(), Sink())
