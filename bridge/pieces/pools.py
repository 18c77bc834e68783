"""Who runs the pieces: processes of this machine, or a cluster.

Both give the pieces in the order of the tasks. The rule: a process that dies is replaced and
its task runs again; what it may have begun is not kept, so the result is exact.
"""

from __future__ import annotations

from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Protocol

from bridge.errors import HostError
from bridge.pieces.local import TRIES, TaskProcesses
from bridge.pieces.worker import joined, run_task

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from bridge.pieces.worker import Piece, PieceTask

TOGETHER = 16
"""How many neighbouring pieces a cluster joins before they are sent."""


class Pool(Protocol):
    """Runs tasks."""

    def run(self, tasks: Sequence[PieceTask]) -> Iterator[Piece]:
        """The pieces of the tasks, in their order; some may be joined."""
        ...


class LocalPool:
    """`workers` processes of this machine; with one, the tasks run in this process."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def run(self, tasks: Sequence[PieceTask]) -> Iterator[Piece]:
        """The pieces of the tasks, in their order."""
        if self._workers < 2:
            yield from map(run_task, tasks)
            return
        with TaskProcesses(self._workers, tasks) as running:
            yield from running.pieces()


class ClusterPool:
    """A running scheduler of Dask at an address (`tcp://host:8786`).

    Its workers need markbridge, and the traces under the same paths.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise HostError(
                "`--cluster` needs Dask", "pip install 'markbridge[cluster]'"
            ) from None
        try:
            self._client = Client(address, set_as_default=False)
        except (OSError, ValueError) as error:
            raise HostError(
                f"there is no scheduler of Dask at {address}: {error}",
                "start one with `dask scheduler`, and `dask worker ADDRESS`",
            ) from error

    def run(self, tasks: Sequence[PieceTask]) -> Iterator[Piece]:
        """The pieces of the tasks, in their order, joined where all went well."""
        submit = self._client.submit
        futures = [submit(run_task, task, pure=False, retries=TRIES - 1) for task in tasks]
        groups = [futures[at : at + TOGETHER] for at in range(0, len(futures), TOGETHER)]
        together = [submit(joined, group, pure=False, retries=TRIES - 1) for group in groups]
        try:
            for group, future in zip(groups, together, strict=True):
                whole = future.result()
                if whole.errors:
                    yield from self._client.gather(group)
                else:
                    yield whole
                future.release()
                for one in group:
                    one.release()
        finally:
            self._client.cancel(futures)

    def close(self) -> None:
        """Leave the cluster as it is."""
        self._client.close()


def pool_of(workers: int, cluster: str) -> AbstractContextManager[Pool]:
    """A cluster, if an address of one is given, else processes of this machine."""
    return closing(ClusterPool(cluster)) if cluster else nullcontext(LocalPool(workers))
