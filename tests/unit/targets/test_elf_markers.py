"""Markers of old kernels and of LTTng-UST in ELF files, which the compiler lays out here."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.errors import BridgeError
from bridge.probes.elf_markers import OldMarker, read_markers

STRUCTURES = {
    "Linux 2.6.24": "const char *name, *format; char state; void *call, *private;",
    "Linux 2.6.25-2.6.28": """const char *name, *format; char state, ptype; void *call;
        struct { void *f, *d; } single; void *multi;""",
    "Linux 2.6.29-2.6.31": """const char *name, *format; char state, ptype; void *call;
        struct { void *f, *d; } single; void *multi; const char *tp_name; void *tp_cb;""",
    "LTTng patches": """const char *channel, *name, *format; char state, ptype;
        unsigned short channel_id, event_id; void *call; struct { void *f, *d; } single;
        void *multi; const char *tp_name; void *tp_cb;""",
    "patches before 2.6.24": "const char *name, *format; int flags; void *call, *pdata;",
}
MARKERS = [
    ("sched_schedule", "prev_pid %d next_pid %d prev_state #2d%ld"),
    ("irq_entry", "irq_id #2u%u kernel_mode #1u%u"),
    ("block_plug", " "),
]
BUILDS = {
    "object": ["-c"],
    "module": ["-c", "-mcmodel=kernel", "-fno-pic"],
    "linked": ["-nostdlib", "-static", "-no-pie", "-Wl,-e,0"],
    "library": ["-nostdlib", "-shared", "-fPIC"],
}


def _source(kind: str) -> str:
    members = STRUCTURES[kind]
    section = "__markers_data" if kind.startswith("patches") else "__markers"
    types = {"LTTng patches": "aligned(128)", "patches before 2.6.24": "packed"}
    of_type = types.get(kind, "aligned(8)")
    lines = [f"struct marker {{ {members} }} __attribute__(({of_type}));"]
    aligned = {"LTTng patches": "aligned(128)", "patches before 2.6.24": "used"}
    of_variable = aligned.get(kind, "aligned(8)")
    for name, text in MARKERS:
        joined = f"{name}\\0{text}"
        if kind.startswith("LTTng"):
            joined = f"kernel\\0{joined}"
        strings = f"static const char __mstrtab_{name}[] __attribute__((section"
        lines.append(f'{strings}("__markers_strings"))) = "{joined}";')
        skip = 7 if kind.startswith("LTTng") else 0
        channel = f".channel = __mstrtab_{name}, " if skip else ""
        lines.append(
            f'struct marker __mark_{name} __attribute__((section("{section}"), {of_variable}))'
            " = {"
            f" {channel}.name = __mstrtab_{name} + {skip},"
            f" .format = __mstrtab_{name} + {skip + len(name) + 1}, .call = (void *)main }};"
        )
    return "int main(void) { return 0; }\n" + "\n".join(lines) + "\n"


def _compile(folder: Path, source: str, *options: str) -> Path:
    code, made = folder / "markers.c", folder / "markers.o"
    code.write_text(source)
    subprocess.run(["gcc", "-w", code, *options, "-o", made], check=True)
    return made


def _read(path: Path) -> list[OldMarker]:
    with path.open("rb") as stream:
        found = read_markers(stream, str(path))
    assert found.notes == []
    return found.markers


@pytest.mark.tools
@pytest.mark.parametrize("word", ["-m64", "-m32"])
@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("kind", STRUCTURES)
def test_structures_of_every_version(tmp_path: Path, kind: str, build: str, word: str) -> None:
    options = [o for o in BUILDS[build] if word == "-m64" or "mcmodel" not in o]
    found = _read(_compile(tmp_path, _source(kind), word, *options))

    channel = "kernel" if kind == "LTTng patches" else ""
    assert [(m.kind, m.channel, m.name, m.format) for m in found] == [
        (kind, channel, name, text) for name, text in MARKERS
    ]


@pytest.mark.tools
def test_symbols_of_the_first_versions(tmp_path: Path) -> None:
    source = """int x; void hit(void) {
    asm volatile("__mark_sched_wakeup: nop; __mark_kprobe_fork_entry: nop");
    asm volatile(".globl __mark_fs_open_call\\n__mark_fs_open_call: nop\\n"
                 "__mark_fs_open_jump_over: nop\\n__mark_fs_open_jump_inline: nop"); }
    void __mark_empty_function(void) {}"""
    found = _read(_compile(tmp_path, source, "-c"))

    assert {(m.kind, m.name) for m in found} == {
        ("Markers 0.2-0.3 (symbol)", "sched_wakeup"),
        ("Markers 0.4-0.7 (symbol for kprobes)", "fork_entry"),
        ("Markers 0.4-0.7 (dynamic probe loader)", "fs_open"),
    }


@pytest.mark.tools
@pytest.mark.parametrize(
    "broken",
    [
        'struct { char text[40]; } m __attribute__((section("__markers"))) = { "nonsense" };',
        'long m[5] __attribute__((section("__markers"))) = { 1, 2, 3 };',
        'char *m[5] __attribute__((section("__markers"))) = { "1 no name", "%d" };',
        'char m[41] __attribute__((section("__markers"))) = { 1 };',
    ],
)
def test_what_is_no_marker_is_said(tmp_path: Path, broken: str) -> None:
    with _compile(tmp_path, broken, "-c").open("rb") as stream:
        found = read_markers(stream, "x")

    assert found.markers == []
    assert "structures of no known version" in found.notes[0]


@pytest.mark.tools
def test_damage_is_an_error_of_ours(tmp_path: Path) -> None:
    data = _compile(tmp_path, _source("Linux 2.6.24"), "-c").read_bytes()
    for at in range(0, len(data), 7):
        for piece in (data[:at], data[:at] + b"\xff" * 8 + data[at + 8 :]):
            with contextlib.suppress(BridgeError):  # anything else fails the test
                read_markers(io.BytesIO(piece), "x")


UST = """#undef TRACEPOINT_PROVIDER
#define TRACEPOINT_PROVIDER shop
#undef TRACEPOINT_INCLUDE
#define TRACEPOINT_INCLUDE "./shop.h"
#if !defined(SHOP_H) || defined(TRACEPOINT_HEADER_MULTI_READ)
#define SHOP_H
#include <lttng/tracepoint.h>
TRACEPOINT_EVENT(shop, order, TP_ARGS(int, id, char *, what),
    TP_FIELDS(ctf_integer(int, id, id) ctf_string(what, what)))
