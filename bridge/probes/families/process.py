"""`process(...).begin`, `.end`, `.thread.begin`, `.thread.end`, `.syscall`, `.syscall.return`.

A point goes in, a marker without sites comes out: its provider is the program's path, "" where
every program is meant. One rule: which processes count is for the engine to see; a program need
not be there yet, and need not be an ELF file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.markers import (
    Expansion,
    Kind,
    Marker,
    MarkerAttachment,
    NoAccess,
    NoMatch,
    Pretty,
    SavedRegister,
    Shown,
    ValueType,
    Variable,
)
from bridge.probes import programs
from bridge.probes.families import Family, program_and_name
from bridge.probes.points import is_wild

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.markers import Part, PointPart, Result
    from bridge.probes.families import Places
    from bridge.probes.machine import Machine
    from bridge.probes.recorded import RecordedClass, RecordedTargets
    from bridge.world import World

ARGUMENTS = 6
LISTED = ("syscall", *(f"arg{number}" for number in range(1, ARGUMENTS + 1)))
"""What `stap -L` lists at each of these points, whether it can be read there or not."""


@dataclass(frozen=True, slots=True)
class _Convention:
    """Where a machine has what a system call is about. Source: syscall(2)."""

    number: SavedRegister
    arguments: tuple[SavedRegister, ...]
    result: str


CONVENTIONS = {
    "x86_64": _Convention(
        SavedRegister("orig", forgotten=15),
        (
            SavedRegister("rdi", compat="rbx"),
            SavedRegister("rsi", compat="rcx"),
            SavedRegister("rdx"),
            SavedRegister("r10", compat="rsi"),
            SavedRegister("r8", compat="rdi"),
            SavedRegister("r9", compat="rbp"),
        ),
        "rax",
    ),
    "aarch64": _Convention(
        SavedRegister("syscallno", 4, forgotten=139),
        tuple(SavedRegister(f"x{number}") for number in range(ARGUMENTS)),
        "x0",
    ),
}
"""By machine; 15 and 139 are rt_sigreturn."""


def _expand(parts: Sequence[PointPart], machine: Machine) -> Places:
    """One place per program; only the session's target counts if it has one."""
    wrong = machine.target_gone()
    if wrong is not None:
        return wrong
    world, follow_target = machine.world, machine.has_target
    event = _event(parts[1:])
    match parts[0].argument:
        case None:
            return (_expansion("process", event, world, follow_target=follow_target),)
        case int(pid):
            if programs.process_path(pid, world) is None:
                return programs.no_process(pid)
            point = f"process({pid})"
            return (_expansion(point, event, world, pid=pid, follow_target=follow_target),)
        case "":
            return NoMatch(0, "empty module", code="no-such-program")
        case name:
            found = programs.program_paths(name, world)
            if not found and is_wild(name):
                return NoMatch(0)
            return tuple(
                _expansion(
                    f'process("{path}")', event, world, path=path, follow_target=follow_target
                )
                for path in found or [name]
            )


def _event(rest: Sequence[PointPart]) -> str:
    return ".".join(part.name for part in rest)


def _expansion(
    prefix: str,
    event: str,
    world: World,
    *,
    path: str = "",
    pid: int = 0,
    follow_target: bool,
) -> Expansion:
    variables = tuple(_variables(event, world.machine))
    marker = Marker(Kind.PROCESS, path, event, variables=variables, machine=world.machine)
    return Expansion(
        MarkerAttachment(marker, pid, follow_target),
        f"{prefix}.{event}",
        {"name": event},
        CallValues(event, variables),
        members_list=True,
    )


def _variables(event: str, machine: str) -> Iterator[Variable]:
    convention = CONVENTIONS.get(machine)
    if convention is None or not event.startswith("syscall"):
        return
    yield _long("syscall", convention.number)
    if event == "syscall":
        for number, register in enumerate(convention.arguments, 1):
            yield _long(f"arg{number}", register)
    else:
        yield _long("return", SavedRegister(convention.result))


def _long(name: str, operand: SavedRegister) -> Variable:
    return Variable(name, ValueType.LONG, (operand,), "long")


