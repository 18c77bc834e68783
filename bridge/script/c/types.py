"""Types of embedded C: names of integers, conversions, sizes, layouts of own structures.

Source: C11, sections 6.2.5, 6.3.1 and 6.7.2, for the ABI of 64-bit Linux.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.script.c import kernel
from bridge.script.c import tree as c

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_NAMED = {
    "bool": c.Int(1, False, True),
    "_Bool": c.Int(1, False, True),
    "size_t": c.ULONG,
    "ssize_t": c.LONG,
    "loff_t": c.LONG,
    "off_t": c.LONG,
    "pid_t": c.INT,
    "uid_t": c.Int(4, False),
    "gid_t": c.Int(4, False),
    "dev_t": c.Int(4, False),
    "umode_t": c.Int(2, False),
    "gfp_t": c.Int(4, False),
    "sector_t": c.ULONG,
    "ktime_t": c.LONG,
    "time_t": c.LONG,
    "uintptr_t": c.ULONG,
    "intptr_t": c.LONG,
    "ptrdiff_t": c.LONG,
    "pgprot_t": c.ULONG,
    "dma_addr_t": c.ULONG,
    "phys_addr_t": c.ULONG,
    "cputime_t": c.ULONG,
    "uint": c.Int(4, False),
    "ulong": c.ULONG,
    "ushort": c.Int(2, False),
    "u_char": c.Int(1, False),
    "__sum16": c.Int(2, False),
    "__wsum": c.Int(4, False),
}
for _bits in (8, 16, 32, 64):
    for _name, _signed in (
        (f"u{_bits}", False),
        (f"s{_bits}", True),
        (f"__u{_bits}", False),
        (f"__s{_bits}", True),
        (f"uint{_bits}_t", False),
        (f"int{_bits}_t", True),
        (f"__be{_bits}", False),
        (f"__le{_bits}", False),
    ):
        _NAMED[_name] = c.Int(_bits // 8, _signed)
_WORDS = frozenset({"char", "short", "int", "long", "signed", "unsigned", "void"})
_QUALIFIERS = frozenset(
    {"const", "volatile", "static", "inline", "extern", "register", "typedef"}
)
TYPES = frozenset(_NAMED) | _WORDS
"""Words that begin a type."""


def integer(words: Sequence[str]) -> c.CType | None:
    """The type that the words of a declaration name; None where they name none."""
    kept = [word for word in words if word not in _QUALIFIERS]
    if len(kept) == 1 and kept[0] in _NAMED:
        return _NAMED[kept[0]]
    if kept == ["void"]:
        return c.VOID
    if not kept or any(word not in _WORDS for word in kept):
        return None
    signed = "unsigned" not in kept
    if "char" in kept:
        return c.Int(1, signed)
    if "short" in kept:
        return c.Int(2, signed)
    return c.Int(8 if "long" in kept else 4, signed)


def promoted(type_: c.CType) -> c.Int:
    """The type of an operand in arithmetic: small integers are int, addresses 64 bits."""
    match type_:
        case c.Int(size=size) if size < 4:
            return c.INT
        case c.Int():
            return type_
        case c.Unknown():
            return c.LONG
        case _:
            return c.ULONG


def common(left: c.CType, right: c.CType) -> c.Int:
    """The usual arithmetic conversions."""
    first, second = promoted(left), promoted(right)
    if first.size != second.size:
        return max(first, second, key=lambda t: t.size)
    return c.Int(first.size, first.signed and second.signed)


def converted(text: str, type_: c.CType, was: c.CType = c.UNKNOWN) -> str:
    """A number as a value of the type; the language's numbers have 64 bits."""
    match type_:
        case c.Int(size=8) | c.Pointer() | c.Unknown() | c.Struct() | c.Array():
            return text
        case c.Void() | c.TypeOf():
            return text
        case c.Int(size=size, signed=signed):
            if isinstance(was, c.Int) and _holds(type_, was):
                return text
            if type_.truth:
                return f"(!!({text}))"
            bits = 64 - 8 * size
            if signed:
                return f"((({text}) << {bits}) >> {bits})"
            return f"(({text}) & {(1 << 8 * size) - 1:#x})"


def _holds(wide: c.Int, narrow: c.Int) -> bool:
    if wide.truth:
        return narrow.truth
    if wide.signed == narrow.signed:
        return wide.size >= narrow.size
    return wide.signed and wide.size > narrow.size


def size_of(type_: c.CType, layouts: Mapping[str, c.Layout]) -> int | None:
    """Bytes of a type; None for structures of the kernel, whose types tell."""
    match type_:
        case c.Int(size=size):
            return size
        case c.Pointer() | c.Unknown():
            return 8
        case c.Array(of=of, count=count):
            one = size_of(of, layouts)
            return None if one is None else one * count
        case c.Struct(name=name) if name in layouts:
            return _laid_out(layouts[name], layouts)[1]
        case c.Struct(name=name):
            return kernel.SIZES.get(name)
        case c.Void():
            return 1
        case _:
            return None


def offset_of(
    name: str, member: str, layouts: Mapping[str, c.Layout], at: int
) -> tuple[int, c.CType]:
    """Where a member of a declared structure is, and its type."""
    offsets, _ = _laid_out(layouts[name], layouts)
    for declared in layouts[name].members:
        if declared.name == member:
            return offsets[member], declared.type
    raise c.Unsupported(f"the structure has no member `{member}`", at)


def _laid_out(layout: c.Layout, layouts: Mapping[str, c.Layout]) -> tuple[dict[str, int], int]:
    offsets: dict[str, int] = {}
    end = largest = 0
    for member in layout.members:
        size, align = size_of(member.type, layouts), _alignment(member.type, layouts)
        if size is None:
            reason = f"the size of member `{member.name}` is not known here"
            raise c.Unsupported(reason, member.at)
        at = 0 if layout.union else -(-end // align) * align
        offsets[member.name] = at
        end = max(end, at + size)
        largest = max(largest, align)
    return offsets, -(-end // max(largest, 1)) * max(largest, 1)


def _alignment(type_: c.CType, layouts: Mapping[str, c.Layout]) -> int:
    match type_:
        case c.Array(of=of):
            return _alignment(of, layouts)
        case c.Struct(name=name) if name in layouts:
            return max((_alignment(m.type, layouts) for m in layouts[name].members), default=1)
        case c.Struct():
            return min(size_of(type_, layouts) or 8, 8)
        case _:
            return size_of(type_, layouts) or 8


def constant(expr: c.Expr, names: Mapping[str, int]) -> int:
    """The value of a constant expression: literals, enumerators, arithmetic."""
    match expr:
        case c.Number(value=value):
            return value
        case c.Name(name=name) if name in names:
            return names[name]
        case c.Unary(op="-", operand=operand):
            return -constant(operand, names)
        case c.SizeOf(operand=c.Int(size=size)):
            return size
        case c.Binary(op=op, left=left, right=right) if op in _ARITHMETIC:
            first, second = constant(left, names), constant(right, names)
            if op in {"/", "%"} and second == 0:
                raise c.Unsupported("division by zero", expr.at)
            return _ARITHMETIC[op](first, second)
        case _:
            raise c.Unsupported("the value is not constant", expr.at)


_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: int(a / b),
    "%": lambda a, b: a - b * int(a / b),
    "<<": lambda a, b: a << min(b, 64),
    ">>": lambda a, b: a >> b,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
}
