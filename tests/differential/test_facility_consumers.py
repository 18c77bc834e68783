"""Each form of a description is accepted by what it is for."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from uuid import UUID

import pytest

import bridge
from bridge import CtfWriter
from bridge.cli.front import dispatch
from bridge.describe import ctf2, tsdl
from bridge.facility import model as fac
from bridge.facility.parse import parse
from bridge.facility.writers import barectf, c_header, lttng_ust, tapset
from bridge.trace.ctf import json_writer
from bridge.trace.ltt.facility_payload import event_payload
from bridge.trace.model import Event, EventClass
from tests.support.facility_texts import ALL, EVERY_TYPE

pytestmark = pytest.mark.tools

ROOT = Path(__file__).parents[2]
NOBODY = 65534
WARNINGS = ("-Wall", "-Wextra", "-Werror")
INCLUDE = f"-I{ROOT}/csrc/include"


def only(text: str) -> fac.Facility:
    (facility,) = parse(text, "f.xml", strict=True)
    return facility


def stock(reference: Path) -> list[fac.Facility]:
    """Those of August 2007 that a generator takes."""
    folder = reference / "facilities" / "2007"
    paths = sorted(folder.glob("*.xml"))
    return [only(path.read_bytes().decode("latin-1")) for path in paths]


def succeeds(*command: object, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


CALLS = """#include "f.h"
int main(void)
{
	unsigned long values[2] = { 7, 8 };
	lttng_array_user_all_lists_four four = { 1, 2, 3, 4 };
	lttng_sequence_user_all_lists_items items;
	struct lttng_point point = { 1, 2 };
	union lttng_user_all_deep_q q;
	char raw[3] = { 1, 2, 3 };

	items.len = 2;
	items.array = values;
	q.w = 9;
	trace_user_all_numbers(-1, 2, -3, 4, -5, 6, -7, 8, 9, -10);
	trace_user_all_fixed(-1, -2, 3, 4);
	trace_user_all_texts("text", raw);
	trace_user_all_modes(LTTNG_WRITE, LTTNG_A);
	trace_user_all_lists(&items, four);
	trace_user_all_nothing();
	trace_user_all_reals(1.5f, 2.5);
	trace_user_all_deep(&point, &q);
	trace_user_all_raw_param_buffer(raw, sizeof(raw));
	return trace_user_all_network(80);
}
"""


@pytest.mark.parametrize(
    "compiler", ["gcc -std=c11", "clang -std=c11", "g++ -std=c++17", "clang++ -std=c++17"]
)
def test_headers_compile(compiler: str, tmp_path: Path) -> None:
    (tmp_path / "f.h").write_text(c_header.write(only(ALL)))
    suffix = "cc" if "++" in compiler else "c"
    (tmp_path / f"main.{suffix}").write_text(CALLS)
    command = (*compiler.split(), *WARNINGS, "-O1", INCLUDE, f"main.{suffix}", "-o", "main")
    succeeds(*command, folder=tmp_path)
    notes = succeeds("readelf", "-nW", "main", folder=tmp_path)
    names = re.findall(r"Name: (\w+)", notes)
    assert names == [event.name for event in only(ALL).events]


@pytest.mark.shared
@pytest.mark.parametrize("compiler", ["gcc -std=c11", "clang++ -x c++ -std=c++17"])
def test_headers_of_stock_facilities_compile(
    compiler: str, reference: Path, tmp_path: Path
) -> None:
    facilities = stock(reference)
    assert len(facilities) == 21
    for number, facility in enumerate(facilities):
        (tmp_path / f"{number}.h").write_text(c_header.write(facility))
        (tmp_path / f"{number}.c").write_text(f'#include "{number}.h"\nint number{number};\n')
    files = [f"{number}.c" for number in range(len(facilities))]
    command = (*compiler.split(), *WARNINGS, INCLUDE, "-fsyntax-only", *files)
    succeeds(*command, folder=tmp_path)


def test_c_layouts_are_those_that_we_say(tmp_path: Path) -> None:
    """The header's struct and what the description says about 64 bits."""
    (tmp_path / "f.h").write_text(c_header.write(only(ALL)))
    (tmp_path / "main.c").write_text(
        '#include "f.h"\n_Static_assert(sizeof(struct lttng_point) == 16, "");\n'
        '_Static_assert(_Alignof(struct lttng_point) == 8, "");\n'
        '_Static_assert(sizeof(union lttng_user_all_deep_q) == 8, "");\n'
        '_Static_assert(sizeof(lttng_sequence_user_all_lists_items) == 16, "");\n'
        '_Static_assert(sizeof(lttng_array_user_all_lists_four) == 16, "");\n'
    )
    succeeds("gcc", "-std=c11", INCLUDE, "-fsyntax-only", "main.c", folder=tmp_path)


