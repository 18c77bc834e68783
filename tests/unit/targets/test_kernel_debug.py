"""Functions of the kernel by debug information: an object of gcc plays vmlinux and a module.

The kernel is moved by 0x1000000 in memory (KASLR), and each section of the module is at a place
of its own.
"""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from bridge.cli.list import line
from bridge.codegen.bpf.generate import generate
from bridge.codegen.bpf.object import Attach
from bridge.markers import (
    Access,
    GlobalAccess,
    Kind,
    Loaded,
    MarkerAttachment,
    NoAccess,
    NoMatch,
    Register,
)
from bridge.pipeline import compile_script
from bridge.probes.kernel import names as moved_names
from bridge.probes.live import LiveTargets
from bridge.script.options import AnalyseOptions
from bridge.source import SourceMap
from bridge.world import RecordedWorld
from tests.support.points import parts
from tests.support.victims import compile_c

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridge.markers import Expansion, Marker

pytestmark = pytest.mark.tools("gcc", "nm", "objcopy")

RELEASE = "6.12.1-demo"
BASE, MOVED = 0xFFFFFFFF81000000, 0x1000000
TEXT, DATA = 0xFFFFFFFFC0001000, 0xFFFFFFFFC0008000
KERNEL = r"""
struct inode { long number; int links; };
struct only_here { int first; struct inode *inode; };
struct only_here table = { 7, 0 };
static int counter = 3;
int _stext(void) { return 0; }
static inline int checked(struct inode *inode, int want)
{
	int found = inode->links * want;
	if (found > 9)
		counter += found;
	return found;
}
__attribute__((noinline)) int helper(struct inode *inode)
{
	return inode->links + counter;
}
__attribute__((noinline)) int opened(struct inode *inode, int flags)
{
	int ret = -5;
	if (!inode)
		goto out;
	ret = checked(inode, flags);
	ret += helper(inode);
out:
	return ret;
}
__attribute__((noinline)) int closed(struct inode *inode)
{
	return checked(inode, 2) + opened(inode, 4) + helper(inode);
}
__attribute__((section(".init.text"), noinline)) int opened_early(int x) { return x + counter; }
"""
MODULE = r"""
struct state { int users; struct state *next; };
static struct state states[3] = { { 1, 0 } };
int last = 4;
static inline int twice(int x) { return x + x * last; }
__attribute__((noinline)) int demo_open(struct state *state, int flags)
{
	int sum = state->users;
	sum += twice(flags);
	states[1].users = sum;
	return sum + last;
}
"""
LINKED = ("-O2", "-g", "-nostdlib", "-static", "-mcmodel=kernel", "-fno-pic", "-no-pie")
PLACED = (f"-Wl,-Ttext={BASE:#x}", "-Wl,-e,_stext", "-Wl,--build-id=sha1")


def _symbols(file: Path) -> dict[str, tuple[str, int]]:
    listed = subprocess.run(["nm", file], check=True, capture_output=True, text=True).stdout
    rows = (row.split() for row in listed.splitlines())
    return {row[2]: (row[1], int(row[0], 16)) for row in rows if len(row) == 3}


def _section(file: Path, name: str) -> bytes:
    out = file.with_suffix(".part")
    subprocess.run(
        ["objcopy", "--dump-section", f"{name}={out}", file, "/dev/null"], check=True
    )
    return out.read_bytes()


