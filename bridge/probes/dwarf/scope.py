"""What can be named at an instruction: `markers.Scope` from debug information.

The variables of the blocks around it (innermost first) and of its function, the globals of its
source file, and the types of the whole file. One rule: what is not there, or cannot be read
there, is a `NoAccess` with SystemTap's words.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING

from bridge.markers import (
    BIAS,
    Access,
    Constant,
    Enumerator,
    Listed,
    LoadBias,
    Memory,
    NoAccess,
    Register,
    ValueType,
    Variable,
)
from bridge.probes.dwarf import die as entries
from bridge.probes.dwarf.die import FAULTS
from bridge.probes.dwarf.locations import REGISTERS, Located, Locator
from bridge.probes.dwarf.statics import global_of, image_static
from bridge.probes.pretty import way
from bridge.probes.types import COMPOSITES, KnownValue, NoPathError, Shape, TypedSpot, Walker
from bridge.suggest import similar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.markers import GlobalAccess, Operand, Part, Result, Structure
    from bridge.probes.dwarf.debug import Die
    from bridge.probes.dwarf.image import DebugImage
    from bridge.probes.dwarf.units import DebugFunction, Unit

_DATA = {"DW_TAG_variable": False, "DW_TAG_formal_parameter": True}
_PREFIXES = {
    "struct": ("DW_TAG_structure_type", "DW_TAG_class_type"),
    "class": ("DW_TAG_structure_type", "DW_TAG_class_type"),
    "union": ("DW_TAG_union_type",),
    "enum": ("DW_TAG_enumeration_type",),
}
_BARE = (
    "DW_TAG_typedef",
    "DW_TAG_base_type",
    "DW_TAG_structure_type",
    "DW_TAG_class_type",
    "DW_TAG_union_type",
    "DW_TAG_enumeration_type",
)
RESULTS = {"x86_64": "rax", "aarch64": "x0"}


@dataclass(frozen=True)
class At:
    """An instruction of a function. `returns` for the moment when the function returns.

    `site` is where the probe stands: behind the instruction that it skips, if it does so.
    """

    image: DebugImage
    function: DebugFunction
    address: int
    returns: bool = False
    site: int = 0

    @property
    def machine(self) -> str:
        """The machine of the file."""
        return self.image.elf.machine


def base_variables(place: At) -> tuple[Variable, ...]:
    """What ways start from at a place: its registers, and where the file is loaded."""
    bias: Operand = Constant(0)
    if not place.image.elf.is_fixed and place.image.space == "user":
        bias = LoadBias(place.site or place.address, place.returns)
    return (*_registers(place.machine), Variable(BIAS, ValueType.LONG, (bias,)), _ZERO)


@cache
def _registers(machine: str) -> tuple[Variable, ...]:
    return tuple(
        Variable(f"%{name}", ValueType.LONG, (Register(name, 8, signed=True),))
        for name in REGISTERS[machine]
    )


_ZERO = Variable("%0", ValueType.LONG, (Constant(0),))


class FunctionScope:
    """What can be named at an instruction."""

    def __init__(self, place: At) -> None:
        self._place = place
        self._unit: Unit = place.function.unit
        self._types = place.image.types
        self._whole: dict[tuple[str, bool, str], Result] = {}
        """What was found of variables without a path: they are asked for again and again."""

    @cached_property
    def _walker(self) -> Walker:
        return Walker(self._types, self._place.image.space)

    @cached_property
    def _bases(self) -> dict[str, Variable]:
        return {variable.name: variable for variable in base_variables(self._place)}

    # --- scopes ---

    @cached_property
    def _scopes(self) -> tuple[Die, ...]:
        """The blocks around the instruction, innermost first, up to the function."""
        scope = self._place.function.die
        if self._place.returns:
            return (scope,)
        found = [scope]
        inner: Die | None = scope
        while inner is not None:
            inner = next(filter(self._is_around, inner.iter_children()), None)
            if inner is not None:
                found.insert(0, inner)
        return tuple(found)

    def _is_around(self, die: Die) -> bool:
        if die.tag != "DW_TAG_lexical_block":
            return False
        ranges = self._unit.ranges_of(die)
        return any(low <= self._place.address < high for low, high in ranges)

    @cached_property
    def _data(self) -> tuple[tuple[str, Die], ...]:
        """The variables of the blocks and the function, in the order of `$$vars`."""
        found: list[tuple[str, Die]] = []
        with suppress(*FAULTS):  # what is before the damage counts
            for scope in self._scopes:
                found.extend(
                    (name, child)
                    for child in entries.children(scope)
                    if child.tag in _DATA and (name := entries.name_of(child))
                )
        return tuple(found)

    @cached_property
    def _named(self) -> dict[str, Die]:
        found: dict[str, Die] = {}
        for name, die in self._data:
            found.setdefault(name, die)
        return found

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """The parameters in the order of the declaration; copies have another, or lack some."""
        with suppress(*FAULTS):
            declared = entries.children(entries.origin(self._place.function.die))
            parameters = [one for one in declared if _DATA.get(one.tag)]
            return {entries.name_of(one): n for n, one in enumerate(parameters, 1)}
        return {}

    def listed(self) -> Sequence[Listed]:
        """See `markers.Scope`."""
        return tuple(self._listed(name, die) for name, die in self._data)

    def result(self) -> Sequence[Listed]:
        """`$return`, where a function returns a value."""
        if not self._place.returns:
            return ()
        try:
            type_ = self._types.of(self._place.function.die)
            name = self._types.name(type_)
        except FAULTS:
            return ()
        return (Listed("return", name, parameter=False),) if type_ else ()

    def _listed(self, name: str, die: Die) -> Listed:
        try:
            type_ = self._types.of(die)
            shape, ctype = self._types.shape(type_), self._types.name(type_)
        except FAULTS:  # its use says what is wrong
            return Listed(name, "?", _DATA[die.tag], "", self._numbers.get(name, 0))
        mark = "{...}" if shape in COMPOSITES else "[...]" if shape is Shape.ARRAY else ""
        return Listed(name, ctype, _DATA[die.tag], mark, self._numbers.get(name, 0))

    # --- variables ---

    def access(
        self,
        name: str,
        path: Sequence[Part],
        *,
        address_of: bool = False,
        pretty: str = "",
    ) -> Result:
        """See `markers.Members`."""
        if path:
            return self._access(name, path, address_of, pretty)
        key = name, address_of, pretty
        found = self._whole.get(key)
        if found is None:
            found = self._whole[key] = self._access(name, path, address_of, pretty)
        return found

    def _access(self, name: str, path: Sequence[Part], address_of: bool, pretty: str) -> Result:
        try:
            spot, base = self._start(name)
            if isinstance(spot, Enumerator):
                return spot
            return way(
                self._walker,
                (base, spot),
                path,
                address_of=address_of,
                pretty=pretty,
            )
        except NoPathError as error:
            return error.answer
        except FAULTS as error:
            return NoAccess(f"its debug information cannot be read ({error})")

    def _start(self, name: str) -> tuple[TypedSpot | Enumerator, Variable]:
        if name == "return" and self._place.returns:
            return self._result()
        die = self._named.get(name)
        if die is None:
            die = global_of(self._place.image, self._unit, name)
        if die is None:
            found = self.enumerator(name)
            if isinstance(found, Enumerator):
                return found, _ZERO
            raise NoPathError(self._unknown(name))
        return self._located(die, name, self._unit)

    def _located(self, die: Die, name: str, unit: Unit) -> tuple[TypedSpot, Variable]:
        body = self._place.function.body.die
        locator = Locator(unit, self._place.machine, self._place.address, body)
        located = locator.find(die, name)
        if self._place.returns and located.base not in ("", BIAS):
            raise NoPathError(f"'{name}' is not there any more when the function returns")
        type_ = self._types.of(die)
        if located.kind == "register":
            return TypedSpot(type_), self._narrow(name, located.base, type_)
        base = self._base(located)
        return TypedSpot(type_, located.offsets, computed=located.kind == "value"), base

    def _base(self, located: Located) -> Variable:
        if not located.base:
            return _ZERO
        return self._bases[located.base if located.base == BIAS else f"%{located.base}"]

    def _narrow(self, name: str, register: str, type_: int) -> Variable:
        """A variable in a register, which holds it in the low bytes."""
        size = self._types.size(type_)
        if size not in (1, 2, 4, 8) or self._types.shape(type_) in COMPOSITES:
            raise NoPathError("cannot access members of an object in a register")
        operand = Register(register, size, self._types.is_signed(type_))
        return Variable(name, ValueType.LONG, (operand,), self._types.name(type_))

    def _result(self) -> tuple[TypedSpot, Variable]:
        function = self._place.function
        type_ = self._types.of(function.die)
        where = f"{function.name} ({self._unit.name})"
        shape = self._types.shape(type_)
        if shape is Shape.VOID:
            raise NoPathError(f"function {where} has no return value")
        if shape in COMPOSITES or shape in (Shape.ARRAY, Shape.FLOAT, Shape.OTHER):
            raise NoPathError(
                f"failed to retrieve return value location for {where} [man error::dwarf]"
            )
        return TypedSpot(type_), self._narrow("return", RESULTS[self._place.machine], type_)

    def _unknown(self, name: str) -> str:
        inner = {die.offset for die in entries.children(self._scopes[0])}
        names = {f"${n}" for n, die in self._data if die.offset in inner}
        names = names or {f"${n}" for n in self._named}
        near = similar(f"${name}"[1:], names)
        more = f"alternatives: {', '.join(near)})" if near else "<no alternatives>"
        function = self._place.function
        file = self._place.image.elf.path.rpartition("/")[2]
        return (
            f"unable to find local '{name}', [man error::dwarf] dieoffset"
            f" {self._scopes[0].offset:#x} in {file}, near pc {self._place.address:#x}"
            f" in {function.name} {self._unit.name} ({more})"
        )

    # --- globals ---

    def static(self, wanted: GlobalAccess) -> Result:
        """See `markers.Scope`."""
        image = self._place.image
        if wanted.module and not image.is_called(wanted.module):
            return wanted.missing()
        if not wanted.file and wanted.name in self._named:
            return self.access(
                wanted.name, wanted.path, address_of=wanted.address_of, pretty=wanted.pretty
            )
        return image_static(image, wanted, self._global, first=self._unit.number)

    def _global(self, die: Die, unit: Unit, name: str) -> tuple[Variable, TypedSpot]:
        spot, base = self._located(die, name, unit)
        return base, spot

    # --- types and constants ---

    def structure(self, name: str, module: str) -> Structure | NoAccess:
        """See `markers.Scope`."""
        if module and not self._place.image.is_called(module):
            return NoAccess(f"type definition '{name}' not found in '{module}'")
        return image_structure(self._place.image, name)

    def enumerator(self, name: str) -> Enumerator | NoAccess:
        """See `markers.Scope`."""
        try:
            return self._enumerator(name)
        except FAULTS as error:
            return NoAccess(f"its debug information cannot be read ({error})")

    def _enumerator(self, name: str) -> Enumerator | NoAccess:
        for die in self._enumerations():
            for word, value in self._types.enumerators(die):
                if word == name:
                    return Enumerator(value)
        names = {n for die in self._enumerations() for n, _ in self._types.enumerators(die)}
        near = similar(name, names)
        more = f" (did you mean {', '.join(near)}?)" if near else ""
        return NoAccess(f"enumeration constant '{name}' not found{more}")

    def _enumerations(self) -> Iterator[Die]:
        for scope in (*self._scopes, self._unit.top):
            for child in entries.children(scope):
                if child.tag == "DW_TAG_enumeration_type":
                    yield self._types.die(self._types.strip(self._types.number(child)))


def image_structure(image: DebugImage, name: str) -> Structure | NoAccess:
    """The type of a name in an image, as what a pointer points to."""
    word, _, rest = name.strip().partition(" ")
    tags = _PREFIXES.get(word, ())
    try:
        number = image.types.find(rest.strip() if tags else name.strip(), tags or _BARE)
    except FAULTS as error:
        return NoAccess(f"its debug information cannot be read ({error})")
    if not number:
        return NoAccess(f"type definition '{name}' not found in '{image.elf.path}'")
    return KnownValue(Walker(image.types, image.space), number, addressed=True)


def simple_variables(scope: FunctionScope) -> Iterator[Variable]:
    """The variables at a place whose value is a number in a register or in memory."""
    seen = set()
    for listed in (*scope.listed(), *scope.result()):
        if listed.name in seen:
            continue
        seen.add(listed.name)
        found = scope.access(listed.name, ())
        if isinstance(found, Access):
            yield from _simple(listed, found)


def _simple(listed: Listed, access: Access) -> Iterator[Variable]:
    base = access.base
    if not isinstance(base, Variable) or access.bits or len(access.offsets) > 1:
        return
    operand = base.operands[0]
    if not access.offsets:
        yield replace(base, name=listed.name, ctype=listed.ctype)
    elif access.size and isinstance(operand, Register):
        offset, space = access.offsets[0], access.space
        place = Memory(operand.name, None, 1, offset, access.size, access.signed, space)
        yield Variable(listed.name, ValueType.LONG, (place,), listed.ctype)
