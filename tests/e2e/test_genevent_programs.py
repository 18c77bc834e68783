"""Programs written for LTT's generated headers: compiled unchanged, traced by field name.

Our own have every manner of those of 2006. The genuine ones (`sample*.c` and
`ltt-instrument-functions.c` of ltt-usertrace) are not kept here: who wants them tested puts
them into the folder MARKBRIDGE_GENEVENT.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.trace.open import open_trace
from tests.conftest import ROOT

if TYPE_CHECKING:
    from tests.support.command import Runner

pytestmark = pytest.mark.bpf

FACILITY = """<?xml version="1.0"?>
<facility name="user_generic">
  <event name="string"><field name="data"><string/></field></event>
  <event name="string_pointer">
    <field name="string"><string/></field><field name="pointer"><pointer/></field></event>
  <event name="slow_printf" param="buffer"><field name="string"><string/></field></event>
  <event name="function_entry" attribute="no_instrument_function">
    <field name="this_fn"><pointer/></field><field name="call_site"><pointer/></field></event>
  <event name="function_exit" attribute="no_instrument_function">
    <field name="this_fn"><pointer/></field><field name="call_site"><pointer/></field></event>
  <event name="thread_brand" attribute="high_priority">
    <field name="name"><string/></field></event>
</facility>
"""
PROGRAM = """#define LTT_TRACE
#define LTT_TRACE_FAST
#define LTT_BLOCKING 1
#include <ltt/ltt-usertrace-fast.h>
#include <ltt/ltt-facility-user_generic.h>
#include <ltt/ltt-facility-custom-user_generic.h>
#include "ltt/ltt-facility-loader-user_generic.h"

static void *thread(void *place)
{
	ltt_thread_init();
	trace_user_generic_thread_brand("worker");
	trace_user_generic_string_pointer("shared", place);
	return NULL;
}

void __attribute__((noinline)) work(int number);
void work(int number)
{
	trace_user_generic_function_entry((void *)0x1111, (void *)(0x2000ul + number));
	trace_user_generic_string(number ? "again" : "first");
	trace_user_generic_slow_printf("round %d of %s", number, "two");
}

