"""Resolved bodies -> warnings about variables never set, and about arguments never used.

Rule: this is looked at once, before anything is dropped for having no effect (as in SystemTap).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.script import errors
from bridge.script.analysis.usage import usage
from bridge.suggest import among, similar

if TYPE_CHECKING:
    from bridge.script.analysis.program import Body, ResolvedScript


def warn_of_unassigned(program: ResolvedScript) -> None:
    """Warn of locals, then of globals, that nothing gives a value."""
    used = usage(program.bodies())
    globals_ = {v.name for v in program.globals.values() if v in used.read | used.written}
    for body in (*program.probes, *program.functions.values()):
        if not all(block.script.tapset for block in body.blocks):
            _warn_of_locals(program, body, globals_)
    given = program.options.globals_
    for variable in program.globals.values():
        if variable in used.written or variable not in used.read or not variable.user:
            continue
        if variable.initial is None and variable.name not in given:
            near = among(similar(variable.label, globals_))  # itself, too, as in SystemTap
            message = errors.Message(
                "never-assigned", f"never-assigned global variable '{variable.name}'{near}"
            )
            token = f"identifier '{variable.name}'"
            program.sink.report(errors.warning(message, variable.declaration.token, token))


def _warn_of_locals(program: ResolvedScript, body: Body, globals_: set[str]) -> None:
    written = usage([body]).written
    parameters = body.function.parameters if body.function else ()
    for name, variable in body.facts.locals.items():
        if variable in written or variable in parameters:
            continue
        near = among(similar(name, (body.facts.locals.keys() | globals_) - {name}))
        message = errors.Message(
            "never-assigned", f"never-assigned local variable '{name}'{near}"
        )
        at = body.declared[name].token
        program.sink.report(errors.warning(message, at, f"identifier '{name}'"))


def warn_of_unused_arguments(program: ResolvedScript) -> None:
    """Warn of script arguments that no text uses; `argc` and `argv` use them all."""
    if any(variable.name in {"argc", "argv"} for variable in program.globals.values()):
        return
    used = {number for script in program.scripts for number in script.arguments}
    for number in range(1, len(program.options.arguments) + 1):
        if number not in used:
            message = errors.Message(
                "unused-argument", f"unused command line option ${number}/@{number}"
            )
            program.sink.report(errors.warning(message))
