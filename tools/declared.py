"""`csrc/*/*.cdef.h` -> what else is known of the C side: `python -m tools.declared` writes

* `bridge/_native.pyi`, the typed face of the library;
* `bridge/declared.py`, constants, sizes and offsets for code that must not load the library;
* `csrc/live/declared.c`, which asserts at build time that the compiler sees the same numbers.

The rule: nothing here is typed by hand, and a test holds the three files to the declarations.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import keyword
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from pycparser import c_ast, c_parser

HERE = Path(__file__).resolve().parents[1]
WIDTH = 96
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_DEFINE = re.compile(r"^#define (\w+) .*$", re.MULTILINE)
_TYPES = "".join(
    f"typedef int {sign}int{bits}_t;" for bits in (8, 16, 32, 64) for sign in ("", "u")
)
_TYPES += "typedef int uintptr_t;"
_FFI = """\
class _Ffi:
    NULL: Any
    def new(self, kind: str, init: object = ...) -> Any: ...
    def cast(self, kind: str, value: object) -> Any: ...
    def from_buffer(
        self, kind: object, buffer: object = ..., require_writable: bool = ...
    ) -> Any: ...
    def buffer(self, data: Any, size: int = ...) -> Any: ...
    def string(self, data: Any, maximum: int = ...) -> bytes: ...
    def unpack(self, data: Any, length: int) -> Any: ...
    def memmove(self, dest: Any, source: Any, count: int) -> None: ...
    def gc(self, data: Any, destructor: Any, size: int = ...) -> Any: ...
    def release(self, data: Any) -> None: ...
    def addressof(self, data: Any, *fields: str | int) -> Any: ...
    def typeof(self, kind: object) -> Any: ...
    def offsetof(self, kind: object, *fields: str) -> int: ...
    def sizeof(self, kind: object) -> int: ...
    def callback(self, kind: str, function: object = ..., *, onerror: object = ...) -> Any: ...

ffi: _Ffi
lib: _Lib
"""


_CHECKS = [
    '#define CHANGED " has changed: run make declared"',
    "#define SIZE(type, size) _Static_assert(sizeof(type) == (size), #type CHANGED)",
    "#define OFFSET(type, field, offset) \\",
    "\t_Static_assert(offsetof(type, field) == (offset), #type CHANGED)",
    "#define VALUE(name, value) _Static_assert((name) == (value), #name CHANGED)",
]


class Function(NamedTuple):
    """A C function: parameters as (name, Python type)."""

    name: str
    parameters: list[tuple[str, str]]
    result: str


class Declared(NamedTuple):
    """What files declare: functions and constants by file, the types as cffi has them."""

    functions: dict[str, list[Function]]
    constants: dict[str, list[str]]
    ffi: Any


def read(csrc: Path = HERE / "csrc") -> Declared:
    """Parse all declarations below a folder."""
    functions, constants = {}, {}
    number = _module("number", csrc / "number.py")
    for path in number.declarations(csrc):
        name = str(path.relative_to(csrc))
        text = _COMMENT.sub("", path.read_text())
        names = _DEFINE.findall(text)
        tree = c_parser.CParser().parse(_TYPES + _known(text) + _DEFINE.sub("", text))
        names += [node.name for node in _walk(tree) if isinstance(node, c_ast.Enumerator)]
        constants[name] = names
        functions[name] = [
            _function(node.name, node.type)
            for node in tree.ext
            if isinstance(node, c_ast.Decl) and isinstance(node.type, c_ast.FuncDecl)
        ]
    return Declared(functions, constants, _ffi(csrc))


def _known(text: str) -> str:
    """The type of a callback may be declared in another file."""
    name = "mb_record_handler"
    return "" if f"(*{name})" in text else f"typedef int (*{name})(void *, const void *);"


def _walk(node: Any) -> Any:  # noqa: ANN401 - pycparser has no types
    yield node
    for _, child in node.children():
        yield from _walk(child)


def _function(name: str, declared: Any) -> Function:  # noqa: ANN401
    parameters = declared.args.params if declared.args else []
    given = [p for p in parameters if getattr(p, "name", None)]
    return Function(
        name,
        [(_word(p.name), _python(p.type)) for p in given],
        _python(declared.type, result=True),
    )


def _word(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name


def _python(kind: Any, *, result: bool = False) -> str:  # noqa: ANN401
    if isinstance(kind, c_ast.PtrDecl | c_ast.ArrayDecl):
        inner = kind.type
        constant = isinstance(inner, c_ast.TypeDecl) and "const" in inner.quals
        char = isinstance(inner, c_ast.TypeDecl) and _names(inner) == ["char"]
        return "bytes" if constant and char and not result else "Any"
    names = _names(kind)
    if names == ["void"]:
        return "None"
    return "Any" if names == ["mb_record_handler"] else "int"


def _names(kind: Any) -> list[str]:  # noqa: ANN401
    inner = kind.type
    return list(inner.names) if isinstance(inner, c_ast.IdentifierType) else []


def _module(name: str, path: Path) -> Any:  # noqa: ANN401
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _ffi(csrc: Path) -> Any:  # noqa: ANN401
    builder = _module("csrc_build", csrc / "build.py").ffibuilder
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "declarations.py"
        with contextlib.redirect_stdout(io.StringIO()):
            builder.emit_python_code(str(path))
        return _module("bridge._declarations", path).ffi


# --- the three files --------------------------------------------------------------------------


def face(declared: Declared) -> str:
    """`bridge/_native.pyi`."""
    lines = [
        '"""The typed face of the C side (cffi). Generated by `make declared`."""',
        "",
        "from typing import Any",
        "",
        "class _Lib:",
        "    MB_DECLARATIONS: int",
    ]
    for name, functions in declared.functions.items():
        lines += ["", f"    # {name}"]
        lines += [f"    {constant}: int" for constant in declared.constants[name]]
        for function in functions:
            lines += _stub(function)
    return "\n".join([*lines, "", _FFI])


def _stub(function: Function) -> list[str]:
    parts = ["self", *(f"{name}: {kind}" for name, kind in function.parameters)]
    start, end = f"    def {function.name}(", f") -> {function.result}: ..."
    line = start + ", ".join(parts) + end
    if len(line) <= WIDTH:
        return [line]
    inner = "        " + ", ".join(parts)
    if len(inner) <= WIDTH:
        return [start, inner, "    " + end]
    return [start, *(f"        {part}," for part in parts), "    " + end]


def numbers(declared: Declared) -> str:
    """`bridge/declared.py`."""
    lines = [
        '"""What `csrc/*/*.cdef.h` declares, as numbers. Generated by `make declared`.',
        "",
        "Constants by their C names; offsets and sizes in bytes, by `structure.field` and",
        "`structure`. The compiler checks all of them when the library is built (declared.c).",
        '"""',
        "",
        "from __future__ import annotations",
    ]
    for name, constants in declared.constants.items():
        if constants:
            lines += ["", f"# {name}"]
            lines += [f"{c} = {declared.ffi.integer_const(c)}" for c in constants]
    offsets = [
        f'    "{structure}.{field}": {offset},'
        for structure, field, offset in _fields(declared)
    ]
    sizes = [f'    "{structure}": {size},' for structure, size in _sizes(declared)]
    lines += ["", "OFFSETS: dict[str, int] = {", *offsets, "}"]
    lines += ["SIZES: dict[str, int] = {", *sizes, "}", ""]
    return "\n".join(lines)


