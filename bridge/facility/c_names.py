"""Facility types -> C declarations, with the names that genevent gave them.

`struct|union|enum lttng_<T>`, `lttng_array_<T>`, `lttng_sequence_<T>`; T is the name of a named
type, else facility, event and field joined by `_`, members appended. Labels are
`LTTNG_<label>`. The rule: what no C name can hold becomes `_`, and no two labels share a name.
"""

from __future__ import annotations

import re
from typing import assert_never

from bridge.facility import model

_CHARACTER = re.compile(r"[^A-Za-z0-9_]", re.ASCII)
_WORDS = frozenset(
    """
    alignas alignof and asm auto bool break case catch char class const constexpr continue
    decltype default delete do double else enum explicit export extern false float for friend
    goto if inline int long mutable namespace new noexcept not nullptr operator or private
    protected public register restrict return short signed sizeof static struct switch template
    this throw true try typedef typeid typename typeof union unsigned using virtual void
    volatile while xor
    """.split()  # noqa: SIM905 - a line per word would be long
)
_SCALARS = {
    "char": "signed char",
    "uchar": "unsigned char",
    "short": "short",
    "ushort": "unsigned short",
    "int": "int",
    "uint": "unsigned int",
    "long": "long",
    "ulong": "unsigned long",
    "size_t": "size_t",
    "ssize_t": "ssize_t",
    "off_t": "off_t",
    "pointer": "const void *",
    "string": "const char *",
}


def identifier(name: str) -> str:
    """A name of C: other characters become `_`; a keyword of C or C++ gets one behind it."""
    found = _CHARACTER.sub("_", name.strip()) or "_"
    return f"{found}_" if found in _WORDS else found


def scalar(kind: model.Scalar) -> str:
    """The C type of a number, pointer or string."""
    if kind.word.endswith("_fixed"):
        return f"{kind.word.removesuffix('_fixed')}{8 * int(kind.size)}_t"
    if kind.word == "float":
        return "double" if kind.size in ("8", "long") else "float"
    return _SCALARS[kind.word]


def with_name(type_: str, name: str) -> str:
    """`const char *name`, `int name`."""
    return f"{type_}{name}" if type_.endswith("*") else f"{type_} {name}"


class Declarations:
    """The C declarations of a facility's types, made as they are asked for."""

    def __init__(self, facility: model.Facility) -> None:
        self.facility = facility
        self.lines: list[str] = []
        self._labels: set[str] = set()
        self._declared: dict[str, str] = {}

    def type(self, kind: model.Type, name: str) -> str:
        """The C type of a facility type; what it needs is declared as `name`."""
        if isinstance(kind, model.Ref):
            if kind.name not in self._declared:
                inner = self.facility.types[kind.name]
                self._declared[kind.name] = self.type(inner, identifier(kind.name))
            return self._declared[kind.name]
        match kind:
            case model.Scalar():
                return scalar(kind)
            case model.Enum():
                return self._enum(kind, name)
            case model.Array():
                element = self.type(kind.element, name)
                self.lines += [
                    f"#define LTTNG_ARRAY_SIZE_{name} {kind.length}",
                    f"typedef {with_name(element, f'lttng_array_{name}')}[{kind.length}];",
                ]
                return f"lttng_array_{name}"
            case model.Sequence():
                return self._sequence(kind, name)
            case model.Compound():
                return self._compound(kind, name)
        assert_never(kind)

    def _enum(self, kind: model.Enum, name: str) -> str:
        if not kind.labels:
            return "int"
        lines = [f"enum lttng_{name} {{"]
        for label in kind.labels:
            base = found = f"LTTNG_{_CHARACTER.sub('_', label.name.strip())}"
            number = 2
            while found in self._labels:
                found, number = f"{base}_{number}", number + 1
            self._labels.add(found)
            lines.append(f"\t{found} = {label.value},")
        self.lines += [*lines, "};"]
        return f"enum lttng_{name}"

    def _sequence(self, kind: model.Sequence, name: str) -> str:
        count, element = self.type(kind.count, name), self.type(kind.element, name)
        own = f"lttng_sequence_{name}"
        pointer = (
            f"const {element} *" if not element.startswith("const") else f"{element}const *"
        )
        self.lines += [
            f"typedef struct {own} {{",
            f"\t{with_name(count, 'len')};",
            f"\t{pointer}array;",
            f"}} {own};",
        ]
        return own

    def _compound(self, kind: model.Compound, name: str) -> str:
        members = []
        for member in kind.members:
            own = identifier(member.name)
            members.append(f"\t{with_name(self.type(member.type, f'{name}_{own}'), own)};")
        # C has no empty structs
        members = members or ["\tchar nothing;"]
        self.lines += [f"{kind.word} lttng_{name} {{", *members, "};"]
        return f"{kind.word} lttng_{name}"


__all__ = ["Declarations", "identifier", "scalar", "with_name"]