TRACEPOINT_EVENT(shop, pay, TP_ARGS(long, cents), TP_FIELDS(ctf_integer(long, cents, cents)))
#endif
#include <lttng/tracepoint-event.h>
"""
PROGRAM = """#define TRACEPOINT_CREATE_PROBES
#define TRACEPOINT_DEFINE
#include "shop.h"
int main(void) { tracepoint(shop, order, 3, "tea"); tracepoint(shop, pay, 9L); return 0; }
"""


@pytest.mark.tools
@pytest.mark.skipif(
    not list(Path("/usr/include").glob("**/lttng/tracepoint.h")), reason="no liblttng-ust-dev"
)
def test_tracepoints_of_lttng_ust(tmp_path: Path) -> None:
    (tmp_path / "shop.h").write_text(UST)
    made = _compile(tmp_path, PROGRAM, f"-I{tmp_path}", "-llttng-ust", "-ldl")
    found = sorted(_read(made), key=lambda one: one.name)

    assert [(m.channel, m.name, m.format) for m in found] == [
        ("shop", "order", "int, id, char *, what"),
        ("shop", "pay", "long, cents"),
    ]
    assert [m.function for m in found] == [
        f"lttng_ust__event_probe__shop___{name}" for name in ("order", "pay")
    ]


OLD_UST = """struct tracepoint { const char *name; int state; void *probes; int *ref;
  const char *signature; char padding[16]; } __attribute__((aligned(32)));
struct tracepoint t __attribute__((section("__tracepoints")))
  = { "shop:order", 0, 0, 0, "int, id" };
struct tracepoint *p __attribute__((section("__tracepoints_ptrs"), used)) = &t;
void __event_probe__shop___order(void *data, int id) {}
"""


@pytest.mark.tools
@pytest.mark.parametrize("build", ["object", "linked", "library"])
def test_tracepoints_of_lttng_ust_before_2_13(tmp_path: Path, build: str) -> None:
    (one,) = _read(_compile(tmp_path, OLD_UST, *BUILDS[build]))

    assert (one.kind, one.channel, one.name) == ("LTTng-UST 2.0-2.12", "shop", "order")
    assert (one.format, one.function) == ("int, id", "__event_probe__shop___order")


@pytest.mark.tools
def test_the_command_lists_a_file(tmp_path: Path) -> None:
    made = _compile(tmp_path, _source("LTTng patches"), "-c")
    command = [sys.executable, "-m", "bridge", "list", made]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stderr == ""
    point = 'kernel.mark("kernel.irq_entry").format("irq_id #2u%u kernel_mode #1u%u")'
    assert done.stdout.splitlines()[1] == f"{point}  # LTTng patches"
