"""ir.IrProgram or Placed -> machine code of this host, in memory.

Everything that runs in user space is compiled: handlers, conditions (of all handlers) and
functions. The rule: the text is parsed and verified before any back end sees it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from bridge.artifact import Placed, RecordLayout
from bridge.codegen import kept, llvm_binding
from bridge.codegen.llvm import lower_function
from bridge.codegen.native import arrays as native_arrays
from bridge.codegen.native import ops as native_ops
from bridge.codegen.native import runtime
from bridge.codegen.native.frame import NativeBackend, Role
from bridge.codegen.native.patterns import compile_pattern
from bridge.markers import MarkerAttachment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bridge.codegen.native.frame import Emit
    from bridge.codegen.native.patterns import PatternCode
    from bridge.ir.program import Capture, Function, IrProgram

_TABLE: Mapping[type, Emit] = {
    **native_ops.TABLE,
    **native_arrays.TABLE,
}
_LIBC = {"strcmp": "declare i32 @strcmp(ptr, ptr) nounwind readonly"}
_ASK_FOR_GROUPS = frozenset({"mb_do_matched", "mb_do_ngroups"})
_OPTIMISED = 200
"""Functions of a program up to which optimisations are worth their time: with more, LLVM would
take longer than all that goes before the first hit, for handlers of which few are hit often."""


@dataclass(frozen=True, slots=True)
class NativeCode:
    """Addresses of compiled handlers and conditions by handler number, and the patterns used.

    `patterns` are the regular expressions in the order of their numbers. `engine` keeps the
    code alive.
    """

    handlers: dict[int, int]
    conditions: dict[int, int]
    patterns: tuple[PatternCode, ...]
    engine: object = field(repr=False)
    text: str = field(repr=False, default="")


@dataclass(slots=True)
class _Unit:
    """The module being written."""

    program: IrProgram
    parts: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    patterns: dict[bytes, int] = field(default_factory=dict)

    def add(
        self,
        name: str,
        role: Role,
        function: Function,
        captures: tuple[Capture, ...] = (),
        layout: RecordLayout | None = None,
    ) -> None:
        backend = NativeBackend(
            self.program,
            role,
            function,
            _TABLE,
            self.patterns,
            self.used,
            captures=captures,
            layout=layout,
        )
        self.parts.append(lower_function(function, name, backend))

    def text(self) -> str:
        declarations = [_LIBC.get(n) or runtime.declaration(n) for n in sorted(self.used)]
        return "\n".join([*declarations, "", *self.parts])

    def pattern_code(self) -> tuple[PatternCode, ...]:
        grouped = not self.used.isdisjoint(_ASK_FOR_GROUPS)
        return tuple(compile_pattern(pattern, grouped=grouped) for pattern in self.patterns)


def compile_native(what: Placed | IrProgram, level: int | None = None) -> NativeCode:
    """Compile what runs in user space; an IrProgram alone is compiled as a whole.

    `level` is how far to optimise, by the size of the program if it is not given.
    """
    program = what.program if isinstance(what, Placed) else what
    unit = _Unit(program)
    handlers = list(_user_handlers(what))
    bodies: dict[object, str] = {}
    names = {}
    for number, layout in handlers:
        handler = program.handlers[number]
        code = id(handler.body), id(handler.captures), layout
        if code not in bodies:
            bodies[code] = f"handler_{number}"
            unit.add(bodies[code], Role.HANDLER, handler.body, handler.captures, layout)
        names[number] = bodies[code]
    conditions = {n: h.condition for n, h in enumerate(program.handlers) if h.condition}
    for number, condition in conditions.items():
        unit.add(f"condition_{number}", Role.CONDITION, condition)
    for number, function in enumerate(program.functions):
        unit.add(f"function_{number}", Role.FUNCTION, function)
    text = unit.text()
    if level is None:
        level = 2 if len(unit.parts) <= _OPTIMISED else 0
    engine = _compile(text, unit.used, level)
    return NativeCode(
        {n: engine.get_function_address(name) for n, name in names.items()},
        {n: engine.get_function_address(f"condition_{n}") for n in conditions},
        unit.pattern_code(),
        engine,
        text,
    )


def _user_handlers(what: Placed | IrProgram) -> Iterable[tuple[int, RecordLayout | None]]:
    """Handlers that run in user space, with the layout of the records that they read."""
    if not isinstance(what, Placed):
        for number, handler in enumerate(what.handlers):
            yield number, RecordLayout(handler.captures)
        return
    for hook in what.hooks:
        for number in hook.user:
            yield number, hook.layout
    for number, handler in enumerate(what.program.handlers):
        if not isinstance(handler.expansion.attachment, MarkerAttachment):
            yield number, None


@cache
def _llvm() -> Any:  # noqa: ANN401 - llvmlite has no types; it stays inside this module
    llvm = llvm_binding.llvm()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


@cache
def _add_symbol(name: str) -> None:
    _llvm().add_symbol(name, runtime.address_of(name))


def _compile(text: str, used: set[str], level: int) -> Any:  # noqa: ANN401 - as above
    of_file = ("native", text, str(level))
    made = kept.brought(*of_file)
    if made is not None:
        from bridge.codegen.native.load import LoadedCode

        return LoadedCode(made[""])
    llvm = _llvm()
    for name in used - set(_LIBC):
        _add_symbol(name)
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(opt=level)
    if kept.is_collected():  # a loader of ours needs code whose references reach everywhere
        far = target.create_target_machine(opt=level, reloc="static", codemodel="large")
        kept.note({"": _emitted(text, level, far)}, *of_file)
    facts = (text, str(level), target.triple)
    code = kept.object_code(lambda: _emitted(text, level, machine), *facts)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine


def _emitted(text: str, level: int, machine: Any) -> bytes:  # noqa: ANN401 - as above
    """The object file of a text."""
    llvm = _llvm()
    module = llvm.parse_assembly(text)
    module.verify()
    if level:
        options = llvm.create_pipeline_tuning_options(level)
        options.loop_vectorization = False
        options.slp_vectorization = False
        options.loop_unrolling = False
        builder = llvm.create_pass_builder(machine, options)
        builder.getModulePassManager().run(module, builder)
    emitted: bytes = machine.emit_object(module)
    return emitted
