"""What the kernel refuses, as errors with a remedy, and as places that a session does without.

One rule: want of a right, of files or of memory is the host's; all else is about the place.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_NAMED = 3
"""So many places are named that a session does without."""
ROOT = "run markbridge as root, or with the capabilities CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN"
_DENIED = (
    "the kernel refuses this even to root: this place cannot be attached to, or the kernel is"
    " locked down, or a container has too few capabilities"
)
_OF_THE_HOST = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSYS})
_REMEDIES = {
    errno.EPERM: ROOT,
    errno.EACCES: ROOT,
    errno.ENOSYS: "the kernel was built without CONFIG_BPF_SYSCALL; use one that has it",
    errno.ENOMEM: "free memory, or make arrays and the buffer (-s) smaller",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}


class RefusedError(HostError):
    """The kernel refuses a place: `place` is its name, `reason` what the kernel says."""

    def __init__(self, place: str, reason: str, remedy: str = "") -> None:
        self.place, self.reason = place, reason
        super().__init__(f"cannot attach to {place}: {reason}", remedy)


def host_error(doing: str, code: int, remedy: str = "") -> HostError:
    """The error for a negative errno."""
    return HostError(f"cannot {doing}: {os.strerror(-code)}", remedy or _remedy(-code))


def _remedy(number: int) -> str:
    if number in (errno.EPERM, errno.EACCES) and os.geteuid() == 0:
        return _DENIED
    return _REMEDIES.get(number, "")


def refused(place: str, code: int, remedy: str = "") -> HostError:
    """The error for a place that cannot be attached to; want of files or memory is another."""
    if -code in _OF_THE_HOST:
        return host_error(f"attach to {place}", code)
    return RefusedError(place, os.strerror(-code), remedy or _remedy(-code))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A place that is optional, or that a wildcard found, and that cannot be attached to."""

    place: str
    reason: str


def left_out_text(left: Sequence[LeftOut]) -> str:
    """What is said about places that were left out: how many, why, a few names."""
    by_reason: dict[str, list[str]] = {}
    for one in left:
        by_reason.setdefault(one.reason, []).append(one.place)
    reasons = []
    for reason, places in by_reason.items():
        more = f" and {len(places) - MOST_NAMED} more" if len(places) > MOST_NAMED else ""
        reasons.append(f"{', '.join(places[:MOST_NAMED])}{more} ({reason})")
    count = f"{len(left)} place" + ("s" if len(left) > 1 else "")
    return (
        f"{count}, optional or found by wildcards, cannot be attached to: {'; '.join(reasons)}"
    )
