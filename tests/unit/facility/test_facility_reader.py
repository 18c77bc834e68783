"""The reader of facility descriptions: every genuine file, every fault at its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.facility import model
from bridge.facility.checksum import checksum, variants
from bridge.facility.parse import FacilityError, parse
from bridge.facility.writers import xml

REFUSED = {
    "0dfe9d0a2f1b_core.xml": "30: events hold fields, or all of them one struct each",
    "343c4625324a_test.xml": "36: type tasklet_priority is not declared",
    "360ce161bfa7_core.xml": "25: type timestamp is not declared",
    "4669e7ab7f54_socket.xml": "5: expected a type, <field> or </event>, not <descriptiona>",
    "a71ad8b916a3_test.xml": "36: type tasklet_priority is not declared",
    "eb10f722db04_kernel.xml": "36: type tasklet_priority is not declared",
}
"""Genuine files that no generator took, and where those of their time stopped.

Those counted lines from 0, and not within descriptions.
"""

EARLY = {
    "2c27d3c5140d_memory.xml": "42CEDCAA",
    "85dbf4332ccc_process.xml": "C55CF153",
    "a1c76d6cc4af_core.xml": "FE835524",
    "a6e4ec986d9a_timer.xml": "CA6CE876",
    "acbebbf49667_kernel.xml": "491CE5C5",
    "b2448663f710_kernel.xml": "491CE5C5",
    "b9ef60a7129c_socket.xml": "778C5368",
    "bf7eba076851_core.xml": "95173884",
    "c9004d3fc647_core.xml": "9AE9A8E6",
    "f70761e944ab_socket.xml": "4F7591A1",
    "f80f8cb461a1_network.xml": "44381CCC",
}
"""What the generator of September 2005 gave: labels by name, without their values."""

STRICT = {"8499e264f2af_stack_arch_i386.xml", "e08020395701_timer.xml"}
"""Refused for want of a prolog only: the generator of 2007 takes them with one."""


def text_of(path: Path) -> str:
    return path.read_bytes().decode("latin-1")


def only(text: str, *, strict: bool = False) -> model.Facility:
    (facility,) = parse(text, "f.xml", strict=strict)
    return facility


def in_event(inner: str) -> str:
    return f'<facility name="f"><event name="e">{inner}</event></facility>'


@pytest.mark.shared
def test_checksums_of_all_historical_generators(reference: Path) -> None:
    history = reference / "facilities" / "history"
    accepted = 0
    for name, verdict in json.loads((history / "checksums.json").read_text()).items():
        for found in set(verdict["accepted_by"].values()):
            facility = only(text_of(history / name))
            assert found in {f"{x:X}" for x in variants(facility)}, name
            accepted += 1
    assert accepted == 64


@pytest.mark.shared
def test_checksums_of_september_2005(reference: Path) -> None:
    history = reference / "facilities" / "history"
    found = {
        name: f"{checksum(only(text_of(history / name)), old=True, values=False):X}"
        for name in EARLY
    }
    assert found == EARLY


@pytest.mark.shared
def test_files_that_no_generator_took(reference: Path) -> None:
    history = reference / "facilities" / "history"
    verdicts = json.loads((history / "checksums.json").read_text())
    nobodys = [name for name, verdict in verdicts.items() if not verdict["accepted_by"]]
    assert len(nobodys) == 26
    for name in nobodys:
        text = text_of(history / name)
        if name in REFUSED:
            with pytest.raises(FacilityError) as refused:
                parse(text, name)
            assert str(refused.value) == f"{name}:{REFUSED[name]}"
        if name not in STRICT:
            with pytest.raises(FacilityError, match=f"^{name}:[0-9]+: "):
                parse(text, name, strict=True)


@pytest.mark.shared
def test_written_files_parse_to_the_same_facility(reference: Path) -> None:
    count = 0
    for path in sorted((reference / "facilities").rglob("*.xml")):
        if path.name in {*REFUSED, "not-xml-test.xml"}:
            continue
        facility = only(text_of(path))
        again = only(xml.write(facility))
        assert again == facility, path.name
        assert variants(again) == variants(facility), path.name
        count += 1
    assert count == 139


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("0x1F", 31),
        ("-3", -3),
        ("-0x10", -16),
        ("010", 8),
        ("0", 0),
        ('"0x1f"', 31),
        ('"-3"', -3),
        ('"+7"', 7),
        ('""', 0),
    ],
)
def test_values_of_labels(written: str, value: int) -> None:
    text = f'<enum><label name="A" value="5"/><label name="B" value={written}/></enum>'
    facility = only(in_event(f'<field name="x">{text}</field>'))
    kind = facility.events[0].members[0].type
    assert isinstance(kind, model.Enum)
    assert [label.value for label in kind.labels] == [5, value]


@pytest.mark.parametrize(
    "written", ["1a", "0x", "0x1g", "08", "--3", "٣", "1٣", '"٣"', '"1 "', "x"]
)
def test_what_is_no_value(written: str) -> None:
    text = f'<field name="x">\n<enum>\n<label name="A" value={written}/></enum></field>'
    with pytest.raises(FacilityError, match=r"^f\.xml:3: (not a number|unexpected character)"):
        only(in_event(text))


@pytest.mark.parametrize("mark", ["\ufeff", "\xef\xbb\xbf"])
def test_byte_order_marks_are_skipped(mark: str) -> None:
    text = '<?xml version="1.0"?>\n' + in_event("")
    assert only(mark + text) == only(text)


def test_names_outside_of_latin_1_have_a_checksum() -> None:
    """A facility made from UTF-8 has that of its bytes."""
    text = '<facility name="größe_Ω"><event name="é"></event></facility>'
    as_bytes = only(text.encode().decode("latin-1"))
    assert checksum(only(text)) == checksum(as_bytes)


def test_places_of_what_is_declared() -> None:
    text = (
        '<facility name="f">\n<type name="t"><uint/></type>\n<event name="e">\n'
        '<field name="x">\n<typeref name="t"/></field></event></facility>'
    )
    (event,) = only(text).events
    (member,) = event.members
    assert isinstance(member.type, model.Ref)
    assert (event.line, member.line, member.type.line) == (3, 4, 5)


FIELD = '<field name="x">\n'
BROKEN = [
    ('<facility name="f">\n<event name="e">\n</facility>', 3, "</event>"),
    ('<facility name="f">\n<type name="t">\n</type></facility>', 3, "expected a type"),
    ('<facility name="f">\n<event>\n</event></facility>', 2, "a name is missing"),
    ('<facility name="f">\n\n<thing/></facility>', 3, "not <thing>"),
    (in_event(FIELD + '<int_fixed size="3"/></field>'), 2, "size of 1, 2, 4 or 8"),
    (in_event(FIELD + "<float/></field>"), 2, "float needs a size"),
    (in_event(FIELD + "<uint/>\n<uint/></field>"), 3, "expected </field>, not <uint>"),
    (in_event(FIELD + "<strange/></field>"), 2, "expected a type"),
    (in_event(FIELD + '<array size="2"/>\n</array></field>'), 3, "expected a type"),
    (in_event(FIELD + '<array size="1٣"/><int/></array></field>'), 2, "array needs a size"),
    (in_event(FIELD + "<sequence>\n<int/><int/></sequence></field>"), 2, "counted by"),
    (
        in_event(FIELD + "<sequence>\n<uint/></sequence></field>"),
        2,
        "types of count and element",
    ),
    (in_event(FIELD + "\n<typeref/></field>"), 3, "a name is missing"),
    (in_event(FIELD + '\n<typeref name="t"/>\n</field>\n'), 3, "type t is not declared"),
    (
        '<facility name="f">\n<type name="t"><struct>\n<field name="a">\n<typeref name="t"/>'
        "</field></struct></type>\n</facility>\n\n",
        4,
        "contains itself",
    ),
    (
        '<facility name="f"><event name="e"><typeref name="t"/></event>\n'
        '<type name="t"><struct><field name="a"><array size="2">\n<typeref name="u"/></array>'
        '</field></struct></type>\n<type name="u"><struct><field name="b">\n'
        '<typeref name="t"/></field></struct></type>\n</facility>',
        3,
        "contains itself",
    ),
    (in_event('\n<field name="x>\n<int/></field>'), 2, "does not end on its line"),
    (in_event("\n<!-- no -->"), 2, "unexpected character '!'"),
    (in_event("\n/* no end"), 2, "the comment has no end"),
    (in_event("\n&amp;"), 2, "unexpected character '&'"),
    (in_event("<description>a\nb\n<b>c</b></description>"), 3, "expected </description>"),
    (in_event("\n<field name=4x><int/></field>"), 2, "4x is no name"),
    ('<facility name="f">\n<event name="e">\n', 3, "not the end of the file"),
    (
        in_event(FIELD + "<enum><description>first</description>\n</enum></field>"),
        2,
        "follows the label",
    ),
    (in_event(FIELD + "<enum>\n<label/></enum></field>"), 3, "a name is missing"),
]


@pytest.mark.parametrize(("text", "line", "message"), BROKEN)
def test_broken_descriptions(text: str, line: int, message: str) -> None:
    with pytest.raises(FacilityError) as refused:
        only(text)
    assert str(refused.value).startswith(f"f.xml:{line}: ")
    assert message in str(refused.value)


def test_the_first_fault_is_told() -> None:
    text = in_event('<field name="x">\n<int_fixed/></field>\n<strange>')
    with pytest.raises(FacilityError, match=r"^f\.xml:2: int_fixed needs"):
        only(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('<facility name="a-b"></facility>', "a-b is no name of C"),
        (in_event('<struct><field name="x"><int/></field></struct>'), "not a type"),
        (in_event('<field name="x"><uint network/></field>'), "<uint> knows no network"),
        (in_event('<field name="x" color="red"><uint/></field>'), "<field> knows no color"),
        (in_event('<field name="x"><enum size="4"></enum></field>'), "size of an int"),
        (
            in_event('<field name="x"><int/></field><field name="x"><int/></field>'),
            "a second field is named x",
        ),
        (
            '<facility name="f"><event name="e"></event><event name="e"></event></facility>',
            "a second event is named e",
        ),
        (
            '<facility name="f"><type name="t"><int/></type><type name="t"><int/></type>'
            "</facility>",
            "type t is declared twice",
        ),
        (
            in_event(
                '<field name="x"><union><field name="s"><string/></field></union></field>'
            ),
            "a union holds no variable size",
        ),
        (
            in_event(
                '<field name="x"><enum><label name="A" value="0x80000000"/></enum></field>'
            ),
            "out of range",
        ),
    ],
)
def test_what_generators_refuse_and_readers_take(text: str, message: str) -> None:
    assert only(text)
    with pytest.raises(FacilityError, match=message):
        only(text, strict=True)


def test_work_is_bounded_by_the_description() -> None:
    """Structs that hold two of the one before: 2 ** 40 fields, refused at once."""
    types = '<type name="t0"><uint/></type>'
    for n in range(1, 40):
        inner = "".join(
            f'<field name="{x}"><typeref name="t{n - 1}"/></field>' for x in ("a", "b")
        )
        types += f'<type name="t{n}"><struct>{inner}</struct></type>'
    event = '\n<event name="e"><field name="x"><typeref name="t39"/></field></event>'
    with pytest.raises(FacilityError, match=r"^f\.xml:2: event e has more than"):
        only(f'<facility name="f">{types}{event}</facility>')
