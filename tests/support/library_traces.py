"""Small traces of every format, made by the writers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.trace import model
from bridge.trace.ctf.writer import CtfWriter
from bridge.trace.fixed import open_fixed
from bridge.trace.ltt.write import WriteOptions
from bridge.trace.open import open_trace

if TYPE_CHECKING:
    from pathlib import Path

SECOND = 1_000_000_000
COUNT = 5000
"""More events than a batch of the C side has."""

ORDER = model.EventClass(
    "shop.order",
    0,
    model.Struct(
        (
            model.Field("number", model.Integer(32, signed=True)),
            model.Field("what", model.Text()),
        )
    ),
)


def order(
    number: int, *, time_ns: int | None = None, stream: str = "channel0_0"
) -> model.Event:
    """An order; its number is in its time, its cpu and its fields."""
    time_ns = SECOND + number if time_ns is None else time_ns
    fields: dict[str, model.Value] = {"number": number, "what": f"tea {number}"}
    return model.Event(ORDER, time_ns, time_ns, 0, stream, fields)


def orders(count: int = COUNT) -> list[model.Event]:
    """Some orders."""
    return [order(number) for number in range(count)]


def write_ctf(path: Path, events: list[model.Event] | None = None) -> Path:
    """A CTF trace."""
    with CtfWriter(path) as out:
        out.write(orders() if events is None else events)
    return path


def write_ltt(path: Path, version: str) -> Path:
    """An LTT trace."""
    from bridge.trace.convert import writer

    with writer(path, WriteOptions(version)) as out:
        out.declare_all([ORDER])
        for event in orders():
            out.write(event)
    return path


def write_lket(path: Path) -> Path:
    """An LKET trace of one CPU."""
    from bridge.trace.lket.writer import LketWriter

    with LketWriter(path) as out:
        for event in orders(200):
            out.write(event)
    return path


LAYOUT = """
name = "lkst"
record = 'Struct("time" / Int64ul, "number" / Int32sl)'
time = "time"
"""


def open_some(form: str, folder: Path) -> model.Reader:
    """An open trace of a format, with at least 200 orders."""
    match form:
        case "ctf":
            return open_trace(write_ctf(folder / "one"))
        case "merged":
            write_ctf(folder / "all" / "a")
            write_ctf(folder / "all" / "b")
            return open_trace(folder / "all")
        case "lket":
            return open_trace(write_lket(folder / "one"))
        case "fixed":
            folder.mkdir(exist_ok=True)
            layout, data = folder / "layout.toml", folder / "records"
            layout.write_text(LAYOUT)
            data.write_bytes(
                b"".join(n.to_bytes(8, "little") + n.to_bytes(4, "little") for n in range(200))
            )
            return open_fixed(layout, data)
        case version:
            return open_trace(write_ltt(folder / "one", version))


FORMATS = ("ctf", "merged", "2.6", "0.8", "lket", "fixed")