int main(void)
{
	pthread_t other;

	pthread_create(&other, NULL, thread, (void *)0xabcd);
	pthread_join(other, NULL);
	work(0);
	work(1);
	return LTT_FACILITY_NUM_EVENTS - facility_user_generic_num_events +
		(int)LTT_FACILITY_SYMBOL + event_user_generic_string;
}
"""
SCRIPT = """
probe user_generic.string_ { printf("%s %s\\n", name, data) }
probe user_generic.string_pointer { printf("%s %s %x\\n", name, string_, pointer) }
probe user_generic.slow_printf { printf("%s %s %d\\n", name, string_, buffer_len) }
probe user_generic.function_entry { printf("%s %x %x\\n", name, this_fn, call_site) }
probe user_generic.thread_brand { printf("%s %s\\n", name, name_) }
"""
SHOWN = """thread_brand worker
string_pointer shared abcd
function_entry 1111 2000
string first
slow_printf round 0 of two 15
function_entry 1111 2001
string again
slow_printf round 1 of two 15
"""


@pytest.fixture
def generated(run: Runner, tmp_path: Path) -> Path:
    """A folder with all headers in `ltt`, and the tapset."""
    source = tmp_path / "user_generic.xml"
    source.write_text(FACILITY)
    for folder in ("ltt", "tapset"):
        (tmp_path / folder).mkdir()
    out = (("c-header", tmp_path / "ltt"), ("tapset", tmp_path / "tapset" / "generic.stp"))
    for form, path in out:
        assert run("facility", source, "--to", form, "-o", path).code == 0
    return tmp_path


def build(folder: Path, *words: object) -> Path:
    command = [*map(str, words), f"-I{folder}", f"-I{ROOT}/csrc/include", "-O2", "-no-pie"]
    subprocess.run([*command, "-o", "program"], cwd=folder, check=True)
    return folder / "program"


def own(folder: Path, *compiler: str) -> Path:
    (folder / "main.c").write_text(PROGRAM)
    loader = "ltt/ltt-facility-loader-user_generic.c"
    return build(folder, *compiler, "-Wall", "-Wextra", "-Werror", "main.c", loader)


def test_files_of_genevent(generated: Path) -> None:
    assert sorted(path.name for path in (generated / "ltt").iterdir()) == [
        "ltt-facility-id-user_generic.h",
        "ltt-facility-loader-user_generic.c",
        "ltt-facility-loader-user_generic.h",
        "ltt-facility-user_generic.h",
    ]
    ids = (generated / "ltt" / "ltt-facility-id-user_generic.h").read_text()
    assert "extern ltt_facility_t ltt_facility_user_generic_B1865E44;" in ids


@pytest.mark.parametrize("compiler", ["gcc -std=gnu11", "clang -std=gnu17"])
def test_a_program_of_that_time(run: Runner, generated: Path, compiler: str) -> None:
    program = own(generated, *compiler.split())
    script = generated / "show.stp"
    script.write_text(SCRIPT)

    done = run("run", "-I", generated / "tapset", script, "-c", program)

    assert (done.code, done.err, done.out) == (0, "", SHOWN)


def test_values_are_the_same_in_every_recording(run: Runner, generated: Path) -> None:
    """Addresses of texts are those of a program that is always at the same place."""
    program = own(generated, "gcc")
    found = {}
    for form in ("ltt-0.7", "ltt-0.8", "ltt-2.6", "ctf"):
        trace = generated / form
        points = [f'process("{program}").mark("{m}*")' for m in ("string", "func", "thread")]
        wanted = [word for point in points for word in ("--probe", point)]
        done = run("record", *wanted, "--to", form, trace, "--", program)
        assert done.code == 0, done.err
        with open_trace(trace) as reader:
            found[form] = [
                (event.event_class.name.rpartition(":")[2].rpartition(".")[2], values)
                for event in reader
                if "user_generic" in event.event_class.name
                and (values := [event.fields[f] for f in ("arg1", "arg2") if f in event.fields])
            ]
    assert [name for name, _ in found["ctf"]] == [
        line.split()[0] for line in SHOWN.splitlines() if not line.startswith("slow")
    ]
    assert found["ctf"][2] == ("function_entry", [0x1111, 0x2000])
    for form, events in found.items():
        assert events == found["ctf"], form


SAMPLES = {
    "sample.c": "string Hello world! Have a nice day.",
    "sample-block.c": "string Hello world! Have a nice day.",
    "sample-highspeed.c": "string Running fast!",
    "sample-printf.c": "slow_printf in: sample-printf.c at: main:",
    "sample-thread-brand.c": "thread_brand Sample_brand",
    "sample-thread-fast.c": "string Hello world! Have a nice day.",
    "sample-thread-slow.c": "string Hello world! Have a nice day.",
    "sample-instrument-fct.c": "function_entry",
}
ENDED = """
#include <stdio.h>
#include <unistd.h>
static void __attribute__((constructor, no_instrument_function)) begin(void)
{
	alarm(20);
	freopen("/dev/null", "w", stdout);
	freopen("/dev/null", "w", stderr);
}
"""
"""What ends a program, and keeps it from our outputs: it goes on when the script has ended."""
FIRST = """
probe user_generic.string_ ? { printf("hit %s %s\\n", name, data) exit() }
probe user_generic.slow_printf ? { printf("hit %s %s\\n", name, string_) exit() }
probe user_generic.function_entry ? { printf("hit %s %x\\n", name, this_fn) exit() }
probe user_generic.thread_brand ? { printf("hit %s %s\\n", name, name_) exit() }
"""


@pytest.mark.parametrize(("sample", "shown"), SAMPLES.items())
def test_genuine_programs(run: Runner, generated: Path, sample: str, shown: str) -> None:
    """As they were written; most run until they are stopped."""
    folder = Path(os.environ.get("MARKBRIDGE_GENEVENT", ""))
    if not os.environ.get("MARKBRIDGE_GENEVENT") or not (folder / sample).is_file():
        pytest.skip("MARKBRIDGE_GENEVENT names no folder with this program of ltt-usertrace")
    sources = [folder / sample]
    if sample == "sample-instrument-fct.c":
        sources += [folder / "ltt-instrument-functions.c", "-finstrument-functions"]
    for source in sources[:2]:
        (generated / Path(source).name).write_bytes(Path(source).read_bytes())
    (generated / "ended.c").write_text(ENDED)
    names = ["ended.c", *(Path(source).name for source in sources)]
    program = build(generated, "gcc", "-w", *names)
    script = generated / "first.stp"
    script.write_text(FIRST)

    done = run("run", "-I", generated / "tapset", script, "-c", program)

    assert done.code == 0, done.err
    hits = [line for line in done.out.splitlines() if line.startswith("hit ")]
    assert hits
    assert hits[0].startswith(f"hit {shown}")