class Machine:
    """The files of a machine, and what has been linked for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "machine"
        self.folder.mkdir()
        (self.folder / "world.json").write_text(json.dumps({"release": RELEASE}))
        self.vmlinux = compile_c(folder, "vmlinux", KERNEL, *LINKED, *PLACED)
        self.module = compile_c(folder, "demo.ko", MODULE, "-O2", "-g", "-c", "-fno-pic")
        self.symbols = _symbols(self.vmlinux)
        self.inside = _symbols(self.module)
        rows = [f"{a + MOVED:x} {kind} {name}" for name, (kind, a) in self.symbols.items()]
        rows.append(f"{TEXT + self.inside['demo_open'][1]:x} T demo_open\t[demo]")
        self.put("proc/kallsyms", "\n".join([*rows, ""]))
        self.put("proc/modules", "demo 16384 0 - Live 0x0\n")
        self.put("proc/sys/kernel/osrelease", f"{RELEASE}\n")
        self.put("sys/kernel/notes", _section(self.vmlinux, ".note.gnu.build-id"))
        self.put("sys/module/demo/sections/.text", f"{TEXT:#018x}\n")
        self.put("sys/module/demo/sections/.data", f"{DATA:#018x}\n")
        self.put(f"lib/modules/{RELEASE}/modules.dep", "kernel/demo.ko.xz:\n")

    def put(self, name: str, content: str | bytes) -> None:
        """A file of the machine."""
        path = self.folder / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def install(self, where: str = f"usr/lib/debug/boot/vmlinux-{RELEASE}") -> None:
        """The debug information of the kernel and of its module."""
        self.put(where, self.vmlinux.read_bytes())
        self.put(
            f"usr/lib/debug/lib/modules/{RELEASE}/kernel/demo.ko", self.module.read_bytes()
        )

    @property
    def world(self) -> RecordedWorld:
        """What the compiler sees of it."""
        return RecordedWorld(self.folder)

    def at(self, name: str) -> int:
        """Where a symbol of the kernel is in memory."""
        return self.symbols[name][1] + MOVED


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    machine = Machine(tmp_path_factory.mktemp("kernel"))
    machine.install()
    return machine


@pytest.fixture
def expand(built: Machine) -> Callable[[str], tuple[Expansion, ...] | NoMatch]:
    targets = LiveTargets(built.world)
    return lambda point: targets.expand(parts(point))


def _found(expansions: tuple[Expansion, ...] | NoMatch) -> tuple[Expansion, ...]:
    assert not isinstance(expansions, NoMatch), expansions
    return expansions


def _marker(expansion: Expansion) -> Marker:
    assert isinstance(expansion.attachment, MarkerAttachment)
    return expansion.attachment.marker


def _short(expansion: Expansion) -> str:
    return re.sub(r"@[^\":]*/", "@", expansion.point)


def _line_of(text: str, source: str = KERNEL) -> int:
    return source.splitlines().index(text) + 1


def test_a_function_is_where_the_kernel_was_moved_to(built: Machine, expand) -> None:
    (found,) = _found(expand('kernel.function("opened")'))
    number = _line_of("__attribute__((noinline)) int opened(struct inode *inode, int flags)")
    assert _short(found) == f'kernel.function("opened@vmlinux.c:{number}")'
    place = _marker(found).kernel
    assert place is not None
    assert (place.symbol, place.address, place.offset) == ("opened", built.at("opened"), 0)


def test_inlined_copies_are_functions(built: Machine, expand) -> None:
    found = _found(expand('kernel.function("checked")'))
    inside = {_marker(one).kernel.symbol for one in found}  # type: ignore[union-attr]
    assert inside == {"opened", "closed"}
    assert len(_found(expand('kernel.function("checked").inline'))) == len(found)
    assert isinstance(expand('kernel.function("checked").call'), NoMatch)


@pytest.mark.parametrize(
    ("point", "names"),
    [
        ('kernel.function("*@vmlinux.c").call', {"_stext", "helper", "opened", "closed"}),
        ('kernel.function("*ed@*.c").call', {"opened", "closed"}),
        ('kernel.function("o*").return', {"opened"}),
        ('kernel.function("helper@vmlinux.c").exported', {"helper"}),
    ],
)
def test_patterns_of_functions_and_files(expand, point: str, names: set[str]) -> None:
    found = _found(expand(point))
    assert {_marker(one).name for one in found} == names


@pytest.mark.parametrize(
    ("point", "today", "names"),
    [
        ('kernel.function("*ed@fs/gone.c").call', "fs/nowhere.c", set()),
        ('kernel.function("*ed@fs/gone.c").call', "vmlinux.c", {"opened", "closed"}),
        ('kernel.function("*er@*/fs/gone.c").call', "vmlinux.c", {"helper"}),
        ('kernel.function("checked@fs/gone.c").inline', "vmlinux.c", {"checked"}),
        ('module("demo").function("demo_*@fs/gone.c")', "demo.ko.c", {"demo_open"}),
    ],
)
def test_files_that_moved(monkeypatch, expand, point: str, today: str, names: set[str]) -> None:
    """The table has `fs/gone.c` among its rows for the test."""
    table = moved_names._table("moved")["files"]
    monkeypatch.setitem(table, "fs/gone.c", [today])
    found = expand(point)
    if not names:
        assert isinstance(found, NoMatch)
        return
    assert {_marker(one).name for one in found} == names
    assert f"{today} in this kernel" in found[0].notes[0].message


def test_rows_of_moved_files_lead_elsewhere() -> None:
    for old, today in moved_names._table("moved")["files"].items():
        assert today
        assert old not in today
        for pattern in (old, f"*/{old}", f"*{old}", f"/usr/src/linux/{old}"):
            front = pattern.removesuffix(old)
            assert moved_names.files(pattern) == tuple(front + one for one in today)
        assert moved_names.files(f"x{old}") == ()


def test_callees_are_copies_and_calls(built: Machine, expand) -> None:
    found = _found(expand('kernel.function("closed").callee("*")'))
    assert {_marker(one).name for one in found} == {"checked", "opened", "helper"}
    by_name = {_marker(one).name: one for one in found}
    assert by_name["checked"].callers == ()
    low, high = built.at("closed"), built.at("closed") + 0x1000
    values = [value % (1 << 64) for chain in by_name["helper"].callers for _, value in chain]
    assert values
    assert all(low < value < high for value in values)
    number = _line_of("__attribute__((noinline)) int helper(struct inode *inode)")
    assert by_name["helper"].own_name == (
        re.sub(r"closed@[^\"]*\"\)\.callee\(\"", "", by_name["helper"].point)
    )
    assert f"helper@{built.vmlinux}.c:{number}" in by_name["helper"].point


def test_code_that_is_thrown_away_is_left_out_and_named(expand) -> None:
    alone = expand('kernel.function("opened_early@vmlinux.c")')
    assert isinstance(alone, NoMatch)
    assert ["thrown away" in reason.message for reason in alone.reasons] == [True]
    several = _found(expand('kernel.function("opened*@vmlinux.c").call'))
    assert ["opened_early" in note.message for note in several[0].notes] == [True]


def test_statements_have_local_variables(built: Machine, expand) -> None:
    number = _line_of("\tret += helper(inode);")
    (found,) = _found(expand(f'kernel.statement("opened@vmlinux.c:{number}")'))
    assert _short(found) == f'kernel.statement("opened@vmlinux.c:{number}")'
    assert " $inode:struct inode*" in line(found)
    assert " $ret:int" in line(found)
    place = _marker(found).kernel
    assert place is not None
    assert place.address == built.at("opened")
    assert place.offset > 0
    assert found.members is not None
    way = found.members.access("inode", ["links"])
    assert isinstance(way, Access)
    assert (way.space, way.offsets) == ("kernel", (8,))


@pytest.mark.parametrize("lines", ["+5", ":*", ":{0}-{1}"])
def test_lines_are_given_in_all_ways(expand, lines: str) -> None:
    first = _line_of("__attribute__((noinline)) int opened(struct inode *inode, int flags)")
    written = lines.format(first, first + 9)
    found = _found(expand(f'kernel.statement("opened@vmlinux.c{written}")'))
    numbers = {int(_short(one).rpartition(":")[2].rstrip('")')) for one in found}
    assert first + 5 in numbers or lines != "+5"
    assert all(first <= number <= first + 9 for number in numbers)


def test_a_parameter_at_the_entry_is_in_its_register(expand) -> None:
    (found,) = _found(expand('kernel.function("helper").call'))
    assert found.members is not None
    way = found.members.access("inode", ["number"])
    assert isinstance(way, Access)
    base = way.base
    assert not isinstance(base, Loaded)
    assert base is not None
    assert base.operands == (Register("rdi", 8, signed=False),)


def test_globals_of_any_type_are_where_the_kernel_was_moved_to(built: Machine) -> None:
    targets = LiveTargets(built.world)
    way = targets.static(GlobalAccess("table", "", "kernel", ("first",)))
    assert isinstance(way, Access)
    assert (way.offsets, way.size, way.space) == ((built.at("table"),), 4, "kernel")
    of_file = targets.static(GlobalAccess("counter", "vmlinux.c", "kernel"))
    assert isinstance(of_file, Access)
    assert of_file.offsets == (built.at("counter"),)
    missing = targets.static(GlobalAccess("counter", "other.c", "kernel"))
    assert isinstance(missing, NoAccess)


def test_types_that_btf_lacks_can_be_cast_to(built: Machine) -> None:
    found = LiveTargets(built.world).structure("only_here", "kernel")
    assert not isinstance(found, NoAccess)
    way = found.access(["inode", "links"])
    assert isinstance(way, Access)
    assert (way.offsets, way.space) == ((8, 8), "kernel")


def test_a_module_is_placed_section_by_section(built: Machine, expand) -> None:
    (found,) = _found(expand('module("demo").function("demo_open").call'))
    place = _marker(found).kernel
    assert place is not None
    assert place.module == "demo"
    assert place.address == TEXT + built.inside["demo_open"][1]
    assert found.scope is not None
    way = found.scope.static(GlobalAccess("last"))
    assert isinstance(way, Access)
    assert way.offsets == (DATA + built.inside["last"][1],)
    (inlined,) = _found(expand('module("demo").function("twice")'))
    assert _marker(inlined).kernel.symbol == "demo_open"  # type: ignore[union-attr]
    number = _line_of("\tstates[1].users = sum;", MODULE)
    line_of = _found(expand(f'module("de*").statement("*@demo.ko.c:{number}")'))
    assert {_marker(one).kind for one in line_of} == {Kind.KERNEL_FUNCTION}
    assert any(" $state:struct state*" in line(one) for one in line_of)


@pytest.mark.parametrize(
    "where",
    [
        f"usr/lib/debug/lib/modules/{RELEASE}/vmlinux",
        f"boot/vmlinux-{RELEASE}",
        f"lib/modules/{RELEASE}/build/vmlinux",
        f"lib/modules/{RELEASE}/vmlinux",
    ],
)
def test_the_kernels_file_is_found(tmp_path: Path, where: str) -> None:
    machine = Machine(tmp_path)
    machine.install(where)
    assert _found(LiveTargets(machine.world).expand(parts('kernel.function("checked")')))


def test_the_kernels_file_is_found_by_build_id_and_by_the_environment(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    notes = _section(machine.vmlinux, ".note.gnu.build-id")
    digits = notes[-20:].hex()
    machine.install(f"srv/debug/.build-id/{digits[:2]}/{digits[2:]}.debug")
    point = parts('kernel.function("checked")')
    assert isinstance(LiveTargets(machine.world).expand(point), NoMatch)
    facts = {"release": RELEASE, "env": {"SYSTEMTAP_DEBUGINFO_PATH": "+:.debug:/srv/debug"}}
    (machine.folder / "world.json").write_text(json.dumps(facts))
    assert _found(LiveTargets(machine.world).expand(point))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    targets = LiveTargets(machine.world)
    refused = targets.expand(parts('kernel.function("*@vmlinux.c")'))
    assert isinstance(refused, NoMatch)
    (reason,) = refused.reasons
    assert reason.code == "needs-debug-information"
    assert f"/usr/lib/debug/boot/vmlinux-{RELEASE}" in reason.message
    assert f"linux-image-{RELEASE}-dbg" in reason.message
    assert _found(targets.expand(parts('kernel.function("opened")')))


def test_a_file_of_another_kernel_is_not_taken(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.install()
    other = bytearray(_section(machine.vmlinux, ".note.gnu.build-id"))
    other[-1] ^= 1
    machine.put("sys/kernel/notes", bytes(other))
    refused = LiveTargets(machine.world).expand(parts('kernel.function("checked").inline'))
    assert isinstance(refused, NoMatch)
    assert ["of another kernel" in reason.message for reason in refused.reasons] == [True]


def test_hidden_addresses_leave_symbols_and_offsets(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.install()
    rows = [f"{0:016x} {kind} {name}" for name, (kind, _) in machine.symbols.items()]
    machine.put("proc/kallsyms", "\n".join([*rows, ""]))
    targets = LiveTargets(machine.world)
    for found in _found(targets.expand(parts('kernel.function("checked")'))):
        place = _marker(found).kernel
        assert place is not None
        assert place.address == 0
        assert place.symbol in ("opened", "closed")
    hidden = targets.static(GlobalAccess("table", "", "kernel", ("first",)))
    assert isinstance(hidden, NoAccess)
    assert "kptr_restrict" in hidden.message


def test_scripts_compile(built: Machine) -> None:
    number = _line_of("\tret += helper(inode);")
    text = f"""
    probe kernel.statement("opened@vmlinux.c:{number}") {{
      printf("%d %d %s %d\\n", $ret, $inode->links, $$vars, $counter)
      println(@var("table", "kernel")->first, @cast($inode, "only_here", "kernel")->first)
    }}
    probe kernel.function("checked").inline {{ println($inode->number, " ", $want) }}
    probe kernel.function("opened").return {{ println($return, " ", @entry($flags)) }}
    probe module("demo").function("*") {{ println(probefunc(), $$parms) }}
    """
    sources = SourceMap()
    main = sources.add("x.stp", text)
    compiled = compile_script(main, sources, LiveTargets(built.world), AnalyseOptions())
    made = generate(compiled.placed, 1 << 16)
    assert all(program.code for program in made.programs)
    assert {program.attach for program in made.programs} == {
        Attach.KPROBE,
        Attach.KPROBE_RETURN,
    }