def _structures(declared: Declared) -> list[tuple[str, Any]]:
    _, structures, _ = declared.ffi.list_types()
    return [
        (name, declared.ffi.typeof(f"struct {name}"))
        for name in structures
        if _is_complete(declared.ffi, name)
    ]


def _is_complete(ffi: Any, name: str) -> bool:  # noqa: ANN401
    try:
        ffi.sizeof(f"struct {name}")
    except (ffi.error, ValueError):
        return False
    return True


def _sizes(declared: Declared) -> list[tuple[str, int]]:
    return [(name, declared.ffi.sizeof(kind)) for name, kind in _structures(declared)]


def _fields(declared: Declared) -> list[tuple[str, str, int]]:
    return [
        (structure, name, field.offset)
        for structure, kind in _structures(declared)
        for name, field in kind.fields
    ]


def assertions(declared: Declared) -> str:
    """`csrc/live/declared.c`."""
    lines = [
        "/* SPDX-License-Identifier: LGPL-2.1-or-later */",
        "/* What Python knows of the C side, checked by the compiler: `make declared`. */",
        "#include <stddef.h>",
        "",
        *(f'#include "{name.replace(".cdef.h", ".h")}"' for name in declared.functions),
        "",
        *_CHECKS,
        "",
    ]
    lines += [f"SIZE(struct {name}, {size});" for name, size in _sizes(declared)]
    lines += [""]
    lines += [
        f"OFFSET(struct {s}, {field}, {offset});" for s, field, offset in _fields(declared)
    ]
    lines += [""]
    for constants in declared.constants.values():
        lines += [f"VALUE({c}, {declared.ffi.integer_const(c)});" for c in constants]
    return "\n".join([*lines, ""])


def files(csrc: Path = HERE / "csrc") -> dict[str, str]:
    """Each generated file by its path in the repository."""
    declared = read(csrc)
    return {
        "bridge/_native.pyi": face(declared),
        "bridge/declared.py": numbers(declared),
        "csrc/live/declared.c": assertions(declared),
    }


def main() -> None:
    """Write them."""
    for name, text in files().items():
        path = HERE / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main()
