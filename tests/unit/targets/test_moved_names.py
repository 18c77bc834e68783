"""Names that the kernel has changed: found under today's, told once, refused when asked to."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.diagnostics import Severity
from bridge.errors import CompileError
from bridge.markers import Kind, NoMatch
from bridge.pipeline import compile_script
from bridge.probes.kernel import names
from bridge.probes.live import LiveTargets
from bridge.probes.machine import Options
from bridge.source import SourceMap
from bridge.world import LiveWorld
from tests.support.points import parts

if TYPE_CHECKING:
    from bridge.markers import Expansion

BTF = Path("/sys/kernel/btf/vmlinux")
TAPSET = Path(names.__file__).parents[2] / "tapset"
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not BTF.exists(), reason="the kernel does not tell its types"),
]
MEMBERS = {
    '@cast(p, "task_struct", "kernel")->state': "`state` of struct task_struct is `__state`",
    '@cast(p, "bio", "kernel")->bi_size': "`bi_size` of struct bio is `bi_iter->bi_size`",
    '@cast(p, "bio", "kernel")->bi_rw': "`bi_rw` of struct bio is `bi_opf`",
    '@cast(p, "task_struct", "kernel")->uid': "`uid` of struct task_struct is",
    '@cast(p, "file", "kernel")->f_dentry->d_parent': "`f_dentry` of struct file is",
    '@cast(p, "sock", "kernel")->sk_family': "`sk_family` of struct sock is",
    '@cast(p, "inet_sock", "kernel")->daddr': "`daddr` of struct inet_sock is",
}
FUNCTIONS = {
    'kernel.function("do_fork")': "kernel_clone",
    'kernel.function("skb_copy_datagram_iovec")': "skb_copy_datagram_iter",
    'kernel.function("generic_make_request")': "submit_bio_noacct",
    'kernel.function("sys_munmap")': "syscalls:sys_enter_munmap",
    'kernel.function("SyS_munmap").return': "syscalls:sys_exit_munmap",
    'kernel.function("blk_queue_bio")': "blk_mq_submit_bio",
    'kernel.function("__delete_from_page_cache").return': "__filemap_remove_folio",
    'kernel.function("do_generic_file_read")': "filemap_read",
    'kernel.function("find_get_entry").return': "filemap_get_entry",
    'kernel.function("clear_huge_page").return': "folio_zero_user",
    'kernel.function("copy_user_huge_page")': "copy_user_large_folio",
    'kernel.function("split_huge_page")': "split_huge_page_to_list_to_order",
    'kernel.trace("tcp_set_state")': "sock:inet_sock_set_state",
}
GONE = {
    'probe kernel.function("page_cache_read") { println(1) }': "filemap_fault()",
    'probe kernel.trace("sched_wakeup") { println($success) }': "every hit is a success",
    'probe kernel.trace("sched_switch") { println(@cast($prev, "bio", "kernel")->bi_error) }': (
        "bi_status has a number of the block layer"
    ),
}


def _compiled(text: str, *, strict: bool = False) -> list[str]:
    """The warnings of a script; CompileError, if it is refused."""
    sources = SourceMap()
    targets = LiveTargets(LiveWorld(), Options(strict_names=strict))
    compiled = compile_script(sources.add("a.stp", text), sources, targets)
    return [warning.message for warning in compiled.warnings]


@pytest.mark.parametrize("value", MEMBERS)
def test_members(value: str) -> None:
    script = f"function f(p) {{ return {value} }} probe begin {{ println(f(1), {value}) }}"
    script = script.replace("println", "p = 8; println")
    told = [w for w in _compiled(script) if MEMBERS[value] in w]
    assert len(told) == 1
    with pytest.raises(CompileError, match="unable to find member"):
        _compiled(script, strict=True)
    asked = script.replace(f"println(f(1), {value})", f"println(@defined({value}))")
    assert not any(MEMBERS[value] in w for w in _compiled(asked, strict=True))


@pytest.mark.parametrize("point", FUNCTIONS)
def test_functions_and_tracepoints(point: str) -> None:
    script = f"probe {point} {{ println(pp()) }} probe {point} {{ println(1) }}"
    told = [w for w in _compiled(script) if FUNCTIONS[point] in w]
    assert len(told) == 1
    with pytest.raises(CompileError):
        _compiled(script, strict=True)


@pytest.mark.parametrize("name", ["mnt", "dentry"])
def test_former_parameters(name: str) -> None:
    """`$mnt` of vfs_getattr() is a member of its path by now, in the return's @entry, too."""
    for suffix in ("", ".return"):
        value = f"@entry(${name})" if suffix else f"${name}"
        script = f'probe kernel.function("vfs_getattr"){suffix} {{ println({value}) }}'
        assert not [w for w in _compiled(script) if "alternatives" in w]
        with pytest.raises(CompileError, match=f"unable to find local '{name}'"):
            _compiled(script, strict=True)


@pytest.mark.parametrize(
    ("name", "other"), [("__vfs_read", "vfs_read"), ("do_fork", "kernel_clone")]
)
def test_what_reads_registers_moves_to_functions_only(name: str, other: str) -> None:
    """A tracepoint has no registers: `kprobe.function` never stands for one."""

    def expanded(point: str, *, reached: bool) -> tuple[Expansion, ...] | NoMatch:
        return LiveTargets(LiveWorld(), Options(reached=lambda: reached)).expand(parts(point))

    (place,) = expanded(f'kprobe.function("{name}")', reached=True)
    assert place.point == f'kprobe.function("{other}")'
    assert any(f"{name} is {other}" in note.message for note in place.notes)
    (place,) = expanded(f'kprobe.function("{name}")', reached=False)
    assert place.attachment.marker.kind is Kind.KERNEL_FUNCTION
    assert isinstance(expanded('kprobe.function("sys_munmap")', reached=True), NoMatch)


@pytest.mark.parametrize("script", GONE)
def test_what_is_gone_says_what_there_is(script: str) -> None:
    with pytest.raises(CompileError) as caught:
        _compiled(script)
    first, *_ = (d for d in caught.value.diagnostics if d.severity is Severity.ERROR)
    assert any(GONE[script] in d.message for d in (first, *first.chain))


def test_a_name_that_is_there_is_taken_as_it_is() -> None:
    assert not _compiled('probe kernel.function("kernel_clone") { println(1) }')
    assert not _compiled('probe kernel.trace("sched_switch") { println($prev->__state) }')


def test_the_tables_are_of_one_piece() -> None:
    """Nothing moves to itself, and each place has events of the form SYSTEM:EVENT."""
    moved = tomllib.loads((TAPSET / "moved.toml").read_text())
    for name, others in moved["functions"].items():
        assert name not in others
    assert not moved["functions"].keys() & moved["gone"].keys()
    seen: set[str] = set()
    for row in tomllib.loads((TAPSET / "tracepoints.toml").read_text())["place"]:
        assert not seen & set(row["functions"]), row
        seen |= set(row["functions"])
        for event in (*row.get("entered", ()), *row.get("returned", ())):
            assert event.count(":") == 1
    assert len(seen) > 60
