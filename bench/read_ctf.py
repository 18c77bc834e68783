"""Reading a fresh trace of LTTng-UST beside babeltrace2: four classes, two contexts.

`python -m bench.read_ctf [EVENTS]` prints the table (10 million by default). All figures are
processor time per event, of whole processes where the peer is one. It needs LTTng's daemon
and headers, babeltrace2 and its Python bindings.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

from bench.table import Row, show
from bridge import compile as compile_script
from bridge.engine.trace import replay as engine
from bridge.trace.columns import columns as columns_of
from bridge.trace.ctf.cursor import EVENT_BYTES
from bridge.trace.ctf.metadata import unpack
from bridge.trace.ctf.printed import text_pieces
from bridge.trace.ctf.reader import CtfReader
from bridge.trace.ctf.text import TextOptions
from bridge.trace.open import open_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EVENTS = 10_000_000
FEW = 200_000
"""Events for what takes microseconds each."""
CLASSES = 20_000
REPEATS = 3
HERE = Path(__file__).resolve().parent
TOOLS = ("lttng", "lttng-sessiond", "babeltrace2", "gcc")
COUNTING = """
global ticks, sells, sizes
probe process.provider("shop").mark("tick") { ticks++ }
probe process.provider("shop").mark("sell") { sells++ }
probe process.provider("shop").mark("pack") { sizes <<< $kind }
probe end { println(ticks, " ", sells, " ", @count(sizes)) }
"""
OF_BT2 = """
import bt2, sys, time
wanted = int(sys.argv[2])
count = seen = 0
start = time.process_time()
for message in bt2.TraceCollectionMessageIterator(sys.argv[1]):
    if type(message) is bt2._EventMessageConst:
        event = message.event
        event.id, message.default_clock_snapshot.ns_from_origin
        for fields in (event.common_context_field, event.payload_field):
            for name, value in fields.items():
                seen += value is not None
        count += 1
        if count >= wanted:
            break
print((time.process_time() - start) / count * 1e9)
"""


def missing() -> str:
    """What of the tools is not there."""
    return " ".join(tool for tool in TOOLS if shutil.which(tool) is None)


def record(where: Path, events: int) -> Path:
    """A trace that LTTng made of a program that hits its tracepoints."""
    program = where / "shop"
    source = HERE / "ust" / "shop.c"
    command = ["gcc", "-O2", "-I", str(HERE / "ust"), str(source), "-o", str(program)]
    subprocess.run([*command, "-llttng-ust", "-ldl"], check=True)
    out = where / "trace"
    home = {**os.environ, "LTTNG_HOME": str(where), "LTTNG_UST_ALLOW_BLOCKING": "1"}

    def lttng(*words: str) -> None:
        subprocess.run(["lttng", *words], check=True, env=home, capture_output=True)

    pid = where / "sessiond.pid"  # not written where a daemon runs already
    daemon = ["lttng-sessiond", "-d", "--no-kernel", "-p", str(pid)]
    subprocess.run(daemon, check=False, env=home, capture_output=True)
    lttng("create", "bench", f"--output={out}")
    channel = ["enable-channel", "-u", "c", "--subbuf-size=1M", "--num-subbuf=8"]
    lttng(*channel, "--blocking-timeout=inf")
    lttng("enable-event", "-u", "-c", "c", "shop:*")
    lttng("add-context", "-u", "-c", "c", "-t", "vtid", "-t", "procname")
    lttng("start")
    subprocess.run([str(program), str(events)], check=True, env=home)
    lttng("destroy")
    if pid.exists():
        os.kill(int(pid.read_text()), signal.SIGTERM)
    return next(path.parent for path in out.rglob("metadata"))


def _used(command: list[str], output: int | None = subprocess.DEVNULL) -> float:
    """Seconds of processor time that a process takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=output)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _command(*words: str) -> list[str]:
    return [str(Path(sys.executable).with_name("markbridge")), *words]