@dataclass(frozen=True, slots=True)
class CallValues:
    """What can be read at an event, and what SystemTap says of everything else."""

    event: str
    variables: tuple[Variable, ...]

    def access(
        self,
        name: str,
        path: Sequence[Part],
        *,
        address_of: bool = False,
        pretty: str = "",
    ) -> Result:
        """A number, or the text of `$$parms`; nothing here has members."""
        if not self.event.startswith("syscall"):
            return NoAccess(
                'only "process(PATH_OR_PID).syscall" and "process(PATH_OR_PID).syscall.return"'
                " probes support target symbols"
            )
        if address_of:
            return NoAccess("cannot take address of utrace variable")
        if name.startswith("arg") or name == "$parms":
            return self._argument(name, path, pretty)
        if name in ("syscall", "return"):
            return _no_parts(name, path, pretty) or self._variable(name)
        return NoAccess(
            "invalid target symbol for utrace probe, $syscall, $return, $argN or $$parms"
            " expected"
        )

    def _argument(self, name: str, path: Sequence[Part], pretty: str) -> Result:
        if self.event != "syscall":
            return NoAccess('only "process(PATH_OR_PID).syscall" support $argN or $$parms.')
        if name == "$parms":
            return Pretty(tuple(self._texts()))
        if not any(variable.name == name for variable in self.variables):
            return NoAccess(f"invalid syscall argument number (1-{ARGUMENTS})")
        return _no_parts(name, path, pretty) or self._variable(name)

    def _texts(self) -> Iterator[str | Shown]:
        for number, variable in enumerate(self.variables[1:], 1):
            yield f"{' ' if number > 1 else ''}${variable.name}="
            yield Shown(variable, "#x")

    def _variable(self, name: str) -> Variable | NoAccess:
        found = next((v for v in self.variables if v.name == name), None)
        if found is not None:
            return found
        return NoAccess(
            'only "process(PATH_OR_PID).syscall.return" support $return.'
            if name == "return"
            else f"${name} is not known on this machine"
        )


def _no_parts(name: str, path: Sequence[Part], pretty: str) -> NoAccess | None:
    """SystemTap's words for members of a number."""
    if path:
        what = "a structure" if isinstance(path[0], str) else "an array"
        return NoAccess(f"utrace variable '${name}' may not be used as {what}", 0)
    if pretty:
        return NoAccess(f"utrace variable '${name}' may not be pretty-printed")
    return None


# --- in a trace -------------------------------------------------------------------------------


def _recorded(parts: Sequence[PointPart], trace: RecordedTargets) -> Places:
    event = _event(parts[1:])
    file = parts[0].argument

    def is_from(found: RecordedClass) -> bool:
        # events come from every program where none is named
        return trace.is_file(found, file) if isinstance(file, str) else not found.path

    known = [c for c in trace.of_kinds(Kind.PROCESS) if is_from(c)]
    chosen = [c for c in known if c.name == event]
    return trace.best(parts[0], chosen, _of_class) or trace.none("events", event, known)


def _of_class(found: RecordedClass, pid: int) -> Expansion:
    prefix = found.program(pid) if pid or found.path else "process"
    return Expansion(
        found.attachment(pid),
        f"{prefix}.{found.name}",
        found.strings or {"name": found.name, "provider": found.provider},
        CallValues(found.name, found.variables),
        members_list=True,
    )


def _event_class(marker: Marker) -> str:
    return program_and_name(marker) if marker.provider else f"process:{marker.name}"


def _file(marker: Marker) -> str:
    return marker.provider


PROCESSES = ("process", "process S", "process N")
FAMILY = Family(
    frozenset(
        f"{process}/{event}"
        for process in PROCESSES
        for event in (
            *("begin", "end", "thread/begin", "thread/end"),
            *("syscall", "syscall/return"),
        )
    ),
    _expand,
    _recorded,
    event_class=_event_class,
    file=_file,
    of_program=True,
    where="at its events",
    listed=LISTED,
    refused={
        "insn": "programs are not single-stepped; perf.type(0).config(1) counts instructions",
    },
)
