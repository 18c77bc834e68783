"""`markbridge run --format=json`: a session as objects, one a line, for tools.

{"type": "event"} for each hit, "line" for what the script prints, "message" for its warnings
and errors, "globals" and "end" last. The order is that of arrival; what came at the same time
has its hits first. The rule: members are only ever added.
"""

from __future__ import annotations

import select
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from bridge.engine.snapshot import Statistic
from bridge.json_text import dumps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.engine.base import RunResult
    from bridge.engine.hits import Hit
    from bridge.engine.snapshot import GlobalValue, Single
    from bridge.session import Line, Session

_TURN_MS = 100
"""How late a signal may be noticed."""


def print_session(session: Session, interrupted: Callable[[], bool]) -> RunResult:
    """Run a session and print it; `interrupted` says whether somebody ended it."""
    with session:
        poll = select.poll()
        poll.register(session, select.POLLIN)
        while not session.over:
            poll.poll(_TURN_MS)
            if interrupted():
                session.stop()
            _print(_arrived(session))
        while _print(_arrived(session)):
            pass
        found, lost = session.globals, session.lost
    assert session.result is not None
    messages: list[dict[str, object]] = [
        {"type": "message", "text": text} for text in session.messages.splitlines()
    ]
    values = {name: _global(value) for name, value in found.items()}
    end = {"type": "end", **asdict(session.result), "unread": lost.unread}
    _print((*messages, {"type": "globals", "values": values}, end))
    return session.result


def _arrived(session: Session) -> Iterator[dict[str, object]]:
    for hit in session.waiting_hits():
        yield _event(hit)
    for line in session.waiting_lines():
        yield _line(line)


def _print(objects: Iterator[dict[str, object]] | tuple[dict[str, object], ...]) -> bool:
    """Print objects; whether there were any."""
    texts = [dumps(one) for one in objects]
    if texts:
        sys.stdout.write("\n".join((*texts, "")))
        sys.stdout.flush()
    return bool(texts)


def _event(hit: Hit) -> dict[str, object]:
    return {
        "type": "event",
        "name": hit.name,
        "timestamp_ns": hit.timestamp_ns,
        "cpu": hit.cpu,
        "pid": hit.pid,
        "tid": hit.tid,
        "comm": hit.comm,
        "arguments": dict(hit.arguments),
    }


def _line(line: Line) -> dict[str, object]:
    return {"type": "line", "text": line.text}


def _global(value: GlobalValue) -> object:
    """An array is a list of its entries, each with its keys in a list."""
    if not isinstance(value, dict):
        return _single(value)
    return [
        {"keys": list(key) if isinstance(key, tuple) else [key], "value": _single(one)}
        for key, one in value.items()
    ]


def _single(value: Single) -> object:
    return asdict(value) if isinstance(value, Statistic) else value
