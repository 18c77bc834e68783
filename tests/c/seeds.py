"""Traces and programs -> first inputs for the libFuzzer targets.

`python -m tests.c.seeds OUT [FOLDER]` writes a folder for each target.

Each target takes the tables that Python makes of a description, then the bytes of the streams
(`fuzz_ltt.c`, `fuzz_ctf.c` and `fuzz_record.c` say in which order). Small traces of every
generation are made here; FOLDER holds genuine ones as `ltt/*.tar.gz` and `ctf/*/`. The rule:
an input holds the classes that occur in it, and no more than `MOST` bytes of a stream.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from bridge._native import ffi
from bridge.diagnostics import Sink
from bridge.errors import TraceError
from bridge.formats.dwarf import SECTIONS
from bridge.probes.dwarf.debug import DebugFile
from bridge.probes.dwarf.sections import content as section_content
from bridge.probes.elf import ElfFile, open_elf
from bridge.trace import convert
from bridge.trace.ctf.cursor import Plan, native_description, stream_files
from bridge.trace.ctf.reader import load_plan
from bridge.trace.ltt import open_ltt
from bridge.trace.ltt.cursor import LttCursor, StreamFile, Tables, class_tables, layout_struct
from bridge.trace.ltt.write import WriteOptions
from bridge.trace.open import open_trace
from bridge.world import LiveWorld
from tests.support.ltt import old

ROOT = Path(__file__).resolve().parents[2]
MOST = 6144
STREAMS = 3
NONE = 0xFFFFFFFF


def number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")


def raw(cdata: object, count: int, kind: str) -> bytes:
    """The bytes of `count` C structures."""
    size = count * ffi.sizeof(kind)
    return bytes(ffi.buffer(cdata, size)) if size else b""


# --- LTT --------------------------------------------------------------------------------------


def _cut(stream: StreamFile, where: Path) -> StreamFile:
    """The same stream of which only the beginning is there."""
    path = where / stream.path.name
    path.write_bytes(stream.path.read_bytes()[:MOST])
    return replace(stream, path=path)


def _used(tables: Tables) -> list[int]:
    rows, _, _ = LttCursor(tables).count()
    return sorted({index for row in rows for index in row if index != NONE})


def ltt_input(tables: Tables) -> bytes:
    """The input that makes `fuzz_ltt` read these streams."""
    with tempfile.TemporaryDirectory() as folder:
        small = replace(tables, streams=[_cut(s, Path(folder)) for s in tables.streams])
        small.streams.sort(key=lambda s: -s.path.stat().st_size)
        del small.streams[STREAMS:]
        used = _used(small)
        classes = [tables.classes[i] for i in used]
        ids = {
            number: used.index(i)
            for s in small.streams
            for number, i in s.ids.items()
            if i in used
        }
        return _ltt_bytes(small.streams, classes, {n: i for n, i in ids.items() if n < 1020})


def _ltt_bytes(streams: list[StreamFile], classes: list, ids: dict[int, int]) -> bytes:
    rows = classes + classes[:1] * (-len(classes) % 4)
    c_classes, c_ops, count = class_tables(rows)
    names = [ids.get(n, NONE) for n in range(max(ids, default=-1) + 1)]
    names += [NONE] * (-len(names) % 4)
    data = [s.path.read_bytes() for s in streams]
    head = number(len(streams) - 1, 1) + number(len(rows) // 4, 1) + number(len(names) // 4, 1)
    head += number(count, 2)
    for stream, content in zip(streams, data, strict=True):
        head += raw(layout_struct(stream.layout), 1, "struct mb_ltt_layout")
        head += number(len(content), 4)
    tables = b"".join(number(n, 4) for n in names)
    tables += raw(c_classes, len(rows), "struct mb_ltt_class")
    tables += raw(c_ops, count, "struct mb_ltt_op")
    return head + tables + b"".join(data)


def ltt_traces(where: Path) -> Iterable[Path]:
    """Small traces of every generation that somebody here can write."""
    for big in (False, True):
        path = where / f"x{big}"
        old.write_x(path, cpus=1, blocks=2, block_bytes=1024, big=big)
        yield path
        for log_cpu, use_tsc in ((False, True), (True, False)):
            path = where / f"k{big}{log_cpu}" / "trace.0"
            path.parent.mkdir()
            old.write_k(
                path, blocks=2, block_bytes=1024, big=big, log_cpu=log_cpu, use_tsc=use_tsc
            )
            yield path.parent
    for version in ("2.6", "0.8", "0.7"):
        for big, aligned in ((False, True), (True, False)):
            path = where / f"{version}{big}"
            options = WriteOptions(version, 4 if big else 8, big, aligned, 4096)
            with open_trace(ROOT / "examples" / "orders.trace") as reader:
                convert.to_ltt(reader, path, options)
            yield path


# --- CTF --------------------------------------------------------------------------------------


def ctf_input(folder: Path, plan: Plan | None = None) -> bytes:
    """The input that makes `fuzz_ctf` read the streams of a folder."""
    d, _alive = native_description(plan or load_plan(folder))
    streams = [path.read_bytes()[:MOST] for path in stream_files(folder)][:STREAMS]
    head = number(len(streams) - 1, 1) + number(d.stream_class_count, 1)
    head += number(d.clock_count, 1)
    for count in (d.event_class_count, d.op_count, d.range_count, d.variables):
        head += number(count, 2)
    head += number(d.big, 1) + number(d.has_uuid, 1) + bytes(ffi.buffer(d.uuid))
    head += number(d.packet_header.first, 4) + number(d.packet_header.count, 4)
    rows = raw(d.ops, d.op_count, "struct mb_ctf_op")
    rows += raw(d.ranges, d.range_count, "struct mb_ctf_range")
    rows += raw(d.stream_classes, d.stream_class_count, "struct mb_ctf_stream_class")
    rows += raw(d.event_classes, d.event_class_count, "struct mb_ctf_event_class")
    rows += raw(d.clocks, d.clock_count, "struct mb_ctf_clock")
    sizes = b"".join(number(len(data), 4) for data in streams)
    return head + rows + sizes + b"".join(streams)


# --- records ----------------------------------------------------------------------------------

LONG, CHECKED, TEXT = 1, 2, 3
FAULT = 0xFFFFFFFF


def _record(hook: int, slots: list[int | bytes | None], time_ns: int) -> bytes:
    """A record in a ring: bytes are a text, None one that could not be read."""
    at, words, texts = 16 + 8 * len(slots), b"", b""
    for slot in slots:
        if isinstance(slot, int):
            words += slot.to_bytes(8, "little", signed=True)
        elif slot is None:
            words += number(0, 4) + number(FAULT, 4)
        else:
            words += number(at + len(texts), 4) + number(len(slot), 4)
            texts += slot + b"\0"
    texts += bytes(-len(texts) % 8)
    body = number(16 + len(words) + len(texts), 4) + number(hook, 4) + number(time_ns, 8)
    body += words + texts
    return number(len(body), 4) + number(0, 4) + body


def ring_input() -> bytes:
    """The input that makes `fuzz_record` take records of two hooks out of a ring."""
    fields = [(0, LONG), (1, TEXT), (2, CHECKED), (0, TEXT), (1, LONG)]
    hooks = [(0, 3, 4, 0), (3, 2, 1, 2)]
    head = number(0, 1) + number(len(hooks) - 1, 1) + number(len(fields), 1)
    head += b"".join(number(n, 4) for hook in hooks for n in hook)
    head += b"".join(number(n, 4) for field in fields for n in field)
    records = [
        _record(0, [7, b"nail", -1, 0, 1], 1000),
        _record(0, [8, None, 0, -14, 0], 1010),
        _record(1, [b"x" * 90, 1], 1005),
        _record(1, [b"", 0], 2_000_000_000),
    ]
    return head + b"".join(records)


def replay_input(script: Path, folder: Path) -> bytes:
    """The input that makes `fuzz_record` replay a recorded trace."""
    from bridge import compile as compile_script
    from bridge.engine.trace import replay
    from bridge.engine.trace.recording import open_recording, targets_of

    recording = open_recording([folder])
    assert recording.ctf is not None
    placed = compile_script(script)._place(targets_of(recording))
    bound = replay.bind_plan(placed, recording, recording.ctf)
    bindings = ffi.new("struct mb_replay_binding[]", bound.bindings or 1)
    steps = ffi.new("struct mb_replay_step[]", bound.steps or 1)
    head = number(1, 1) + number(len(bound.bindings), 1) + number(len(bound.steps), 1)
    head += raw(bindings, len(bound.bindings), "struct mb_replay_binding")
    head += raw(steps, len(bound.steps), "struct mb_replay_step")
    return head + ctf_input(folder, recording.ctf.plan)


def record_inputs() -> dict[str, bytes]:
    """By name: a ring, and replays of a recording by scripts that take different things."""
    orders = ROOT / "examples" / "orders.trace"
    found = {"ring": ring_input()}
    found["orders"] = replay_input(ROOT / "examples" / "orders.stp", orders)
    with tempfile.TemporaryDirectory() as name:
        script = Path(name) / "all.stp"
        script.write_text(
            'probe process("examples/shop").mark("*")'
            " { println(pp(), pid(), tid(), execname(), cpu()) }"
        )
        found["all"] = replay_input(script, orders)
    return found


# --- programs ---------------------------------------------------------------------------------

PROGRAM = """
static volatile int sink;
#define OWN __attribute__((noinline))
OWN int leaf(int x) { char room[x % 64 + 8]; sink = room[x % 8]; return x; }
OWN int middle(int x) { return leaf(x) + leaf(x + 1) * 3; }
int _start(void) { return middle(sink); }
"""
FLAGS = {
    "plain": ["-O0"],
    "fast": ["-O2", "-fomit-frame-pointer"],
    "debug": ["-O2", "-g0", "-fno-asynchronous-unwind-tables", "-gdwarf-5"],
    "shared": ["-O1", "-shared", "-fPIC"],
    "static": ["-O2", "-static"],
}


def programs(where: Path) -> Iterable[Path]:
    """Small ELF files with symbols and call frame information of every sort."""
    source = where / "program.c"
    source.write_text(PROGRAM)
    for name, flags in FLAGS.items():
        path = where / name
        subprocess.run(
            ["gcc", "-nostdlib", "-Wl,-z,noseparate-code", *flags, source, "-o", path],
            check=True,
        )
        yield path
        stripped = where / f"{name}.stripped"
        subprocess.run(["strip", "-o", stripped, path], check=True)
        yield stripped


# --- debug information ------------------------------------------------------------------------

DEBUGGED = """
struct node { int value : 5; struct node *next; union { long l; char c[8]; } u; };
typedef struct node node_t;
enum colour { RED, GREEN = 7 };
static volatile int sink;
int table[3][4];
static inline __attribute__((always_inline)) int twice(int q)
{ int r = q * 2; return r + sink; }
__attribute__((noinline)) int middle(node_t *n, enum colour c)
{ for (int i = 0; i < c; i++) { int k = twice(n->value + i); sink = k; } return twice(sink); }
int _start(void) { node_t n = { sink, 0, { 4 } }; return middle(&n, GREEN) + table[1][2]; }
"""
SPACE = """
namespace outer
{ struct thing { static int count; int get(int x) const { return x + y; } int y; }; }
extern "C" int _start()
{ outer::thing t{3}; auto f = [&](int x) { return t.get(x); }; return f(2); }
"""
DEBUG_FLAGS = {
    "dwarf2": ["-O1", "-gdwarf-2", "-gstrict-dwarf"],
    "dwarf3": ["-O2", "-gdwarf-3"],
    "dwarf4": ["-O2", "-gdwarf-4"],
    "dwarf5": ["-O2", "-gdwarf-5"],
    "dwarf5-64": ["-O2", "-gdwarf-5", "-gdwarf64"],
    "plain4": ["-O0", "-gdwarf-4"],
    "plain5": ["-O0", "-gdwarf-5"],
    "types4": ["-O2", "-gdwarf-4", "-fdebug-types-section"],
    "types5": ["-O2", "-gdwarf-5", "-fdebug-types-section"],
    "split5": ["-O2", "-gdwarf-5", "-gsplit-dwarf"],
}


def debug_input(path: Path, other: Path | None = None) -> bytes:
    """The input that makes `fuzz_debug` read a program, and what dwz moved out of it."""
    files = [_opened(one) for one in (path, other) if one is not None]
    made = number(len(files) - 1, 1)
    for file in files:
        made += b"".join(_section(file, name) for name in SECTIONS)
    made += _section(files[0], ".debug_frame") + _section(files[0], ".eh_frame")
    native = DebugFile(files[0], files[1] if other is not None else None)
    return made + native.make_index()


def _opened(path: Path) -> ElfFile:
    found = open_elf(str(path), LiveWorld(), Sink())
    assert found is not None
    return found


def _section(file: ElfFile, name: str) -> bytes:
    data = bytes(section_content(file, name))
    return number(len(data), 4) + data


def debugged(where: Path) -> Iterable[tuple[Path, Path | None]]:
    """Small programs with debug information of every version, and their common files."""
    for suffix, text in (("c", DEBUGGED), ("cpp", SPACE)):
        source = where / f"debug.{suffix}"
        source.write_text(text)
        for name, flags in DEBUG_FLAGS.items():
            path = where / f"{suffix}-{name}"
            command = [
                "gcc",
                "-nostdlib",
                "-fno-exceptions",
                *flags,
                source.name,
                "-o",
                path.name,
            ]
            subprocess.run(command, cwd=where, check=True)
            yield path, None
    if shutil.which("dwz") is not None:
        for name in ("c-dwarf4", "c-dwarf5"):
            shutil.copy(where / name, where / f"{name}.2")
            command = ["dwz", "-m", f"{name}.common", name, f"{name}.2"]
            subprocess.run(command, cwd=where, check=True)
            common = where / f"{name}.common"
            yield where / name, common if common.exists() else None


# --- all --------------------------------------------------------------------------------------


def _unpacked(archives: Iterable[Path], where: Path) -> Iterable[Path]:
    for archive in archives:
        folder = where / archive.name.removesuffix(".tar.gz")
        with tarfile.open(archive) as file:
            file.extractall(folder, filter="data")
        yield next((e for e in folder.iterdir() if e.is_dir()), folder)


def _write(out: Path, make: Callable[[Path], bytes], traces: Iterable[Path]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for number_, trace in enumerate(traces):
        try:
            (out / f"{number_:03}-{trace.name}").write_bytes(make(trace))
        except TraceError as error:
            print(f"{trace}: {error}", file=sys.stderr)


def _ltt_of(folder: Path) -> bytes:
    with open_ltt(folder) as reader:
        return ltt_input(reader.tables)


def main() -> None:
    parser = argparse.ArgumentParser(description="first inputs for the libFuzzer targets")
    parser.add_argument("out", type=Path)
    parser.add_argument("folder", type=Path, nargs="?")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        where = Path(name)
        genuine, folders = [], [ROOT / "examples" / "orders.trace"]
        if wanted.folder:
            genuine = list(
                _unpacked(sorted((wanted.folder / "ltt").glob("*.tar.gz")), where / "g")
            )
            folders += sorted(p.parent for p in (wanted.folder / "ctf").rglob("metadata"))
        _write(wanted.out / "fuzz_ltt", _ltt_of, [*ltt_traces(where), *genuine])
        _write(wanted.out / "fuzz_ctf", ctf_input, folders)
        _write(wanted.out / "fuzz_print", ctf_input, folders)
        (wanted.out / "fuzz_record").mkdir(parents=True, exist_ok=True)
        for name_, content in record_inputs().items():
            (wanted.out / "fuzz_record" / name_).write_bytes(content)
        _write(wanted.out / "fuzz_image", Path.read_bytes, list(programs(where)))
        debug = wanted.out / "fuzz_debug"
        debug.mkdir(parents=True, exist_ok=True)
        for path, other in debugged(where):
            name_ = f"{path.name}.dwz" if other else path.name
            (debug / name_).write_bytes(debug_input(path, other))


if __name__ == "__main__":
    main()
