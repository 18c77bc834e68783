"""The reference interpreter: the executable definition of what the IR means.

It shares no code with the native run time, so that each can tell the other's mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.interpreter.faults import UnreadableMemory
from bridge.interpreter.host import NoHost
from bridge.interpreter.session import HandlerHit, InterpreterSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bridge.interpreter.host import Host
    from bridge.interpreter.machine import Item
    from bridge.ir.program import IrProgram

__all__ = ["HandlerHit", "Interpreter", "Outcome", "UnreadableMemory"]

MINUTE_NS = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run printed, its messages, and its exit code."""

    output: bytes
    messages: tuple[str, ...]
    exit_code: int


class Interpreter:
    """One run of a program.

    `contexts` says what the built-ins mean that describe a hit (`script.builtins.CONTEXTS`);
    `hit` gives values to contexts by name, for handlers that are run by hand.
    """

    def __init__(
        self,
        program: IrProgram,
        contexts: Mapping[str, tuple[str, int]],
        output: Callable[[bytes], object] | None = None,
        *,
        target: int = 0,
        host: Host | None = None,
    ) -> None:
        self._program = program
        self._output = bytearray()
        self._messages: list[str] = []
        self.session = InterpreterSession(
            program,
            contexts,
            output or self._output.extend,
            self._messages.append,
            target,
            host or NoHost(),
        )

    def run_handler(
        self,
        number: int,
        captures: Sequence[Item | UnreadableMemory] = (),
        hit: Mapping[str, Item] | None = None,
    ) -> None:
        """Run a handler with its captured values."""
        self.session.hit = dict(hit or {})
        self.session.run_handler(self._program.handlers[number], captures)

    def run_session(
        self, duration_ns: int = MINUTE_NS, hits: Iterable[HandlerHit] = ()
    ) -> Outcome:
        """Run begin handlers, hits, timers, end handlers; see `reference.session`."""
        code = self.session.run(duration_ns, hits)
        return Outcome(bytes(self._output), tuple(self._messages), code)

    def outcome(self) -> Outcome:
        """What happened so far."""
        code = int(self.session.errors > 0)
        return Outcome(bytes(self._output), tuple(self._messages), code)
