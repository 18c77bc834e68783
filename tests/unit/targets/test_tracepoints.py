"""Kernel tracepoints of a recorded machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.markers import (
    Expansion,
    Kind,
    MarkerAttachment,
    NoMatch,
    RawArgument,
    TracepointField,
    ValueType,
    Variable,
)
from bridge.probes import syscalls
from bridge.probes.btf import BtfKind as TypeKind
from bridge.probes.live import LiveTargets
from bridge.probes.tracepoints import merge_arguments, parse_format
from tests.support.kernel_types import Image
from tests.support.points import parts

if TYPE_CHECKING:
    from tests.unit.targets.conftest import Recorder

FORMAT = """name: %s
ID: %d
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:char comm[16];	offset:8;	size:16;	signed:1;
	field:pid_t pid;	offset:24;	size:4;	signed:1;
	field:__data_loc char[] filename;	offset:28;	size:4;	signed:1;
	field:__rel_loc char[] tail;	offset:32;	size:4;	signed:0;
	field:const char * where;	offset:40;	size:8;	signed:0;
	field:unsigned long args[6];	offset:48;	size:48;	signed:0;
	field:__data_loc u8[] payload;	offset:96;	size:4;	signed:0;
	field:bool on;	offset:100;	size:1;
	field:struct big value;	offset:104;	size:24;	signed:0;

