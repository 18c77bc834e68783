"""The machine as an argument: kernel, files, /proc and sysfs are read through one port.

In: absolute paths. Out: bytes, names, numbers. The rule: nothing below this module opens a file
of the machine by itself, so the whole compiler runs in tests on a recorded folder.
Unreadable things raise OSError; what to say about it is the caller's affair.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import stat
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from bridge.proc_paths import leads_through_process, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TRACEFS = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
BTF_FOLDER = "/sys/kernel/btf"
VMLINUX_BTF = f"{BTF_FOLDER}/vmlinux"
WITHOUT = "MARKBRIDGE_WITHOUT"
T = TypeVar("T")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class World(Protocol):
    """What the compiler may ask of the machine."""

    @property
    def env(self) -> Mapping[str, str]:
        """The environment: PATH, HOME, LD_LIBRARY_PATH."""
        ...

    @property
    def release(self) -> tuple[int, int]:
        """The kernel's version, its first two numbers; (0, 0) if unknown."""
        ...

    @property
    def machine(self) -> str:
        """The machine's architecture in `uname -m` form (`x86_64`, `aarch64`)."""
        ...

    @property
    def user_hz(self) -> int:
        """Timer ticks per second (CONFIG_HZ), which `timer.jiffies` counts."""
        ...

    def read_file(self, path: str) -> bytes:
        """The whole content of a file."""
        ...

    def map_file(self, path: str) -> memoryview:
        """A read-only view of a regular file."""
        ...

    def exists(self, path: str) -> bool:
        """Whether something is there."""
        ...

    def is_executable(self, path: str) -> bool:
        """Whether it is a regular file that may be executed."""
        ...

    def list_dir(self, path: str) -> Sequence[str]:
        """The names in a folder, sorted."""
        ...

    def glob(self, pattern: str) -> Sequence[str]:
        """The paths that match a shell pattern, sorted; `**` crosses folders."""
        ...

    def real_path(self, path: str) -> str:
        """The absolute path with every link resolved.

        A path through /proc/PID (`bridge.proc_paths`) leads to a file of that process.
        """
        ...


def find_executable(world: World, name: str) -> str | None:
    """The path of program `name`: as it stands if it has a slash, else the first in PATH."""
    if "/" in name:
        return name if world.exists(name) else None
    for folder in world.env.get("PATH", DEFAULT_PATH).split(":"):
        path = f"{folder or '.'}/{name}"
        if world.is_executable(path):
            return path
    return None


def tracefs(world: World) -> str | None:
    """Where tracefs is mounted and readable."""
    for path in TRACEFS:
        if world.exists(f"{path}/events"):
            return path
    return None


def _release(text: str) -> tuple[int, int]:
    numbers = text.split(".")[:2]
    return (int(numbers[0]), int(numbers[1])) if all(n.isdigit() for n in numbers) else (0, 0)


def _hz(config: str) -> int:
    for line in config.splitlines():
        if line.startswith("CONFIG_HZ="):
            return int(line.removeprefix("CONFIG_HZ="))
    return 0


@cache
def _running_hz() -> int:
    import gzip

    try:
        return _hz(gzip.decompress(Path("/proc/config.gz").read_bytes()).decode()) or 250
    except OSError:
        pass
    try:
        return _hz(Path(f"/boot/config-{os.uname().release}").read_text()) or 250
    except OSError:
        return 250


def taken_away() -> frozenset[str]:
    """The features of the kernel that the environment says to do without (docs/kernels.md)."""
    names = os.environ.get(WITHOUT, "").split(",")
    return frozenset(name.strip() for name in names if name.strip())


def _opened(path: str) -> str:
    """What to open for a path: the links of another root do not mean our files."""
    if path.startswith(BTF_FOLDER) and "btf" in taken_away():
        raise FileNotFoundError(errno.ENOENT, f"taken away by {WITHOUT}", path)
    return resolve(path) if leads_through_process(path) else path


