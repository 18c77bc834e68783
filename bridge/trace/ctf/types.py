"""Type specifiers of the metadata -> field types of the model, with C's rules for names.

A `Names` is one scope of names: typedefs and aliases, structures, variants and enumerations
have name spaces of their own, and an inner scope sees the outer ones.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from bridge.trace.ctf import syntax
from bridge.trace.ctf.measure import Measure
from bridge.trace.ctf.parse import MetadataError
from bridge.trace.model import (
    Enumeration,
    Field,
    FieldType,
    FixedArray,
    Float,
    Integer,
    Struct,
    Text,
    Variant,
)
from bridge.trace.model import Sequence as ModelSequence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T", bound=FieldType)
BASES: dict[object, int] = {
    **dict.fromkeys((10, "decimal", "dec", "d", "i", "u"), 10),
    **dict.fromkeys((16, "hexadecimal", "hex", "x", "X", "p"), 16),
    **dict.fromkeys((8, "octal", "oct", "o"), 8),
    **dict.fromkeys((2, "binary", "b"), 2),
}
ENCODINGS = {
    "none": "",
    "utf8": "utf8",
    "utf_8": "utf8",
    "utf-8": "utf8",
    "ascii": "ascii",
}
MAX_ALIGN = 1 << 20
MAX_LENGTH = (1 << 32) - 1


@dataclass(slots=True)
class Names:
    """One scope of names, and the byte order that is native where it stands."""

    big_endian: bool
    file: str
    outer: Names | None = None
    depth: int = 0
    measure: Measure = field(default_factory=Measure)
    types: dict[str, FieldType] = field(default_factory=dict)
    structs: dict[str, Struct] = field(default_factory=dict)
    variants: dict[str, Variant] = field(default_factory=dict)
    enums: dict[str, Enumeration] = field(default_factory=dict)

    def inner(self) -> Names:
        """A scope inside this one."""
        return Names(self.big_endian, self.file, self, self.depth + 1, self.measure)

    def chain(self) -> Iterable[Names]:
        """The scope itself and those around it."""
        scope: Names | None = self
        while scope is not None:
            yield scope
            scope = scope.outer

    def error(self, line: int, message: str) -> MetadataError:
        """An error at a line."""
        return MetadataError(f"{self.file}:{line}: {message}")

    def measured(self, type_: T, line: int) -> T:
        """The type, if it is not too large."""
        if flaw := self.measure.fault(type_):
            raise self.error(line, f"the type {flaw}")
        return type_


def plain(name: str) -> str:
    """A name without the underscore that protects it from being a keyword."""
    return name[1:] if name[:1] == "_" and len(name) > 1 else name


def constant_text(value: syntax.Value) -> str:
    """A text, or a dotted name as text."""
    return ".".join(value) if isinstance(value, tuple) else str(value)


# --- numbers and strings ----------------------------------------------------------------------


def _properties(block: syntax.Block, names: Names) -> dict[str, syntax.Value]:
    found: dict[str, syntax.Value] = {}
    for entry in block.entries:
        if not isinstance(entry, syntax.Assignment):
            raise names.error(block.line, f"only properties may stand in `{block.kind}`")
        if entry.name in found:
            raise names.error(entry.line, f"`{entry.name}` is given twice")
        found[entry.name] = entry.value
    return found


def _whole(found: dict[str, syntax.Value], name: str, line: int, names: Names) -> int | None:
    value = found.get(name)
    if value is None or isinstance(value, int):
        return value
    raise names.error(line, f"`{name}` is no number")


def _align(found: dict[str, syntax.Value], bits: int, line: int, names: Names) -> int:
    align = _whole(found, "align", line, names)
    if align is None:
        return 1 if bits % 8 else 8
    if not 0 < align <= MAX_ALIGN or align & (align - 1):
        raise names.error(line, f"alignment {align} is no power of two")
    return align


def byte_order(value: syntax.Value | None, line: int, names: Names) -> bool:
    """Whether a byte order is big-endian."""
    match constant_text(value) if value is not None else "native":
        case "native":
            return names.big_endian
        case "network" | "be":
            return True
        case "le":
            return False
        case other:
            raise names.error(line, f"unknown byte order `{other}`")


def _signed(value: syntax.Value | None, line: int, names: Names) -> bool:
    match value:
        case None | 0 | ("false",) | ("FALSE",):
            return False
        case 1 | ("true",) | ("TRUE",):
            return True
        case _:
            raise names.error(line, "`signed` is neither true nor false")


def _base(value: syntax.Value | None, line: int, names: Names) -> int:
    if value is None:
        return 10
    base = BASES.get(value[0] if isinstance(value, tuple) and len(value) == 1 else value)
    if base is None:
        raise names.error(line, f"unknown base `{constant_text(value)}`")
    return base


def _encoding(value: syntax.Value | None, line: int, names: Names) -> str:
    text = constant_text(value).lower() if value is not None else "none"
    if text not in ENCODINGS:
        raise names.error(line, f"unknown encoding `{text}`")
    return ENCODINGS[text]


def _clock(value: syntax.Value | None, line: int, names: Names) -> str:
    match value:
        case None:
            return ""
        case ("clock", name, "value"):
            return name
        case _:
            raise names.error(line, f"`{constant_text(value)}` is no clock's value")


def _integer(block: syntax.Block, names: Names) -> Integer:
    found, line = _properties(block, names), block.line
    bits = _whole(found, "size", line, names)
    if bits is None:
        raise names.error(line, "an integer needs a size")
    if not 1 <= bits <= 64:
        raise names.error(line, f"integers have 1 to 64 bits, not {bits}")
    return Integer(
        bits,
        _signed(found.get("signed"), line, names),
        _align(found, bits, line, names),
        byte_order(found.get("byte_order"), line, names),
        _base(found.get("base"), line, names),
        _encoding(found.get("encoding"), line, names),
        _clock(found.get("map"), line, names),
    )


def _float(block: syntax.Block, names: Names) -> Float:
    found, line = _properties(block, names), block.line
    digits = _whole(found, "exp_dig", line, names), _whole(found, "mant_dig", line, names)
    if digits not in ((8, 24), (11, 53)):
        raise names.error(line, "only 32- and 64-bit IEEE 754 numbers can be read")
    bits = sum(digit for digit in digits if digit)
    return Float(
        bits,
        _align(found, bits, line, names),
        byte_order(found.get("byte_order"), line, names),
    )


def _text(block: syntax.Block, names: Names) -> Text:
    found = _properties(block, names)
    return Text(_encoding(found.get("encoding"), block.line, names) or "utf8")


# --- names ------------------------------------------------------------------------------------


def type_name(specifiers: Sequence[syntax.Specifier], pointer: bool, names: Names) -> str:
    """The words of a type's name, one blank between them."""
    words = []
    for specifier in specifiers:
        if not isinstance(specifier, syntax.Word):
            raise names.error(specifier.line, "a type's name is made of words")
        words.append(specifier.text)
    return " ".join(words) + (" *" if pointer else "")


