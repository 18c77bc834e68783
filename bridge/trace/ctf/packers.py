"""An event class of plain fields -> a function that packs an event into bytes.

What the packer does not take (values that do not fit, among them) is given to the encoder,
which says what is wrong; a test holds the bytes of both equal. A row is a head, which says
where the event goes, and the bytes of its fields: `mb_ctf_write_rows` takes it as it is.
"""

from __future__ import annotations

from struct import Struct as Layout
from struct import error as LayoutError
from struct import pack
from threading import RLock
from time import time_ns
from typing import TYPE_CHECKING, Any

from bridge.errors import TraceError
from bridge.trace.model import BYTES, FixedArray, Float, Integer, Sequence, Struct, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.trace.model import FieldType

HEAD = Layout("<QIII")
"""Time, stream, class, and how many bytes follow."""
MISSING = object()
MOST_FIELDS = 200
MOST_KEPT = 64
_INTEGERS = {8: "b", 16: "h", 32: "i", 64: "q"}
_FLOATS = {32: "f", 64: "d"}
_REFUSALS = (LayoutError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)


def code_of(kind: FieldType) -> str | None:
    """What `struct` calls a number that is stored as it is; None if it is none."""
    match kind:
        case Integer(bits=bits, align_bits=align, big_endian=False, form="" | "bool") if (
            bits in _INTEGERS and align <= 8 and not kind.encoding and not kind.reversed_bits
        ):
            code = _INTEGERS[bits]
            return code if kind.signed else code.upper()
        case Float(bits=bits, align_bits=align, big_endian=False) if (
            bits in _FLOATS and align <= 8
        ):
            return _FLOATS[bits]
        case _:
            return None


class _Packs(dict[int, "Callable[..., bytes]"]):
    """What packs so many numbers of a kind, kept for small counts."""

    def __init__(self, code: str) -> None:
        self._code = code

    def __missing__(self, count: int) -> Callable[..., bytes]:
        made = Layout(f"<{count}{self._code}").pack
        if count <= MOST_KEPT:
            self[count] = made
        return made


class _Writing:
    """The parts of the function: numbers in a row are packed at once."""

    def __init__(self) -> None:
        self.fixed = 0
        self.checks: list[str] = []
        self.sizes: list[str] = []
        self.pieces: list[str] = []
        self.layouts: list[Layout] = []
        self._codes = HEAD.format
        self._values = ["_now", "_stream", "_class", "_size"]

    def number(self, code: str, value: str) -> None:
        self._codes += code
        self._values.append(value)
        self.fixed += Layout(f"<{code}").size

    def zero(self) -> None:
        """The NUL of a text: `struct` puts it before the numbers that follow."""
        self._codes += "x"
        self.fixed += 1

    def bytes(self, value: str) -> None:
        self.flush()
        self.pieces.append(value)

    def flush(self) -> None:
        """The numbers so far are a piece."""
        if self._values or self._codes != "<":
            self.pieces.append(f"_p{len(self.layouts)}({', '.join(self._values)})")
            self.layouts.append(Layout(self._codes))
        self._codes, self._values = "<", []


def _add(out: _Writing, name: str, kind: FieldType) -> bool:
    """A field; whether it is one that is packed."""
    code = code_of(kind)
    if code is not None:
        out.number(code, name)
        return True
    match kind:
        case Text(encoding="utf8"):
            out.checks += [f"if '\\0' in {name}: raise ValueError", f"{name} = {name}.encode()"]
            out.sizes.append(f"len({name})")
            out.bytes(name)
            out.zero()
        case Sequence(element=Integer(bits=8, encoding=encoding), length="") if (
            encoding == BYTES
        ):
            out.checks += [f"if type({name}) is not bytes: raise TypeError"]
            out.number("I", f"len({name})")
            out.sizes.append(f"len({name})")
            out.bytes(name)
        case Sequence(element=element, length="") if (code := code_of(element)) is not None:
            out.checks += [f"if type({name}) is not list: raise TypeError"]
            out.number("I", f"len({name})")
            size = Layout(f"<{code}").size
            out.sizes.append(f"len({name})" if size == 1 else f"{size} * len({name})")
            out.bytes(f"_packs_{code}[len({name})](*{name})")
        case FixedArray(element=element, length=length) if (
            code := code_of(element)
        ) is not None:
            out.checks += [
                f"if type({name}) is not list or len({name}) != {length}: raise TypeError"
            ]
            out.fixed += length * Layout(f"<{code}").size
            out.bytes(f"_pack('<{length}{code}', *{name})")
        case _:
            return False
    return True