print fmt: "comm=%%s pid=%%d; field:x", REC->comm, REC->pid
"""
EVENTS = "/sys/kernel/tracing/events"
FILES: dict[str, bytes | str] = {
    f"{EVENTS}/enable": "0",
    f"{EVENTS}/header_page": "",
    **{
        f"{EVENTS}/{system}/{name}/format": FORMAT % (name, number)
        for number, (system, name) in enumerate(
            [("sched", "run"), ("sched", "rest"), ("net", "run"), ("ftrace", "run")], 10
        )
    },
    **{f"{EVENTS}/{system}/enable": "0" for system in ("sched", "net", "ftrace")},
    f"{EVENTS}/sched/filter": "",
    f"{EVENTS}/ftrace/enable": "0",
}


def points(binder: LiveTargets, point: str) -> list[str]:
    found = binder.expand(parts(point))
    return [] if isinstance(found, NoMatch) else [expansion.point for expansion in found]


def test_a_format_becomes_variables(recorded: Recorder) -> None:
    found = LiveTargets(recorded(FILES)).expand(parts('kernel.trace("sched:run")'))

    assert not isinstance(found, NoMatch)
    (expansion,) = found
    assert isinstance(expansion, Expansion)
    assert isinstance(expansion.attachment, MarkerAttachment)
    marker = expansion.attachment.marker
    assert (marker.kind, marker.provider, marker.name, marker.id) == (
        Kind.TRACEPOINT,
        "sched",
        "run",
        10,
    )
    assert marker.sites == ()
    assert [(v.name, v.type, v.operands[0], v.ctype) for v in marker.variables] == [
        (
            "comm",
            ValueType.STRING,
            TracepointField(8, 16, signed=False, array="char"),
            "char[16]",
        ),
        ("pid", ValueType.LONG, TracepointField(24, 4, signed=True), "pid_t"),
        (
            "filename",
            ValueType.STRING,
            TracepointField(28, 4, signed=False, array="data_loc"),
            "char[]",
        ),
        (
            "tail",
            ValueType.STRING,
            TracepointField(32, 4, signed=False, array="rel_loc"),
            "char[]",
        ),
        ("where", ValueType.LONG, TracepointField(40, 8, signed=False), "const char *"),
        ("on", ValueType.LONG, TracepointField(100, 1, signed=False), "bool"),
        *(
            (
                f"args_{n}",
                ValueType.LONG,
                TracepointField(48 + 8 * n, 8, signed=False),
                "unsigned long",
            )
            for n in range(6)
        ),
    ]
    assert [v.name for v in marker.variables if v.alias] == [f"args_{n}" for n in range(6)]
    assert marker.unreadable == (
        ("args", "it is an array of `unsigned long`"),
        ("payload", "it is a dynamic array of `u8`"),
        ("value", "it is a `struct big` of 24 bytes"),
    )
    assert expansion.point == 'kernel.trace("sched:run")'


@pytest.mark.parametrize("data", [b"", b"\x9f\xeb\1\0" + bytes(20), b"nonsense" * 9])
def test_without_kernel_types_the_fields_are_there(recorded: Recorder, data: bytes) -> None:
    world = recorded(FILES | {"/sys/kernel/btf/vmlinux": data})

    found = LiveTargets(world).expand(parts('kernel.trace("sched:run")'))

    assert not isinstance(found, NoMatch)
    assert found[0].members is None
    assert len([v for v in found[0].variables if not v.alias]) == 6


def test_names_with_and_without_subsystem_and_wildcards(recorded: Recorder) -> None:
    binder = LiveTargets(recorded(FILES))

    run = ['kernel.trace("net:run")', 'kernel.trace("sched:run")']
    rest = 'kernel.trace("sched:rest")'
    assert points(binder, 'kernel.trace("run")') == run
    assert points(binder, 'kernel.trace("sched:*")') == [rest, run[1]]
    assert points(binder, 'kernel.trace("*:r?n")') == run
    assert points(binder, 'kernel.trace("ftrace:run")') == []


def test_no_such_event_suggests_others(recorded: Recorder) -> None:
    found = LiveTargets(recorded(FILES)).expand(parts('kernel.trace("rast")'))

    assert isinstance(found, NoMatch)
    assert found.near is not None
    assert found.message + found.near() == "no match (similar tracepoints: rest, run)"


def test_without_tracefs_the_remedy_is_told(recorded: Recorder) -> None:
    found = LiveTargets(recorded({})).expand(parts('kernel.trace("run")'))

    assert isinstance(found, NoMatch)
    (reason,) = found.reasons
    assert reason.code == "no-tracefs"
    assert "run as root, or `mount -t tracefs none /sys/kernel/tracing`" in reason.message


def test_a_format_that_is_none_is_reported(recorded: Recorder) -> None:
    files = FILES | {f"{EVENTS}/net/run/format": "nonsense"}

    found = LiveTargets(recorded(files)).expand(parts('kernel.trace("net:run")'))

    assert isinstance(found, NoMatch)
    assert [reason.code for reason in found.reasons] == ["tracefs-format"]


def test_without_the_right_to_read_tracefs(
    recorded: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_self: object, path: str) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    world = recorded(FILES)
    monkeypatch.setattr(type(world), "list_dir", denied)

    found = LiveTargets(world).expand(parts('kernel.trace("run")'))

    assert isinstance(found, NoMatch)
    (reason,) = found.reasons
    assert (reason.code, reason.message) == (
        "no-tracefs",
        f"{EVENTS}: Permission denied; reading tracefs needs root",
    )


def test_without_tracefs_events_come_from_the_types(recorded: Recorder) -> None:
    image = Image()
    integer = image.integer("int", 4, signed=True)
    for event in ("run", "rest"):
        prototype = image.prototype(("__data", integer), ("cpu", integer))
        image.add(TypeKind.FUNC, f"__traceiter_{event}", prototype)
    image.add(TypeKind.FUNC, "run", 1)
    binder = LiveTargets(recorded({"/sys/kernel/btf/vmlinux": image.build()}))

    found = binder.expand(parts('kernel.trace("run")'))

    assert not isinstance(found, NoMatch)
    (expansion,) = found
    assert [v.operands[0] for v in expansion.variables] == [RawArgument(0, 4, signed=True)]
    assert [reason.code for reason in expansion.reasons] == ["no-tracefs"]
    both = ['kernel.trace("rest")', 'kernel.trace("run")']
    assert points(binder, 'kernel.trace("r*")') == both
    assert points(binder, 'kernel.trace("*:r*")') == both
    assert points(binder, 'kernel.trace("sched:run")') == ['kernel.trace("sched:run")']
    assert points(binder, 'kernel.trace("sched:r*")') == []
    assert points(binder, 'kernel.trace("sch*:run")') == []


@pytest.mark.parametrize("text", ["", "name: x", FORMAT.replace("offset", "ofs") % ("x", 1)])
def test_other_texts_are_no_format(text: str) -> None:
    assert parse_format(text) is None


def test_arguments_and_fields_are_merged() -> None:
    def number(name: str, operand: TracepointField | RawArgument) -> Variable:
        raw = operand if isinstance(operand, RawArgument) else None
        return Variable(name, ValueType.LONG, (operand,), raw=raw)

    irq, state, task = RawArgument(0, 4), RawArgument(1, 4), RawArgument(2, 8)
    same, wider, only = (
        TracepointField(8, 4, signed=True),
        TracepointField(16, 8, signed=True),
        TracepointField(24, 4, True),
    )

    merged = merge_arguments(
        [number("irq", irq), number("state", state), number("task", task)],
        [number("irq", same), number("state", wider), number("pid", only)],
    )

    assert [(v.name, v.operands[0], v.raw, v.field) for v in merged] == [
        ("irq", same, irq, None),
        ("state", state, state, wider),
        ("task", task, task, None),
        ("pid", only, None, None),
    ]


@pytest.mark.bpf
def test_every_format_of_this_kernel_is_understood() -> None:
    from pathlib import Path

    files = list(Path("/sys/kernel/tracing/events").glob("*/*/format"))
    unknown = [str(path) for path in files if parse_format(path.read_text()) is None]

    assert len(files) > 500
    assert unknown == []


@pytest.mark.parametrize(
    ("subsystem", "event", "machine", "number"),
    [
        ("syscalls", "sys_enter_openat", "x86_64", 257),
        ("syscalls", "sys_exit_openat", "aarch64", 56),
        ("syscalls", "sys_enter_newstat", "x86_64", 4),
        ("syscalls", "sys_enter_nothing", "x86_64", None),
        ("raw_syscalls", "sys_enter", "x86_64", None),
        ("syscalls", "sys_enter_openat", "vax", None),
    ],
)
def test_numbers_of_system_calls(
    subsystem: str, event: str, machine: str, number: int | None
) -> None:
    assert syscalls.number(subsystem, event, machine) == number
