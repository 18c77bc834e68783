"""Globals between the kernel's maps and the session.

The kernel holds additions to accumulators, the session the truth: before a handler in user
space looks at one, its additions are moved over. While programs run that takes two maps: they
are switched to the empty one, and the other one is read when no program uses it any more.
Resident arrays go to the kernel before arming and come back after disarming.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bridge import declared
from bridge._native import ffi, lib
from bridge.codegen.bpf.globals import STRING_BYTES
from bridge.codegen.bpf.object import Control
from bridge.engine.kernel.attach import switch
from bridge.engine.kernel.refusals import host_error
from bridge.engine.snapshot import combined, snapshot, value_of
from bridge.ir.program import Array, Value

if TYPE_CHECKING:
    from bridge.codegen.bpf.object import KernelGlobal
    from bridge.engine.base import LiveSession
    from bridge.engine.kernel.attach import LoadedObject
    from bridge.engine.session.native import NativeSession
    from bridge.engine.snapshot import GlobalValue


@dataclass(slots=True)
class Drain:
    """Moves globals of one loaded object to and from one session."""

    loaded: LoadedObject
    session: LiveSession
    _keep: list[Any] = field(default_factory=list)

    def fill(self) -> None:
        """Before arming: resident arrays go to the kernel."""
        for kernel_global in self.loaded.object.globals:
            if kernel_global.resident:
                first = self.loaded.word(Control.SEQUENCE)
                described = self._describe(kernel_global, self._current(kernel_global))
                with self.session.lent as session:
                    after = lib.mb_kernel_map_fill(described, session, first)
                self._check(after, kernel_global)
                self.loaded.set_word(Control.SEQUENCE, after)

    def drain_armed(self) -> None:
        """While armed: additions come over to the globals that handlers look at."""
        for kernel_global in self.loaded.object.globals:
            if kernel_global.outer is not None:
                self._exchange(kernel_global)

    def look(self, scratch: NativeSession) -> dict[str, GlobalValue]:
        """While armed: all globals as they are now, those that live in the kernel as copies.

        `scratch` is a session of the same program that nothing runs in.
        """
        self.drain_armed()
        found = snapshot(self.session)
        copies = Drain(self.loaded, scratch)
        for kernel_global in self.loaded.object.globals:
            if kernel_global.outer is None:
                copied = copies.copy(kernel_global)
                name = kernel_global.declaration.name
                if not kernel_global.resident:
                    copied = combined(found[name], copied)
                found[name] = copied
        return found

    def copy(self, kernel_global: KernelGlobal) -> GlobalValue:
        """What the kernel holds of a global, which stays there."""
        with self.session.lent as session:
            lib.mb_session_clear(session, kernel_global.variable)
        self._move(kernel_global, self._current(kernel_global), declared.MB_KEEP)
        with self.session.lent as session:
            return value_of(session, kernel_global.variable, kernel_global.declaration)

    def drain_all(self) -> None:
        """After disarming: everything comes over."""
        for kernel_global in self.loaded.object.globals:
            if kernel_global.resident:
                with self.session.lent as session:
                    lib.mb_session_clear(session, kernel_global.variable)
            self._move(kernel_global, self._current(kernel_global))

    def _current(self, kernel_global: KernelGlobal) -> int:
        return self.loaded.map(kernel_global.map)

    def _exchange(self, kernel_global: KernelGlobal) -> None:
        full = self._current(kernel_global)
        fresh = self.loaded.spare[kernel_global.variable]
        switch(self.loaded, kernel_global, fresh)
        self.loaded.maps[kernel_global.map] = fresh
        self.loaded.spare[kernel_global.variable] = full
        self._move(kernel_global, full)

    def _move(self, kernel_global: KernelGlobal, map_: int, keep: int = 0) -> None:
        described = self._describe(kernel_global, map_)
        residence = keep or int(kernel_global.resident)
        with self.session.lent as session:
            moved = lib.mb_kernel_map_drain(described, session, residence)
        self._check(moved, kernel_global)

    def _check(self, result: int, kernel_global: KernelGlobal) -> None:
        if result < 0:
            name = kernel_global.declaration.name
            raise host_error(f"move the entries of `{name}`", result)

    def _describe(self, kernel_global: KernelGlobal, map_: int) -> Any:  # noqa: ANN401 - cffi
        declaration = kernel_global.declaration
        native = ffi.new("struct mb_kernel_map *")
        native.map, native.variable = map_, kernel_global.variable
        native.is_statistic = declaration.stat is not None
        native.key_bytes, native.value_bytes = (
            kernel_global.key_bytes,
            kernel_global.value_bytes,
        )
        native.string_bytes = STRING_BYTES
        native.handler, native.site = kernel_global.blame
        spec = self.loaded.object.maps[kernel_global.map]
        initial = ffi.new("uint8_t[]", spec.initial or bytes(kernel_global.value_bytes))
        self._keep = [initial]
        native.initial = initial
        if isinstance(declaration, Array):
            native.is_array = 1
            native.entries = declaration.size
            native.is_string = declaration.value is Value.STRING
            native.key_count = len(declaration.keys)
            native.string_keys = sum(
                1 << n for n, key in enumerate(declaration.keys) if key is Value.STRING
            )
        return native
