"""A folder or file that is there when it is whole: written beside its place, then renamed.

What is interrupted leaves nothing, or (if the process is killed) a hidden folder or file
`.NAME.*.partial`, which no search for traces enters.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from bridge.errors import TraceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

PARTIAL = ".partial"


class Unwritable(TraceError):
    """An event class that a format cannot hold; the message names it and says why."""


def check_free(path: Path) -> None:
    """TraceError unless a folder can be made here: nothing is there, or an empty folder."""
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise TraceError(f"{path}: is not empty; a trace needs a folder of its own")
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}") from None


def make_folder(path: Path) -> None:
    """With those above it; TraceError that names what stands in the way."""
    try:
        for place in reversed((path, *path.parents)):
            if place.exists() and not place.is_dir():
                raise TraceError(f"{path}: {place} is not a folder")
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}") from None


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """The folder to write to; at the end it becomes `path`. After an exception it is gone."""
    check_free(path)
    place = path.resolve()
    folder = _beside(place)
    try:
        make_folder(place.parent)
        try:
            folder.mkdir(0o700)
            folder.chmod(_mode(place))
        except OSError as error:
            raise TraceError(f"{path}: {error.strerror}") from None
        yield folder
        _move(folder, place)
    except TraceError as error:
        raise TraceError(str(error).replace(str(folder), str(path))) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """The same for a file: what was at its place is replaced at the end, and only then."""
    place = path.resolve()
    if place.is_dir():
        raise TraceError(f"{path}: is a folder; name a file")
    made = _beside(place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with made.open("xb") as file:
            yield file
        made.chmod(_mode(place) & 0o666)
        made.rename(place)
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}") from None
    except TraceError as error:
        raise TraceError(str(error).replace(str(made), str(path))) from error
    finally:
        made.unlink(missing_ok=True)


def _beside(place: Path) -> Path:
    """A name that nothing has. It is known before it is made: a signal may come in between."""
    return place.parent / f".{place.name}.{os.urandom(6).hex()}{PARTIAL}"


def _mode(place: Path) -> int:
    """The permissions of the folder: those that it has, or those that new folders get."""
    if place.exists():
        return place.stat().st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o777 & ~mask


def _move(folder: Path, place: Path) -> None:
    try:
        folder.rename(place)
    except OSError as error:
        if not place.is_dir() or any(place.iterdir()):
            raise TraceError(f"{place}: {error.strerror}") from None
        _fill(folder, place)


def _fill(folder: Path, place: Path) -> None:
    """For a folder that cannot be replaced, as a mount point: descriptions come last."""
    entries = sorted(folder.iterdir(), key=lambda e: (e.name.startswith("metadata"), e.name))
    for entry in entries:
        entry.rename(place / entry.name)
