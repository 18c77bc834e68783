"""A path -> the reader of the trace there, whatever its format.

The trace may be further down; a folder of several CTF traces (as LTTng's sessions are) is read
as one, and of several others one has to be chosen. Formats are loaded on demand.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bridge.errors import TraceError
from bridge.trace.find import METADATA, FoundTraces, is_ctf, is_root, traces_below

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.trace.model import Reader

ARCHIVES = {
    b"\x1f\x8b": "tar xzf",
    b"BZh": "tar xjf",
    b"\xfd7zXZ\0": "tar xJf",
    b"\x28\xb5\x2f\xfd": "tar --zstd -xf",
    b"PK\x03\x04": "unzip",
}
"""How archives start, and what unpacks them."""
TAR_AT, TAR = 257, b"ustar"
MOST_TOLD = 8


def ctf_folders(path: Path) -> list[Path]:
    """The CTF traces in a folder or below it, in order of name."""
    return [folder for folder in traces_below(path).folders if is_ctf(folder)]


def open_trace(path: Path | str) -> Reader:
    """Open the trace at a path, or the one below it.

    TraceError if there is none that can be read, or several that are not read as one; the
    message lists them.
    """
    path = Path(path)
    try:
        path.stat()
    except PermissionError as error:
        raise TraceError(f"{path}: {error.strerror}") from None
    except (OSError, ValueError):
        raise TraceError(f"{path}: there is no such trace") from None
    if not path.is_dir():
        return _open_file(path)
    if is_root(path):
        return _open_folder(path)
    found = traces_below(path)
    if not found.folders:
        return _open_unmarked(path, found)
    if len(found.folders) == 1:
        return _open_folder(found.folders[0])
    if all(map(is_ctf, found.folders)):
        return _open_ctf(path, list(found.folders))
    raise TraceError(_offer(path, found))


def open_traces(paths: Sequence[Path]) -> Reader:
    """Open the traces at some paths as one, in order of time.

    Folders of one trace, as snapshots of a session are, give each packet once.
    """
    if len(paths) == 1:
        return open_trace(paths[0])
    from bridge.trace.ctf.reader import CtfReader
    from bridge.trace.ctf.repeated import skip_repeated
    from bridge.trace.merge import MergedReader

    found: list[tuple[str, Reader]] = []
    for path in paths:
        reader = open_trace(path)
        inner = reader.readers if isinstance(reader, MergedReader) else (("", reader),)
        found += [("/".join(filter(None, (str(path), name))), one) for name, one in inner]
    skip_repeated(one for _, one in found if isinstance(one, CtfReader))
    return MergedReader(found)


def _offer(path: Path, found: FoundTraces) -> str:
    """All traces below, or the first ones and how many more there are."""
    names = [f"\n  {folder}" for folder in found.folders[:MOST_TOLD]]
    more = len(found.folders) - len(names)
    if more:
        names.append(f"\n  and {more} more")
    if not found.whole:
        names.append("\n  and perhaps more: not every folder was searched")
    return f"{path}: holds several traces; open one of them:{''.join(names)}"


# --- what was found ---------------------------------------------------------------------------


def _open_folder(folder: Path) -> Reader:
    """A folder that is a trace itself."""
    if is_ctf(folder):
        return _open_ctf(folder, [folder])
    from bridge.trace import ltt

    if ltt.is_ltt(folder):
        return ltt.open_ltt(folder)
    from bridge.trace import lket

    if lket.is_lket(folder):
        return lket.open_lket(folder)
    raise TraceError(f"{folder}: looks like a trace, but none of its files can be read as one")


def _open_unmarked(path: Path, found: FoundTraces) -> Reader:
    """A folder without the files that show a trace: one that has lost its description."""
    if is_root(path.resolve().parent):
        raise TraceError(f"{path}: is a part of a trace; read {path.resolve().parent}")
    if (path / METADATA).is_file():
        return _open_ctf(path, [path])
    from bridge.trace import ltt

    if ltt.has_buffers(path):
        return ltt.open_ltt(path)
    if not found.whole:
        raise TraceError(
            f"{path}: no trace in the folders that were searched, and there are more;"
            " name the trace's own folder"
        )
    raise TraceError(f"{path}: no trace of a known format, neither here nor below")


def _open_file(path: Path) -> Reader:
    """A file: a trace of the first LTT, or something near to a trace."""
    try:
        with path.open("rb") as file:
            start = file.read(TAR_AT + len(TAR))
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}") from None
    unpack = next((tool for mark, tool in ARCHIVES.items() if start.startswith(mark)), "")
    if start[TAR_AT:] == TAR:
        unpack = "tar xf"
    if unpack:
        raise TraceError(f"{path}: is an archive; unpack it first (`{unpack} {path}`)")
    from bridge.trace import ltt

    if path.is_file() and ltt.is_ltt(path):
        return ltt.open_ltt(path)
    whole = next(filter(is_root, path.resolve().parents[:2]), None)
    if whole is not None:
        raise TraceError(f"{path}: is a file of a trace; read its folder, {whole}")
    raise TraceError(f"{path}: no trace of a known format")


def _open_ctf(path: Path, folders: list[Path]) -> Reader:
    from bridge.trace.ctf.reader import CtfReader

    if len(folders) == 1:
        return CtfReader(folders[0])
    from bridge.trace.ctf.repeated import skip_repeated
    from bridge.trace.merge import MergedReader

    readers = [CtfReader(folder) for folder in folders]
    skip_repeated(readers)
    names = (str(folder.relative_to(path)) for folder in folders)
    return MergedReader(list(zip(names, readers, strict=True)))
