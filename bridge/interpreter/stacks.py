"""Back traces of the process that was hit, and names of addresses in it (proc(5), maps).

The texts are SystemTap's: tapset::ucontext-unwind(3stap), tapset::ucontext-symbols(3stap).
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bridge.declared import MB_USER_FRAMES, OFFSETS, SIZES
from bridge.interpreter.faults import ScriptError
from bridge.ir.arithmetic import MASK
from bridge.ir.program import REGISTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.interpreter.images import Frame, StackImage
    from bridge.interpreter.machine import IrMachine, Item
    from bridge.interpreter.session import InterpreterSession

_LINE = re.compile(
    r"([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) (\S+ \S+)\s+(/.*|\[vdso\])$", re.MULTILINE
)
_VDSO = "[vdso]"
_LINE_BYTES = 8192
_WORD = 8
_PC, _SP, _FP = 16, 7, 6
_HEAD, _FRAMES = SIZES["mb_user_stack"], OFFSETS["mb_user_stack.frame"]
_ABSENT, _PAGE = OFFSETS["mb_user_stack.absent"], 4096


class Mapping(NamedTuple):
    """A line of /proc/PID/maps that is a file."""

    start: int
    end: int
    offset: int
    file: str
    path: str

    @property
    def identity(self) -> str:
        """Two files of one path differ in their devices or inodes."""
        return f"{self.file} {self.path}"

    @property
    def extent(self) -> str:
        """Its addresses as /proc has them."""
        return f"{self.start:x}-{self.end:x}"


class MappedFile(NamedTuple):
    """The file at an address, where it is in memory; its image if the session knows it."""

    path: str
    start: int
    end: int
    image: StackImage | None
    bias: int


@dataclass(slots=True)
class FrameStep:
    """What a hit brings of the stack of a process that goes on: a `mb_user_stack`."""

    data: bytes
    address: int
    absent: int
    frames: list[int]
    beyond: bool = False

    @classmethod
    def of(cls, session: InterpreterSession) -> FrameStep | None:
        """That of the current hit."""
        data, at = session.hit.get("user_stack"), session.hit.get("rsp")
        if not isinstance(data, bytes) or not isinstance(at, int) or len(data) < _HEAD:
            return None
        count = int.from_bytes(data[:_WORD], "little", signed=True) // _WORD
        words = range(_FRAMES, _FRAMES + _WORD * min(count, MB_USER_FRAMES), _WORD)
        frames = [int.from_bytes(data[word : word + _WORD], "little") for word in words]
        absent = int.from_bytes(data[_ABSENT : _ABSENT + _WORD], "little")
        return cls(data[_HEAD:], at & MASK, absent, frames)

    def read(self, address: int) -> bytes:
        """A number on the stack; fewer bytes if it is not among what was taken."""
        at = address - self.address
        first, *_, last = (
            (address + byte) // _PAGE - self.address // _PAGE for byte in range(_WORD)
        )
        gone = at >= 0 and (self.absent >> first | self.absent >> last) & 1
        if gone or not 0 <= at <= len(self.data) - _WORD:
            self.beyond = True
            return b""
        return self.data[at : at + _WORD]


@dataclass(frozen=True, slots=True)
class Style:
    """How an address is written: before its name, behind it, with which module."""

    space: str = ""
    address: bool = False
    offset: bool = False
    size: bool = False
    module: str = ""
    end: str = ""


_PLAIN = Style(end=" ")
_SYMBOL = Style()
_BRIEF = Style(offset=True, end="\n")
_SIMPLE = Style(offset=True, module="base", end="\n")
_DATA = Style(offset=True, size=True, module="path")
_FULL = Style(" ", address=True, offset=True, size=True, module="path", end="\n")


class Process:
    """What is in the memory of the process of a hit."""

    def __init__(self, session: InterpreterSession) -> None:
        self.session = session
        self._taken = FrameStep.of(session)
        self.mappings = [
            Mapping(
                int(start, 16), int(end, 16), int(offset, 16), file, path.replace("\\012", "\n")
            )
            for start, end, offset, file, path in _LINE.findall(session.host.maps(session.pid))
        ]

    def place(self, address: int) -> MappedFile | None:
        """The file there, or None."""
        for at, mapping in enumerate(self.mappings):
            if mapping.start <= address < mapping.end:
                return self._place(at, mapping)
        return None

    def _place(self, at: int, mapping: Mapping) -> MappedFile:
        name = "vdso" if mapping.path == _VDSO else mapping.path
        known = (
            mapping.path == _VDSO
            or self.session.goes_on
            or self.session.host.is_known(self.session.pid, mapping.path, mapping.extent)
        )
        image = self._image(mapping)
        if image is not None:
            try:
                bias = image.bias(mapping.start, mapping.offset)
            except LookupError:
                image = None
            else:
                shown = image if known else None
                return MappedFile(name, image.low + bias, image.high + bias, shown, bias)
        start, end = self._extent(at)
        return MappedFile(name, start, end, None, 0)

    def bias(self, path: bytes) -> int | None:
        """How far from its link-time addresses a file is loaded; None if it is not."""
        host, pid = self.session.host, self.session.pid
        for mapping in self.mappings:
            if host.is_same(pid, mapping.path, mapping.extent, path):
                image = self._image(mapping)
                with suppress(LookupError):
                    if image is not None:
                        return image.bias(mapping.start, mapping.offset)
        return None

    def _extent(self, at: int) -> tuple[int, int]:
        """What is mapped of a file without a gap."""
        first = last = at
        lines = self.mappings
        while first and _joined(lines[first - 1], lines[first]):
            first -= 1
        while last + 1 < len(lines) and _joined(lines[last], lines[last + 1]):
            last += 1
        return lines[first].start, lines[last].end

    def _image(self, mapping: Mapping) -> StackImage | None:
        from bridge.interpreter.images import FAULTS, StackImage

        session, key = self.session, mapping.identity
        host, images = session.host, session.images
        if key not in images:
            if mapping.path == _VDSO:
                data = host.memory(session.pid, mapping.start, mapping.end - mapping.start)
            else:
                data = host.file(session.pid, mapping.path, mapping.extent)
            try:
                images[key] = StackImage(data, _separate(session)) if data else None
            except FAULTS:
                images[key] = None
        return images[key]

    def word(self, address: int) -> int:
        """A number on the stack."""
        taken = self._taken
        data = self.session.read(address, _WORD) if taken is None else taken.read(address)
        if len(data) != _WORD:
            raise LookupError(address)
        return int.from_bytes(data, "little")

    def trace(self, frame: Frame) -> list[int]:
        """The addresses of a frame and of its callers."""
        from bridge.interpreter.images import FAULTS

        found: list[int] = []
        most = self.session.program.limits.maxbacktrace
        step: Frame | None = frame
        while step is not None and step.registers[_PC] and len(found) < most:
            found.append(step.registers[_PC])
            if len(found) == most:
                break
            place = self.place(found[-1] - step.after_call)
            if place is None or place.image is None:
                if self._taken is not None:
                    return self._by_pointers(found)
                self._missing("(unknown)" if place is None else place.path)
                break
            try:
                step = place.image.step(step, place.bias, self.word)
            except FAULTS:
                return self._by_pointers(found)
        return found

    def _by_pointers(self, found: list[int]) -> list[int]:
        """Where call frame information leads no further, frame pointers may."""
        taken = self._taken
        if taken is None:
            return found
        at = taken.frames.index(found[-1]) + 1 if found[-1] in taken.frames else None
        more = [] if at is None else taken.frames[at:]
        if not more and taken.beyond:
            self.session.cut_stacks += 1
        return [*found, *more][: self.session.program.limits.maxbacktrace]

    def is_gone(self) -> bool:
        """Whether the process had ended, or never was one, when its files were looked at."""
        if self._taken is None or self.mappings:
            return False
        self.session.gone_stacks += bool(self._taken.data)
        return True

    def _missing(self, module: str) -> None:
        words = f"rerun with 'markbridge run -d {module}'"
        self.session.warn(f"Missing unwind data for a module, {words}".encode())

    def text(self, address: int, style: Style) -> str:
        """An address with the names that it has."""
        place = self.place(address) if address and style is not _PLAIN else None
        symbol = None
        if place is not None and place.image is not None:
            symbol = place.image.symbol(address - place.bias)
        text = style.space
        if style.address or symbol is None:
            text += f"{address:#x}"
        if symbol is not None:
            name, start, size = symbol
            here = address - (place.bias if place is not None else 0) - start
            text += " : " if style.address else ""
            text += name.removeprefix(".") + _offset(style, here, size)
        if place is not None and style.module:
            path = place.path.rpartition("/")[2] if style.module == "base" else place.path
            bounds = _offset(style, address - place.start, place.end - place.start)
            text += f" [{path}{'' if symbol is not None else bounds}]"
        return text + style.end


def _joined(left: Mapping, right: Mapping) -> bool:
    return left.identity == right.identity and left.end == right.start


def _separate(session: InterpreterSession) -> Callable[[str], bytes]:
    """A debug file is in the root of the process, or in ours."""
    host, pid = session.host, session.pid

    def read(name: str) -> bytes:
        path = f"/usr/lib/debug/.build-id/{name}.debug"
        return host.file(pid, path) or host.file(None, path)

    return read


def _offset(style: Style, offset: int, size: int) -> str:
    if not style.offset:
        return ""
    return f"+{offset:#x}" + (f"/{size:#x}" if style.size else "")


# --- the functions ----------------------------------------------------------------------------


def _frame(session: InterpreterSession, **changed: int) -> Frame | None:
    """Where the hit was; None if no process was hit."""
    from bridge.interpreter.images import Frame

    if REGISTERS[0] not in session.hit:
        return None
    words = {name: session.hit[name] for name in REGISTERS} | changed
    values = (value for value in words.values() if isinstance(value, int))
    return Frame(tuple(value & MASK for value in values))


def _lines(machine: IrMachine, style: Style, **changed: int) -> Iterator[bytes] | None:
    session = machine.session
    frame = _frame(session, **changed)
    if frame is None:
        return None
    process = Process(session)
    if process.is_gone():
        return None
    texts = [process.text(address, style) for address in process.trace(frame)]
    return (text.encode("utf-8", "surrogateescape")[:_LINE_BYTES] for text in texts)


def _print(style: Style) -> Callable[..., None]:
    def function(machine: IrMachine, *registers: int) -> None:
        changed = dict(zip(("ip", "rsp", "rbp"), registers, strict=False))
        lines = _lines(machine, style, **changed)
        none = b"<no user backtrace at %s>\n" % machine.point
        machine.session.write(none if lines is None else b"".join(lines))

    return function


def _give(style: Style) -> Callable[..., bytes]:
    def function(machine: IrMachine) -> bytes:
        lines = _lines(machine, style)
        return machine.session.cut(b"\n" if lines is None else b"".join(lines))

    return function


def _ustack(machine: IrMachine, number: int) -> int:
    frame = _frame(machine.session)
    found = [] if frame is None else Process(machine.session).trace(frame)
    return found[number] if 0 <= number < len(found) else 0


def _name(style: Style) -> Callable[..., bytes]:
    def function(machine: IrMachine, address: int) -> bytes:
        text = Process(machine.session).text(address & MASK, style)
        return machine.session.cut(text.encode("utf-8", "surrogateescape"))

    return function


def _umodname(machine: IrMachine, address: int) -> bytes:
    place = Process(machine.session).place(address & MASK)
    if place is None:
        raise ScriptError(b"module cannot be found")
    return machine.session.cut(place.path.encode("utf-8", "surrogateescape"))


def _loaded_at(machine: IrMachine, path: bytes, address: int, fixed: int) -> int:
    session = machine.session
    if not session.hit or fixed:
        return address if session.hit else 0
    bias = Process(session).bias(path)
    return 0 if bias is None else address + bias


FUNCTIONS: dict[str, Callable[..., Item | None]] = {
    "print_ubacktrace": _print(_FULL),
    "print_ubacktrace_brief": _print(_BRIEF),
    "ubacktrace": _give(_PLAIN),
    "sprint_ubacktrace": _give(_SIMPLE),
    "_ustack": _ustack,
    "usymname": _name(_SYMBOL),
    "usymdata": _name(_DATA),
    "umodname": _umodname,
    "_loaded_at": _loaded_at,
}
"""By name."""
