"""Globals that kernel programs use: their maps, and the code that finds and makes entries.

An entry is a sequence number and a payload: a number, or a statistic's count, sum, minimum,
maximum and buckets. The sequence number says when the entry was made, so that user space can
take entries over in the order in which SystemTap would have made them. One rule: every change
of an entry is one atomic operation, so CPUs cannot lose each other's additions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.artifact import Where
from bridge.codegen.bpf.object import KernelGlobal, MapSpec, MapType
from bridge.declared import MB_MAX_BUCKETS, MB_NO_SITE
from bridge.ir import ops
from bridge.ir.program import Array, Value
from bridge.markers import MarkerAttachment, Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bridge.artifact import Placed
    from bridge.ir.program import Buckets, Function, Global, IrProgram

STRING_BYTES = 64
"""How much a string takes in a kernel key."""
COUNT, SUM, MIN, MAX, BUCKETS = 8, 16, 24, 32, 40
"""Byte offsets in a statistic's value; a plain number stands at COUNT."""
INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1
LOG_BUCKETS = MB_MAX_BUCKETS


def bucket_count(buckets: Buckets | None) -> int:
    """How many buckets a histogram has; linear ones have one more at each end."""
    if buckets is None:
        return 0
    if buckets.kind == "log":
        return LOG_BUCKETS
    return (buckets.high - buckets.low) // buckets.step + 3


def _initial_statistic(buckets: int) -> bytes:
    words = [0, 0, 0, INT64_MAX, INT64_MIN, *([0] * buckets)]
    return b"".join(word.to_bytes(8, "little", signed=True) for word in words)


class GlobalMaps:
    """The maps of all globals that handlers in the kernel use."""

    def __init__(self, placed: Placed, add: Callable[[MapSpec], int]) -> None:
        self.messages: list[bytes] = []
        self._globals: dict[int, KernelGlobal] = {}
        program = placed.program
        moved = _touched_while_armed(placed) & placed.accumulators
        for variable in sorted(_used_in_kernel(placed)):
            declaration = program.globals[variable]
            self._globals[variable] = _make(
                variable,
                declaration,
                add,
                blame=_blame(placed, variable),
                moved=variable in moved,
                resident=variable in placed.resident,
            )

    def all(self) -> tuple[KernelGlobal, ...]:
        """In the order of the program's globals."""
        return tuple(self._globals.values())

    def __getitem__(self, variable: int) -> KernelGlobal:
        return self._globals[variable]

    def message(self, text: bytes) -> int:
        """The number of an error message."""
        if text not in self.messages:
            self.messages.append(text)
        return self.messages.index(text)


def _make(
    variable: int,
    declaration: Global,
    add: Callable[[MapSpec], int],
    *,
    blame: tuple[int, int],
    moved: bool,
    resident: bool,
) -> KernelGlobal:
    stat = declaration.stat
    is_stat = stat is not None
    buckets = bucket_count(stat.buckets) if stat is not None else 0
    initial = _initial_statistic(buckets) if is_stat else b""
    value_bytes = len(initial) if is_stat else COUNT + 8
    if isinstance(declaration, Array):
        if declaration.value is Value.STRING:
            value_bytes = COUNT + STRING_BYTES
        key_bytes = sum(8 if k is Value.LONG else STRING_BYTES for k in declaration.keys)
        spec = MapSpec(f"g{variable}", MapType.HASH, key_bytes, value_bytes, declaration.size)
    else:
        key_bytes = 4
        spec = MapSpec(f"g{variable}", MapType.ARRAY, 4, value_bytes, 1, initial=initial)
    number = add(spec)
    outer = template = None
    if moved:
        outer = add(MapSpec(f"o{variable}", MapType.ARRAY_OF_MAPS, 4, 4, 1, inner=number))
    if is_stat and isinstance(declaration, Array):
        template = add(
            MapSpec(f"t{variable}", MapType.ARRAY, 4, value_bytes, 1, initial=initial)
        )
    return KernelGlobal(
        variable,
        declaration,
        number,
        outer,
        key_bytes,
        value_bytes,
        blame,
        template,
        resident,
    )


# --- who uses what ----------------------------------------------------------------------------


def _variables(function: Function, program: IrProgram, seen: set[int]) -> set[int]:
    """The globals that a function uses, with those of the functions that it calls."""
    found: set[int] = set()
    for block in function.blocks:
        for op in block.ops:
            variable = getattr(op, "variable", None)
            if variable is not None:
                found.add(variable)
            if isinstance(op, ops.Call):
                for number in set(op.overloads) - seen:
                    seen.add(number)
                    found |= _variables(program.functions[number], program, seen)
    return found


def handler_variables(placed: Placed, handlers: Iterable[int]) -> set[int]:
    """The globals that handlers use, with those of their conditions."""
    found: set[int] = set()
    for number in handlers:
        handler = placed.program.handlers[number]
        found |= _variables(handler.body, placed.program, set())
        if handler.condition is not None:
            found |= _variables(handler.condition, placed.program, set())
    return found


def _blame(placed: Placed, variable: int) -> tuple[int, int]:
    """The first handler in the kernel that makes entries of a global, and where."""
    for number, handler in enumerate(placed.program.handlers):
        if placed.placements[number].where is not Where.KERNEL:
            continue
        for block in handler.body.blocks:
            for op in block.ops:
                if isinstance(op, ops.ArrayAdd | ops.StatAdd) and op.variable == variable:
                    return number, op.site
    return 0, MB_NO_SITE


def _used_in_kernel(placed: Placed) -> set[int]:
    kernel = [n for n, p in enumerate(placed.placements) if p.where is Where.KERNEL]
    return handler_variables(placed, kernel)


def _touched_while_armed(placed: Placed) -> set[int]:
    return handler_variables(
        placed,
        (
            number
            for number, handler in enumerate(placed.program.handlers)
            if isinstance(handler.expansion.attachment, Timer | MarkerAttachment)
            and placed.placements[number].where is Where.USER
        ),
    )
