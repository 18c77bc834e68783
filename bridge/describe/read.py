"""A file that describes events -> facilities, whatever its form.

Known are facility files, DTrace provider files, `format` files of tracefs, `Module.markers`.
The rule: the content tells the form, and a file of no known form is an error that names them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.errors import TraceError

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.facility.model import Facility

_FACILITY = re.compile(r"(?:\ufeff|\xef\xbb\xbf)?(?:\s|/\*.*?\*/|//[^\n]*)*<", re.DOTALL)
_PROVIDER = re.compile(r"^[ \t]*provider[ \t\n]+[A-Za-z_$]", re.MULTILINE)
_FORMAT = re.compile(r"name:[ \t]*\S+\nID:[ \t]*\d+\nformat:\n")
_MARKERS = re.compile(r"\A(?:[^\s#/]+[ \t]+\S+(?:[ \t][^\n]*)?(?:\n|\Z))+\Z")


def read(path: Path, *, strict: bool = False) -> tuple[list[Facility], tuple[str, ...]]:
    """The facilities of a file, and notes about what was passed over.

    Args:
        path: the file.
        strict: for facility files: see `bridge.facility.parse.parse`.

    Raises:
        TraceError: the file cannot be read, or has no known form.

    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}") from None
    text, name = content.decode("latin-1"), str(path)
    if _FACILITY.match(text):
        from bridge.facility.parse import parse

        return parse(text, name, strict=strict), ()
    text = content.decode("utf-8", "surrogateescape")
    if _FORMAT.match(text):
        from bridge.describe import tracefs

        return [tracefs.facility(text, name)], ()
    if _PROVIDER.search(text):
        from bridge.facility.provider.facility import facilities
        from bridge.facility.provider.parse import parse as parse_provider

        file = parse_provider(text, name)
        return facilities(file, name), file.notes
    if _MARKERS.match(text):
        from bridge.describe import marker_formats

        return marker_formats.facilities(text, name)
    raise TraceError(
        f"{path}: no facility file, provider file, format file of tracefs or Module.markers"
    )


__all__ = ["read"]
