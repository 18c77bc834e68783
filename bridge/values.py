"""`dataclass` for the large families of values (operations, markers), made quickly.

To type checkers it is `dataclasses.dataclass`. At run time only `__init__` is generated;
equality, hash and text are shared functions, and that a value is frozen is left to the type
checker. A class costs a quarter of the time, and a program that only starts has a hundred.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    import dataclasses

    def _compared(value: object) -> tuple[Any, ...]:
        return tuple(
            getattr(value, name)
            for name, field in value.__dataclass_fields__.items()
            if field.compare
        )

    def _equal(self: object, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self is other or _compared(self) == _compared(other)

    def _hash(self: object) -> int:
        return hash((self.__class__, *_compared(self)))

    def _text(self: object) -> str:
        shown = (
            f"{name}={getattr(self, name)!r}"
            for name, field in self.__dataclass_fields__.items()
            if field.repr
        )
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def dataclass(
        *, frozen: bool = False, slots: bool = False, eq: bool = True, kw_only: bool = False
    ) -> Any:  # noqa: ANN401 - seen by nobody but Python
        """A decorator like the standard one, for these options."""

        def make(cls: type) -> type:
            own = cls.__dict__
            shared: dict[str, Any] = {"__repr__": _text}
            if eq:
                shared |= {"__eq__": _equal, "__hash__": _hash if frozen else None}
            wanted = {name: value for name, value in shared.items() if name not in own}
            made = dataclasses.dataclass(repr=False, eq=False, slots=slots, kw_only=kw_only)(
                cls
            )
            for name, value in wanted.items():
                setattr(made, name, value)
            return made

        return make


__all__ = ["dataclass"]
