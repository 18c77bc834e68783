"""What a script does with its globals -> what bpftrace's maps are, and what they are called.

bpftrace adds by CPU without a loss where a map is only added to (`count()`, `sum()`), and
prints such maps as a whole. The rule: a global becomes one of these where its value is asked
for by prints alone; its own layout of them is then what is printed, and a warning says so.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bridge.script.syntax import ast
from bridge.script.syntax.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bridge.ir.program import Buckets, StatShape
    from bridge.script.analysis.typed import GlobalVariable, ProbeInfo


def global_of(node: ast.Node) -> str:
    """The name of the variable that an lvalue belongs to."""
    name = node.base if isinstance(node, ast.Index) else node
    return name.id if isinstance(name, ast.Name) else ""


def nodes(probes: Iterable[ProbeInfo]) -> Iterator[tuple[ProbeInfo, ast.Node]]:
    """All nodes of what a script does by itself."""
    for info in probes:
        for root in (*info.bodies, *(() if info.condition is None else (info.condition,))):
            for node in walk(root):
                yield info, node


def _names(node: ast.Node, info: ProbeInfo) -> Iterator[str]:
    for inner in walk(node):
        if isinstance(inner, ast.Name) and inner.id not in info.facts.locals:
            yield inner.id


def only_added_to(
    probes: Iterable[ProbeInfo], variables: Iterable[GlobalVariable]
) -> dict[str, set[str]]:
    """Globals that are added to, and looked at by prints alone, and by what they are."""
    added: dict[str, set[str]] = {}
    uses: Counter[str] = Counter()
    for info, node in nodes(probes):
        match node:
            case ast.Name(id=name) if name not in info.facts.locals:
                uses[name] += 1
            case ast.ExprStmt(
                value=ast.Assign(op="+=", target=target) | ast.Step(op="++", operand=target)
            ):
                op = "+=" if isinstance(node.value, ast.Assign) else "++"
                added.setdefault(global_of(target), set()).add(op)
                uses[global_of(target)] -= 1
            case ast.ExprStmt(value=ast.Print() as shown):
                uses.subtract(filter(None, (_shown(one) for one in shown.arguments)))
            case ast.Foreach(array=array):
                uses[global_of(array)] -= 1
            case ast.Delete(target=target):
                uses[global_of(target)] -= 1
            case _:
                pass
    given = {variable.name for variable in variables if variable.initial}
    return {name: ops for name, ops in added.items() if uses[name] == 0 and name not in given}


def _shown(node: ast.Expr) -> str:
    """The global whose value is an argument of a print as it is."""
    return global_of(node) if isinstance(node, ast.Name | ast.Index) else ""


def is_printing(node: ast.Stmt) -> bool:
    """Whether the body of a loop does nothing but print, and choose what."""
    match node:
        case ast.Block(body=body):
            return all(map(is_printing, body))
        case ast.ExprStmt(value=ast.Print(name=name)):
            return not name.startswith("s")
        case ast.If(then=then, orelse=orelse):
            return is_printing(then) and (orelse is None or is_printing(orelse))
        case ast.ExprStmt(value=ast.Assign(op="=", target=ast.Name())):
            return True
        case ast.Null() | ast.Continue() | ast.Break():
            return True
        case _:
            return False


def printed_by(node: ast.Foreach, info: ProbeInfo, known: Iterable[str]) -> list[str]:
    """The globals that a loop prints: what it goes over, and what it looks up meanwhile."""
    wanted = [global_of(node.array), *_names(node.body, info)]
    return list(dict.fromkeys(name for name in wanted if name in set(known)))


def maps_of(shape: StatShape) -> dict[str, str] | None:
    """The maps of a statistic: the end of the name, and the function that fills it.

    None if bpftrace has no function for it.
    """
    if "variance" in shape.parts:
        return None
    found = {} if shape.buckets is None else {"hist": _histogram(shape.buckets)}
    parts = shape.parts & {"count", "sum", "avg"}
    if len(parts) == 1:
        (part,) = parts
        found[part] = "count()" if part == "count" else f"{part}({{}})"
    elif parts:
        found["stats"] = "stats({})"
    found |= {part: f"{part}({{}})" for part in ("min", "max") if part in shape.parts}
    if len(found) <= 1:
        return {"": next(iter(found.values()), "stats({})")}
    return {f"_{part}": text for part, text in found.items()}


def _histogram(buckets: Buckets) -> str:
    if buckets.kind == "log":
        return "hist({})"
    return f"lhist({{}}, {buckets.low}, {buckets.high + buckets.step}, {buckets.step})"