class LiveWorld:
    """The machine that we run on."""

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        self._env = dict(os.environ if env is None else env)

    @property
    def env(self) -> Mapping[str, str]:
        """The environment of this process, or the one given."""
        return self._env

    @property
    def release(self) -> tuple[int, int]:
        """The running kernel's version."""
        return _release(os.uname().release)

    @property
    def machine(self) -> str:
        """The running kernel's architecture."""
        return os.uname().machine

    @property
    def user_hz(self) -> int:
        """CONFIG_HZ of the running kernel where it is told, else 250 as distributions set."""
        return _running_hz()

    def read_file(self, path: str) -> bytes:
        """The whole content of a file."""
        return Path(_opened(path)).read_bytes()

    def map_file(self, path: str) -> memoryview:
        """A read-only view of a regular file; of anything else an OSError."""
        path = _opened(path)
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for its writer
            raise OSError(errno.EINVAL, "Not a regular file", path)
        with Path(path).open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return memoryview(b"")
            try:
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            except ValueError as error:
                raise OSError(f"cannot be mapped: {error}") from error

    def exists(self, path: str) -> bool:
        """Whether something is there."""
        try:
            return Path(_opened(path)).exists()
        except (OSError, ValueError):
            return False

    def is_executable(self, path: str) -> bool:
        """Whether it is a regular file that may be executed."""
        try:
            path = _opened(path)
            return Path(path).is_file() and os.access(path, os.X_OK)
        except (OSError, ValueError):
            return False

    def list_dir(self, path: str) -> Sequence[str]:
        """The names in a folder, sorted."""
        return sorted(entry.name for entry in Path(_opened(path)).iterdir())

    def glob(self, pattern: str) -> Sequence[str]:
        """The paths that match a shell pattern, sorted."""
        import glob

        if leads_through_process(pattern):
            plain = list(takewhile(lambda part: not glob.has_magic(part), pattern.split("/")))
            head = "/".join(plain)
            pattern = glob.escape(resolve(head)) + pattern[len(head) :]
        return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 -- absolute patterns

    def real_path(self, path: str) -> str:
        """The absolute path with every link resolved, as far as that is permitted."""
        try:
            return resolve(path)
        except OSError:
            return path


_KEPT: dict[object, object] = {}
_Live = LiveWorld
"""The class itself, whatever a test calls so."""


def kept(world: World, key: tuple[object, ...], make: Callable[[], T]) -> T:
    """What is made of the running kernel's own files: once in a process, for all scripts.

    The key has what it depends on, beside our rights and the features that are taken away.
    """
    if not isinstance(world, _Live):
        return make()
    whole = (*key, os.geteuid(), taken_away())
    if whole not in _KEPT:
        _KEPT[whole] = make()
    return cast("T", _KEPT[whole])


@dataclass(frozen=True)
class RecordedWorld:
    """A recorded machine: `folder/root` holds captured files at their paths.

    `folder/world.json` has `env`, `release` (text), `machine`, `hz`. A path given to it may
    also be one inside `folder/root` already: what it returns from `glob` and `real_path` are
    paths of the recorded machine.
    """

    folder: Path

    def _here(self, path: str) -> Path:
        return self.folder / "root" / path.lstrip("/")

    def _facts(self) -> dict[str, str | int | dict[str, str]]:
        facts: dict[str, str | int | dict[str, str]] = json.loads(
            (self.folder / "world.json").read_text()
        )
        return facts

    @property
    def env(self) -> Mapping[str, str]:
        """The recorded environment."""
        env = self._facts().get("env", {})
        return env if isinstance(env, dict) else {}

    @property
    def release(self) -> tuple[int, int]:
        """The recorded kernel's version."""
        return _release(str(self._facts().get("release", "")))

    @property
    def machine(self) -> str:
        """The recorded architecture."""
        return str(self._facts().get("machine", "x86_64"))

    @property
    def user_hz(self) -> int:
        """The recorded tick rate."""
        hz = self._facts().get("hz", 250)
        return hz if isinstance(hz, int) else 250

    def read_file(self, path: str) -> bytes:
        """The whole content of a recorded file."""
        return self._here(path).read_bytes()

    def map_file(self, path: str) -> memoryview:
        """A view of a recorded file."""
        return memoryview(self.read_file(path))

    def exists(self, path: str) -> bool:
        """Whether it was recorded."""
        return self._here(path).exists()

    def is_executable(self, path: str) -> bool:
        """Whether it was recorded and is a file."""
        return self._here(path).is_file()

    def list_dir(self, path: str) -> Sequence[str]:
        """The recorded names in a folder, sorted."""
        return sorted(entry.name for entry in self._here(path).iterdir())

    def glob(self, pattern: str) -> Sequence[str]:
        """The recorded paths that match, sorted."""
        root = self.folder / "root"
        found = root.glob(pattern.lstrip("/")) if pattern.strip("/") else ()
        return sorted(f"/{path.relative_to(root)}" for path in found)

    def real_path(self, path: str) -> str:
        """The path itself, absolute: links are not recorded."""
        return os.path.normpath(f"/{path}").replace("//", "/")