def _named(name: str, line: int, names: Names) -> FieldType:
    for scope in names.chain():
        if name in scope.types:
            return scope.types[name]
    raise names.error(line, f"unknown type `{name}`")


def resolve(
    specifiers: Sequence[syntax.Specifier], names: Names, pointer: bool = False
) -> FieldType:
    """The type that specifiers stand for."""
    only = [s for s in specifiers if not (isinstance(s, syntax.Word) and s.text == "const")]
    line = specifiers[0].line
    if len(only) == 1 and not pointer:
        match only[0]:
            case syntax.Block():
                return _block(only[0], names)
            case syntax.StructSpecifier():
                return struct(only[0], names)
            case syntax.VariantSpecifier():
                return _variant(only[0], names)
            case syntax.EnumSpecifier():
                return _enum(only[0], names)
            case syntax.Word(text="string"):
                return Text()
            case _:
                pass
    for name in dict.fromkeys(
        (type_name(specifiers, pointer, names), type_name(only, pointer, names))
    ):
        if any(name in scope.types for scope in names.chain()):
            return _named(name, line, names)
    return _named(type_name(only, pointer, names), line, names)


def _block(block: syntax.Block, names: Names) -> FieldType:
    match block.kind:
        case "integer":
            return _integer(block, names)
        case "floating_point":
            return _float(block, names)
        case _:
            return _text(block, names)


# --- composed types ---------------------------------------------------------------------------


def declared(
    base: FieldType, declarator: syntax.Declarator, line: int, names: Names
) -> FieldType:
    """The type of a declared name: the base in as many arrays as it has brackets."""
    return _in_arrays(base, declarator.lengths, line, names)


def _in_arrays(
    base: FieldType, lengths: tuple[syntax.Value | None, ...], line: int, names: Names
) -> FieldType:
    for length in reversed(lengths):
        match length:
            case int():
                if not 0 <= length <= MAX_LENGTH:
                    raise names.error(line, f"{length} is no length")
                base = FixedArray(base, length)
            case tuple():
                base = ModelSequence(base, reference(constant_text(length)))
            case _:
                raise names.error(line, "a length is a number or the name of a field")
        names.measured(base, line)
    return base