def _inside(measure: str, trace: Path) -> float:
    """What a function of this module measures in a process of its own."""
    command = [sys.executable, "-m", "bench.read_ctf", f"--{measure}", str(trace)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


# --- measured in a process of their own -------------------------------------------------------


def decode(trace: Path) -> float:
    """ns per event for all fields of all events, in order of time."""
    with CtfReader(trace) as reader:
        start = process_time()
        count = sum(len(events) // EVENT_BYTES for events, _ in reader.cursor().buffers())
        return (process_time() - start) / count * 1e9


def iterate(trace: Path) -> float:
    """ns per event in Python, with all fields."""
    with open_trace(trace) as reader:
        start = process_time()
        seen = sum(len(event.fields) + len(event.context) for event in islice(reader, FEW))
        assert seen
        return (process_time() - start) / FEW * 1e9


def columns(trace: Path) -> float:
    """ns per event of one class, all its fields as arrays."""
    with open_trace(trace) as reader:
        start = process_time()
        found = columns_of(reader, "shop:tick")
        return (process_time() - start) / len(found["shop:tick"]) * 1e9


def opening(trace: Path) -> float:
    """Milliseconds to open, the reader's own imports included."""
    start = process_time()
    with open_trace(trace):
        return (process_time() - start) * 1e3


def resident(trace: Path) -> float:
    """MB of memory of its own at most, with all events printed."""
    most = 0
    with CtfReader(trace) as reader:
        for piece, _ in text_pieces([reader], TextOptions()):
            most = max(most, _anonymous()) if len(piece) else most
    return most / 1024


def _anonymous() -> int:
    """kB that are no file's."""
    rows = Path("/proc/self/status").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("RssAnon"))


def replay(trace: Path) -> float:
    """ns per event for a script that counts."""
    run_session, taken = engine.run_session, []

    def timed(*arguments: object) -> object:
        start = process_time()
        result = run_session(*arguments)  # type: ignore[arg-type]
        taken.append(process_time() - start)
        return result

    engine.run_session = timed  # type: ignore[assignment]
    result = compile_script(COUNTING).replay(trace)
    counts = [int(word) for word in result.text.split()]
    return taken[0] / (sum(counts) / 3 * 4) * 1e9


MEASURES = {f.__name__: f for f in (decode, iterate, columns, opening, resident, replay)}


def many_classes(trace: Path, where: Path) -> Path:
    """The same streams, described with many classes more."""
    text = unpack((trace / "metadata").read_bytes(), "metadata")[0].decode("latin-1")
    integer = "integer { size = 32; align = 8; signed = 1; encoding = none; base = 10; }"
    rows = [
        f'event {{ name = "more:event_{n}"; id = {n}; stream_id = 0; loglevel = 13;'
        f" fields := struct {{ {integer} _n; string _item; {integer} _of_{n}; }}; }};\n"
        for n in range(4, CLASSES)
    ]
    out = where / "many"
    out.mkdir()
    (out / "metadata").write_text(text + "".join(rows), encoding="latin-1")
    (out / "c_0").symlink_to(trace / "c_0")
    return out


# --- rows -------------------------------------------------------------------------------------


def _against(
    what: str, ours: Callable[[], float], peers: list[float], peer: str, times: float
) -> Row:
    measured = [ours() for _ in range(REPEATS)]
    return Row(what, "ns/event", measured, peers, peer, 1 / times)


def _beside_babeltrace2(trace: Path, events: int) -> Iterator[Row]:
    per_event = 1e9 / events
    dummy = [
        per_event * _used(["babeltrace2", str(trace), "-c", "sink.utils.dummy"])
        for _ in range(REPEATS)
    ]
    text = [per_event * _used(["babeltrace2", str(trace)]) for _ in range(REPEATS)]

    def read(*options: str) -> float:
        return per_event * _used(_command("read", *options, str(trace)))

    yield _against("CTF: count per name", lambda: read("--stats"), dummy, "dummy sink", 30)
    yield _against(
        "CTF: decode all fields", lambda: _inside("decode", trace), dummy, "dummy sink", 20
    )
    yield _against("CTF: text", read, text, "text", 4)
    yield _against("CTF: JSON lines", lambda: read("--format", "json"), text, "text", 2)


def _beside_bt2(trace: Path) -> Iterator[Row]:
    script = ["/usr/bin/python3", "-c", OF_BT2, str(trace), str(FEW)]
    done = subprocess.run(script, check=True, capture_output=True, text=True)
    peers = [float(done.stdout)]
    yield _against("CTF: Python iteration", lambda: _inside("iterate", trace), peers, "bt2", 15)
    of_class = [4 * value for value in peers]  # every fourth event is of the class
    yield _against(
        "CTF: columns of one class", lambda: _inside("columns", trace), of_class, "bt2", 100
    )


def _limits(trace: Path, where: Path, events: int) -> Iterator[Row]:
    def limited(what: str, unit: str, measured: list[float], limit: float) -> Row:
        return Row(what, unit, measured, [limit], "limit", 1)

    counting = [_inside("replay", trace) for _ in range(REPEATS)]
    yield limited("CTF: counting script", "ns/event", counting, 20)
    converting = []
    for number in range(REPEATS):
        out = where / f"converted{number}"
        command = _command("convert", str(trace), str(out), "--to", "ctf-2")
        converting.append(_used(command) * 1e9 / events)
        shutil.rmtree(out)
    yield limited("CTF: 1.8 to 2", "ns/event", converting, 200)
    code = (
        "import sys, time; from pathlib import Path; start = time.process_time();"
        " from bridge.trace.open import open_trace; open_trace(Path(sys.argv[1]));"
        " print((time.process_time() - start) * 1e3)"
    )
    opened = []
    for _ in range(REPEATS):
        command = [sys.executable, "-c", code, str(trace)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        opened.append(float(done.stdout))
    yield limited("CTF: open, new process", "ms", opened, 100)
    many = many_classes(trace, where)
    opened = [_inside("opening", many) for _ in range(1)]
    yield limited(f"CTF: open, {CLASSES} classes", "ms", opened, 1000)
    yield limited("CTF: own memory, printing", "MB", [_inside("resident", trace)], 100)


def run(events: int = EVENTS) -> Iterator[Row]:
    """All measurements; none where tools are missing."""
    if lacking := missing():
        print(f"reading CTF is left out, it needs {lacking}", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as name:
        where = Path(name)
        trace = record(where, events)
        yield from _beside_babeltrace2(trace, events)
        yield from _beside_bt2(trace)
        yield from _limits(trace, where, events)


def main() -> int:
    words = sys.argv[1:]
    if words[:1] and words[0].removeprefix("--") in MEASURES:
        print(MEASURES[words[0].removeprefix("--")](Path(words[1])))
        return 0
    return 0 if show(run(int(words[0]) if words else EVENTS)) else 1


if __name__ == "__main__":
    sys.exit(main())
