"""LLVM IR text of BPF programs -> their instructions.

One rule: all programs of a script go through LLVM in one module, because parsing and emitting
cost about 4 ms a module.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from bridge.codegen import llvm_binding
from bridge.codegen.bpf.text import HEADER, SECTION
from bridge.codegen.kept import brought, note, object_code

if TYPE_CHECKING:
    from collections.abc import Mapping

STACK_OPTION = "-bpf-stack-size=65536"
"""LLVM ends the process over a frame above its limit; the kernel's verifier only refuses it."""


CPU = "v3"
"""Which instructions are used."""


class RelocationError(Exception):
    """A bug of ours: code refers to something outside itself, which nothing here resolves."""


@cache
def _target_machine() -> Any:  # noqa: ANN401 - llvmlite has no types
    llvm = llvm_binding.llvm()
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.set_option("markbridge", STACK_OPTION)
    return llvm.Target.from_triple("bpfel").create_target_machine(cpu=CPU, opt=2)


def compile_programs(texts: Mapping[str, str]) -> dict[str, bytes]:
    """The instructions of each function, by its name."""
    if not texts:
        return {}
    text = HEADER + "".join(texts.values())
    facts = ("bpf", text, CPU)
    made = brought(*facts)
    if made is not None:
        return made
    object_ = object_code(lambda: _emitted(text), text, CPU, STACK_OPTION)
    code = {}
    for section in llvm_binding.llvm().object_file.ObjectFileRef.from_data(object_).sections():
        name = (section.name() or b"").decode()
        if name.startswith(f".rel{SECTION}"):
            raise RelocationError(name)
        if name.startswith(SECTION):
            code[name.removeprefix(SECTION)] = section.data()
    note(code, *facts)
    return code


def _emitted(text: str) -> bytes:
    """The object file of a text."""
    llvm = llvm_binding.llvm()
    machine = _target_machine()
    module = llvm.parse_assembly(text)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = False
    options.slp_vectorization = False
    options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    emitted: bytes = machine.emit_object(module)
    return emitted