SCOPE_PREFIXES = (
    "trace.packet.header.",
    "stream.packet.context.",
    "stream.event.header.",
    "stream.event.context.",
    "event.context.",
    "event.fields.",
)


def reference(path: str) -> str:
    """A path to a field, without the underscores that protect names."""
    for prefix in SCOPE_PREFIXES:
        if path.startswith(prefix):
            return prefix + reference(path[len(prefix) :])
    return ".".join(plain(name) for name in path.split("."))


def declare(declaration: syntax.Declaration | syntax.Alias, names: Names) -> list[Field]:
    """Enter what a declaration names; the fields that it declares, if it is no typedef."""
    if isinstance(declaration, syntax.Alias):
        target = resolve(declaration.specifiers, names, declaration.pointer)
        target = _in_arrays(target, declaration.lengths, declaration.line, names)
        name = type_name(declaration.name, declaration.name_pointer, names)
        names.types[name] = target
        return []
    words = [s for s in declaration.specifiers if not _is_typedef(s)]
    is_typedef = len(words) != len(declaration.specifiers)
    if not declaration.declarators:
        resolve(words, names)
        return []
    fields = []
    base: FieldType | None = None
    for declarator in declaration.declarators:
        if declarator.pointer:
            type_ = resolve(words, names, pointer=True)
        else:
            type_ = base = base if base is not None else resolve(words, names)
        type_ = declared(type_, declarator, declaration.line, names)
        if is_typedef:
            names.types[declarator.name] = type_
        else:
            fields.append(Field(declarator.name, type_))
    return fields


def _is_typedef(specifier: syntax.Specifier) -> bool:
    return isinstance(specifier, syntax.Word) and specifier.text == "typedef"


def _members(
    body: Iterable[syntax.Declaration | syntax.Alias], names: Names, line: int
) -> list[Field]:
    inner = names.inner()
    if flaw := names.measure.too_deep(inner.depth):
        raise names.error(line, f"the type {flaw}")
    fields = [f for declaration in body for f in declare(declaration, inner)]
    written = [f.name for f in fields]
    if len(set(written)) != len(written):
        raise names.error(line, "two fields have the same name")
    shown = [plain(name) for name in written]
    times = Counter(shown)
    return [
        replace(f, name=s if times[s] == 1 else f.name)
        for f, s in zip(fields, shown, strict=True)
    ]


def struct(specifier: syntax.StructSpecifier, names: Names) -> Struct:
    """A structure, which gets its name known if it has one."""
    if specifier.body is None:
        for scope in names.chain():
            if specifier.name in scope.structs:
                return scope.structs[specifier.name]
        raise names.error(specifier.line, f"unknown structure `{specifier.name}`")
    found = {} if specifier.align is None else {"align": specifier.align}
    align = _align(found, 1, specifier.line, names)
    result = Struct(tuple(_members(specifier.body, names, specifier.line)), align)
    names.measured(result, specifier.line)
    if specifier.name:
        names.structs[specifier.name] = result
    return result


def _variant(specifier: syntax.VariantSpecifier, names: Names) -> Variant:
    tag = reference(specifier.tag) if specifier.tag else ""
    if specifier.body is not None:
        result = Variant(tag, tuple(_members(specifier.body, names, specifier.line)))
        names.measured(result, specifier.line)
        if specifier.name:
            names.variants[specifier.name] = result
        return result
    for scope in names.chain():
        if specifier.name in scope.variants:
            known = scope.variants[specifier.name]
            return replace(known, tag=tag) if tag else known
    raise names.error(specifier.line, f"unknown variant `{specifier.name}`")


def _enum(specifier: syntax.EnumSpecifier, names: Names) -> Enumeration:
    if specifier.labels is None:
        for scope in names.chain():
            if specifier.name in scope.enums:
                return scope.enums[specifier.name]
        raise names.error(specifier.line, f"unknown enumeration `{specifier.name}`")
    container = (
        resolve(specifier.container, names)
        if specifier.container
        else _named("int", specifier.line, names)
    )
    if not isinstance(container, Integer):
        raise names.error(specifier.line, "the container of an enumeration is an integer")
    result = Enumeration(container, _labels(specifier, names))
    if specifier.name:
        names.enums[specifier.name] = result
    return result


def _labels(specifier: syntax.EnumSpecifier, names: Names) -> tuple[tuple[str, int, int], ...]:
    labels, following = [], 0
    for name, low, high in specifier.labels or ():
        first = following if low is None else low
        last = first if high is None else high
        if not isinstance(first, int) or not isinstance(last, int) or first > last:
            raise names.error(specifier.line, f"label `{name}` has no range of numbers")
        labels.append((name, first, last))
        following = last + 1
    return tuple(labels)
