"""Forms that a description is written in: round trips, and what a form cannot say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.cli.front import dispatch
from bridge.describe.read import read
from bridge.errors import TraceError
from bridge.facility import model
from bridge.facility.layout import ByteLayout, layout
from bridge.facility.parse import parse
from bridge.facility.writers import barectf, c_header, lttng_ust, markers, tapset, xml
from bridge.facility.writers import json as json_writer
from tests.support.facility_texts import ALL, EVERY_TYPE


def only(text: str) -> model.Facility:
    (facility,) = parse(text, "f.xml")
    return facility


def of_field(inner: str, *, name: str = "x") -> model.Facility:
    return only(
        f'<facility name="f"><event name="e"><field name="{name}">{inner}</field></event>'
        "</facility>"
    )


def test_xml_of_every_type_is_the_same_facility() -> None:
    facility = only(ALL)
    assert only(xml.write(facility)) == facility


@pytest.mark.parametrize("name", ['a"b', "a\nb"])
def test_names_that_xml_cannot_hold(name: str) -> None:
    facility = model.Facility(name, ())
    with pytest.raises(TraceError, match="cannot be written"):
        xml.write(facility)


def test_json_says_sizes_and_alignments() -> None:
    (numbers, *_) = json.loads(json_writer.write(only(ALL)))["events"]
    layouts = {field["name"]: field["layout"] for field in numbers["fields"]}
    assert layouts["ul"] == {
        "32": {"size": 4, "alignment": 4},
        "64": {"size": 8, "alignment": 8},
    }
    assert numbers["line"] == 11


@pytest.mark.parametrize(
    ("inner", "small", "large"),
    [
        ("<uchar/>", (1, 1), (1, 1)),
        ("<string/>", (4, 4), (8, 8)),
        ('<array size="3"><ushort/></array>', (6, 2), (6, 2)),
        ("<sequence><uchar/><ulong/></sequence>", (8, 4), (16, 8)),
        (
            '<struct><field name="a"><uchar/></field><field name="b"><long/></field>'
            '<field name="c"><short/></field></struct>',
            (12, 4),
            (24, 8),
        ),
        (
            '<union><field name="a"><uint_fixed size="8"/></field>'
            '<field name="b"><array size="9"><char/></array></field></union>',
            (16, 8),
            (16, 8),
        ),
    ],
)
def test_layouts(inner: str, small: tuple[int, int], large: tuple[int, int]) -> None:
    facility = of_field(inner)
    kind = facility.events[0].members[0].type
    assert layout(facility, kind, 4) == ByteLayout(*small)
    assert layout(facility, kind, 8) == ByteLayout(*large)


def test_marker_formats(tmp_path: Path) -> None:
    """What is written is read back as the same fields."""
    facility = only(EVERY_TYPE)
    plain = tuple(e for e in facility.events if e.name in ("numbers", "fixed", "texts"))
    written = markers.write(model.Facility("user_all", plain))
    first, second, third = written.splitlines()
    assert second == "fixed\tuser_all\ta #1d%d c #4d%d d #8u%llu o %ld"
    assert third == "texts\tuser_all\ttext %s class %p"
    path = tmp_path / "Module.markers"
    path.write_text(written)
    ((again,), _) = read(path)
    assert [e.name for e in again.events] == ["numbers", "fixed", "texts"]
    words = [m.type.word for m in again.events[0].members if isinstance(m.type, model.Scalar)]
    assert words[2:] == ["short", "ushort", "int", "uint", "long", "ulong", "size_t", "ssize_t"]
    assert "%hd" in first


@pytest.mark.parametrize("inner", ['<float size="4"/>', "<struct></struct>"])
def test_what_marker_formats_cannot_say(inner: str) -> None:
    with pytest.raises(TraceError, match="event e, field x: a marker format has integers"):
        markers.write(of_field(inner))


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        ("<struct></struct>", "no structs and unions"),
        ("<sequence><uint/><string/></sequence>", "arrays of integers only"),
        ('<array size="2"><struct></struct></array>', "arrays of integers only"),
    ],
)
def test_what_lttng_ust_cannot_say(inner: str, message: str) -> None:
    with pytest.raises(TraceError, match=f"event e, field x: .*{message}"):
        lttng_ust.write(of_field(inner))


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        ("<union></union>", "no union in events"),
        ('<uint_fixed size="2" byte_order="network"/>', "no fields of another byte order"),
    ],
)
def test_what_barectf_cannot_say(inner: str, message: str) -> None:
    with pytest.raises(TraceError, match=f"event e, field x: .*{message}"):
        barectf.write(of_field(inner))


def test_more_arguments_than_a_marker_has() -> None:
    fields = "".join(f'<field name="x{n}"><int/></field>' for n in range(13))
    facility = only(f'<facility name="f"><event name="e">{fields}</event></facility>')
    for write in (c_header.write, tapset.write):
        with pytest.raises(TraceError, match="event e needs 13 arguments; a marker has 12"):
            write(facility)


def test_names_of_genevent() -> None:
    text = c_header.write(only(ALL))
    for expected in (
        "static inline int trace_user_all_texts(\n\t\tconst char *lttng_param_text,\n"
        "\t\tconst void *lttng_param_class_)",
        "enum lttng_mode {\n\tLTTNG_READ = 1,\n\tLTTNG_WRITE = 2,\n\tLTTNG_odd_name = -3,\n"
        "\tLTTNG_odd_name_2 = 9,\n};",
        "struct lttng_point {\n\tint x;\n\tuint64_t y;\n};",
        "typedef int lttng_array_user_all_lists_four[4];",
        "lttng_sequence_user_all_lists_items *lttng_param_items",
        "int trace_user_all_raw_param_buffer(\n\t\tchar *buffer,\n\t\tsize_t reserve_size)",
    ):
        assert expected in text


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "all.xml", tmp_path / "out"
    source.write_text(ALL)
    for form in ("xml", "json", "tapset", "c-header", "tsdl"):
        assert dispatch(["facility", str(source), "--to", form, "-o", str(out)]) == 0
        assert out.read_bytes()
    out.unlink()
    assert dispatch(["facility", str(source), "--to", "barectf", "-o", str(out)]) == 1
    message = f"error: {source}: event deep, field p: barectf has no struct in events"
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_the_command_reads_provider_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "a.d"
    source.write_text(
        "typedef unsigned long long row_t;\n#define Number unsigned int\n"
        "provider a { probe x(const char *sql, row_t, Number n, void *p, char **v); };\n"
        "provider b { };\n"
    )
    assert dispatch(["facility", str(source), "--to", "json"]) == 2
    assert "describes a, b; --name says which" in capsys.readouterr().err
    assert dispatch(["facility", str(source), "--to", "json", "--name", "a"]) == 0
    (event,) = json.loads(capsys.readouterr().out)["events"]
    assert [(f["name"], f["of"]) for f in event["fields"]] == [
        ("sql", {"type": "string"}),
        ("arg2", {"type": "uint_fixed", "size": "8"}),
        ("n", {"type": "uint"}),
        ("p", {"type": "pointer"}),
        ("v", {"type": "pointer"}),
    ]
    source.write_text("provider a {\n probe x(strange_t);\n};\n")
    assert dispatch(["facility", str(source), "--to", "json"]) == 1
    message = f"{source}:2: probe x: the type strange_t is not explained"
    assert message in capsys.readouterr().err


def test_a_file_of_no_known_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "a"
    source.write_text("#!/bin/sh\necho\n")
    assert dispatch(["facility", str(source), "--to", "json"]) == 1
    assert "no facility file, provider file, format file" in capsys.readouterr().err


def test_format_files_of_tracefs(tmp_path: Path) -> None:
    folder = tmp_path / "events" / "sched" / "sched_switch"
    folder.mkdir(parents=True)
    (folder / "format").write_text(
        "name: sched_switch\nID: 316\nformat:\n"
        "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
        "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"
        "\tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:0;\n"
        "\tfield:pid_t prev_pid;\toffset:24;\tsize:4;\tsigned:1;\n"
        "\tfield:const void * at;\toffset:32;\tsize:8;\tsigned:0;\n"
        "\tfield:__data_loc char[] name;\toffset:40;\tsize:4;\tsigned:0;\n"
        "\tfield:__data_loc u32[] ids;\toffset:44;\tsize:4;\tsigned:0;\n\n"
        'print fmt: "%s", REC->prev_comm\n'
    )
    ((facility,), _) = read(folder / "format")
    (event,) = facility.events
    assert (facility.name, event.name) == ("sched", "sched_switch")
    byte = model.Scalar("uint_fixed", "1")
    assert {m.name: m.type for m in event.members} == {
        "prev_comm": model.Array(16, byte),
        "prev_pid": model.Scalar("int_fixed", "4"),
        "at": model.Scalar("pointer"),
        "name": model.Scalar("string"),
        "ids": model.Sequence(model.Scalar("ushort"), model.Scalar("uint_fixed", "4")),
    }


def test_markers_of_a_kernel(tmp_path: Path) -> None:
    path = tmp_path / "Module.markers"
    path.write_text(
        "kernel_sched_wakeup\tvmlinux\tpid %d state %ld ## rq %p\n"
        "pm_idle_entry vmlinux irqstate #1%d\nno_arguments\tdrivers/net/tun\t \n"
        "net_dev_xmit vmlinux skb %p protocol #n2u%hu\n"
    )
    (vmlinux, tun), _ = read(path)
    assert (vmlinux.name, tun.name) == ("vmlinux", "tun")
    assert [e.name for e in vmlinux.events] == [
        "kernel_sched_wakeup",
        "pm_idle_entry",
        "net_dev_xmit",
    ]
    assert vmlinux.events[1].members == ()
    assert vmlinux.events[2].members[1].type == model.Scalar("uint_fixed", "2", network=True)
    assert tun.events[0].members == ()


def test_two_formats_of_one_marker(tmp_path: Path) -> None:
    path = tmp_path / "Module.markers"
    path.write_text("a vmlinux x %d\na vmlinux x %d\na vmlinux x %ld\n")
    with pytest.raises(TraceError, match=":3: a has another format than in line 1"):
        read(path)


def test_markers_of_a_kernel_with_channels(tmp_path: Path) -> None:
    """Where the channel stands before the name, kbuild wrote it for the name, and no format."""
    path = tmp_path / "Module.markers"
    path.write_text(
        "fs\tvmlinux\texec\nfs\tvmlinux\topen\nfs\text4\topen\nkernel\tvmlinux\tirq_entry\n"
    )
    found, notes = read(path)
    assert [(f.name, [e.name for e in f.events]) for f in found] == [
        ("fs", ["exec", "open"]),
        ("kernel", ["irq_entry"]),
    ]
    assert "no fields are known" in notes[0]
