"""Text -> Typed: the whole front end as one readable function.

parse -> derive (aliases, places) -> resolve -> optimise -> infer -> check -> display.
Rule: a stage that reported an error is the last one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.markers import MarkerAttachment, Never, NoMatch, PointPart
from bridge.script import errors
from bridge.script.analysis import autoprint
from bridge.script.analysis.autocast import resolve_autocasts
from bridge.script.analysis.checks import (
    check,
    check_conditions,
    check_iteration,
    check_patterns,
)
from bridge.script.analysis.derive import Derived, Deriver, ScopedBlock, ScopedCondition
from bridge.script.analysis.entry import save_entries
from bridge.script.analysis.fold import ASKING, Folder, place_of
from bridge.script.analysis.infer import Inference
from bridge.script.analysis.optimise import drop_unused, optimise, reduce
from bridge.script.analysis.program import Body, ResolvedScript
from bridge.script.analysis.resolve import Resolver
from bridge.script.analysis.served import serve
from bridge.script.analysis.shapes import set_shapes
from bridge.script.analysis.shared import group
from bridge.script.analysis.typed import GlobalVariable, ProbeInfo, Typed
from bridge.script.analysis.types import Type
from bridge.script.analysis.unassigned import warn_of_unassigned, warn_of_unused_arguments
from bridge.script.analysis.usage import usage
from bridge.script.analysis.writes import write
from bridge.script.library import Library
from bridge.script.options import AnalyseOptions
from bridge.script.printing.describe import describe
from bridge.script.syntax import ast
from bridge.script.syntax.parse import parse
from bridge.source import script_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.diagnostics import Sink
    from bridge.markers import Expansion, Targets
    from bridge.source import Source, SourceMap


def analyse(
    main: Source,
    sources: SourceMap,
    targets: Targets,
    sink: Sink,
    options: AnalyseOptions | None = None,
) -> Typed | None:
    """Check a script for what there is to probe; None after errors, which are in the sink."""
    options = options or AnalyseOptions()
    program = _parse_all(main, sources, sink, options)
    if program is None:
        return None
    program.structures, program.statics = targets.structure, targets.static
    deriver = _derive(program, targets)
    _resolve(program, deriver)
    if not program.probes and not sink.failed:
        sink.report(errors.semantic(errors.NO_PROBES))
    if _stopped(sink):
        return None
    drop_unused(program)
    check_conditions(program)
    if options.unoptimized:
        reduce(program)
    else:
        warn_of_unassigned(program)
        optimise(program)
    if _stopped(sink):
        return None
    resolve_autocasts(program)
    if _stopped(sink):
        return None
    Inference(program).run()
    if _stopped(sink):
        return None
    check_patterns(program)
    check_iteration(program)
    check(program)
    warn_of_unused_arguments(program)
    displays = _display(program, targets) if options.global_display else []
    set_shapes(program, [*program.bodies(), *displays])
    if _stopped(sink):
        return None
    return _typed(program, displays)


def _stopped(sink: Sink) -> bool:
    return sink.failed


def _parse_all(
    main: Source, sources: SourceMap, sink: Sink, options: AnalyseOptions
) -> ResolvedScript | None:
    library = Library(sources, sink, options)
    texts = [main, *(sources.add("<input>", text) for text in options.extra)]
    scripts = [parse(text, sources, sink, options, macros=library.macros) for text in texts]
    program = ResolvedScript([s for s in scripts if s is not None], library, options, sink)
    if _stopped(sink) or len(program.scripts) != len(texts):
        return None
    for script in program.scripts:
        for definition in script.definitions:
            if isinstance(definition, ast.Global):
                program.declare(script, definition)
    return program


# --- derive and resolve -----------------------------------------------------------------------


def _derive(program: ResolvedScript, targets: Targets) -> Deriver:
    deriver = Deriver(program.scripts, program.library, targets, program.sink)
    for script in list(program.scripts):
        _derive_script(program, deriver, script)
    return deriver


def _derive_script(program: ResolvedScript, deriver: Deriver, script: ast.Script) -> None:
    for definition in script.definitions:
        if isinstance(definition, ast.Probe):
            found = deriver.probe(script, definition)
            for number, derived in enumerate(found, program.derived):
                derived.number = number
            program.derived += len(found)
            for places in group(found, ASKING):
                _derive_places(program, places)


def _derive_places(program: ResolvedScript, places: Sequence[Derived]) -> None:
    """The bodies of a probe that are the same at some places."""
    first = places[0]
    for owner in {id(b.script): b.script for b in first.bodies}.values():
        program.choose(owner)
    served = first
    if not program.options.assume_types:
        served = write(program, serve(first, program.sink.report))
    for derived in [served] if first.shared else save_entries(program, served):
        body = _add_probe(program, derived)
        body.places = places if first.shared else [derived]
        Resolver(program, body).run()


def _add_probe(program: ResolvedScript, derived: Derived) -> Body:
    here = _folder(program, derived, constants=_has_variables(derived.expansion))
    blocks = tuple(ScopedBlock(b.script, here.block(b.block)) for b in derived.bodies)
    here = _folder(program, derived, constants=False)
    conditions = tuple(ScopedCondition(c.script, here.expr(c.expr)) for c in derived.conditions)
    body = Body(blocks, conditions, derived=derived)
    program.probes.append(body)
    return body


def _folder(program: ResolvedScript, derived: Derived | None, *, constants: bool) -> Folder:
    return Folder(place_of(program, derived), program.sink.report, constants=constants)


def _has_variables(place: Expansion) -> bool:
    """Whether a probe's body is looked through for variables of the place."""
    match place.attachment:
        case MarkerAttachment(marker=marker):
            return marker.sampling is None
        case Never():
            return place.point != "never"
    return False