@pytest.mark.shared
def test_tapsets_are_scripts(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "all.stp"
    facilities = [*stock(reference), only(ALL)]
    texts = [tapset.write(facility) for facility in facilities]
    path.write_text("\n".join([*texts, "probe begin { exit() }"]))
    assert dispatch(["check", "-p", "1", str(path)]) == 0, capsys.readouterr().err
    aliases = re.findall(r"^probe [\w.]+ =", capsys.readouterr().out, re.MULTILINE)
    assert len(aliases) == sum(len(facility.events) for facility in facilities)


VALUES: dict[str, dict[str, object]] = {
    "texts": {"text": "two words", "class": 0x1234},
    "modes": {"mode": 2, "own": 0},
    "lists": {"items": [7, 8, 9], "four": [1, -2, 3, -4]},
    "fixed": {"a": -1, "c": -2, "d": 1 << 63, "o": 5},
    "reals": {"f": 1.5, "d": -2.25},
    "nested": {"parts": [{"n": 1, "l": [5]}, {"n": 2, "l": [6, 7]}]},
}


NESTED = """<event name="nested"><field name="parts"><array size="2"><struct>
  <field name="n"><uint/></field>
  <field name="l"><sequence><uchar/><short/></sequence></field>
</struct></array></field></event></facility>"""
SHOWN = [
    "fixed: { cpu_id = 0 }, { a = -1, c = -2, d = 9223372036854775808, o = 5 }",
    'texts: { cpu_id = 0 }, { text = "two words", class = 0x1234 }',
    'modes: { cpu_id = 0 }, { mode = ( "WRITE" : container = 2 ),'
    ' own = ( "A" : container = 0 ) }',
    "lists: { cpu_id = 0 }, { items_length = 3, items = [ [0] = 7, [1] = 8, [2] = 9 ],"
    " four = [ [0] = 1, [1] = -2, [2] = 3, [3] = -4 ] }",
    "reals: { cpu_id = 0 }, { f = 1.5, d = -2.25 }",
    "nested: { cpu_id = 0 }, { parts = [ [0] = { n = 1, l_length = 1, l = [ [0] = 5 ] },"
    " [1] = { n = 2, l_length = 2, l = [ [0] = 6, [1] = 7 ] } ] }",
]


def trace_of(folder: Path) -> tuple[fac.Facility, UUID]:
    """A trace by our writer; the facility that its events are of, the trace's UUID."""
    facility = only(EVERY_TYPE.replace("</facility>", NESTED))
    kept = tuple(event for event in facility.events if event.name in VALUES)
    facility = fac.Facility(facility.name, kept, facility.types)
    sizes = tsdl.sizes(facility, 8)
    with CtfWriter(folder / "trace") as out:
        for number, event in enumerate(kept):
            name = f"{facility.name}:{event.name}"
            class_ = EventClass(name, number, event_payload(facility, event, sizes))
            out.write(Event(class_, 1000 + number, 0, 0, "channel_0", VALUES[event.name]))
    uuid = re.search(r'uuid = "([^"]*)"', (folder / "trace" / "metadata").read_text())
    assert uuid is not None
    return facility, UUID(uuid[1])


def events_shown(folder: Path) -> list[str]:
    shown = succeeds("babeltrace2", "trace", folder=folder).splitlines()
    return [line.partition("user_all:")[2] for line in shown]


def test_tsdl_is_metadata_of_real_traces(tmp_path: Path) -> None:
    """Events that our writer wrote, read by babeltrace2 over the facility's own metadata."""
    facility, uuid = trace_of(tmp_path)
    text = tsdl.write(facility).replace(str(tsdl.uuid(facility)), str(uuid))
    (tmp_path / "trace" / "metadata").write_text(text)
    assert events_shown(tmp_path) == SHOWN


def _reads_ctf2() -> bool:
    if shutil.which("babeltrace2") is None:
        return False
    shown = subprocess.run(["babeltrace2", "--version"], capture_output=True, check=False)
    version = re.search(rb"Babeltrace (\d+)\.(\d+)", shown.stdout)
    return version is not None and (int(version[1]), int(version[2])) >= (2, 1)


@pytest.mark.skipif(not _reads_ctf2(), reason="needs babeltrace2 2.1, the first to read CTF 2")
def test_ctf2_is_metadata_of_real_traces(tmp_path: Path) -> None:
    facility, uuid = trace_of(tmp_path)
    preamble, *rest = ctf2.fragments(facility)
    fragments = [preamble | {"uuid": list(uuid.bytes)}, *rest]
    text = "".join(f"{ctf2.SEPARATOR}{json.dumps(fragment)}\n" for fragment in fragments)
    (tmp_path / "trace" / "metadata").write_text(text)
    assert events_shown(tmp_path) == SHOWN


def test_ctf2_is_a_sequence_of_json_texts() -> None:
    texts = ctf2.write(only(EVERY_TYPE)).split(json_writer.SEPARATOR)
    assert texts[0] == ""
    kinds = [json.loads(text)["type"] for text in texts[1:]]
    assert kinds[:4] == ["preamble", "clock-class", "trace-class", "data-stream-class"]
    assert kinds[4:] == ["event-record-class"] * 7


@pytest.mark.shared
def test_tsdl_of_stock_facilities(reference: Path, tmp_path: Path) -> None:
    """babeltrace2 reads the metadata of each; it finds no stream and is content."""
    for number, facility in enumerate(stock(reference)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "metadata").write_text(tsdl.write(facility))
    succeeds("babeltrace2", *sorted(tmp_path.iterdir()), folder=tmp_path)


def test_metadata_that_is_wrong_is_seen(tmp_path: Path) -> None:
    """That the test before this one can fail."""
    (tmp_path / "metadata").write_text(
        tsdl.write(only(EVERY_TYPE)).replace("uint64_t", "nt", 3)
    )
    done = subprocess.run(["babeltrace2", tmp_path], capture_output=True, check=False)
    assert done.returncode != 0


needs_lttng_ust = pytest.mark.skipif(
    not any(Path("/usr/include").glob("**/lttng/tracepoint.h")), reason="needs lttng-ust"
)
TRACED = """#include "tp.h"
int main(void)
{
	static const unsigned long items[2] = { 7, 8 };
	static const int four[4] = { 1, -2, 3, -4 };

	lttng_ust_tracepoint(user_all, fixed, -1, -2, 3, 4);
	lttng_ust_tracepoint(user_all, texts, "two words", (void *)0x1234);
	lttng_ust_tracepoint(user_all, modes, 2, 0);
	lttng_ust_tracepoint(user_all, lists, 2, items, four);
	lttng_ust_tracepoint(user_all, nothing);
	lttng_ust_tracepoint(user_all, reals, 1.5f, -2.25);
	return 0;
}
"""
SESSION = """set -e
export HOME=$PWD LTTNG_HOME=$PWD LTTNG_UST_REGISTER_TIMEOUT=-1
lttng-sessiond --background --no-kernel --pidfile $PWD/pid
trap 'kill $(cat $PWD/pid)' EXIT
lttng -q create one --output=$PWD/trace
lttng -q enable-event -u 'user_all:*'
lttng -q start
./main
lttng -q stop
lttng -q destroy
"""


def build_traced(folder: Path) -> None:
    (folder / "tp.h").write_text(lttng_ust.write(only(EVERY_TYPE), "./tp.h"))
    (folder / "tp.c").write_text(
        "#define LTTNG_UST_TRACEPOINT_CREATE_PROBES\n#define LTTNG_UST_TRACEPOINT_DEFINE\n"
        '#include "tp.h"\n'
    )
    (folder / "main.c").write_text(TRACED)
    command = ("gcc", *WARNINGS, "-I.", "main.c", "tp.c", "-llttng-ust", "-o", "main")
    succeeds(*command, folder=folder)


@needs_lttng_ust
def test_lttng_ust_compiles(tmp_path: Path) -> None:
    build_traced(tmp_path)


@needs_lttng_ust
@pytest.mark.root
@pytest.mark.skipif(shutil.which("lttng-sessiond") is None, reason="needs lttng-tools")
def test_lttng_ust_records() -> None:
    """A session daemon of another user, so that none of the machine's is disturbed."""
    # /tmp itself, for sockets' names are short and pytest's folders are closed to others
    with tempfile.TemporaryDirectory(prefix="mb-ust-", dir="/tmp") as name:
        folder = Path(name)
        build_traced(folder)
        for path in (folder, *folder.iterdir()):
            os.chown(path, NOBODY, NOBODY)
        drop = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        succeeds(*drop, "sh", "-c", SESSION, folder=folder)
        with bridge.open_trace(folder / "trace") as trace:
            found = {e.event_class.name.partition(":")[2]: e.fields for e in trace}
    assert list(found) == ["fixed", "texts", "modes", "lists", "nothing", "reals"]
    assert found["fixed"] == {"a": -1, "c": -2, "d": 3, "o": 4}
    assert found["texts"] == {"text": "two words", "class_": 0x1234}
    assert found["modes"] == {"mode": 2, "own": 0}
    assert found["lists"]["items"] == [7, 8]
    assert found["lists"]["four"] == [1, -2, 3, -4]
    assert found["reals"] == {"f": 1.5, "d": -2.25}


@pytest.mark.skipif(shutil.which("barectf") is None, reason="needs barectf 3.1")
def test_barectf_generates(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(barectf.write(only(EVERY_TYPE)))
    succeeds("barectf", "generate", "f.yaml", folder=tmp_path)
    succeeds("gcc", "-c", "barectf.c", folder=tmp_path)