def packer(
    payload: Struct,
    slow: Callable[[dict[str, Any]], None],
    into: Pending,
    where: tuple[int, int],
) -> Callable[..., None] | None:
    """The function that packs an event of now; None if the class has fields that it cannot.

    What it refuses is given to `slow`. `where` are the stream and the class.
    """
    names = [field.name for field in payload.fields]
    if len(names) > MOST_FIELDS or not all(
        n.isidentifier() and n.isascii() and n[:1] != "_" for n in names
    ):
        return None
    out = _Writing()
    if not all(_add(out, f"f_{field.name}", field.type) for field in payload.fields):
        return None
    out.flush()
    size = " + ".join([str(out.fixed), *out.sizes])
    body = "".join(f"        {line}\n" for line in out.checks)
    given = "".join(f", {n}=_M" for n in names)
    text = (
        f"def __call__(_w, /{', *' + given if names else ''}, **_rest):\n"
        f"    {'; '.join(f'f_{n} = {n}' for n in names) or 'pass'}\n"
        "    try:\n        if _rest: raise ValueError\n"
        f"{body}        _now = _time()\n"
        "        if _now < _last[0]: raise ValueError\n"
        f"        _size = {size}\n"
        f"        _put(({', '.join(out.pieces)},))\n"
        "        _last[0] = _now\n"
        "    except _refusals:\n"
        f"        _given = {{{', '.join(f'{n!r}: {n}' for n in names)}, **_rest}}\n"
        "        return _slow({k: v for k, v in _given.items() if v is not _M})\n"
        "    if len(_rows) >= _most: _flush()\n"
    ).replace("{, **_rest}", "{**_rest}")
    values: dict[str, Any] = {f"_p{n}": layout.pack for n, layout in enumerate(out.layouts)}
    values |= {"_M": MISSING, "_time": time_ns, "_pack": pack, "_slow": slow}
    values |= {"_put": into.rows.extend, "_rows": into.rows, "_last": into.last}
    values |= {"_most": MOST_PIECES, "_flush": into.flush, "_refusals": _REFUSALS}
    values |= {"_stream": where[0], "_class": where[1]}
    values |= {f"_packs_{code}": _Packs(code) for code in "bBhHiIqQfd"}
    try:
        exec(text, values)  # noqa: S102 - of the names of fields, which are identifiers
    except SyntaxError:  # a name is a word of Python
        return None
    made: Callable[..., None] = values["__call__"]
    return made


MOST_PIECES = 2048
"""Of rows, that are kept until they are given to C."""


class Pending:
    """Rows that are not given to C yet, and the time of the last."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self.rows: list[bytes] = []
        self.last = [0]
        self._write = write
        self._lock = RLock()
        self._flushing = False

    def came_to(self, time: int) -> None:
        """An event of this time was written in another way."""
        self.last[0] = max(self.last[0], time)

    def flush(self) -> None:
        """Give them to C. Rows that another thread adds meanwhile stay for the next time.

        So do those of a handler of signals that comes in between.
        """
        with self._lock:
            if self._flushing:
                return
            self._flushing = True
            try:
                if rows := self.rows[:]:
                    del self.rows[: len(rows)]
                    self._write(b"".join(rows))
            finally:
                self._flushing = False


# --- columns ----------------------------------------------------------------------------------


def column_rows(
    payload: Struct,
    times: Any,  # noqa: ANN401 - arrays of numpy
    columns: Mapping[str, Any],
    where: tuple[int, int],
) -> Any:  # noqa: ANN401 - arrays of numpy
    """Events as an array of rows; TraceError names the column whose values do not fit."""
    import numpy as np

    names = [field.name for field in payload.fields]
    if columns.keys() != set(names):
        wrong = min(columns.keys() ^ set(names))
        raise TraceError(f"no {'field' if wrong in columns else 'values for'} `{wrong}`")
    kinds = [_column_type(field.name, field.type) for field in payload.fields]
    head = [("clock", "<u8"), ("stream", "<u4"), ("class", "<u4"), ("size", "<u4")]
    body = [(f"f_{n}", *kind) for n, kind in zip(names, kinds, strict=True)]
    moments = _fitting("times", np.asarray(times), np.dtype("<u8"), ())
    rows = np.empty(len(moments), np.dtype([*head, *body]))
    if len(moments) > 1 and (moments[1:] < moments[:-1]).any():
        raise TraceError("the times go back")
    rows["clock"] = moments
    rows["stream"], rows["class"] = where
    rows["size"] = rows.dtype.itemsize - HEAD.size
    for name, (code, *shape) in zip(names, kinds, strict=True):
        found = np.asarray(columns[name])
        if len(found) != len(moments):
            raise TraceError(f"`{name}`: {len(found)} values for {len(moments)} times")
        rows[f"f_{name}"] = _fitting(name, found, np.dtype(code), tuple(shape))
    return rows


def _column_type(name: str, kind: FieldType) -> tuple[Any, ...]:
    code = code_of(kind)
    if code is not None:
        return (f"<{code}",)
    if isinstance(kind, FixedArray) and (code := code_of(kind.element)) is not None:
        return f"<{code}", kind.length
    raise TraceError(f"`{name}` has no numbers of one size, which columns are made of")


def _fitting(name: str, found: Any, wanted: Any, shape: tuple[int, ...]) -> Any:  # noqa: ANN401
    """The values as they are stored, if all are what the field holds."""
    import numpy as np

    allowed = "biu" if wanted.kind in "iu" else "biuf"
    if found.dtype.kind not in allowed or found.shape[1:] != shape or found.ndim == 0:
        raise TraceError(f"`{name}`: {found.dtype} {found.shape} is no column of {wanted.name}")
    if np.can_cast(found.dtype, wanted, "safe") or not len(found):
        return found
    if wanted.kind in "iu":
        limits = np.iinfo(wanted)
        low, high = int(found.min()), int(found.max())
        if low < limits.min or high > limits.max:
            bad = low if low < limits.min else high
            raise TraceError(f"`{name}`: {bad} does not fit {wanted.name}")
        return found
    with np.errstate(over="ignore"):
        stored = found.astype(wanted)
    if (np.isinf(stored) & np.isfinite(found)).any():
        raise TraceError(f"`{name}`: a value does not fit a {8 * wanted.itemsize}-bit number")
    return stored
