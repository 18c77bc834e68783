"""What can be named in the kernel where it has debug information: `markers.Scope`.

Parameters and results come from BTF where a function is entered or left, because a trampoline
has them; all else (locals, inlined copies, statements, globals, types) from debug information,
as in a program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.markers import NoAccess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.markers import Enumerator, GlobalAccess, Listed, Part, Result, Structure
    from bridge.probes.dwarf.scope import FunctionScope
    from bridge.probes.kernel.scope import KernelScope


@dataclass(frozen=True)
class DebugScope:
    """What can be named at a place; `types` is what BTF knows of it."""

    debug: FunctionScope
    types: KernelScope | None
    elsewhere: Callable[[GlobalAccess], Result]
    """What finds a global that is not the place's own."""

    def _by_types(self, name: str) -> bool:
        return self.types is not None and self.types.has(name)

    def access(
        self,
        name: str,
        path: Sequence[Part],
        *,
        address_of: bool = False,
        pretty: str = "",
    ) -> Result:
        """See `markers.Members`."""
        if self.types is not None and self._by_types(name):
            found = self.types.access(name, path, address_of=address_of, pretty=pretty)
            if not isinstance(found, NoAccess):
                return found
        return self.debug.access(name, path, address_of=address_of, pretty=pretty)

    def result(self) -> Sequence[Listed]:
        """See `markers.Scope`."""
        return self.debug.result()

    def listed(self) -> Sequence[Listed]:
        """See `markers.Scope`."""
        return self.debug.listed()

    def static(self, wanted: GlobalAccess) -> Result:
        """See `markers.Scope`."""
        found = self.debug.static(wanted)
        return self.elsewhere(wanted) if isinstance(found, NoAccess) else found

    def structure(self, name: str, module: str) -> Structure | NoAccess:
        """See `markers.Scope`."""
        if self.types is not None:
            found = self.types.structure(name, module)
            if not isinstance(found, NoAccess):
                return found
        return self.debug.structure(name, module)

    def enumerator(self, name: str) -> Enumerator | NoAccess:
        """See `markers.Scope`."""
        if self.types is not None:
            found = self.types.enumerator(name)
            if not isinstance(found, NoAccess):
                return found
        return self.debug.enumerator(name)