def _resolve(program: ResolvedScript, deriver: Deriver) -> None:
    """Resolve what is called, and derive the library's probes that come along."""
    scripts = sum(not script.tapset for script in program.scripts)
    while program.called or scripts < len(program.scripts):
        if program.called:
            body = program.next_called()
            _fold_function(program, body)
            Resolver(program, body).run()
        else:
            _derive_script(program, deriver, program.scripts[scripts])
            scripts += 1


def _fold_function(program: ResolvedScript, body: Body) -> None:
    folder = _folder(program, None, constants=False)
    body.blocks = tuple(ScopedBlock(b.script, folder.block(b.block)) for b in body.blocks)
    if body.function is not None and body.blocks:
        declaration = body.function.declaration
        body.function.declaration = replace(declaration, body=body.blocks[0].block)


# --- results ----------------------------------------------------------------------------------


def _display(program: ResolvedScript, targets: Targets) -> list[Body]:
    """The probes that print globals which are written but never read."""
    used = usage(program.bodies())
    place = targets.expand([PointPart("end")])
    if isinstance(place, NoMatch):
        return []
    owners = {d: script for script in program.scripts for d in script.definitions}
    displays = []
    for variable in program.named_globals():
        variable.read = variable in used.read
        variable.written = variable in used.written
        owner = owners.get(variable.declaration)  # what C declares is none of the script's
        if owner is not None and variable.user and variable.written and not variable.read:
            displays.append(_display_body(program, variable, owner, place[0]))
    return displays


def _display_body(
    program: ResolvedScript, variable: GlobalVariable, owner: ast.Script, place: Expansion
) -> Body:
    block = ScopedBlock(owner, autoprint.display(variable))
    at = variable.declaration.token
    derived = Derived(place, "end", at, at, "keyword", (block,), (), origins=("end",))
    body = Body((block,), derived=derived, places=(derived,))
    Resolver(program, body).run()
    Inference(program).run([body])
    return body


def _typed(program: ResolvedScript, displays: list[Body]) -> Typed:
    used = usage([*program.bodies(), *displays])
    kept = used.read | used.written
    if program.options.unoptimized:
        kept |= program.referenced.keys()
    variables = []
    for variable in program.named_globals():
        if variable in kept:
            if variable.size is not None and variable.keys is None:
                continue
            _override(program, variable)
            variables.append(variable)
    known = {variable.name for variable in program.globals.values()}
    for name in sorted(program.options.globals_.keys() - known):
        program.sink.report(
            errors.warning(
                errors.Message(
                    "unknown-global-option", f"Ignoring unknown module option '{name}'"
                )
            )
        )
    functions = [body.function for body in program.bodies() if body.function is not None]
    probes = _in_order(program.probes)
    probes += [replace(probe, made=True) for probe in _in_order(displays)]
    embedded = (d for script in program.scripts for d in script.definitions)
    own = (d for script in program.scripts if not script.tapset for d in script.definitions)
    return Typed(
        tuple(variables),
        tuple(functions),
        tuple(probes),
        _limits(program.options),
        tuple(d.code for d in embedded if isinstance(d, ast.Embedded)),
        tuple(own),
    )


def _override(program: ResolvedScript, variable: GlobalVariable) -> None:
    """Apply `-G name=value`."""
    text = program.options.globals_.get(variable.name)
    if text is None or not variable.user:
        return
    if variable.type is Type.LONG:
        try:
            variable.initial = int(text, 0)
        except ValueError:
            message = errors.Message(
                "bad-global-option", f"-G {variable.name} needs a number, not '{text}'"
            )
            declaration = variable.declaration
            program.sink.report(
                errors.semantic(message, declaration.token, describe(declaration))
            )
    elif variable.type is Type.STRING:
        variable.initial = script_text(text)


def _limits(options: AnalyseOptions) -> dict[str, int]:
    limits = {}
    for name, text in options.defines.items():
        try:
            limits[name] = int(text, 0)
        except ValueError:
            continue
    return limits


def _in_order(bodies: Sequence[Body]) -> list[ProbeInfo]:
    """All that bodies are run at, in the order of the script."""
    found = [(place.number, probe) for body in bodies for place, probe in _probe_infos(body)]
    return [probe for _, probe in sorted(found, key=lambda one: one[0])]


def _probe_infos(body: Body) -> Iterator[tuple[Derived, ProbeInfo]]:
    condition: ast.Expr | None = None
    for scoped in body.conditions:
        condition = scoped.expr if condition is None else _both(body, scoped.expr, condition)
    blocks = tuple(block.block for block in body.blocks)
    for derived in body.places:
        yield (
            derived,
            ProbeInfo(
                derived.expansion,
                script_text(derived.expansion.own_name),
                derived.script_point,
                derived.span,
                blocks,
                condition,
                body.facts,
                _listed(derived),
                derived.origins,
                derived.optional,
                written=derived.own,
            ),
        )


def _listed(derived: Derived) -> str:
    """Where a probe is: points of the session as they are written, others by what was found."""
    expansion = derived.expansion
    if isinstance(expansion.attachment, MarkerAttachment):
        return script_text(expansion.own_name)
    return f"{derived.script_point}{derived.suffix}"


def _both(body: Body, left: ast.Expr, right: ast.Expr) -> ast.Expr:
    both = ast.Binary("&&", left, right, span=left.span, token=left.token)
    body.facts.types[both] = Type.LONG
    return both
