"""What lives until it is closed: C objects that are lent, and traces that are open.

Using either after its end is an exception, never a crash. The rule: C memory that iterators
read is freed by the garbage collector, when nothing can reach it any more; what has to be
finished at a known time (a file being written) is lent to one thread at a time.
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any, Self, TypeVar

from bridge.errors import TraceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from bridge.errors import BridgeError

T = TypeVar("T")


class Handle:
    """A C object that is used as `with handle as pointer: lib.function(pointer)`.

    One thread has it at a time, others wait. `what` names it in the error that its use after
    `close` raises; `free` is given the pointer and the arguments of `close`.
    """

    def __init__(
        self,
        pointer: Any,  # noqa: ANN401 - of cffi
        free: Callable[..., Any],
        what: str,
        error: type[BridgeError] = TraceError,
    ) -> None:
        self._pointer = pointer
        self._free = free
        self._what = what
        self._error = error
        self.lock = RLock()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._pointer is None

    @property
    def pointer(self) -> Any:  # noqa: ANN401 - of cffi
        """The object, for a caller that no other thread can come between."""
        if self._pointer is None:
            raise self._error(f"{self._what} is closed")
        return self._pointer

    def __enter__(self) -> Any:  # noqa: ANN401 - of cffi
        self.lock.acquire()
        try:
            return self.pointer
        except BaseException:
            self.lock.release()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.lock.release()

    def taken(self) -> Any:  # noqa: ANN401 - of cffi
        """The object, for somebody who frees it; from now on it is closed here."""
        with self as pointer:
            self._pointer = None
            return pointer

    def close(self, *arguments: object) -> Any:  # noqa: ANN401 - what `free` gives
        """Free the object; what `free` gave, None if it was closed before."""
        with self.lock:
            pointer, self._pointer = self._pointer, None
            return None if pointer is None else self._free(pointer, *arguments)


class Closing:
    """What is closed where its `with` block ends."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it; once is enough."""
        raise NotImplementedError


class Opened:
    """Whether something that is read is still open. `what` names it in the error."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.closed = False

    def check(self) -> None:
        """TraceError after `close`."""
        if self.closed:
            raise TraceError(f"{self._what} is closed")

    def close(self) -> None:
        """From now on nothing more is given."""
        self.closed = True

    def guard(self, items: Iterable[T]) -> Iterator[T]:
        """The items, as long as it is open."""
        self.check()
        return self._guarded(items)

    def _guarded(self, items: Iterable[T]) -> Iterator[T]:
        self.check()
        for item in items:
            self.check()
            yield item
            self.check()
