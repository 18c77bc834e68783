"""Functions of the kernel on a recorded machine: which points stand for what, and variables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bridge.cli.script import of_the_host
from bridge.codegen.bpf.generate import generate
from bridge.codegen.bpf.hooks import EVERYWHERE, Ways
from bridge.codegen.bpf.object import Attach
from bridge.errors import CompileError
from bridge.markers import (
    Access,
    Enumerator,
    Kind,
    Memory,
    NoAccess,
    NoMatch,
    RawArgument,
    Register,
)
from bridge.pipeline import compile_script
from bridge.probes.btf import Btf, merged
from bridge.probes.btf import BtfKind as TypeKind
from bridge.probes.live import LiveTargets
from bridge.probes.machine import Options
from bridge.script.options import AnalyseOptions
from bridge.source import SourceMap
from bridge.world import RecordedWorld
from tests.support.kernel_types import Image
from tests.support.points import parts

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.markers import Expansion, Marker

KALLSYMS = """\
ffffffff81000000 T _text
ffffffff810000f0 t __pfx_fs_read
ffffffff81000100 T fs_read
ffffffff81000200 T fs_write
ffffffff81000300 t fs_helper.isra.0
ffffffff81000380 t fs_helper.isra.0.cold
ffffffff81000390 t fs_split.part.0
ffffffff81000400 t twice
ffffffff81000500 t twice
ffffffff81000600 T fs_hidden
ffffffff81000700 T many
ffffffff81000800 t plain_text
ffffffff82000000 D limit
ffffffff82000010 D nr_threads
ffffffff82000020 D cad_pid
ffffffff82000030 D avenrun
0000000000010000 A runqueues
ffffffffc0000000 t demo_ioctl\t[demo]
ffffffffc0000100 t fs_read\t[demo]
"""
TRACEABLE = """\
fs_read
fs_write
fs_helper.isra.0
twice
twice
many
plain_text
demo_ioctl [demo]
fs_read [demo]
"""


def _kernel_types() -> Image:
    image = Image()
    int_ = image.integer("int", 4, signed=True)
    long_ = image.integer("long int", 8, signed=True)
    size = image.integer("unsigned int", 4, signed=False)
    file = image.count + 2
    pointer = image.add(TypeKind.PTR, value=file)
    assert file == image.struct(
        "file", 16, ("f_mode", size, 0), ("f_next", pointer, 64), ("f_low", size, 3 << 24 | 32),
        flag=1,
    )  # fmt: skip
    pair = image.struct("pair", 16, ("a", long_, 0), ("b", long_, 64))
    mode = image.add(
        TypeKind.ENUM,
        "mode",
        4,
        count=1,
        tail=bytes(4 * 1) and _enumerator(image, "MODE_OFF", 7),
    )

    def function(name: str, result: int, *parameters: tuple[str, int]) -> None:
        prototype = image.prototype(*parameters)
        # a prototype's own record has the type of the result
        image.types = (
            image.types[: -8 * len(parameters) - 4]
            + result.to_bytes(4, "little")
            + image.types[len(image.types) - 8 * len(parameters) :]
        )
        image.add(TypeKind.FUNC, name, prototype)

    function("fs_read", long_, ("file", pointer), ("count", size), ("mode", mode))
    function("fs_write", 0, ("file", pointer))
    function("fs_helper", int_, ("file", pointer))
    function("twice", int_, ("x", int_))
    seven = tuple((f"p{number}", long_) for number in range(1, 8))
    function("many", long_, ("first", pair), *seven)
    owner = image.struct("pid", 8, ("level", int_, 0))
    image.add(TypeKind.PTR, value=owner)
    image.array(image.integer("long unsigned int", 8, signed=False), 3)
    return image


def _enumerator(image: Image, name: str, value: int) -> bytes:
    return image.name(name).to_bytes(4, "little") + value.to_bytes(4, "little")


def _module_types(base: Image) -> bytes:
    """Types of a module, which go on where those of the kernel end."""
    image = Image()
    image.count = base.count
    image.strings = b""
    shift = len(base.strings)
    plain = image.name
    image.name = lambda text: plain(text) + shift if text else 0  # type: ignore[method-assign]
    state = image.struct("demo_state", 8, ("users", 1, 0))
    pointer = image.add(TypeKind.PTR, value=state)
    image.add(TypeKind.FUNC, "demo_ioctl", image.prototype(("state", pointer)))
    return image.build()


@pytest.fixture
def world(tmp_path: Path) -> RecordedWorld:
    (tmp_path / "world.json").write_text(json.dumps({"release": "6.12.1"}))
    types = _kernel_types()
    files = {
        "proc/kallsyms": KALLSYMS.encode(),
        "proc/modules": b"demo 16384 0 - Live 0xffffffffc0000000\n",
        "sys/kernel/tracing/events/header_page": b"",
        "sys/kernel/tracing/available_filter_functions": TRACEABLE.encode(),
        "sys/kernel/debug/kprobes/blacklist": b"0xffffffff81000800-0xff810\tplain_text\n",
        "sys/kernel/btf/vmlinux": types.build(),
        "sys/kernel/btf/demo": _module_types(types),
    }
    for name, content in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return RecordedWorld(tmp_path)


def _expand(world: RecordedWorld, point: str) -> tuple[Expansion, ...]:
    found = LiveTargets(world).expand(parts(point))
    assert not isinstance(found, NoMatch), found
    return found


def _marker(place: Expansion) -> Marker:
    return place.attachment.marker  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "address", "size"),
    [
        ('@var("nr_threads", "kernel")', 0xFFFFFFFF82000010, 4),
        ('@var("avenrun", "kernel")[2]', 0xFFFFFFFF82000040, 8),
        ('@var("cad_pid", "kernel")->level', 0xFFFFFFFF82000020, 4),
    ],
)
def test_globals_have_the_types_of_the_table(
    world: RecordedWorld, value: str, address: int, size: int
) -> None:
    """BTF says nothing of globals but those of a processor; `limit` is in no table."""
    text = f'probe kernel.function("fs_read") {{ println({value}) }}'
    sources = SourceMap()
    options = AnalyseOptions(own_tapset=False)
    main = sources.add("a.stp", text)
    compiled = compile_script(main, sources, LiveTargets(world), options)
    shown = repr(compiled.placed.program)
    assert str(address) in shown or str(address - (1 << 64)) in shown
    assert f"size={size}" in shown
    unknown = sources.add("b.stp", text.replace(value, '@var("limit", "kernel")'))
    with pytest.raises(CompileError, match=r"globals\.toml does not have it"):
        compile_script(unknown, sources, LiveTargets(world), options)


@pytest.mark.parametrize(
    ("point", "place", "note"),
    [
        (
            'kernel.function("demo_ioctl")',
            'module("demo").function("demo_ioctl")',
            "is of the module demo",
        ),
        (
            'kernel.function("demo_ioctl").return',
            'module("demo").function("demo_ioctl").return',
            "is of the module demo",
        ),
        (
            'module("fs").function("fs_helper")',
            'kernel.function("fs_helper")',
            "fs is built into this kernel",
        ),
        ('module("demo").function("demo_ioctl")', 'module("demo").function("demo_ioctl")', ""),
    ],
)
def test_modules_that_are_built_in_or_not(
    world: RecordedWorld, point: str, place: str, note: str
) -> None:
    (found,) = _expand(world, point)
    assert found.point == place
    assert any(note in one.message for one in found.notes) or (not note and not found.notes)
    strict = LiveTargets(world, Options(strict_names=True)).expand(parts(point))
    assert isinstance(strict, NoMatch) == bool(note)


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ('kernel.function("fs_read")', ['kernel.function("fs_read")']),
        ('kernel.function("fs_read").call', ['kernel.function("fs_read").call']),
        ('kernel.function("fs_read@fs/read.c")', ['kernel.function("fs_read")']),
        ('kernel.function("fs_read").return', ['kernel.function("fs_read").return']),
        (
            'kernel.function("fs_read").return.maxactive(9)',
            ['kernel.function("fs_read").return.maxactive(9)'],
        ),
        (
            'kernel.function("fs_*")',
            [f'kernel.function("fs_{name}")' for name in ("read", "write", "helper")],
        ),
        ('kernel.function("fs_helper")', ['kernel.function("fs_helper")']),
        ('kernel.function("twice")', ['kernel.function("twice")'] * 2),
        ('kernel.function("*i*e*").exported', ['kernel.function("fs_write").exported']),
        ('kernel.statement("fs_read")', ['kernel.statement("fs_read")']),
        (
            "kernel.statement(0xffffffff81000204).absolute",
            ["kernel.statement(0xffffffff81000204).absolute"],
        ),
        ('module("demo").function("*")', [
            'module("demo").function("demo_ioctl")', 'module("demo").function("fs_read")']),
        ('module("d*").function("fs_read")', ['module("d*").function("fs_read")']),
        ('module("/lib/modules/6.1/updates/demo.ko").function("fs_read")', [
            'module("/lib/modules/6.1/updates/demo.ko").function("fs_read")']),
        ('module("demo.ko.xz").function("fs_r*")', [
            'module("demo.ko.xz").function("fs_read")']),
        ('kprobe.function("fs_read")', ['kprobe.function("fs_read")']),
        ('kprobe.module("demo").function("fs_read").return',
         ['kprobe.module("demo").function("fs_read").return']),
        ("kprobe.statement(0xffffffff81000100).absolute",
         ["kprobe.statement(0xffffffff81000100).absolute"]),
    ],
)  # fmt: skip
def test_points(world: RecordedWorld, point: str, expected: list[str]) -> None:
    assert [place.point for place in _expand(world, point)] == expected


def test_what_a_pattern_cannot_probe_is_counted(world: RecordedWorld) -> None:
    first, *others = _expand(world, 'kernel.function("fs_*")')
    (note,) = first.notes
    assert note.message.startswith("1 functions that match")
    assert "fs_hidden" in note.message
    assert not any(place.notes for place in others)


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        ('kernel.function("fs_hidden")', "is not in available_filter_functions"),
        ('kernel.function("plain_text")', "kprobes/blacklist"),
        ('kernel.function("*@fs/read.c")', "from debug information only"),
        ('kernel.function("fs_read@fs/read.c:12")', "from debug information only"),
        ('kernel.statement("fs_read@fs/read.c+3")', "from debug information only"),
        ('kernel.function("fs_read").inline', "from debug information only"),
        ('kernel.function("fs_read").label("out")', "from debug information only"),
        ('kernel.function("fs_read").callees', "from debug information only"),
        ('module("absent").function("f")', "`modprobe absent` first"),
        ('module("/lib/modules/no-such.ko.zst").function("f")', "`modprobe no_such` first"),
    ],
)
def test_refusals_have_their_reason(world: RecordedWorld, point: str, reason: str) -> None:
    found = LiveTargets(world).expand(parts(point))
    assert isinstance(found, NoMatch)
    assert [reason in told.message for told in found.reasons] == [True]


def test_a_name_that_is_not_there_has_similar_ones(world: RecordedWorld) -> None:
    found = LiveTargets(world).expand(parts('kernel.function("fs_reed")'))
    assert isinstance(found, NoMatch)
    assert found.near is not None
    assert "fs_read" in found.near()


def test_without_symbols_the_host_is_to_blame(tmp_path: Path) -> None:
    (tmp_path / "world.json").write_text("{}")
    found = LiveTargets(RecordedWorld(tmp_path)).expand(parts('kernel.function("f")'))
    assert isinstance(found, NoMatch)
    assert [told.code for told in found.reasons] == ["no-kallsyms"]
    assert "mount -t proc" in found.reasons[0].message
    assert of_the_host(found.reasons[0])


# --- variables --------------------------------------------------------------------------------


def test_parameters_by_register_and_by_trampoline(world: RecordedWorld) -> None:
    (place,) = _expand(world, 'kernel.function("fs_read")')
    marker = _marker(place)
    assert marker.kind is Kind.KERNEL_FUNCTION
    assert [(v.name, v.operands[0], v.raw) for v in marker.variables] == [
        ("file", Register("rdi", 8, signed=False), RawArgument(0, 8, signed=False)),
        ("count", Register("rsi", 4, signed=False), RawArgument(1, 4, signed=False)),
        ("mode", Register("rdx", 4, signed=False), RawArgument(2, 4, signed=False)),
    ]
    assert marker.kernel is not None
    assert marker.kernel.trampoline == Btf(_kernel_types().build()).find(
        TypeKind.FUNC, "fs_read"
    )


def test_structures_take_registers_and_the_rest_is_on_the_stack(world: RecordedWorld) -> None:
    (place,) = _expand(world, 'kernel.function("many")')
    found = {v.name: v.operands[0] for v in _marker(place).variables}
    assert found["p1"] == Register("rdx", 8, signed=True)
    assert found["p4"] == Register("r9", 8, signed=True)
    assert found["p5"] == Memory("rsp", None, 1, 8, 8, signed=True, space="kernel")
    assert found["p7"] == Memory("rsp", None, 1, 24, 8, signed=True, space="kernel")
    assert _marker(place).kernel.trampoline == 0  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["twice", "fs_helper"])
def test_no_trampoline_where_the_kernel_could_take_another(
    world: RecordedWorld, name: str
) -> None:
    places = [_marker(p).kernel for p in _expand(world, f'kernel.function("{name}")')]
    assert [place.trampoline for place in places if place] == [0] * len(places)
    assert len({place.address for place in places if place}) == len(places)


def test_paths_into_parameters(world: RecordedWorld) -> None:
    (place,) = _expand(world, 'kernel.function("fs_read")')
    assert place.scope is not None
    deep = place.scope.access("file", ["f_next", "f_next", "f_mode"])
    assert isinstance(deep, Access)
    assert (deep.offsets, deep.size, deep.space) == ((8, 8, 0), 4, "kernel")
    bits = place.scope.access("file", ["f_low"])
    assert isinstance(bits, Access)
    assert (bits.offsets, bits.shift, bits.bits) == ((4,), 0, 3)
    assert place.scope.enumerator("MODE_OFF") == Enumerator(7)
    assert isinstance(place.scope.enumerator("MODE_ON"), NoAccess)
    unknown = place.scope.access("inode", [])
    assert isinstance(unknown, NoAccess)
    assert "unable to find local 'inode'" in unknown.message
    assert "$file" in unknown.message


def test_the_result_and_the_entry_of_a_return(world: RecordedWorld) -> None:
    (place,) = _expand(world, 'kernel.function("fs_read").return')
    marker = _marker(place)
    assert marker.kind is Kind.KERNEL_RETURN
    (value,) = marker.variables
    assert (value.name, value.operands[0], value.raw) == (
        "return",
        Register("rax", 8, signed=True),
        RawArgument(-1, 8, signed=True),
    )
    assert place.entry is not None
    assert place.entry.point == 'kernel.function("fs_read").call'
    assert [v.name for v in place.entry.variables] == ["file", "count", "mode"]


def test_a_function_without_a_result(world: RecordedWorld) -> None:
    (place,) = _expand(world, 'kernel.function("fs_write").return')
    assert place.variables == ()
    assert place.scope is not None
    found = place.scope.access("return", [])
    assert found == NoAccess("function fs_write has no return value")


def test_kprobe_points_know_no_variables_but_arguments(world: RecordedWorld) -> None:
    (place,) = _expand(world, 'kprobe.function("fs_read")')
    assert place.scope is None
    assert place.variables == ()
    hidden = {v.name: v for v in _marker(place).hidden}
    assert hidden["arg2"].operands[0] == Register("rsi", 8, signed=True)
    assert hidden["arg2"].raw == RawArgument(1)
    assert hidden["arg4"].raw is None  # the function has three
    assert hidden["register_rdi"].raw is None


def test_an_address_inside_a_function_has_registers_only(world: RecordedWorld) -> None:
    (place,) = _expand(world, "kernel.statement(0xffffffff81000208).absolute")
    kernel = _marker(place).kernel
    assert kernel is not None
    assert (kernel.symbol, kernel.offset) == ("fs_write", 8)
    assert "arg1" not in {v.name for v in _marker(place).hidden}


# --- modules ----------------------------------------------------------------------------------


def test_types_of_a_module_go_on_where_the_kernels_end(world: RecordedWorld) -> None:
    (place,) = _expand(world, 'module("demo").function("demo_ioctl")')
    assert _marker(place).kernel.module == "demo"  # type: ignore[union-attr]
    assert place.scope is not None
    found = place.scope.access("state", ["users"])
    assert isinstance(found, Access)
    assert (found.offsets, found.size) == ((0,), 4)
    targets = LiveTargets(world)
    assert not isinstance(targets.structure("demo_state", "demo"), NoAccess)
    assert isinstance(targets.structure("demo_state", "kernel"), NoAccess)


def test_merged_images_keep_the_numbers() -> None:
    base = _kernel_types()
    both = Btf(merged(base.build(), _module_types(base)))
    assert both.find(TypeKind.STRUCT, "file") == Btf(base.build()).find(TypeKind.STRUCT, "file")
    assert both.find(TypeKind.STRUCT, "demo_state") == base.count + 1


# --- programs ---------------------------------------------------------------------------------


def _attached(
    world: RecordedWorld, script: str, kprobes: frozenset[int] = frozenset()
) -> list[Attach]:
    sources = SourceMap()
    main = sources.add("x.stp", script)
    compiled = compile_script(main, sources, LiveTargets(world), AnalyseOptions())
    made = generate(compiled.placed, 1 << 16, Ways(kprobes))
    assert all(program.code for program in made.programs)
    return [program.attach for program in made.programs]


@pytest.mark.parametrize(
    ("script", "attach"),
    [
        ('probe kernel.function("fs_read") { println($count, $file->f_mode) }', Attach.FENTRY),
        ('probe kernel.function("fs_read").return { println($return) }', Attach.FEXIT),
        ('probe kprobe.function("fs_read") { println(int_arg(2)) }', Attach.FENTRY),
        ('probe kprobe.function("fs_read").return { println(returnval()) }', Attach.FEXIT),
        # what only a kprobe has: registers, arguments that the function has not, the stack
        ('probe kernel.function("fs_read") { println(register("rbx")) }', Attach.KPROBE),
        ('probe kprobe.function("fs_read") { println(int_arg(5)) }', Attach.KPROBE),
        ('probe kernel.function("fs_read") { print_backtrace() }', Attach.KPROBE),
        ('probe kernel.function("many") { println($p7) }', Attach.KPROBE),
        ('probe kernel.function("fs_helper") { println($file) }', Attach.KPROBE),
        ("probe kernel.statement(0xffffffff81000208) { println(uid()) }", Attach.KPROBE),
        (
            'probe kernel.function("fs_helper").return { println($return) }',
            Attach.KPROBE_RETURN,
        ),
    ],
)
def test_what_a_program_is_attached_to(
    world: RecordedWorld, script: str, attach: Attach
) -> None:
    assert _attached(world, script) == [attach]


@pytest.mark.parametrize(
    "choice",
    [
        "x = @defined(@entry($file)) ? @entry($count) : @entry($nosuch)",
        "x = @defined(@entry($nosuch)) ? @entry($nosuch) : @entry($count)",
        "if (@defined(@entry($nosuch))) x = @entry($nosuch) else x = @entry($count)",
        "if (@defined(@entry($nosuch->f_mode))) x = @entry($nosuch) else x = @entry($count)",
    ],
)
def test_only_what_is_there_is_saved_at_the_entry(world: RecordedWorld, choice: str) -> None:
    script = f'probe kernel.function("fs_read").return {{ {choice} println(x) }}'
    assert _attached(world, script) == [Attach.FENTRY, Attach.FEXIT]


def test_refused_trampolines_become_kprobes(world: RecordedWorld) -> None:
    script = """probe kernel.function("fs_read") { println($count) }
                probe kernel.function("fs_write") { println($file) }"""
    assert _attached(world, script) == [Attach.FENTRY] * 2
    assert _attached(world, script, frozenset({1})) == [Attach.FENTRY, Attach.KPROBE]
    assert _attached(world, script, frozenset({EVERYWHERE})) == [Attach.KPROBE] * 2


def test_a_parameter_at_the_return_is_saved_at_the_entry(world: RecordedWorld) -> None:
    script = 'probe kernel.function("fs_read").return { println($return, @entry($count)) }'
    assert _attached(world, script) == [Attach.FENTRY, Attach.FEXIT]


def _shared(
    world: RecordedWorld, script: str, kprobes: frozenset[int] = frozenset()
) -> list[tuple[Attach, list[str]]]:
    """The functions of each program, where all hooks may share theirs."""
    sources = SourceMap()
    main = sources.add("x.stp", script)
    compiled = compile_script(main, sources, LiveTargets(world), AnalyseOptions())
    all_hooks = frozenset(hook.id for hook in compiled.placed.hooks)
    made = generate(compiled.placed, 1 << 16, Ways(kprobes, all_hooks))
    return [
        (program.attach, [place.symbol for _, place in program.many])
        for program in made.programs
        if program.many
    ]


FOUR = ["fs_helper", "fs_read", "fs_write", "many"]
SYMBOLS = ["fs_helper.isra.0", *FOUR[1:]]


@pytest.mark.parametrize(
    ("handler", "shared"),
    [
        ("{ n++ }", SYMBOLS),
        ("{ println(pp(), pid()) }", SYMBOLS),
        ("{ printf(\"%s %d\\n\", probefunc(), int_arg(1)) }", SYMBOLS),
        # the kernel has another key for each; other registers; the stack
        ("{ a[probefunc()]++ }", []),
        ("{ println(register(\"rbx\")) }", []),
        ("{ print_backtrace() }", []),
    ],
)  # fmt: skip
def test_functions_whose_programs_are_the_same_share_one(
    world: RecordedWorld, handler: str, shared: list[str]
) -> None:
    points = ", ".join(f'kernel.function("{name}")' for name in FOUR)
    found = _shared(
        world, f"global n = 0, a probe {points} {handler} probe end {{ println(n) }}"
    )
    assert found == ([(Attach.KPROBE, shared)] if shared else [])


def test_two_probes_of_a_function_share_what_its_link_tells(world: RecordedWorld) -> None:
    points = ", ".join(f'kernel.function("{name}")' for name in FOUR)
    probe = f"probe {points} {{ println(pp()) }}"
    assert _shared(world, probe * 2) == [(Attach.KPROBE, SYMBOLS)]


def test_returns_share_another_one_without_trampolines(world: RecordedWorld) -> None:
    points = ", ".join(f'kernel.function("{name}").return' for name in FOUR)
    probe = f"probe {points} {{ println(pp(), returnval()) }}"
    everywhere = frozenset({EVERYWHERE})
    assert _shared(world, probe, everywhere) == [(Attach.KPROBE_RETURN, SYMBOLS)]
    assert _shared(world, probe) == []
