"""Points about processes: what they expand to, what is read there, what is said of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.cli.list import line
from bridge.markers import (
    Expansion,
    Kind,
    MarkerAttachment,
    NoAccess,
    NoMatch,
    Pretty,
    SavedRegister,
    Variable,
)
from bridge.probes.live import LiveTargets
from bridge.probes.machine import Options
from bridge.world import RecordedWorld
from tests.support.points import parts

if TYPE_CHECKING:
    from tests.unit.targets.conftest import Recorder

EVENTS = ("begin", "end", "thread.begin", "thread.end", "syscall", "syscall.return")
ARGUMENTS = " ".join(f"$arg{n}:long" for n in range(1, 7))


@pytest.fixture
def world(recorded: Recorder) -> RecordedWorld:
    """Two programs, one of them a script, and a process."""
    files = {"/usr/bin/app": b"\x7fELF", "/usr/bin/apple": b"#!/bin/sh\n", "/proc/7/exe": b""}
    return recorded(files, env={"PATH": "/usr/local/bin:/usr/bin"})


def expand(
    world: RecordedWorld, point: str, options: Options | None = None
) -> tuple[Expansion, ...]:
    found = LiveTargets(world, options).expand(parts(point))
    assert not isinstance(found, NoMatch), found
    return found


def attachment(expansion: Expansion) -> MarkerAttachment:
    assert isinstance(expansion.attachment, MarkerAttachment)
    return expansion.attachment


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(
    ("which", "point", "path", "pid"),
    [
        ("process", "process", "", 0),
        ("process(7)", "process(7)", "", 7),
        ('process("app")', 'process("/usr/bin/app")', "/usr/bin/app", 0),
        ('process("/usr/bin/../bin/app")', 'process("/usr/bin/app")', "/usr/bin/app", 0),
        ('process("/not/yet")', 'process("/not/yet")', "/not/yet", 0),
    ],
)
def test_which_processes(
    world: RecordedWorld, which: str, point: str, path: str, pid: int, event: str
) -> None:
    (found,) = expand(world, f"{which}.{event}")

    marker = attachment(found).marker
    assert found.point == f"{point}.{event}"
    assert (marker.kind, marker.provider, marker.name) == (Kind.PROCESS, path, event)
    assert (attachment(found).pid, attachment(found).follow_target) == (pid, False)


def test_a_pattern_means_all_programs_that_match(world: RecordedWorld) -> None:
    points = [found.point for found in expand(world, 'process("/usr/bin/app*").begin')]

    assert points == ['process("/usr/bin/app").begin', 'process("/usr/bin/apple").begin']


@pytest.mark.parametrize("options", [Options(pid=7), Options(command="app 1")])
@pytest.mark.parametrize("which", ["process", 'process("app")', "process(7)"])
def test_a_target_restricts_every_point(
    world: RecordedWorld, which: str, options: Options
) -> None:
    (found,) = expand(world, f"{which}.end", options)

    assert attachment(found).follow_target


@pytest.mark.parametrize(
    ("point", "options", "message"),
    [
        ("process(8).begin", None, "cannot probe pid 8: No such process"),
        ("process.begin", Options(pid=9), "cannot probe pid 9: No such process"),
        ('process("").begin', None, "empty module"),
        ('process("/usr/bin/zz*").begin', None, "no match"),
    ],
)
def test_refused(
    world: RecordedWorld, point: str, options: Options | None, message: str
) -> None:
    found = LiveTargets(world, options).expand(parts(point))

    assert isinstance(found, NoMatch)
    assert (found.part, found.message) == (0, message)


@pytest.mark.parametrize("event", EVENTS)
def test_listed_as_stap_does(world: RecordedWorld, event: str) -> None:
    (found,) = expand(world, f"process.{event}")

    assert line(found) == f"process.{event} $syscall:long {ARGUMENTS}"


def test_where_the_values_are(world: RecordedWorld) -> None:
    (called,), (returned,) = (
        expand(world, f"process.{e}") for e in ("syscall", "syscall.return")
    )
    operands = [variable.operand(0) for variable in called.variables]

    names = ["rdi", "rsi", "rdx", "r10", "r8", "r9"]
    others = ["rbx", "rcx", "", "rsi", "rdi", "rbp"]
    assert operands[0] == SavedRegister("orig", forgotten=15)
    assert operands[1:] == [
        SavedRegister(name, compat=other) for name, other in zip(names, others, strict=True)
    ]
    assert [v.name for v in returned.variables] == ["syscall", "return"]
    assert returned.variables[1].operand(0) == SavedRegister("rax")


ONLY = 'only "process(PATH_OR_PID).syscall'
INVALID = "invalid target symbol for utrace probe, $syscall, $return, $argN or $$parms expected"
ACCESSES = [
    ("syscall", "arg7", (), "", "invalid syscall argument number (1-6)"),
    ("syscall", "argx", (), "", "invalid syscall argument number (1-6)"),
    ("syscall", "arg1", ("x",), "", "utrace variable '$arg1' may not be used as a structure"),
    ("syscall", "arg1", (0,), "", "utrace variable '$arg1' may not be used as an array"),
    ("syscall", "arg1", (), "$", "utrace variable '$arg1' may not be pretty-printed"),
    ("syscall", "return", (), "", f'{ONLY}.return" support $return.'),
    ("syscall", "$vars", (), "", INVALID),
    ("syscall.return", "arg1", (), "", f'{ONLY}" support $argN or $$parms.'),
    ("syscall.return", "$parms", (), "", f'{ONLY}" support $argN or $$parms.'),
    ("syscall.return", "$return", (), "", INVALID),
    ("syscall.return", "foo", (), "", INVALID),
    (
        "syscall.return",
        "return",
        (),
        "$",
        "utrace variable '$return' may not be pretty-printed",
    ),
    (
        "begin",
        "syscall",
        (),
        "",
        f'{ONLY}" and "process(PATH_OR_PID).syscall.return" probes support target symbols',
    ),
]


@pytest.mark.parametrize(("event", "name", "path", "pretty", "message"), ACCESSES)
def test_what_systemtap_says(
    world: RecordedWorld, event: str, name: str, path: tuple, pretty: str, message: str
) -> None:
    (found,) = expand(world, f"process.{event}")
    assert found.members is not None

    result = found.members.access(name, path, pretty=pretty)

    assert isinstance(result, NoAccess)
    assert result.message == message


def test_what_can_be_read(world: RecordedWorld) -> None:
    (called,), (returned,) = (
        expand(world, f"process.{e}") for e in ("syscall", "syscall.return")
    )
    assert called.members is not None
    assert returned.members is not None

    parms = called.members.access("$parms", ())

    assert isinstance(called.members.access("arg6", ()), Variable)
    assert isinstance(returned.members.access("syscall", ()), Variable)
    assert isinstance(parms, Pretty)
    texts = [piece for piece in parms.pieces if isinstance(piece, str)]
    assert texts == ["$arg1=", *(f" $arg{n}=" for n in range(2, 7))]
    assert called.members.access("arg1", (), address_of=True) == NoAccess(
        "cannot take address of utrace variable"
    )
