"""LTT trace buffers of every generation: K, X, F (0.3 - 0.8), M1 (1.0), M2 (2.0 - 2.6).

`open_ltt(path)` gives a `LttReader`, whatever the version. The rule: what a trace is follows
from where its magic number is, never from its name.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.errors import TraceError
from bridge.trace.ltt.options import OpenOptions

if TYPE_CHECKING:
    from bridge.trace.ltt import files
    from bridge.trace.ltt.reader import LttReader

M2_MAGIC_AT = 0x10
_LOOKED_AT, _NEAR_PAGES = 512, 16
_DEFAULT = OpenOptions()


def _found(folder: Path) -> list[files.FoundFile]:
    from bridge.trace.ltt import files

    return [f for path in files.scan(folder) if (f := files.find(path, folder)) is not None]


def _descend(folder: Path) -> Path:
    """The trace in a folder, or the only one below it: UST has a folder per process."""
    from bridge.trace.find import is_root, traces_below

    if is_root(folder):
        return folder
    inner = traces_below(folder).folders
    if len(inner) > 1:
        names = ", ".join(str(f.relative_to(folder)) for f in inner[:5])
        raise TraceError(f"{folder}: holds {len(inner)} traces, open one of them: {names}")
    return inner[0] if inner else folder


def _complete(reader: LttReader, folder: Path, used: list[files.FoundFile]) -> LttReader:
    """Report the files that are named like tracefiles but hold no sub-buffer."""
    from bridge.diagnostics import Diagnostic, FileOffset, Severity
    from bridge.trace.ltt import files

    known = {f.path for f in used}
    for path in files.scan(folder):
        is_named = files.numbered(path.name)[1] >= 0 or path.name.startswith("process-")
        if path in known or not is_named or path.parent.name == "eventdefs":
            continue
        if path.stat().st_size:
            warning = Diagnostic(
                "ltt-bad-magic",
                "no sub-buffer of this trace in the whole file; it is left out",
                severity=Severity.WARNING,
                phase="trace",
                file=FileOffset(str(path), 0),
            )
            reader.diagnostics.append(warning)
    return reader


def is_ltt(path: Path) -> bool:
    """Whether this is a trace of one of the generations."""
    from bridge.trace.ltt import files
    from bridge.trace.ltt import generation_1999 as k
    from bridge.trace.ltt import generation_2003 as x

    if path.is_file():
        return k.is_k(path)
    if not path.is_dir():
        return False
    if x.is_x(path):
        return True
    paths = list(files.scan(path))
    return any(files.find(p, path) is not None or k.is_k(p) for p in paths)


def has_buffers(folder: Path) -> bool:
    """Whether some of the files in a folder start with a sub-buffer of LTT; a quick look."""
    from bridge.trace.ltt import files
    from bridge.trace.ltt import generation_1999 as k

    for path in islice(files.scan(folder, 1), _LOOKED_AT):
        # Files without a size are the kernel's (/proc/kmsg), and reading them may never end.
        if path.stat().st_size and (
            files.find(path, folder, _NEAR_PAGES) is not None or k.is_k(path)
        ):
            return True
    return False


def open_ltt(path: str | Path, options: OpenOptions = _DEFAULT) -> LttReader:
    """Open a trace: a folder, or a file of the first LTT."""
    path = Path(path)
    if path.is_file():
        return _open_first([path])
    if not path.is_dir():
        raise TraceError(f"{path}: no such trace")
    folder = _descend(path)
    found = _found(folder)
    markers = [f for f in found if f.magic_at == M2_MAGIC_AT]
    others = [f for f in found if f.magic_at != M2_MAGIC_AT]
    # Each generation is imported where it is needed: opening is mostly importing.
    if markers and len(markers) >= len(others):
        from bridge.trace.ltt.markers_2 import open_m2

        return _complete(open_m2(folder, markers, options), folder, markers)
    if others:
        from bridge.trace.ltt.facilities import open_facilities

        return _complete(open_facilities(folder, others, options), folder, others)
    return _open_old(folder)


def _open_old(folder: Path) -> LttReader:
    from bridge.trace.ltt import files
    from bridge.trace.ltt import generation_2003 as x

    if x.is_x(folder):
        return x.open_x(folder)
    return _open_first(list(files.scan(folder)))


def _open_first(paths: list[Path]) -> LttReader:
    from bridge.trace.ltt import generation_1999 as k

    single = [path for path in paths if k.is_k(path)]
    if not single:
        where = paths[0] if len(paths) == 1 else "the folder"
        raise TraceError(f"{where}: no LTT trace of any version")
    return k.open_k(single)
