"""The line table of a unit: rows in the order of addresses, and the questions asked of them.

Source: DWARF 5, section 6.2. Where functions' prologues end follows SystemTap, so that a probe
stands where its `$variables` are right in unoptimised code.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, NamedTuple

from elftools.dwarf.constants import DW_LNE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class Row(NamedTuple):
    """One row: from this address on, this line of this file."""

    address: int
    file: str
    line: int
    is_statement: bool
    prologue_end: bool
    end: bool


def read_rows(info: Any, unit: Any, names: Sequence[str]) -> list[Row]:  # noqa: ANN401
    """The rows of a unit, by address; rows at one address in the order of the table."""
    program = info.line_program_for_CU(unit)
    if program is None:
        return []
    rows = []
    for entry in program.get_entries():
        state = entry.state
        if state is None:
            continue
        end = bool(entry.is_extended) and entry.command == DW_LNE.end_sequence
        name = names[state.file] if 0 <= state.file < len(names) else ""
        rows.append(
            Row(
                state.address,
                name,
                state.line,
                bool(state.is_stmt),
                bool(state.prologue_end),
                end or bool(state.end_sequence),
            )
        )
    # An end and the start of the next sequence at one address: the end first, as elfutils.
    return sorted(rows, key=lambda row: (row.address, not row.end))


def file_names(info: Any, unit: Any, folder: str) -> list[str]:  # noqa: ANN401
    """The paths of a unit's files by their numbers; entry 0 is "" before DWARF 5."""
    program = info.line_program_for_CU(unit)
    if program is None:
        return []
    header = program.header
    entries, folders = header["file_entry"], header["include_directory"]
    paths = [_text(one) for one in folders]
    if header["version"] < 5:
        paths.insert(0, folder)
        names = [""]
    else:
        names = []
    for entry in entries:
        index = entry["dir_index"]
        base = paths[index] if 0 <= index < len(paths) else folder
        names.append(posixpath.join(folder, base, _text(entry["name"])))
    return names


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return str(value)


def prologue_end(rows: Sequence[Row], low: int, high: int, file: str) -> int:
    """Where the prologue of the function [low, high) ends; `low` if that is not known.

    That is at the first row that is marked so, of another line or file, or the second one of
    the function.
    """
    first = next((n for n, r in enumerate(rows) if r.address == low and not r.end), None)
    if first is None:
        return low
    start = rows[first].line
    at = first
    while at < len(rows):
        row = rows[at]
        inside = low <= row.address < high
        if not inside or row.prologue_end or row.file != file or row.line != start:
            break
        if at != first:
            break
        at += 1
    if at < len(rows) and low <= rows[at].address < high:
        return rows[at].address
    return rows[at - 1].address if at > first else low
