"""Stock facility descriptions and their checksums; oddities of the dialect."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.facility import model
from bridge.facility.checksum import checksum, variants
from bridge.facility.parse import FacilityError, parse

SEPTEMBER_2006 = """core 1A8DE486, fs 40A645EC, fs_data 155CEE69, ipc 14120A9A, kernel 2D7A664A,
kernel_arch_arm 8E8193AC, kernel_arch_c2 8188921E, kernel_arch_i386 BDE45AD9,
kernel_arch_mips 8597B65C, kernel_arch_powerpc E944278C, kernel_arch_ppc E944278C,
kernel_arch_x86_64 18A18187, locking 51595CB2, memory D63D41C7, network 51F19296,
network_ip_interface 7A3120EF, process 2905B6EB, socket 5E76ED18, stack C90868B5,
statedump 5E184DBD, timer 68AB77C3, user_generic B1865E44"""
AUGUST_2007 = """block A2339B96, compact 4CF0025E, core 1212DF53, fs 28706E5, kernel 58E1793A,
kernel_arch_arm C0016D51, kernel_arch_c2 8188921E, kernel_arch_i386 8426F058,
kernel_arch_mips 298A7FAE, kernel_arch_powerpc B5234F2E, kernel_arch_ppc B5234F2E,
kernel_arch_sh FE4607BF, kernel_arch_x86_64 D32D5145, list 4DA5EA7A, locking 89053D28,
mm FED0A2F0, net 4BF8A6A8, stack_arch_x86_64 C531E98B, stack_arch_i386 3B3C768C,
user_generic B1865E44, xen C454D23D"""
EVENTS = {"2006": 96, "2007": 158}


def read(path: Path) -> list[model.Facility]:
    return parse(path.read_bytes().decode("latin-1"), path.name)


@pytest.mark.shared
@pytest.mark.parametrize(("year", "table"), [("2006", SEPTEMBER_2006), ("2007", AUGUST_2007)])
def test_checksums_of_stock_facilities(year: str, table: str, reference: Path) -> None:
    pairs = dict(entry.split() for entry in table.split(","))
    found, events = {}, 0
    for name in pairs:
        (facility,) = read(reference / "facilities" / year / f"{name}.xml")
        found[name] = f"{checksum(facility, formats=year == '2006'):X}"
        events += len(facility.events)
    assert found == pairs
    assert events == EVENTS[year]


@pytest.mark.shared
def test_descriptions_that_are_no_xml(reference: Path) -> None:
    """All stock files of January 2006 are malformed, and read."""
    paths = sorted((reference / "facilities" / "2006-01").glob("*.xml"))
    assert len(paths) == 12
    for path in paths:
        (facility,) = read(path)
        assert facility.events


@pytest.mark.shared
def test_the_test_file_of_the_generator(reference: Path) -> None:
    """Its line 103 says `<typeref name=""irq_mode"">`: the name is the empty string.

    The generator, too, found no type of that name and gave up there. All else is accepted.
    """
    path = reference / "facilities" / "2006" / "not-xml-test.xml"
    with pytest.raises(FacilityError, match=r"not-xml-test\.xml:103: a name is missing"):
        read(path)
    (facility,) = parse(path.read_text().replace('""irq_mode""', '"irq_mode"'))
    assert [e.name for e in facility.events][-3:] == ["irq_entry", "irq_exit", "big_array"]
    assert len(facility.events) == 11
    assert list(facility.types) == ["tasklet_priority", "irq_mode", "mystruct2", "mystruct"]


def only(text: str) -> model.Facility:
    (facility,) = parse(text)
    return facility


def test_slashes_may_be_missing() -> None:
    text = "<facility name=f><event name=e><field name=a><uint_fixed size=4><field>"
    assert only(text + "<event><facility>") == only(
        '<?xml version="1.0"?><facility name="f"> /* C */ <event name="e">'
        '<field name="a"><uint_fixed size="4"/></field></event> // comment\n</facility>'
    )


def test_several_documents() -> None:
    one = (
        '<?xml version="1.0"?>\n'
        '<facility name="a"><description>x &lt; y</description></facility>'
    )
    other = one.replace('"a"', '"b"')
    both = parse(f"{one}\n{other}\n")
    assert [(f.name, f.description) for f in both] == [("a", "x &lt; y"), ("b", "x &lt; y")]


def test_labels_and_their_values() -> None:
    facility = only(
        '<facility name="f"><type name="t"><enum><label name="A" value="3"/>'
        '<description>three</description><label name="B"/><label name="C" value="010"/>'
        '<label name="D" value="0x1f"/></enum></type>'
        '<event name="e"><field name="x"><typeref name="t"/></field></event></facility>'
    )
    kind = facility.resolve(facility.events[0].members[0].type)
    assert isinstance(kind, model.Enum)
    assert [(x.name, x.value) for x in kind.labels] == [("A", 3), ("B", 4), ("C", 8), ("D", 31)]
    assert kind.labels[0].description == "three"


def test_format_counts_in_one_variant() -> None:
    plain = (
        '<facility name="f"><event name="e"><field name="x"><int/></field></event></facility>'
    )
    shown = plain.replace("<int/>", '<int format="%d"/>')
    assert checksum(only(plain)) == checksum(only(shown), formats=False)
    assert checksum(only(plain)) != checksum(only(shown))
    assert checksum(only(plain)) in variants(only(shown))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<facility>", "1: a name is missing"),
        (
            '<facility name="f">\n<event name="e"><field name="x"><strange/>',
            "2: expected a type",
        ),
        ('<facility name="f"><!-- no --></facility>', "unexpected character '!'"),
        (
            '<facility name="f"><event name="e"><field name="x"><typeref name="t"/>'
            "</field></event></facility>",
            "type t is not declared",
        ),
        (
            '<facility name="f"><type name="t"><array size="2"><typeref name="t"/></array>'
            "</type>"
            "</facility>",
            "contains itself",
        ),
        (
            '<facility name="f"><event name="e"><field name="x"><array size="0"><int/></array>',
            "an array needs a size",
        ),
        (
            '<facility name="f"><event name="e"><field name="x"><sequence><int/><int/>'
            "</sequence>",
            "counted by an unsigned integer",
        ),
        (
            '<facility name="f"><event name="e"><field name="x">'
            + '<struct><field name="x">' * 99,  # deep
            "nested too deeply",
        ),
    ],
)
def test_errors_name_the_line(text: str, message: str) -> None:
    with pytest.raises(FacilityError, match=message):
        parse(text)


def test_nested_arrays_are_bounded() -> None:
    """Named types double with each level; such a description is refused, not expanded."""
    levels = '<type name="t0"><array size="60000"><struct></struct></array></type>'
    for n in range(1, 20):
        inner = f'<typeref name="t{n - 1}"/>'
        levels += f'<type name="t{n}"><array size="60000">{inner}</array></type>'
    event = '<event name="e"><field name="x"><typeref name="t19"/></field></event>'
    with pytest.raises(FacilityError, match="event e has more than"):
        parse(f'<facility name="f">{levels}{event}</facility>')
