"""Markers of a Python program: `order = bridge.marker("shop", "order", "id %d name %s")`.

Each is a small ELF file with a USDT note, mapped into the process, which every tracer can
attach to by its path. One rule: while nobody does, a call looks at the marker's semaphore and
no more, and nothing that threads share is ever written.
"""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import os
import platform
import re
import tempfile
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bridge.errors import BridgeError
from bridge.marker_file import (
    CODE_AT,
    CODE_END,
    MACHINES,
    MOST_ARGUMENTS,
    SEMAPHORE_AT,
    marker_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONVERSION = re.compile(r"%(?:%|[-+ #0]*\d*(?:\.\d+)?(?:hh|h|ll|l|q|j|z|t)?([a-zA-Z]))")
_FLOATS = "eEfFgGaA"
_SIZES = {
    **dict.fromkeys("di", "-8"),
    **dict.fromkeys("uxXopc", "8"),
    "s": "8",
    **dict.fromkeys(_FLOATS, "8"),
}
"""What a conversion of printf(3) is in a note.

Text is the address of its bytes, a float its bits (`8f@` would say so, but bpftrace does not
understand that)."""
_FAILED = ctypes.c_void_p(-1).value


class PythonMarker(Protocol):
    """A marker: call it with its arguments. `path` is that of its file."""

    provider: str
    name: str
    path: str

    def __call__(self, *arguments: int | float | str | bytes | None) -> None: ...

    def enabled(self) -> bool:
        """Whether a tracer is attached, for arguments that are dear to compute."""
        ...


def marker(
    provider: str, name: str, format: str = "", *, folder: Path | None = None
) -> PythonMarker:
    """A callable that is a USDT marker; its arguments are those of a format like printf's.

    Integers are their low 64 bits, texts end at a NUL, None is the address 0. The file goes to
    `folder`, else to `markbridge/markers` in the user's cache; it depends on nothing but what
    is given here, so a tracer may be attached before the program runs. BridgeError: a name, a
    format or a machine that cannot be.
    """
    kinds = _kinds(provider, name, format)
    machine = MACHINES.get(platform.machine())
    if machine is None:
        raise BridgeError(
            f"markers of Python programs are not possible on {platform.machine()}"
        )
    content = marker_file(provider, name, [_SIZES[kind] for kind in kinds], machine)
    path = _written(content, f"{provider}-{name}", folder or _folder())
    return _callable(provider, name, path, kinds)


def _kinds(provider: str, name: str, text: str) -> list[str]:
    """The conversions of a format, one letter each."""
    for word in (provider, name):
        if not _NAME.fullmatch(word):
            raise BridgeError(f"`{word}` cannot be the name of a marker or a provider")
    found = [match for match in _CONVERSION.findall(text) if match]
    wrong = [kind for kind in found if kind not in _SIZES]
    if wrong or _CONVERSION.sub("", text).count("%"):
        raise BridgeError(f"the format `{text}` of marker {provider}:{name} is not understood")
    if len(found) > MOST_ARGUMENTS:
        raise BridgeError(
            f"marker {provider}:{name} has {len(found)} arguments;"
            f" {MOST_ARGUMENTS} are possible"
        )
    return found


# --- the file ---------------------------------------------------------------------------------


def _folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "markbridge" / "markers"


def _written(content: bytes, stem: str, folder: Path) -> Path:
    """The path of the file, which is written if it is not there."""
    path = folder / f"{stem}-{hashlib.sha256(content).hexdigest()[:12]}.so"
    try:
        if path.is_file() and path.read_bytes() == content:
            return path
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(name).chmod(0o755)
        Path(name).replace(path)
    except OSError as error:
        raise BridgeError(f"{path}: {error.strerror}") from error
    return path


def _mapped(path: Path) -> tuple[int, int]:
    """Where the function and the semaphore are in memory, for as long as the process lives."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int),
        *(ctypes.c_int, ctypes.c_long),
    )
    rows = (
        (CODE_END, mmap.PROT_READ | mmap.PROT_EXEC, 0),
        (mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE, SEMAPHORE_AT),
    )
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = []
        for size, protection, offset in rows:
            at = libc.mmap(None, size, protection, mmap.MAP_PRIVATE, descriptor, offset)
            if at == _FAILED:
                raise BridgeError(f"{path}: {os.strerror(ctypes.get_errno())}")
            found.append(int(at))
    finally:
        os.close(descriptor)
    return found[0] + CODE_AT, found[1]


# --- the callable -----------------------------------------------------------------------------


def _bits(value: float) -> int:
    return array("q", array("d", [value]).tobytes())[0]


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode("utf8", "surrogateescape") if isinstance(value, str) else value


def _fire(address: int, kinds: Sequence[str]) -> Callable[..., None]:
    """The call of the function in the file."""
    types = [ctypes.c_char_p if kind == "s" else ctypes.c_int64 for kind in kinds]
    function = ctypes.PYFUNCTYPE(None, *types)(address)
    changes: dict[str, Callable[[Any], Any]] = {"s": _bytes, **dict.fromkeys(_FLOATS, _bits)}
    changed = [(n, changes[kind]) for n, kind in enumerate(kinds) if kind in changes]
    if not changed:
        return function

    def fire(*arguments: Any) -> None:  # noqa: ANN401 - what the format says
        values = list(arguments)
        for number, change in changed:
            values[number] = change(values[number])
        function(*values)

    return fire


_SOURCE = """
def make(semaphore, fire):
    def {name}({arguments}):
        if semaphore[0]:
            fire({arguments})
    return {name}
"""


def _callable(provider: str, name: str, path: Path, kinds: Sequence[str]) -> PythonMarker:
    """A function of just these arguments: no other call costs less."""
    function, semaphore_at = _mapped(path)
    word = (ctypes.c_uint16 * 1).from_address(semaphore_at)
    semaphore = memoryview(word).cast("B").cast("H")
    names = ", ".join(f"arg{number}" for number in range(1, len(kinds) + 1))
    made: dict[str, Any] = {}
    source = _SOURCE.format(name=f"marker_{name}", arguments=names)
    exec(compile(source, f"<marker {provider}:{name}>", "exec"), made)  # noqa: S102 - names only
    result = made["make"](semaphore, _fire(function, kinds))
    result.provider, result.name, result.path = provider, name, str(path)
    result.enabled = lambda: bool(semaphore[0])
    return result  # type: ignore[no-any-return] # a function with attributes
