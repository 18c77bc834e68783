"""A program that uses all that `bridge` offers, for the type checker: it is never run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import assert_type

import bridge


def scripts(path: Path) -> None:
    options = bridge.AnalyseOptions(arguments=("5",), defines={"MAXSTRINGLEN": "64"})
    try:
        program: bridge.Program = bridge.compile(path, options)
    except bridge.CompileError as error:
        found: tuple[bridge.Diagnostic, ...] = tuple(error.diagnostics)
        for one in found:
            assert_type(one.severity, bridge.Severity)
            print(one.code, one.message, one.hint, one.span)
        raise
    program.save(path.with_suffix(".mbp"))
    stored: bridge.StoredProgram = bridge.load_program(path.with_suffix(".mbp"))
    print(stored.name, stored.attach("true", seconds=1.0))
    replayed: bridge.Replayed = program.replay(path)
    assert_type(replayed.result, bridge.RunResult)
    pieces: bridge.Replayed = program.replay_pieces([path], workers=2, each=True)
    print(pieces.text, replayed.text, replayed.messages, program.name, program.options)
    with program.attach(["app"], trace=path, seconds=1.5, events=1 << 20) as session:
        running(session)
    for attachment in program.attachments(pid=1):
        attached(attachment)


def running(session: bridge.Session) -> None:
    for line in session:
        assert_type(line, bridge.Line)
        assert_type(line.text + line.bytes.decode(), str)
    for hit in [*session.events(), *session.waiting_hits()]:
        assert_type(hit, bridge.Hit)
        argument: bridge.Argument = hit.arguments["arg1"]
        print(hit.name, hit.timestamp_ns, hit.cpu, hit.pid, hit.tid, hit.comm, argument)
    for batch in session.batches(gather=0.1):
        assert_type(batch, bridge.Batch)
        print(len(batch), batch.timestamp_ns, batch.arguments, batch.unreadable)
    session.on("shop:order", lambda hit: print(hit.marker))
    assert_type(session.run(), bridge.RunResult)
    assert_type(session.lost, bridge.Lost)
    value: bridge.GlobalValue = session.globals["n"]
    if isinstance(value, bridge.Statistic):
        buckets: tuple[bridge.Bucket, ...] = value.histogram or ()
        print(value.avg, [bucket.count for bucket in buckets])
    picture: bridge.Figure = bridge.show(value, title="n")
    print(
        picture.svg, session.fileno(), session.over, session.messages, session.waiting_lines()
    )
    session.stop()


async def asynchronous(session: bridge.Session) -> int:
    return sum([hit.pid async for hit in session.events_async()])


def attached(attachment: bridge.Attachment) -> None:
    places: tuple[bridge.Place, ...] = attachment.places
    for number, place in enumerate(places):
        print(place.path, place.build_id, place.offset, place.ref_ctr_offset)
        for argument in attachment.arguments:
            assert_type(argument, bridge.AttachedArgument)
            words: str | None = argument.event_words(number)
            print(where(argument.operand(number)), words, place.event_words())
    for handler in attachment.handlers:
        assert_type(handler, bridge.AttachedHandler)
        reads: tuple[bridge.Read, ...] = handler.reads
        print(handler.where, [read.text for read in reads])


def globals_of(one: bridge.AttachedGlobal) -> str:
    return f"{one.name} {one.type} {one.keys} {one.held}"


def where(operand: bridge.Operand) -> object:
    match operand:
        case bridge.Register(name=name, size=size):
            return name, size
        case bridge.Memory(base=base, displacement=displacement):
            return base, displacement
        case bridge.Constant(value=value):
            return value
        case bridge.RawArgument() | bridge.TracepointField() | bridge.RecordedField():
            return operand
        case bridge.SavedRegister() | bridge.LoadBias():
            return operand
        case _:
            return None


def markers(path: Path) -> None:
    ours: bridge.PythonMarker = bridge.marker("shop", "order", "%d %s")
    ours(1, "plum")
    print(ours.enabled(), ours.path)
    for one in [*bridge.markers(pid=1), *bridge.markers_of(path)]:
        assert_type(one, bridge.Marker)
        assert_type(one.kind, bridge.Kind)
        sites: tuple[bridge.Site, ...] = one.sites
        semaphores: list[bridge.Semaphore | None] = [site.semaphore for site in sites]
        kernel: bridge.KernelPlace | None = one.kernel
        sampling: bridge.Sampling | None = one.sampling
        for variable in one.arguments:
            assert_type(variable, bridge.Variable)
            assert_type(variable.type, bridge.ValueType)
        print(semaphores, kernel, sampling, one.begins, one.readable)


def traces(path: Path) -> None:
    selection = bridge.Selection(names=["sched_*"], cpus=[0])
    with bridge.open_trace(path) as trace:
        reader: bridge.Reader = trace
        for event in reader:
            assert_type(event, bridge.Event)
            value: bridge.Value = event.fields["id"]
            print(event.event_class.name, value)
        tables: dict[str, bridge.Columns] = bridge.columns(reader, ["*"], selection)
        statistics: dict[str, bridge.StreamStatistics] = reader.statistics()
        print(tables, statistics, reader.format, reader.attributes, reader.diagnostics)
        print(selection.range_ns(), selection.has_name("sched_switch"), selection.has_cpu(0))
        print(selection.has_stream("channel0_0", "channel0"), reader.event_classes)
        bridge.show(tables)
        for table in tables.values():
            print(table.to_arrow(), table.to_pandas(), table.to_polars())
        reader.close()
    with bridge.open_trace(path) as trace, bridge.LttWriter(path, version="0.8") as ltt:
        writer: bridge.Writer = ltt
        ltt.declare(trace.event_classes.values())
        for event in trace:
            writer.write(event)
    with bridge.open_trace(path) as trace, bridge.CtfWriter(path, version=2) as ctf:
        ctf.write(trace)
        writes = bridge.EventWriter(ctf, next(iter(trace.event_classes.values())))
        writes(id=1)
        writes.at(1, {"id": 2}, cpu=0)
        ctf.close()


def diagnostics(error: bridge.CompileError) -> None:
    sources = bridge.SourceMap()
    source: bridge.Source = sources.add("shop.stp", "probe begin {}")
    for one in error.diagnostics:
        here: bridge.Span = one.span.to(one.span)
        where: bridge.SourceLocation | None = sources.place(here)
        if where is not None and sources.source(here) is source:
            assert_type(source.place(here.start), bridge.SourceLocation)
            print(where.line, source.line(where.line), source.line_starts())
        print(bridge.render(one, sources))


def types() -> list[bridge.FieldType]:
    integer = bridge.Integer(32, signed=True)
    field = bridge.Field("id", integer)
    return [integer, bridge.Text(), bridge.Struct((field,))]


OTHERS = (
    bridge.Clock, bridge.Enumeration, bridge.EventClass, bridge.EventWriter, bridge.FileOffset,
    bridge.FixedArray, bridge.Float, bridge.Kept, bridge.Optional, bridge.Ranges,
    bridge.Sequence, bridge.Source, bridge.SourceLocation, bridge.SourceMap, bridge.Span,
    bridge.Spec, bridge.Variant, bridge.render,
)  # fmt: skip


def main() -> int:
    try:
        scripts(Path(sys.argv[1]))
    except (bridge.HostError, bridge.ProgramError, bridge.TraceError) as error:
        print(error)
    except bridge.BridgeError:
        return 1
    return 0
