"""A probe point of bpftrace -> one of a script, and how its arguments are read there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_SHORT = {
    "u": "uprobe", "ur": "uretprobe", "U": "usdt", "t": "tracepoint", "rt": "rawtracepoint",
    "k": "kprobe", "kr": "kretprobe", "f": "kfunc", "fr": "kretfunc", "fentry": "kfunc",
    "fexit": "kretfunc", "p": "profile", "i": "interval", "s": "software", "h": "hardware",
    "begin": "BEGIN", "end": "END",
}  # fmt: skip
_NS = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}
_SOFTWARE = {
    "cpu-clock": 0, "cpu": 0, "task-clock": 1, "page-faults": 2, "faults": 2,
    "context-switches": 3, "cs": 3, "cpu-migrations": 4, "minor-faults": 5, "major-faults": 6,
    "alignment-faults": 7, "emulation-faults": 8,
}  # fmt: skip
_HARDWARE = {
    "cpu-cycles": 0, "cycles": 0, "instructions": 1, "cache-references": 2, "cache-misses": 3,
    "branch-instructions": 4, "branches": 4, "branch-misses": 5, "bus-cycles": 6,
    "frontend-stalls": 7, "backend-stalls": 8, "ref-cycles": 9,
}  # fmt: skip
_DEFAULT_COUNT = {"software": 1, "hardware": 1_000_000}
_FOLDERS = (
    "/lib/{}-linux-gnu",
    "/usr/lib/{}-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
)
_IN_LIBC = frozenset({"libpthread", "libdl", "librt", "libutil"})
"""Libraries whose functions the C library has by now."""
_MACHINES = ("x86_64", "aarch64")
_COMMANDS = ("/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin")


@dataclass(frozen=True, slots=True)
class Point:
    """A probe point: as it was written, its kind, and the script's."""

    written: str
    kind: str
    text: str
    user: bool = False
    """Whether the memory that it speaks of is that of a program."""
    event: tuple[str, str] = ("", "")
    """Of a tracepoint, its group and its name."""


def point(written: str) -> Point | str:
    """The probe point; a text, if there is none, says why."""
    kind, _, rest = written.partition(":")
    kind = _SHORT.get(kind, kind)
    make = _KINDS.get(kind)
    if make is None:
        return f"{kind} probes have no counterpart"
    return make(written, kind, rest.replace('"', ""))


def _once(written: str, kind: str, _rest: str) -> Point:
    return Point(written, kind, kind.lower())


def file_named(name: str) -> str:
    """The path of a program or library by the short name that bpftrace takes for it."""
    if "/" in name:
        return name
    folders = [Path(f.format(m)) for m in _MACHINES for f in _FOLDERS]
    for folder in folders:
        # `libc.so` is a text for the linker
        for found in (folder / name, *sorted(folder.glob(f"{name}.so.*"))):
            if found.is_file():
                return str(found)
    for folder in map(Path, _COMMANDS):
        if (folder / name).is_file():
            return str(folder / name)
    return name


def _of_file(written: str, kind: str, rest: str) -> Point | str:
    path, _, function = rest.partition(":")
    function = re.sub(r"^(cpp|rust|go):", "", function)
    if not function:
        return "it names no function"
    process = f'process("{file_named(path)}")'
    symbol, plus, offset = function.partition("+")
    if function[0].isdigit():
        text = f"{process}.statement({function})"
    elif plus and int(offset, 0):
        return "places behind a function's entry have no counterpart"
    else:
        text = f'{process}.function("{symbol}")'
    suffix = ".return" if kind == "uretprobe" else ""
    if path in _IN_LIBC:
        libc = text.replace(file_named(path), file_named("libc"))
        return Point(written, kind, f"{text}{suffix}!, {libc}{suffix}", user=True)
    return Point(written, kind, text + suffix, user=True)


def _marker(written: str, kind: str, rest: str) -> Point | str:
    path, *names = rest.split(":")
    if not names:
        return "it names no marker"
    provider = f'.provider("{names[0]}")' if len(names) > 1 else ""
    text = f'process("{file_named(path)}"){provider}.mark("{names[-1]}")'
    return Point(written, kind, text, user=True)


def _event(written: str, kind: str, rest: str) -> Point | str:
    group, _, name = rest.partition(":")
    if kind == "rawtracepoint":
        group, name = ("", group) if not name else (group, name)
        return Point(written, kind, f'kernel.trace("{name}")', event=("", name))
    if not name:
        return "it names no event"
    user = group == "syscalls"
    return Point(written, kind, f'kernel.trace("{group}:{name}")', user, (group, name))


def _kernel(written: str, kind: str, rest: str) -> Point | str:
    module, colon, function = rest.rpartition(":")
    symbol, plus, offset = function.partition("+")
    if plus and int(offset, 0):
        return "places behind a function's entry have no counterpart"
    where = f'module("{module}")' if colon and module != "vmlinux" else "kernel"
    suffix = ".return" if kind in ("kretprobe", "kretfunc") else ""
    return Point(written, kind, f'{where}.function("{symbol}"){suffix}')


def _clock(written: str, kind: str, rest: str) -> Point | str:
    unit, _, count = rest.partition(":")
    if not count:  # `interval:1s`
        found = re.fullmatch(r"(\d+)(s|ms|us|ns|hz)", unit)
        if found is None:
            return "its time is not known before it runs"
        count, unit = found.groups()
    if not count.isdigit() or (unit not in _NS and unit != "hz"):
        return "its time is not known before it runs"
    if kind == "interval":
        return Point(written, kind, f"timer.{unit}({count})")
    if unit == "hz":
        return Point(written, kind, f"perf.type(1).config(0).hz({count})")
    return Point(written, kind, f"perf.type(1).config(0).sample({int(count) * _NS[unit]})")


def _counter(written: str, kind: str, rest: str) -> Point | str:
    name, _, count = rest.partition(":")
    names = _SOFTWARE if kind == "software" else _HARDWARE
    if name not in names:
        return f"the counter {name} has no counterpart"
    number = int(count) if count else _DEFAULT_COUNT[kind]
    type_ = 1 if kind == "software" else 0
    return Point(written, kind, f"perf.type({type_}).config({names[name]}).sample({number})")


_KINDS = {
    "BEGIN": _once,
    "END": _once,
    "uprobe": _of_file,
    "uretprobe": _of_file,
    "usdt": _marker,
    "tracepoint": _event,
    "rawtracepoint": _event,
    "kprobe": _kernel,
    "kretprobe": _kernel,
    "kfunc": _kernel,
    "kretfunc": _kernel,
    "profile": _clock,
    "interval": _clock,
    "software": _counter,
    "hardware": _counter,
}
