"""What user space does for hooks on processes: which files are meant, and what runs already.

Comes in: the loaded programs and the target. Goes out: entries of the maps `life`, `images` and
`programs`, and one record for each process and thread that runs when the session starts, as the
kernel's programs would have sent it. One rule: each process is reported once, whether it began
before or after the programs were armed.
"""

from __future__ import annotations

import errno
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bridge._native import ffi, lib
from bridge.codegen.bpf.lifecycle import WATCHED
from bridge.codegen.bpf.object import Control
from bridge.engine.kernel import attach
from bridge.engine.kernel.existing_tasks import Seen, record, running, tasks
from bridge.errors import HostError
from bridge.markers import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.artifact import Hook, Placed
    from bridge.codegen.bpf.object import LifeMaps
    from bridge.engine.kernel.attach import LoadedObject
    from bridge.engine.kernel.existing_tasks import ExistingTask, Identity
    from bridge.engine.target import Target

NO_EXIST = 1
_U64 = (1 << 64) - 1


@dataclass(slots=True)
class Processes:
    """The processes of this machine, for one session."""

    loaded: LoadedObject
    maps: LifeMaps
    placed: Placed
    target: Target
    realtime_offset_ns: int
    missing: list[str] = field(default_factory=list)
    """Programs that a script names and that are not there."""
    _files: list[int] = field(default_factory=list)
    _inodes: dict[Identity, int] = field(default_factory=dict)
    _identities: dict[str, Identity] = field(default_factory=dict)

    def close(self) -> None:
        """The inodes may go."""
        for descriptor in self._files:
            os.close(descriptor)
        self._files = []

    # --- before the programs are armed --------------------------------------------------------

    def prepare(self) -> None:
        """Tell the programs what is meant, and what the threads that run already run."""
        memory = lib.mb_bpf_map_memory(
            self._map(self.maps.programs), 8 * max(1, len(self.maps.paths))
        )
        if memory == ffi.NULL:
            raise HostError("cannot map the memory of a BPF map", "free memory")
        inodes = ffi.cast("uint64_t *", memory)
        for number, path in enumerate(self.maps.paths):
            inodes[number] = self._inode(path)
        lib.mb_bpf_unmap_memory(memory, 8 * max(1, len(self.maps.paths)))
        for pid in {hook.attachment.pid for hook in self._hooks() if hook.attachment.pid}:
            self._set(self.maps.life, pid | WATCHED, 1)
        # Twice, because a thread can start another between being seen and being kept.
        for task in [*tasks(), *tasks()] if self._inodes else ():
            self._keep(task)

    def _inode(self, path: str) -> int:
        """The inode of a program in the kernel; the file stays open, so that it stays the same.

        Its number is asked of the kernel's structures: that of stat(2) can be another one, of
        the file under an overlay for instance.
        """
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            self.missing.append(path)
            return 0
        self._files.append(descriptor)
        attach.run(self.loaded, "mb_inode", descriptor)
        inode = self.loaded.word(Control.INODE) & _U64
        found = os.fstat(descriptor)
        self._identities[path] = found.st_dev, found.st_ino
        self._inodes[self._identities[path]] = inode
        self._set(self.maps.images, inode, 1)
        return inode

    def _keep(self, task: ExistingTask) -> None:
        inode = self._inodes.get(task.program)
        if inode is None or not self._set(self.maps.life, task.tid, inode, NO_EXIST):
            return
        if running(task.pid) != task.program:
            lib.mb_bpf_map_delete(self._map(self.maps.life), ffi.new("uint64_t *", task.tid))

    # --- while they are armed -----------------------------------------------------------------

    def begin(self, deliver: Callable[[Any], bool]) -> None:
        """A record for each process and thread that runs, until `deliver` says that it is over.

        What began since the programs were armed has been told of by them.
        """
        hooks = [hook for hook in self._hooks() if hook.attachment.marker.begins]
        hooks = [hook for hook in hooks if hook.user or self.placed.recorded]
        hooks.sort(key=lambda h: (not h.attachment.marker.provider, h.attachment.pid, h.id))
        if not hooks:
            return
        target = self.target.threads() if self.target.pid else None
        maximum = self.placed.program.limits.maxstringlen
        for task in sorted(tasks(), key=lambda task: (task.pid, task.tid)):
            if target is not None and task.tid not in target:
                continue
            if self._has(self.maps.born, task.tid):
                continue
            for hook in (hook for hook in hooks if self._is_meant(hook, task)):
                seen = Seen(task, time.monotonic_ns(), self.realtime_offset_ns)
                if deliver(record(hook, seen, maximum)):
                    return

    def _is_meant(self, hook: Hook, task: ExistingTask) -> bool:
        marker = hook.attachment.marker
        if (marker.name == "begin") != (task.pid == task.tid):
            return False
        if marker.provider:
            return task.program == self._identities.get(marker.provider)
        return not hook.attachment.pid or hook.attachment.pid == task.tid

    # --- pieces -------------------------------------------------------------------------------

    def _hooks(self) -> Iterator[Hook]:
        for hook in self.placed.hooks:
            if hook.attachment.marker.kind is Kind.PROCESS:
                yield hook

    def _map(self, number: int) -> int:
        return self.loaded.maps[number]

    def _set(self, number: int, key: int, value: int, flags: int = 0) -> bool:
        """Whether an entry was made, of which there was none; full maps are told at the end."""
        pointers = ffi.new("uint64_t *", key), ffi.new("uint64_t *", value)
        code = lib.mb_bpf_map_update(self._map(number), *pointers, flags)
        if code < 0 and code != -errno.EEXIST:
            self.loaded.set_word(Control.UNKEPT, self.loaded.word(Control.UNKEPT) + 1)
        return bool(code >= 0)

    def _has(self, number: int, key: int) -> bool:
        value = ffi.new("uint64_t *")
        code = lib.mb_bpf_map_lookup(self._map(number), ffi.new("uint64_t *", key), value)
        return bool(code >= 0)
