"""`kernel.mark` by SystemTap's rules, where tracepoints are at the places of the markers."""

from __future__ import annotations

import pytest

from bridge.markers import (
    Expansion,
    Kind,
    Marker,
    MarkerAttachment,
    NoAccess,
    NoMatch,
    PointPart,
    Pretty,
    RawArgument,
    ValueType,
    Variable,
)
from bridge.probes import old_events
from bridge.probes.families.kernel_mark import field_names, places

KNOWN = {
    "irq:irq_handler_entry": ("irq", "action"),
    "irq:irq_handler_exit": ("irq", "ret"),
    "sched:sched_switch": ("prev_pid", "next_pid", "prev_state"),
    "exceptions:page_fault_user": ("address", "ip"),
    "exceptions:page_fault_kernel": ("address", "ip"),
}


def _trace(name: str) -> tuple[Expansion, ...] | NoMatch:
    if name not in KNOWN:
        return NoMatch(0, f"no {name}")
    system, _, event = name.partition(":")
    variables = tuple(
        Variable(v, ValueType.LONG, (RawArgument(i),)) for i, v in enumerate(KNOWN[name])
    )
    marker = Marker(Kind.TRACEPOINT, system, event, variables=variables)
    return (Expansion(MarkerAttachment(marker), f'kernel.trace("{name}")'),)


def _expand(mark: str, format_: str | None = None) -> tuple[Expansion, ...] | NoMatch:
    parts = [PointPart("kernel"), PointPart("mark", mark)]
    return places([*parts, *([PointPart("format", format_)] if format_ else [])], _trace)


@pytest.mark.parametrize(
    "name", ["kernel.sched_schedule", "sched_schedule", "kernel_sched_schedule", "*sched_sche*"]
)
def test_a_marker_by_its_names(name: str) -> None:
    found = _expand(name)

    assert isinstance(found, tuple)
    assert [one.point for one in found] == ['kernel.mark("kernel.sched_schedule")']
    assert found[0].strings["format"] == "prev_pid %d next_pid %d prev_state #2d%ld"
    assert {f"arg{n}": found[0].renamed[f"arg{n}"] for n in (1, 2, 3)} == {
        "arg1": "prev_pid",
        "arg2": "next_pid",
        "arg3": "prev_state",
    }


def test_constants_and_what_is_absent() -> None:
    found = _expand("kernel_irq_entry", "ip*")

    assert isinstance(found, tuple)
    (place,) = found
    assert place.members is not None
    renamed = place.renamed
    assert place.members.access(renamed["name"], ()) == Pretty(("kernel.irq_entry",))
    assert renamed["arg3"] == "irq"
    assert renamed["handler"] == renamed["arg2"] == "action->handler"
    assert "irq:irq_handler_entry" in place.absent["arg1"]
    assert "`kernel_mode`" in place.absent["arg4"]
    assert isinstance(place.members.access("ip", ()), NoAccess)


def test_formats_choose_and_several_tracepoints_serve() -> None:
    assert isinstance(_expand("kernel_irq_entry", "handled*"), NoMatch)
    faults = _expand("page_fault_entry", "* address*")

    assert isinstance(faults, tuple)
    names = [one.attachment.marker.name for one in faults]  # type: ignore[union-attr]
    assert names == ["page_fault_user", "page_fault_kernel"]


def test_what_there_is_not() -> None:
    near, lacking = _expand("kernel.irq_entri"), _expand("kernel_module_load")

    assert isinstance(near, NoMatch)
    assert "similar marks: kernel.irq_entry" in near.message
    assert isinstance(lacking, NoMatch)
    assert lacking.message == "no module:module_load"


def test_the_table_names_fields_of_its_formats() -> None:
    for old in old_events.all_events():
        if old.format:
            assert set(old.fields) <= set(field_names(old.format)), old.name
    assert field_names(" ") == []
    assert field_names("sector %llu rw(A,B) %lX not_uptodate #1u%d ip 0x%lX") == [
        "sector",
        "rw",
        "not_uptodate",
        "ip",
    ]
