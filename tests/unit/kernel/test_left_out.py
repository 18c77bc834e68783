"""What a wildcard finds and the kernel refuses is left out; a single place is an error."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace

import pytest

from bridge.codegen.bpf.object import Attach, BpfObject, BpfProgram
from bridge.diagnostics import Sink
from bridge.engine.kernel import attach
from bridge.engine.kernel.refusals import LeftOut, left_out_text
from bridge.engine.kernel.uprobes import Attached
from bridge.errors import HostError
from bridge.markers import MarkerAttachment, Site
from bridge.probes.live import LiveTargets
from bridge.script.analysis.analyse import analyse
from bridge.source import SourceMap
from bridge.world import LiveWorld

REFUSED = {7: errno.EPERM, 8: errno.E2BIG, 9: errno.EMFILE}


def loaded(*programs: BpfProgram) -> attach.LoadedObject:
    made = attach.LoadedObject(BpfObject((), programs, 0))
    made.programs = list(range(len(programs)))
    return made


def tracepoint(hook: int, number: int) -> BpfProgram:
    name = f"event{number}"
    return BpfProgram(name, hook, Attach.TRACEPOINT, b"", tracepoint=name, tracepoint_id=number)


def raw(hook: int, name: str) -> BpfProgram:
    return BpfProgram(name, hook, Attach.RAW_TRACEPOINT, b"", tracepoint=name)


def uprobe(hook: int, *offsets: int) -> BpfProgram:
    sites = tuple(
        Site("/x", at, at, unsafe="in a red zone" if at == 99 else "") for at in offsets
    )
    return BpfProgram("u", hook, Attach.UPROBE, b"", sites=sites)


@pytest.fixture
def kernel(monkeypatch):
    """A kernel that refuses some numbers, names and offsets."""

    def uprobes(program, _descriptor):
        failed = [REFUSED.get(site.offset, 0) for site in program.sites]
        return Attached(failed=-max(failed)) if any(failed) else Attached((100,))

    fake = SimpleNamespace(
        mb_bpf_attach_tracepoint=lambda _program, number, *_: -REFUSED.get(number, -100),
        mb_bpf_attach_raw=lambda _, name: -errno.EINVAL if name == b"odd" else 100,
    )
    monkeypatch.setattr(attach, "attach_uprobes", uprobes)
    monkeypatch.setattr(attach, "lib", fake)


@pytest.mark.usefixtures("kernel")
class TestAttach:
    def test_tracepoints_of_a_wildcard_are_left_out(self) -> None:
        one = loaded(tracepoint(0, 1), tracepoint(1, 7), raw(2, "odd"), raw(3, "even"))

        left = attach.attach(one, {0, 1, 2, 3})

        assert [(p.place, p.reason) for p in left] == [
            ("the tracepoint `event7`", os.strerror(errno.EPERM)),
            ("the tracepoint `odd`", os.strerror(errno.EINVAL)),
        ]
        assert len(one.links) == 2
        assert left_out_text(left) == (
            "2 places, optional or found by wildcards, cannot be attached to:"
            " the tracepoint `event7` (Operation not permitted);"
            " the tracepoint `odd` (Invalid argument)"
        )

    def test_a_single_one_is_an_error_with_the_reason(self) -> None:
        with pytest.raises(HostError, match="event7`: Operation not permitted") as error:
            attach.attach(loaded(tracepoint(0, 1), tracepoint(1, 7)), {0})
        assert ("run markbridge as root" in error.value.remedy) == (os.geteuid() != 0)

    def test_some_sites_of_a_marker_are_left_out(self) -> None:
        one = loaded(uprobe(0, 1, 8, 2, 99))

        left = attach.attach(one, {0})

        assert [(p.place, p.reason) for p in left] == [
            ("`/x` at 0x63", "in a red zone"),
            ("`/x` at 0x8", os.strerror(errno.E2BIG)),
        ]
        assert len(one.links) == 2

    def test_nothing_left_is_an_error(self) -> None:
        with pytest.raises(HostError, match="red zone"):
            attach.attach(loaded(uprobe(0, 99), tracepoint(1, 7)), {0, 1})

    def test_nothing_left_is_none_where_timers_go_on(self) -> None:
        left = attach.attach(loaded(uprobe(0, 99)), {0}, go_on=True)
        assert [p.reason for p in left] == ["in a red zone"]

    def test_want_of_files_is_no_property_of_a_place(self) -> None:
        with pytest.raises(HostError, match="Too many open files"):
            attach.attach(loaded(tracepoint(0, 1), tracepoint(1, 9)), {0, 1})

    def test_many_are_counted(self) -> None:
        left = [LeftOut(f"p{n}", "no") for n in range(9)]
        assert left_out_text(left) == (
            "9 places, optional or found by wildcards, cannot be attached to:"
            " p0, p1, p2 and 6 more (no)"
        )


@pytest.mark.parametrize(
    ("point", "optional"),
    [
        ('kernel.trace("sched_switch")', False),
        ('kernel.trace("sched_*")', True),
        ('kernel.trace("sched_switch")?', True),
        ("syscall.openat", False),
        ("syscall.opena*", True),
        ("syscall.{openat,close}", False),
        ("scheduler.cpu_of*", True),
        ('process("/bin/true").begin', False),
        ('process("/bin/tru*").begin', True),
        ('kernel.trace("sched_switch") if (g)', False),
    ],
)
@pytest.mark.bpf
def test_what_a_script_can_do_without(point: str, optional: bool) -> None:
    sources, sink = SourceMap(), Sink()
    main = sources.add("x", f"global g[9] probe {point.replace('(g)', '(g[1])')} {{ g[1]++ }}")
    typed = analyse(main, sources, LiveTargets(LiveWorld()), sink)

    assert typed is not None
    assert {
        p.optional for p in typed.probes if isinstance(p.expansion.attachment, MarkerAttachment)
    } == {optional}
