"""bridge/ -> the class names that stand for two things; part of `make lint`.

A name stands for one class. Two kinds of class are exempt: those of a *vocabulary*, a module
whose classes are said with its name in front (`ast.Call`, `ops.Call`), and private ones, which
nobody sees outside of their module. So neither may be imported by its bare name; a class of a
vocabulary may where its name is the only one.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
VOCABULARIES = {
    "bridge.script.syntax.ast": "the tree of a script",
    "bridge.script.c.tree": "the tree of embedded C",
    "bridge.ir.ops": "the operations of the IR",
    "bridge.ir.patterns.tree": "the tree of a regular expression",
    "bridge.trace.ctf.syntax": "the tree of TSDL",
    "bridge.facility.model": "descriptions of events",
}
"""Modules whose classes are said with the module in front."""


def modules(root: Path) -> Iterator[tuple[str, ast.Module]]:
    """The modules of the package below `root`, each with its tree."""
    for path in sorted((root / "bridge").rglob("*.py")):
        if path.name == "_declarations.py" or "examples" in path.relative_to(root).parts:
            continue
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        yield name.removesuffix(".__init__"), ast.parse(path.read_text())


def wrong(trees: dict[str, ast.Module]) -> Iterator[str]:
    """What breaks the rule, a line each."""
    homes: dict[str, list[str]] = defaultdict(list)
    for module, tree in trees.items():
        for name in classes(tree):
            homes[name].append(module)
    for name, found in sorted(homes.items()):
        plain = [module for module in found if module not in VOCABULARIES]
        if len(plain) > 1 and not name.startswith("_"):
            yield f"class {name} stands for {len(plain)} things: {', '.join(plain)}"
    for module, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    if _hides(node.module or "", alias.name, homes):
                        yield f"{module} imports {alias.name} of {node.module} by its bare name"


def _hides(home: str, name: str, homes: dict[str, list[str]]) -> bool:
    """Whether a name without the module in front could be taken for another one."""
    if home not in homes.get(name, ()):
        return False
    return name.startswith("_") or (home in VOCABULARIES and len(homes[name]) > 1)


def classes(tree: ast.Module) -> list[str]:
    """The classes of a module."""
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


def main(root: Path = ROOT) -> int:
    """Print what is wrong; 1 if something is."""
    lines = list(wrong(dict(modules(root))))
    for line in lines:
        print(line, file=sys.stderr)  # noqa: T201
    return bool(lines)


if __name__ == "__main__":
    sys.exit(main())
