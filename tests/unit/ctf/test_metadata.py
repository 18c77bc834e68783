"""The language of the metadata: what is understood, and what is refused with its line."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.formats import ctf, ctf_metadata
from bridge.trace.ctf.metadata import describe, unpack
from bridge.trace.ctf.parse import MetadataError
from bridge.trace.model import Enumeration, FixedArray, Integer, Sequence, Struct, Text

TRACE = "/* CTF 1.8 */ trace { major = 1; minor = 8; byte_order = le; };\n"


def _payload(fields: str, before: str = "") -> Struct:
    text = f'{TRACE}{before}\nevent {{ name = "e"; fields := struct {{ {fields} }}; }};'
    return describe(text, "m").events[0].event.payload


def test_types_are_named_in_all_of_c_s_ways() -> None:
    before = """
    typealias integer { size = 64; signed = true; } := unsigned long int;
    typedef unsigned long int word, words[2];
    struct pair { word a; } align(16);
    """
    payload = _payload("word x; words y; struct pair z; string s; const word c;", before)

    long = Integer(64, signed=True)
    assert [(f.name, f.type) for f in payload.fields] == [
        ("x", long),
        ("y", FixedArray(long, 2)),
        ("z", Struct((payload.fields[2].type.fields[0],), 16)),
        ("s", Text()),
        ("c", long),
    ]


def test_dimensions_are_read_as_in_c() -> None:
    byte = Integer(8, signed=False)
    payload = _payload("integer { size = 8; } n, m[2][n];")

    assert payload.fields[1].type == FixedArray(Sequence(byte, "n"), 2)


def test_labels_count_on() -> None:
    payload = _payload('enum : integer { size = 8; } { A, B = 4, "c d", E = 7 ... 9, F } e;')

    (field,) = payload.fields
    assert isinstance(field.type, Enumeration)
    assert field.type.labels == (
        ("A", 0, 0),
        ("B", 4, 4),
        ("c d", 5, 5),
        ("E", 7, 9),
        ("F", 10, 10),
    )


def test_one_underscore_protects_a_name() -> None:
    payload = _payload("string _event; string __x; string _a; string a;")

    assert [f.name for f in payload.fields] == ["event", "_x", "_a", "a"]


def test_the_only_clock_is_the_clock_of_unmapped_time_stamps() -> None:
    text = (
        TRACE
        + "clock { name = c; freq = 10; offset = 25; };"
        + "stream { event.header := struct { integer { size = 8; } timestamp; }; };"
    )

    found = describe(text, "m")

    assert found.streams[0].clock == "c"
    assert (found.clocks["c"].offset_s, found.clocks["c"].offset) == (2, 5)


@pytest.mark.parametrize(
    ("fields", "line", "message"),
    [
        ("uint5_t x;", 3, "unknown type `uint5_t`"),
        ("integer { size = 65; } x;", 3, "integers have 1 to 64 bits, not 65"),
        ("integer { signed = true; } x;", 3, "an integer needs a size"),
        ("integer { size = 8; align = 3; } x;", 3, "alignment 3 is no power of two"),
        ("integer { size = 8; size = 9; } x;", 3, "`size` is given twice"),
        ("integer { size = 8; } x : 3;", 3, "bit-fields of C have no layout in CTF"),
        ("floating_point { exp_dig = 15; mant_dig = 113; } x;", 3, "only 32- and 64-bit"),
        ("string s; string s;", 3, "two fields have the same name"),
        ("struct nobody x;", 3, "unknown structure `nobody`"),
        ("string s", 3, "unexpected `}`"),
        ("\nstring [3;", 4, "unexpected `;`"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(fields: str, line: int, message: str) -> None:
    with pytest.raises(MetadataError) as caught:
        _payload(fields)

    assert str(caught.value).startswith(f"m:{line}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("layout", [ctf.MetadataHeaderLe, ctf.MetadataHeaderBe])
def test_packets_of_metadata(layout: object) -> None:
    def packet(text: bytes, padding: int) -> bytes:
        size = ctf.METADATA_HEADER_BYTES + len(text)
        header = layout.build(
            {
                "magic": ctf.METADATA_MAGIC,
                "uuid": bytes(16),
                "checksum": 0,
                "content_size": 8 * size,
                "packet_size": 8 * (size + padding),
                "compression_scheme": 0,
                "encryption_scheme": 0,
                "checksum_scheme": 0,
                "major": 1,
                "minor": 8,
            }
        )
        return header + text + bytes(padding)

    raw = packet(b"/* CTF", 7) + packet(b" 1.8 */", 0)

    assert unpack(raw, "m") == (b"/* CTF 1.8 */", len(raw))
    assert unpack(raw + b"W", "m") == (b"/* CTF 1.8 */", len(raw))
    with pytest.raises(MetadataError, match="cut off"):
        unpack(raw + raw[:20], "m")


def test_other_versions_are_refused() -> None:
    with pytest.raises(MetadataError, match=r"m:1: CTF 2\.0 is not CTF 1\.8"):
        describe("trace { major = 2; minor = 0; };", "m")


@pytest.mark.parametrize("layout", [ctf.MetadataHeaderLe, ctf.MetadataHeaderBe])
def test_headers_are_read_as_construct_describes_them(layout: Any) -> None:
    values = {"uuid": bytes(range(16)), "magic": ctf.METADATA_MAGIC}
    numbers = [f.name for f in layout.subcons if f.name not in values]
    values |= {name: 3 + number for number, name in enumerate(numbers)}
    raw = layout.build(values)

    assert len(raw) == ctf_metadata.HEADER_BYTES == ctf.METADATA_HEADER_BYTES
    found = ctf_metadata.metadata_header(raw, 0)
    assert found._asdict() == {n: v for n, v in layout.parse(raw).items() if n != "_io"}
